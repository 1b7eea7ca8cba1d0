"""Many changes with one test and one reload; where the test fails, halving finds the bad ones and keeps the others."""

import time
from collections.abc import Sequence

from autossl_panel.helper.changer import Attempt, Changer, Fault, Item
from autossl_panel.helper.protocol import Result
from autossl_panel.webservers.nginx import Configuration

HALVING_SECONDS = 300.0  # after that the rest waits for the next round, so that what is good gets live


class Batch:
    """One go at some items; `results` has one for each then: `good` where it went through, `bad` for the reason.

    `after` is the configuration that is on disk then, None where nothing went through.
    """

    def __init__(self, changer: Changer, addresses: Sequence[str], good: str, bad: str) -> None:
        self._changer = changer
        self._addresses = addresses
        self._good, self._bad = good, bad
        self._standing: tuple[tuple[Item, ...], Attempt] | None = None
        self._deadline = 0.0
        self.results: dict[str, Result] = {}
        self.after: Configuration | None = None

    def run(self, items: Sequence[Item]) -> None:
        """Make the changes that can be made, with one reload in the end."""
        self._deadline = time.monotonic() + HALVING_SECONDS
        try:
            accepted = self._accept((), tuple(items), first=True)
            if not accepted:
                self._withdraw()
                return
            attempt = self._stand(accepted)
        except BaseException:
            self._withdraw()
            raise
        if isinstance(attempt, Fault):
            # It passed a moment ago: somebody else's edit came in between.
            self._refuse(accepted, attempt)
            return
        self._standing = None
        running = self._changer.finish()
        self.after = attempt.after
        text = "" if running else "The files are changed and tested, but nginx is not running."
        done = Result(running, self._good if running else "nginx_not_running", text)
        self.results |= {item.id: done for item in accepted}

    def _accept(self, accepted: tuple[Item, ...], items: tuple[Item, ...], *, first: bool = False) -> tuple[Item, ...]:
        """`accepted` and those of `items` that the web server takes beside them."""
        while items:
            if not first and time.monotonic() > self._deadline:
                self._refuse(
                    items, Fault("busy", "Looking for a faulty site took too long; tried again in the next round.")
                )
                return accepted
            attempt = self._stand(accepted + items)
            if isinstance(attempt, Attempt):
                return accepted + items
            if attempt.blames:
                self._refuse([item for item in items if item.id in attempt.blames], attempt)
                items = tuple(item for item in items if item.id not in attempt.blames)
                continue
            if attempt.code in ("foreign_broken", "busy"):
                self._refuse(items, attempt)
                return accepted
            # Looked at again before anything is put aside: an admin may have broken a file meanwhile.
            if (first or len(items) == 1) and (base := self._changer.base_fault()) is not None:
                self._refuse(items, base)
                return accepted
            if len(items) == 1:
                self._refuse(items, attempt)
                return accepted
            middle = len(items) // 2
            accepted = self._accept(accepted, items[:middle])
            return self._accept(accepted, items[middle:])
        return accepted

    def _stand(self, items: tuple[Item, ...]) -> Attempt | Fault:
        """Have exactly these items on disk."""
        if self._standing is not None and self._standing[0] == items:
            return self._standing[1]
        self._withdraw()
        attempt = self._changer.attempt(items, self._addresses)
        if isinstance(attempt, Attempt):
            self._standing = (items, attempt)
        return attempt

    def _withdraw(self) -> None:
        if self._standing is not None:
            attempt, self._standing = self._standing[1], None
            self._changer.withdraw(attempt.changes)

    def _refuse(self, items: Sequence[Item], fault: Fault) -> None:
        for item in items:
            its = fault.each.get(item.id, fault)
            self.results[item.id] = its.result(self._bad if its.code == "test" else None)
