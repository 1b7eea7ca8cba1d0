"""What an empty list says was searched: all, or only what the filters beside the search leave. Asks nothing itself."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# What an address says that leaves no row out
_NO_FILTER = ("q", "sort")


class _Wish(Protocol):
    """What an address asks for: words to search, and filters in the other fields."""

    @property
    def q(self) -> str: ...


W = TypeVar("W", bound=_Wish)


def filtered(wish: "DataclassInstance") -> bool:
    """Whether anything but the words leaves rows out."""
    return any(getattr(wish, one.name) for one in fields(wish) if one.name not in _NO_FILTER)


def searched(wish: W, everything: int, count: Callable[[W], int]) -> Callable[[], int]:
    """How many rows the words were looked for in. Counted only where a page asks, which is where it has no row."""

    def number() -> int:
        found: Any = wish
        return count(replace(found, q="")) if wish.q and filtered(found) else everything

    return number
