"""Problems: what stands between names and their certificates, as the Problems page and SSL/TLS Status tell it."""

from typing import Any

from django.db.models import Max, QuerySet

from autossl_panel.autossl import log, problem_facts
from autossl_panel.autossl.models import Job, Problem
from autossl_panel.autossl.preview_told import stamp
from autossl_panel.hosting.models import HostingUser

from . import schema
from .checks import OWN_USERNAME, USERNAME
from .functions import LOGINS, OPERATORS, Call, Data, function
from .parameters import Parameter

PROBLEM = {
    "domain": schema.text(),
    "problem": schema.text("What is wrong and what to change, in English"),
    "time": schema.moment("Since when"),
}
PROBLEMS = schema.obj(
    {
        "problems_by_domain": schema.array(
            schema.obj(
                {**PROBLEM, "log": schema.or_null(schema.moment("When the last run began that worked on the site"))}
            )
        )
    }
)
DOMAIN = Parameter("domain", "A name, as A-labels or Unicode.", required=True)


@function(*OPERATORS, answers=PROBLEMS, parameters=[USERNAME])
def get_autossl_problems_for_user(call: Call) -> Data:
    """Says what stands between a user's names and their certificates, and what to change."""
    rows = _of_user(call, call.user("username"))
    return {"problems_by_domain": _with_log(call, rows)}


@function(*OPERATORS, answers=PROBLEMS, parameters=[DOMAIN])
def get_autossl_problems_for_domain(call: Call) -> Data:
    """Says what stands between one name and its certificate, and what to change; nothing where all is well."""
    hosts = call.hosts_of_domain("domain")
    rows = _visible(call).filter(virtual_host__in=hosts, name=call.domain("domain"))
    return {"problems_by_domain": _with_log(call, rows)}


@function(*LOGINS, answers=schema.array(schema.obj(PROBLEM)), parameters=[OWN_USERNAME])
def get_autossl_problems(call: Call) -> Data:
    """Says what stands between the names of this login's user and their certificates, and what to change."""
    return [_told(call, row) for row in _of_user(call, call.own_user("username"))]


def _visible(call: Call) -> QuerySet[Problem]:
    """Those that count: an added www. that fails is left out quietly."""
    rows = problem_facts.visible(call.person).filter(virtual_host__server=call.server, quiet=False)
    return rows.order_by("name", "code", "pk")


def _of_user(call: Call, user: HostingUser) -> QuerySet[Problem]:
    return _visible(call).filter(user=user)


def _with_log(call: Call, rows: QuerySet[Problem]) -> list[dict[str, Any]]:
    jobs = Job.objects.filter(virtual_host__in=rows.order_by().values("virtual_host")).order_by()
    began = dict(jobs.values_list("virtual_host").annotate(at=Max("run__started_at")))
    return [{**_told(call, row), "log": stamp(began.get(row.virtual_host_id))} for row in rows]


def _told(call: Call, row: Problem) -> dict[str, Any]:
    problem = {"code": row.code, "domain": row.name, "data": problem_facts.facts(row, call.person)}
    return {"domain": row.name, "problem": log.problem_told(problem), "time": stamp(row.since)}
