"""Pages of a table: which rows, which page numbers, what “Showing” says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from .access import PanelRequest

SIZES = (25, 50, 100)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paging(Generic[Row]):
    """One page of rows with what its links need."""

    rows: Sequence[Row]
    page: Page[Any]
    size: int
    sizes: Sequence[int]

    @property
    def first(self) -> int:
        return self.page.start_index()

    @property
    def last(self) -> int:
        return self.page.end_index()

    @property
    def total(self) -> int:
        return self.page.paginator.count

    @property
    def numbers(self) -> list[int | str]:
        return list(self.page.paginator.get_elided_page_range(self.page.number, on_each_side=2, on_ends=1))


def paginate(
    request: PanelRequest, rows: QuerySet[Any, Row] | Sequence[Row], size: int | None = None, total: int | None = None
) -> Paging[Row]:
    """The page that the request asks for; a number that is none, or too large, gives the nearest page.

    `size` fixes the rows a page; `total` is how many rows there are, where that is known.
    """
    sizes = SIZES if size is None else ()
    size = size or _size(request)
    asked_page = request.GET.get("page")
    first = list(rows[: size + 1]) if isinstance(rows, QuerySet) and asked_page in (None, "1") else None
    if first is not None and len(first) <= size:
        total = len(first)
    paginator = Paginator(rows, size)
    if total is not None:
        # A cached property: what is counted already is not counted again.
        paginator.__dict__["count"] = total
    page = paginator.get_page(asked_page)
    return Paging(list(page.object_list) if first is None else first[:size], page, size, sizes)


def _size(request: PanelRequest) -> int:
    asked = request.GET.get("size", "")
    return next((size for size in SIZES if str(size) == asked), SIZES[0])
