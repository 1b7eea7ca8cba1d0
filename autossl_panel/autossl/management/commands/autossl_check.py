"""Run AutoSSL now, with its log on the terminal."""

import signal
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.db import connection

from autossl_panel.autossl import foreground, jobs, log, runs
from autossl_panel.autossl.management.base import FAILED, hosting_user, plural, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.previews import show_preview
from autossl_panel.autossl.models import Level, Run
from autossl_panel.autossl.notify import post, telling
from autossl_panel.helper.client import HelperGone
from autossl_panel.hosting import servers

MARKS = {Level.OUT: " ", Level.SUCCESS: "+", Level.WARN: "!", Level.FAILURE: "x"}
# Seconds without a sign of the workers: longer than a restart of them takes
SILENT = 90.0


def _unfinished(run: Run) -> int:
    """How many sites ended otherwise than secured, kept, skipped or deferred as the rules say."""
    done = runs.progress(run)
    return done.failed + done.waiting + done.cancelled


class Command(Base):
    help = (
        "Run AutoSSL for all users or for one. Exit status 0: every site ended as the rules say; 1: something failed."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sites: dict[int | None, str] = {}

    def add_arguments(self, parser: ArgumentParser) -> None:
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument("--all", action="store_true", help="all users")
        scope.add_argument("--user", metavar="NAME", help="one hosting user")
        parser.add_argument("--preview", action="store_true", help="say what a run would do, and do nothing")
        parser.add_argument("--json", action="store_true", help="with --preview: as JSON")

    def work(self, *, user: str | None, preview: bool, json: bool, **_: Any) -> int:
        server = servers.this()
        if json and not preview:
            usage("--json goes with --preview.")
        if user is not None and not runs.is_hosting_user(server, user):
            # New in the configuration, perhaps: the run itself would find it, but its name must be known to start one.
            self._discover()
            hosting_user(server, user)
        scope = runs.user_scope(user) if user is not None else runs.ALL
        if preview:
            return show_preview(self.stdout, server, scope, as_json=json)
        run = runs.start(scope, by=None, asked_from="command", server=server)
        if not (foreground.workers_alive(server) and self._follow(run)):
            self._work(run)
            # Nobody else sends what there is to tell of it.
            telling.sweep(server, gathered=False)
            post.deliver(server)
        run.refresh_from_db()
        self._tell_waiting(run)
        return FAILED if run.ended_at is None or run.cancelled_at or run.problem or _unfinished(run) else 0

    def _tell_waiting(self, run: Run) -> None:
        done = runs.progress(run)
        if done.limited_until is not None:
            sites = plural(done.limited, "site")
            last = f"{done.limited_until:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"A limit of the CA: {sites} must wait. AutoSSL goes on by itself; the last at {last}.")

    @staticmethod
    def _discover() -> None:
        from django.utils import timezone  # noqa: PLC0415

        from autossl_panel.autossl import inventory  # noqa: PLC0415

        with foreground.helper() as helper:
            inventory.refresh(servers.this(), helper, now=timezone.now())

    def _work(self, run: Run) -> None:
        """No worker runs: do it here. The log is printed by this thread, the work done in another."""
        stop = threading.Event()
        problems: list[BaseException] = []

        def work() -> None:
            try:
                jobs.work_through(run.pk, stop=stop)
            except BaseException as problem:  # noqa: BLE001 (raised again by the thread that waits)
                problems.append(problem)
            finally:
                connection.close()

        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        worker = threading.Thread(target=work, name="foreground")
        worker.start()
        tail = log.Tail(run.pk)
        try:
            while worker.is_alive():
                self._print(tail)
                worker.join(0.3)
        except KeyboardInterrupt:
            stop.set()
            self.stderr.write("Stopping: what is in hand finishes its step.")
            worker.join()
        self._print(tail)
        if problems:
            runs.fail(run, str(problems[0]))
            if not isinstance(problems[0], HelperGone):
                raise problems[0]
            self.stderr.write(f"The helper does not answer: {problems[0]}")

    def _follow(self, run: Run) -> bool:
        """Workers are at it: print what they log until the run ends. False where they have been silent for long."""
        tail = log.Tail(run.pk)
        alive_at = time.monotonic()
        while True:
            ended = Run.objects.filter(pk=run.pk, ended_at__isnull=False).exists()
            self._print(tail)
            if ended:
                return True
            if foreground.workers_alive(run.server):
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at > SILENT:
                self.stderr.write("The workers give no sign any more; going on without them.")
                return False
            time.sleep(0.3)

    def _print(self, tail: log.Tail) -> None:
        while lines := tail.read():
            for line in lines:
                indent = "  " * line.depth
                self.stdout.write(f"{line.at:%H:%M:%S} {MARKS[line.level]} {indent}{self._named(line)}")
                if line.advice:
                    self.stdout.write(f"           {indent}→ {line.advice}")
        self.stdout.flush()

    def _named(self, line: log.Line) -> str:
        """The line's text; with its site, where it does not say so itself: several sites are in hand at once."""
        site = self.sites.get(line.job_id)
        if site is None and line.job_id is not None and "site" in line.data:
            site = self.sites[line.job_id] = str(line.data["site"])
        return line.text if site is None or site in line.text else f"{site}: {line.text}"
