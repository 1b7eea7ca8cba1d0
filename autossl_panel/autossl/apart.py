"""Independent pieces of work, one after the other: what fails in one stops none of the others, and is still raised."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Apart:
    """Keeps what fails in the pieces until all had their turn."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._first: Exception | None = None

    @contextmanager
    def piece(self, what: str, *of: object) -> Iterator[None]:
        """One piece; what it raises is logged with what it was."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 — logged, and raised at the end
            self._log.exception(what, *of)
            self._first = self._first or error

    def end(self) -> None:
        """Raise what failed first, if anything did."""
        if self._first is not None:
            raise self._first
