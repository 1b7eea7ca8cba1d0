"""All functions there are, by house: those of WHM for root and resellers, those of UAPI for hosting users' logins.

A function is here once it is finished; one that is not here is answered as unknown.
"""

from collections.abc import Iterable, Mapping

from . import checks, pending, previews, problems, providers, schedule
from .functions import Function


def _by_name(functions: Iterable[Function]) -> Mapping[str, Function]:
    return {function.name: function for function in functions}


WHM = _by_name(
    [
        checks.start_autossl_check_for_all_users,
        checks.start_autossl_check_for_one_user,
        previews.get_autossl_preview,
        schedule.get_autossl_check_schedule,
        providers.get_autossl_providers,
        problems.get_autossl_problems_for_user,
        problems.get_autossl_problems_for_domain,
        pending.get_autossl_pending_queue,
        pending.get_autossl_pending_queue_for_user,
        pending.get_autossl_pending_queue_for_domain,
    ]
)
SSL = _by_name(
    [
        checks.start_autossl_check,
        checks.is_autossl_check_in_progress,
        problems.get_autossl_problems,
        pending.own_queue,
    ]
)
