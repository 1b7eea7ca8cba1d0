"""One command for all of the panel: web, workers and helper, each restarted when it dies, and the watchdog over them.

Nothing is left behind: children die with this process, however it dies.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from autossl_panel.helper.client import HelperGone
from autossl_panel.hosting.models import Server

from . import foreground, helpers, leases, lifeline
from .cluster import PARENT, die_with_parent
from .models import Beat
from .sweep import sweep_lease

BEAT = "autossl_panel.autossl.tasks.beat"
SWEEP = "autossl_panel.autossl.tasks.sweep"
SWEEP_NAME = "autossl-sweep"
BEAT_EVERY = 5.0
MOST_WAITING = 50
# Without a beat for so long the workers are deaf, whatever they look like
DEAF_AFTER = 20.0
# What a cluster needs until it can answer its first beat
STARTING = 30.0
LOOK_EVERY = 0.5
# Before the first sweep after a start
CALM = 25.0
# From SIGTERM to the last SIGKILL
DRAIN = 15.0
WEB_THREADS = 8
# A child that dies again and again is started ever later
LONGEST_PAUSE = 30.0
STEADY = 60.0


class ServeProblem(Exception):
    """Why `serve` cannot start; a sentence for the admin."""


@dataclass
class Child:
    """A program of ours: started, started again when it dies, ended by pid."""

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 0.0
    not_before: float = 0.0

    def start(self) -> None:
        """Start it in a session of its own, so that its remains can be ended with it."""
        self.process = subprocess.Popen(
            self.command(),
            env={**self.environment, PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            pass_fds=self.pass_fds,
            start_new_session=True,
            # Forked from the main thread, which lives as long as this process
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )
        self.started_at = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look(self, say: Callable[[str], None]) -> bool:
        """Start it again where it died and its pause is over; True when it was started."""
        if self.alive:
            return False
        now = time.monotonic()
        if self.process is not None:
            self.remains()
            say(f"{self.name} ended with status {self.process.returncode}; it is started again")
            self.pause = 0.0 if now - self.started_at > STEADY else min(max(1.0, 2 * self.pause), LONGEST_PAUSE)
            self.not_before = now + self.pause
            self.process = None
        if now < self.not_before:
            return False
        self.start()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        if self.alive and self.process is not None:
            self.process.send_signal(number)

    def remains(self) -> None:
        """End what is left of it: its own process and those that it made, which share its session."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait(self, deadline: float) -> bool:
        """Whether it ended by itself before `deadline`."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True


@dataclass
class Serve:
    """Web, workers and helper of one server, until SIGTERM or SIGINT. `say` prints one line."""

    server: Server
    address: str
    port: int
    say: Callable[[str], None]
    stopping: threading.Event = field(default_factory=threading.Event)
    _children: list[Child] = field(default_factory=list)
    _cluster: Child = field(init=False)
    _web: Child = field(init=False)
    _helper: Child | None = None
    _line: int | None = None
    _rung_at: float = 0.0
    _ready: bool = False

    def run(self) -> int:
        """Serve; 0 after a SIGTERM. Raises ServeProblem where it cannot begin."""
        with _only_one(), self._signals():
            _port_is_free(self.address, self.port)
            _schedule()
            # Whoever starts the panel may want to click first.
            leases.take(sweep_lease(self.server), leases.new_holder(), CALM)
            self._make()
            try:
                self._watch()
            finally:
                self._drain()
        return 0

    def _make(self) -> None:
        url = f"http://{_netloc(self.address, self.port)}"
        environment = {**os.environ, "AUTOSSL_URL": os.environ.get("AUTOSSL_URL") or url}
        if not _answers():
            self._helper = Child("helper", foreground.helper_command, environment)
        self._web = Child("web", self._web_command, environment)
        self._cluster = Child("workers", _cluster_command, environment)
        self._children = [child for child in (self._helper, self._web, self._cluster) if child is not None]

    def _web_command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "autossl_panel.wsgi"),
            *("--config", "python:autossl_panel.autossl.gunicorn_hooks"),
            *("--bind", _netloc(self.address, self.port)),
            *("--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)),
            *("--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket"),
        ]

    # --- watching ----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self.stopping.is_set():
            for child in self._children:
                if child is self._cluster and not child.alive:
                    self._new_lifeline()
                child.look(self.say)
            self._tell_when_ready()
            try:
                self._beat()
            except DatabaseTrouble as problem:
                self.say(f"the database: {problem}")
                connection.close()
            self.stopping.wait(LOOK_EVERY)

    def _beat(self) -> None:
        """Put a beat through the queue now and then; restart the workers when none comes out."""
        now = time.monotonic()
        if now - self._rung_at >= BEAT_EVERY:
            self._rung_at = now
            # Nobody reads the queue while the workers start again and again.
            if OrmQ.objects.count() < MOST_WAITING:
                async_task(BEAT, self.server.pk)
        if not self._cluster.alive or now - self._cluster.started_at < STARTING:
            return
        if not Beat.objects.filter(server=self.server, at__gt=Now() - timedelta(seconds=DEAF_AFTER)).exists():
            self.say(f"the workers gave no sign for {DEAF_AFTER:.0f} seconds; they are restarted")
            self._cluster.remains()

    def _new_lifeline(self) -> None:
        """A pipe for the next cluster: it drains when the writing end is closed."""
        self._cut()
        reading, self._line = os.pipe()
        for number in self._cluster.pass_fds:
            os.close(number)
        self._cluster.pass_fds = (reading,)
        self._cluster.environment = {**self._cluster.environment, lifeline.VARIABLE: str(reading)}

    def _cut(self) -> None:
        if self._line is not None:
            os.close(self._line)
            self._line = None

    def _tell_when_ready(self) -> None:
        if self._ready:
            return
        with contextlib.suppress(OSError), socket.create_connection((_reachable(self.address), self.port), 1):
            self._ready = True
            self.say(f"AutoSSL Panel is ready: {self._web.environment['AUTOSSL_URL']}")

    # --- the end -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Steps in hand are finished, then everything ends; what does not is killed by pid."""
        self.say("Stopping: what is in hand finishes its step.")
        deadline = time.monotonic() + DRAIN
        self._cut()
        # The leader alone: a signal to its group would hang it.
        self._cluster.signal(signal.SIGTERM)
        self._web.signal(signal.SIGTERM)
        for child in (self._cluster, self._web):
            child.wait(deadline)
            child.remains()
        if self._helper is not None:
            self._helper.signal(signal.SIGTERM)
            self._helper.wait(max(deadline, time.monotonic() + 2))
            self._helper.remains()
        for number in self._cluster.pass_fds:
            os.close(number)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stopping.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def parse_bind(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT` or `[ADDRESS]:PORT`; raises ServeProblem."""
    address, colon, port = text.rpartition(":")
    address = address.strip("[]")
    if not colon or not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ServeProblem(f"“{text}” is not ADDRESS:PORT, such as 127.0.0.1:8000.")
    return address, int(port)


def _cluster_command() -> list[str]:
    return [sys.executable, "-m", "autossl_panel.autossl.cluster"]


def _netloc(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _reachable(address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound


def _port_is_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            text = f"{_netloc(address, port)} cannot be listened on: {error.strerror}. Choose another with --bind."
            raise ServeProblem(text) from error


def _answers() -> bool:
    """Whether a helper answers that somebody else looks after."""
    with helpers.client(timeout=5) as client:
        try:
            client.status()
        except HelperGone:
            return False
    return True


def _schedule() -> None:
    """The one scheduled task."""
    Schedule.objects.get_or_create(
        name=SWEEP_NAME,
        defaults={"func": SWEEP, "schedule_type": Schedule.MINUTES, "minutes": 1, "next_run": timezone.now()},
    )


@contextmanager
def _only_one() -> Iterator[None]:
    """Refuse to run beside another `serve` of the same panel."""
    # Not beside the sockets: that folder is the helper's, and under systemd not ours to write.
    path: Path = settings.AUTOSSL_STATE_DIR / "serve.lock"
    lock: IO[Any]
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServeProblem(f"Another serve is running here ({path}).") from error
        yield
