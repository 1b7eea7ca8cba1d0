"""Starting checks: the same runs as the pages' buttons start, joined by whoever asks again."""

from autossl_panel.autossl import preview, runs, standstill
from autossl_panel.autossl.models import Run
from autossl_panel.hosting.models import HostingUser

from . import schema
from .functions import LOGINS, OPERATORS, Call, Data, function
from .parameters import Parameter
from .refusals import Failed, Wrong

PID = schema.obj({"pid": schema.number("The number of the run, as its page and its log have it; no process.")})
USERNAME = Parameter("username", "A hosting user.", required=True)
# A login may be for several hosting users; cPanel knows one alone
OWN_USERNAME = Parameter("username", "Which hosting user, where the login is for several.")


@function(*OPERATORS, answers=PID, changes=True)
def start_autossl_check_for_all_users(call: Call) -> Data:
    """Starts AutoSSL for all users, for a reseller's token for its own ones; joins the run that does so already."""
    _nothing_in_the_way(call)
    scope = preview.scope_of(call.person, call.server)
    assert scope is not None
    return _pid(_start(call, scope))


@function(*OPERATORS, answers=PID, parameters=[USERNAME], changes=True)
def start_autossl_check_for_one_user(call: Call) -> Data:
    """Starts AutoSSL for one user, or joins the run that has the user's work before it."""
    return _pid(_start_for(call, call.user("username")))


@function(*LOGINS, answers=PID, parameters=[OWN_USERNAME], changes=True)
def start_autossl_check(call: Call) -> Data:
    """Starts AutoSSL for the sites of this login's user, or joins the run that has their work before it."""
    return _pid(_start_for(call, call.own_user("username")))


@function(
    *LOGINS, answers=schema.number("1 while a run works on the user's sites.", only=(0, 1)), parameters=[OWN_USERNAME]
)
def is_autossl_check_in_progress(call: Call) -> Data:
    """Says whether a run works on the sites of this login's user, or still has them before it."""
    mine = HostingUser.objects.filter(pk=call.own_user("username").pk)
    return int(runs.at_work_on(mine).exists())


def _start_for(call: Call, user: HostingUser) -> Run:
    _nothing_in_the_way(call)
    if user.suspended:
        raise Wrong("username", f"“{user.name}” is suspended, so nothing is checked.")
    if not user.enabled:
        raise Wrong("username", f"AutoSSL is off for “{user.name}”.")
    return _start(call, runs.user_scope(user.name))


def _start(call: Call, scope: str) -> Run:
    return runs.start(scope, by=call.person, asked_from="api", server=call.server, now=call.now)


def _nothing_in_the_way(call: Call) -> None:
    """Raise Failed where nobody's site can be checked now: the page has no button then, either."""
    stopped = standstill.stopped(call.options, standstill.account_in_use(call.server))
    if stopped:
        raise Failed(f"{stopped} Nothing was started.")


def _pid(run: Run) -> Data:
    return {"pid": run.pk}
