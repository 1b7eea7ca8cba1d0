"""The table of Manage Users: filters, order, and what each row says. Aggregates only for the rows of one page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel.autossl import log
from autossl_panel.hosting import name_search, visible
from autossl_panel.hosting.models import Domain, HostingUser, Setting, Severity, SiteState, VirtualHost
from autossl_panel.people.models import User

from . import site_table, user_filter
from .user_filter import Choice, Filter

STATE_FILTERS = ("enabled", "disabled", "problems", "expiring")
SORTS = ("name", "sites", "checked")
ON = Q(autossl=Setting.ON) | Q(autossl=Setting.FEATURE_LIST, feature_list__autossl=True)
# Worst first
RANK = (SiteState.UNSECURED, SiteState.PARTLY, SiteState.FOREIGN, SiteState.SECURED, SiteState.OFF)
RESULT_ICONS = {
    "check:failed": ("bad", "is-bad"),
    "check:deferred": ("clock", "is-warn"),
    "check:waiting": ("clock", "is-warn"),
    "check:stopped": ("warn", "is-warn"),
    "check:cancelled": ("warn", "is-warn"),
    "check:skipped": ("off", "dim"),
    "check:kept": ("warn", "is-warn"),
    "check:foreign": ("foreign", "is-foreign"),
}
# A result without a fault is no good sign over sites that stand badly: it may be of a part of them
STATE_ICONS: dict[str, tuple[str, str]] = {
    SiteState.UNSECURED: ("bad", "is-bad"),
    SiteState.PARTLY: ("warn", "is-warn"),
}
# Beside the radio, one word says it.
SHORT = {"disabled": gettext_lazy("disabled"), "suspended": gettext_lazy("suspended")}


@dataclass(frozen=True, slots=True)
class Row:
    """A hosting user as the table shows it."""

    user: HostingUser
    owner: str
    sites: int
    secured: int
    worst: str
    result: str
    result_icon: str
    result_css: str
    selected: bool

    @property
    def pk(self) -> str:
        """The user's number as it stands in ids: a number would be written by the language's rules each time."""
        return str(self.user.pk)


def present(users: QuerySet[HostingUser]) -> QuerySet[HostingUser]:
    """Users that still have sites here; those that are gone are history."""
    return users.filter(gone_at__isnull=True)


@dataclass(frozen=True, slots=True)
class Attention:
    """Ids of the users with a site that wants attention.

    They are fetched first and handed in: a nested question over two large tables can take a database without fresh
    statistics half a minute.
    """

    problems: set[int]
    expiring: set[int]

    @classmethod
    def of(cls, hosts: QuerySet[VirtualHost], now: datetime) -> "Attention":
        """Look at `hosts`, the sites that the person may see."""
        # Sites that are gone have a state of their own; so the index on user and state says nearly all.
        failing = Q(state=SiteState.FOREIGN, problem__isnull=False)  # another's, defective or about to expire
        unsecured = hosts.filter(failing | Q(state__in=[SiteState.UNSECURED, SiteState.PARTLY]))
        # None of them is secured: the index on that leads to few of all.
        unsecured = unsecured.filter(severity__lt=Severity.SECURED)
        return cls(_users_of(unsecured), _users_of(site_table.near(hosts, now)))


def _users_of(hosts: QuerySet[VirtualHost]) -> set[int]:
    # Not DISTINCT in the database: for that it may walk through all sites in the order of their users.
    return set(hosts.order_by().values_list("user_id", flat=True))


def narrowed(users: QuerySet[HostingUser], wish: Filter, attention: Attention) -> QuerySet[HostingUser]:
    """The users that match a filter."""
    if wish.q:
        found = Domain.objects.filter(name_search.has("name", wish.q), virtual_host__gone_at__isnull=True)
        ids = set(found.order_by().values_list("virtual_host__user_id", flat=True).distinct())
        users = users.filter(Q(name__icontains=wish.q) | Q(pk__in=ids))
    users = wish.whose(users)
    if wish.state == "enabled":
        return users.filter(ON, suspended=False)
    if wish.state == "disabled":
        return users.exclude(Q(suspended=False) & ON)
    if wish.state == "problems":
        return users.filter(pk__in=attention.problems)
    if wish.state == "expiring":
        return users.filter(pk__in=attention.expiring)
    return users


def counts(groups: Sequence["Group"], attention: Attention) -> dict[str, int]:
    """How many users each filter chip stands for."""
    total, enabled = sum(group.users for group in groups), sum(group.switched_on for group in groups)
    return {
        "all": total,
        "enabled": enabled,
        "disabled": total - enabled,
        "problems": len(attention.problems),
        "expiring": len(attention.expiring),
    }


def counts_of(person: User, now: datetime) -> dict[str, int]:
    """The same for all users that a person may see."""
    return counts(groups(present(visible.users(person))), Attention.of(visible.virtual_hosts(person), now))


def ordered(users: QuerySet[HostingUser], sort: str) -> QuerySet[HostingUser]:
    """In the order that the head of the table shows."""
    field, down = sort.removeprefix("-"), sort.startswith("-")
    if field == "checked":
        key = F("last_check_at")
        return users.order_by(key.desc(nulls_last=True) if down else key.asc(nulls_first=True), "name")
    if field == "sites":
        rank = Case(*[When(state=state, then=Value(n)) for n, state in enumerate(RANK)], output_field=IntegerField())
        # Of a site that is gone the state says so, and no rank is its: the index on user and state says all.
        sites = VirtualHost.objects.filter(user=OuterRef("pk")).order_by().values("user")
        worst = Coalesce(Subquery(sites.annotate(worst=Min(rank)).values("worst")), Value(len(RANK)))
        return users.annotate(worst=worst).order_by("-worst" if down else "worst", "name")
    return users.order_by("-name" if down else "name")


def rows(users: Sequence[HostingUser], root_name: str, selected: frozenset[int]) -> list[Row]:
    """What the table says of the users of one page."""
    sites: dict[int, dict[str, int]] = {}
    secured: Counter[int] = Counter()
    # Another's certificate secures a site as long as it is sound: an expired one does not.
    sound = Q(state=SiteState.SECURED) | Q(state=SiteState.FOREIGN, names_covered__gt=0)
    found = (
        VirtualHost.objects.filter(user__in=[user.pk for user in users], gone_at__isnull=True)
        .values_list("user_id", "state")
        .annotate(n=Count("pk"), sound=Count("pk", filter=sound))
        .order_by()
    )
    for user_id, state, n, good in found:
        sites.setdefault(user_id, {})[state] = n
        secured[user_id] += good
    return [_row(user, sites.get(user.pk, {}), secured[user.pk], root_name, selected) for user in users]


def _row(user: HostingUser, states: dict[str, int], secured: int, root_name: str, selected: frozenset[int]) -> Row:
    check = user.last_check or {}
    event = check.get("event", "")
    worst = next((str(state) for state in RANK if states.get(state)), "")
    sign, css = RESULT_ICONS.get(event) or STATE_ICONS.get(worst, ("ok", "is-ok"))
    return Row(
        user=user,
        owner=user.owner.username if user.owner else root_name,
        sites=sum(states.values()),
        secured=secured,
        worst=worst,
        result=_result(event, check.get("data", {})) if event else "",
        result_icon=sign,
        result_css=css,
        selected=user.pk in selected,
    )


def _result(event: str, data: dict[str, Any]) -> str:
    short = SHORT.get(data.get("reason", "")) if event == "check:skipped" else None
    text = log.render(event, {**data, "reason_text": short} if short else data)
    if "worked_on" not in data:
        return text
    return _("%(n)d of %(sites)d worked on: %(text)s") % {"n": data["worked_on"], "sites": data["sites"], "text": text}


@dataclass(frozen=True, slots=True)
class Group:
    """The users with one feature list and one owner (None: root), and how many of them AutoSSL is on for."""

    feature_list: int
    list_name: str
    owner: str | None
    users: int
    switched_on: int


def groups(users: QuerySet[HostingUser]) -> list[Group]:
    """All that chips and menus say of these users, counted by one question."""
    by = users.order_by().values_list("feature_list", "feature_list__name", "owner__username")
    found = by.annotate(n=Count("pk"), switched_on=Count("pk", filter=Q(suspended=False) & ON))
    return [Group(*row) for row in found]


def menus(groups: Sequence[Group]) -> tuple[list[Choice], list[Choice]]:
    """The feature lists and the owners of these users, for the two menus."""
    return user_filter.menus((group.feature_list, group.list_name, group.owner, group.users) for group in groups)
