"""The demo: the box, the panel set up on it by its own commands, a run for all users, and the proof in a table."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from autossl_panel import names as domain_names
from autossl_panel.sandbox.arrange import Login, arrange, use_provider
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, RESELLER, SITES
from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.processes import SandboxProblem
from autossl_panel.sandbox.proof import Outcome, compare

WEB_ADDRESS = "127.0.0.1"
WEB_PORT = 8000
# A site that another run had in hand ends a moment after the run for all.
SETTLE_SECONDS = 20
SOCKET_PATH_LIMIT = 90
# The hosting user who signs in, too: with certificates from elsewhere among its own
LOGIN = "clara"


class Demo:
    """One demo in `folder`, whose earlier content of the same kind it replaces; `say` prints one line."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder.resolve()
        self.say = say
        self.logins = [
            Login("root", secrets.token_urlsafe(9), "root"),
            Login(RESELLER, secrets.token_urlsafe(9), "reseller"),
            Login(LOGIN, secrets.token_urlsafe(9), "user"),
        ]
        self._began = time.monotonic()

    def run(self, *, once: bool) -> int:
        """0 when every site ended as expected, else 1. Without `once` the panel stays up until KeyboardInterrupt."""
        with ExitStack() as stack:
            self._lock(stack)
            for name in ("box", "state", "run"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self.say(f"Starting a CA, a DNS server and a web server with {len(CASES)} sites in {self.folder}")
            box = stack.enter_context(Box(self.folder / "box", sites=SITES, nonce_reject=5))
            panel = Panel(
                box.environment(self.folder / "state", self._run_dir(stack)), self.folder / "serve.log", self.say
            )
            arrange(box, panel, self.logins)
            stack.callback(panel.stop)
            url = panel.serve(WEB_ADDRESS, WEB_PORT)
            # Last of all: the workers would begin with what is due before the run for all could show it.
            use_provider(box, panel)
            if panel.watch("autossl_check", "--all") not in (0, 1):
                raise SandboxProblem("the run did not work through")
            outcomes = self._settled(box, panel)
            seconds = round(time.monotonic() - self._began, 1)
            self._table(outcomes)
            if not once:
                self._keep_up(box, panel, url)
        as_expected = all(outcome.as_expected for outcome in outcomes)
        if once:
            self.say(json.dumps(summary(outcomes, seconds)))
        return 0 if as_expected else 1

    def _lock(self, stack: ExitStack) -> None:
        """Refuse a second demo in the same folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((self.folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SandboxProblem(f"a demo is running in {self.folder} already") from error

    def _run_dir(self, stack: ExitStack) -> Path:
        """Where sockets go: below the folder, unless its path is too long for them."""
        path = self.folder / "run"
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="as")))
        return path

    def _settled(self, box: Box, panel: Panel) -> tuple[Outcome, ...]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            outcomes = compare(box, CASES, panel.status(), replace_foreign=False)
            if all(outcome.as_expected for outcome in outcomes) or time.monotonic() > deadline:
                return outcomes
            time.sleep(1)

    def _table(self, outcomes: Sequence[Outcome]) -> None:
        self.say("")
        rows = [
            ("", "SITE", "NAMES", "RESULT", "SERVED BY HANDSHAKE", "WHAT IT SHOWS"),
            *(_row(outcome) for outcome in outcomes),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        for outcome in outcomes:
            for difference in outcome.differences:
                self.say(f"! {outcome.case.name}: {difference}")
        wrong = sum(not outcome.as_expected for outcome in outcomes)
        self.say("")
        self.say(
            f"Of {len(outcomes)} sites, {wrong} ended otherwise than expected."
            if wrong
            else "Every site ended as expected."
        )

    def _keep_up(self, box: Box, panel: Panel, url: str) -> None:
        """Tell how to look around, then wait for Ctrl-C."""
        root = self.folder / "box" / "root.pem"
        root.write_bytes(box.pebble.root_pem())
        secured = next(case.name for case in CASES if case.end.served)
        self.say("")
        self.say(f"The panel: {url}")
        for login in self.logins:
            self.say(f"  {login.role}: {login.name}, password {login.password}")
        self.say(f"A site:    curl --cacert {root} --connect-to ::{box.address}: https://{secured}:{box.https_port}/")
        self.say("Ctrl-C stops all of it.")
        try:
            while panel.serving:
                time.sleep(0.5)
        except KeyboardInterrupt:
            self.say("Stopping.")
            return
        raise SandboxProblem(f"the panel ended by itself\n{panel.log_tail()}")


def summary(outcomes: Sequence[Outcome], seconds: float) -> dict[str, int | float | bool]:
    """What a script wants to know: the last line of `make demo ONCE=1`."""
    return {
        "virtual_hosts": len(outcomes),
        "secured": sum(outcome.state == "secured" for outcome in outcomes),
        "served": sum(outcome.served for outcome in outcomes),
        "as_expected": all(outcome.as_expected for outcome in outcomes),
        "seconds": seconds,
    }


def _row(outcome: Outcome) -> tuple[str, ...]:
    mark = " " if outcome.as_expected else "!"
    result = f"{outcome.state}: {outcome.problem}" if outcome.problem else outcome.state
    wished = {*outcome.case.names, *outcome.covered} - set(outcome.case.excluded)
    count = f"{len(outcome.covered)}/{len(wished)}"
    return mark, domain_names.to_unicode(outcome.case.name), count, result, _served(outcome), outcome.case.why


def _served(outcome: Outcome) -> str:
    if outcome.served:
        return "yes"
    return "as before" if any(shown.issuer == "bought" for shown in outcome.shown) else "no"
