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

    def stand(self, ledger: Ledger, wish: Wish, wait: Wait, *, owner: str = "") -> Wait:
        """`wait` as it is for who comes next; `owner` is whose what is used up is, where there are several ledgers."""
        key = (owner, wait.kind, wait.subject, wish.headroom)
        place = self._places[key]
        self._places[key] += 1
        return replace(wait, until=ledger.turn(wish, wait, place)) if place else wait
