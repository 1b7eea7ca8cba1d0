"""Names that only one may have: two who ask at once for the same. No rule of what a name may be."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction


@contextmanager
def unless(problem: Exception) -> Iterator[None]:
    """Raise `problem` where what is written here has a name that somebody took since it was looked for.

    Everything else that was written in the transaction around stays as it is.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise problem from error
