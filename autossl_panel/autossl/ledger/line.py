"""Those who have to wait for the same: each is told the place after the last one's. Pure.

Told the same moment they would all come back for the one place that is free then: thirty thousand, every minute.
Whoever comes when it is their turn and finds somebody more urgent before them stands in the next line, at its head.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from .ledger import Ledger, Wait
from .wish import Wish


class Line:
    """The line of one round of claims, who come in the order of their priority. Not for several threads at once."""

    def __init__(self) -> None:
        self._places: Counter[tuple[str, str, str, float]] = Counter()

    def next(self, ledger: Ledger, wish: Wish, wait: Wait, *, owner: str = "") -> Wait:
        """What who stands in line now would be told; `owner` is whose what is used up is, where there are several."""
        place = self._places[owner, wait.kind, wait.subject, wish.headroom]
        return replace(wait, until=ledger.turn(wish, wait, place)) if place else wait

    def stand(self, ledger: Ledger, wish: Wish, wait: Wait, *, owner: str = "") -> Wait:
        """Stand in line, and be told when it is one's turn."""
        told = self.next(ledger, wish, wait, owner=owner)
        self._places[owner, wait.kind, wait.subject, wish.headroom] += 1
        return told
