"""Which rows of a table are ticked: those of the page, or all that match but for those that somebody unticked, on
whichever page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from .access import PanelRequest

PAGE, MATCH = "page", "match"
# What the address says of it: which are ticked, and those that are not although all that match are
SELECT, LEFT_OUT = "select", "except"


@dataclass(frozen=True, slots=True)
class Picked:
    """What is ticked on a page: `rows` of it, `number` in all; `elsewhere` are those unticked on other pages."""

    rows: frozenset[int]
    number: int
    total: int
    matching: bool
    elsewhere: Sequence[int]

    @property
    def left_out(self) -> str:
        return ",".join(map(str, self.elsewhere))


def picked(request: PanelRequest, shown: Iterable[int], total: int, unticked: Iterable[int] = ()) -> Picked:
    """What the address says is ticked on a page of the rows `shown`; `unticked` are those of `left_out` that match.

    `total` is how many rows match.
    """
    rows, kind = frozenset(shown), request.GET.get(SELECT)
    if kind == PAGE:
        return Picked(rows, len(rows), total, False, ())
    if kind != MATCH:
        return Picked(frozenset(), 0, total, False, ())
    off = frozenset(unticked)
    elsewhere = sorted(off - rows)
    return Picked(rows - off, total - len(off), total - len(elsewhere), True, elsewhere)


def as_sent(request: PanelRequest, field: str, shown: Iterable[int], total: int, matching: Iterable[int]) -> Picked:
    """What was ticked when a form was sent that is shown again; `matching` are asked for where all that match were."""
    rows, off = frozenset(shown), all_but(request, field)
    if off is None:
        ticks = ticked(request, field) & rows
        return Picked(ticks, len(ticks), total, False, ())
    off &= frozenset(matching)
    elsewhere = sorted(off - rows)
    return Picked(rows - off, total - len(off), total - len(elsewhere), True, elsewhere)


def left_out(request: PanelRequest) -> frozenset[int]:
    """What was unticked on the pages that somebody came from, where all that match are ticked."""
    if request.GET.get(SELECT) != MATCH:
        return frozenset()
    return frozenset(ids(request.GET.get(LEFT_OUT, "").split(",")))


def ticked(request: PanelRequest, field: str) -> frozenset[int]:
    """The rows of the page whose boxes were ticked when the form was sent."""
    return frozenset(ids(request.POST.getlist(field)))


def all_but(request: PanelRequest, field: str) -> frozenset[int] | None:
    """Of all that match, those that are not meant: unticked here or on pages before. None: what is ticked is meant."""
    if request.POST.get("matching") != "1":
        return None
    shown = frozenset(ids(request.POST.getlist("shown")))
    return (left_out(request) - shown) | (shown - ticked(request, field))


def after(request: PanelRequest) -> str:
    """The page of an act once that is done: the same rows, and none of them ticked."""
    query = {name: values for name, values in request.GET.lists() if name not in (SELECT, LEFT_OUT)}
    return f"{request.path}?{urlencode(query, doseq=True)}" if query else request.path


def ids(texts: Iterable[str]) -> list[int]:
    """The numbers among what a form or an address says, but for those that are too large for a row's."""
    return [int(text) for text in texts if text.isdecimal() and len(text) < 19]
