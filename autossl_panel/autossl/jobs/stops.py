"""What a CA wants of the admin before an account goes on: asked for once in a while, not once a site.

Kept by this process alone; what was heard stands on the account's row, for people. When that is gone, so is the stop.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from autossl_panel import ca

from ..models import Account


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is ordered by an account until then, for what the CA said."""

    code: str
    problem: ca.CaProblem
    until: datetime


class Stops:
    """The stops of all accounts. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_account: dict[int, Stop] = {}

    def stop(self, account: int, stop: Stop) -> None:
        """No order is begun by the account until then; each ends with this problem, or goes elsewhere."""
        with self._lock:
            self._by_account[account] = stop

    def of(self, account: int) -> Stop | None:
        """What holds now of an account."""
        with self._lock:
            found = self._by_account.get(account)
            if found is not None and found.until <= timezone.now():
                del self._by_account[account]
                return None
            return found

    def code(self, account: int) -> str:
        """What it is called; "" where nothing holds."""
        found = self.of(account)
        return found.code if found is not None else ""

    def look(self, accounts: Mapping[int, Account]) -> None:
        """Forget the stops of accounts whose rows say nothing of it any more: somebody has acted."""
        with self._lock:
            for pk in list(self._by_account):
                if pk not in accounts or accounts[pk].problem is None:
                    del self._by_account[pk]
