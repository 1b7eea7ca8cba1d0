"""All functions there are, by house: those of WHM for root and resellers, those of UAPI for hosting users' logins.

A function is here once it is finished; one that is not here is answered as unknown.
"""

from collections.abc import Iterable, Mapping

from . import checks, previews
from .functions import Function


def _by_name(functions: Iterable[Function]) -> Mapping[str, Function]:
    return {function.name: function for function in functions}


WHM = _by_name(
    [
        checks.start_autossl_check_for_all_users,
        checks.start_autossl_check_for_one_user,
        previews.get_autossl_preview,
    ]
)
SSL = _by_name(
    [
        checks.start_autossl_check,
        checks.is_autossl_check_in_progress,
    ]
)
