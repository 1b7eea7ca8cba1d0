"""The table of Manage Users: filters, order, and what each row says. Aggregates only for the rows of one page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from autossl_panel.autossl import log
from autossl_panel.autossl.models import Installation
from autossl_panel.hosting.models import Domain, FeatureList, HostingUser, Setting, SiteState, VirtualHost
from autossl_panel.people.models import User

from .access import PanelRequest

# A certificate this near to its end is news; one that lives less than ten days is, in its last day.
SOON, SHORT_LIFE, LAST_DAY = timedelta(days=7), timedelta(days=10), timedelta(days=1)
STATE_FILTERS = ("enabled", "disabled", "problems", "expiring")
ON = Q(autossl=Setting.ON) | Q(autossl=Setting.FEATURE_LIST, feature_list__autossl=True)
# Worst first
RANK = (SiteState.UNSECURED, SiteState.PARTLY, SiteState.FOREIGN, SiteState.SECURED, SiteState.OFF)
RESULT_ICONS = {
    "check:failed": ("bad", "is-bad"),
    "check:deferred": ("clock", "is-warn"),
    "check:waiting": ("clock", "is-warn"),
    "check:cancelled": ("warn", "is-warn"),
    "check:skipped": ("off", "dim"),
    "check:foreign": ("foreign", "is-foreign"),
}
# Beside the radio, one word says it.
SHORT = {"disabled": _("disabled"), "suspended": _("suspended")}


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which users to show, and in which order."""

    q: str
    state: str
    feature_list: str
    owner: str
    sort: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Filter":
        """Read it from the query string; what means nothing is left out."""
        query = request.GET
        state, sort = query.get("state", ""), query.get("sort", "")
        return cls(
            q=query.get("q", "").strip()[:253],
            state=state if state in STATE_FILTERS else "",
            feature_list=query.get("list", "") if query.get("list", "").isdecimal() else "",
            owner=query.get("owner", "") if request.user.is_root else "",
            sort=sort if sort.removeprefix("-") in ("name", "sites", "checked") else "name",
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state or self.feature_list or self.owner)


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


def present(users: QuerySet[HostingUser]) -> QuerySet[HostingUser]:
    """Users that still have sites here; those that are gone are history."""
    return users.filter(gone_at__isnull=True)


def narrowed(users: QuerySet[HostingUser], wish: Filter, now: datetime) -> QuerySet[HostingUser]:
    """The users that match a filter."""
    if wish.q:
        q = wish.q.lower()
        named = Domain.objects.filter(name__contains=q, virtual_host__gone_at__isnull=True)
        users = users.filter(Q(name__icontains=q) | Q(pk__in=named.values("virtual_host__user_id")))
    if wish.feature_list:
        users = users.filter(feature_list_id=int(wish.feature_list))
    if wish.owner:
        users = users.filter(owner__isnull=True) if wish.owner == "root" else users.filter(owner__username=wish.owner)
    return _by_state(users, wish.state, now)


def _by_state(users: QuerySet[HostingUser], state: str, now: datetime) -> QuerySet[HostingUser]:
    if state == "enabled":
        return users.filter(ON, suspended=False)
    if state == "disabled":
        return users.exclude(Q(suspended=False) & ON)
    if state == "problems":
        return users.filter(pk__in=_with_problems())
    if state == "expiring":
        return users.filter(pk__in=_expiring(now))
    return users


def _with_problems() -> QuerySet[VirtualHost, Any]:
    # Sites that are gone have a state of their own; so the index on user and state says it all.
    return VirtualHost.objects.filter(state__in=[SiteState.UNSECURED, SiteState.PARTLY]).values("user_id")


def _expiring(now: datetime) -> QuerySet[Installation, Any]:
    """Users of sites whose certificate is near its end: from the index on not_after, so that few rows are looked at."""
    return (
        Installation.objects.filter(until__isnull=True, certificate__not_after__lt=now + SOON)
        .exclude(
            certificate__not_after__gt=now + LAST_DAY,
            certificate__not_before__gt=F("certificate__not_after") - SHORT_LIFE,
        )
        .filter(virtual_host__gone_at__isnull=True)
        .values("virtual_host__user_id")
    )


def counts(users: QuerySet[HostingUser], now: datetime) -> dict[str, int]:
    """How many users each filter chip stands for."""
    enabled = Q(suspended=False) & ON
    found = users.aggregate(
        all=Count("pk"),
        enabled=Count("pk", filter=enabled),
        problems=Count("pk", filter=Q(pk__in=_with_problems())),
        expiring=Count("pk", filter=Q(pk__in=_expiring(now))),
    )
    return {**found, "disabled": found["all"] - found["enabled"]}


def ordered(users: QuerySet[HostingUser], sort: str) -> QuerySet[HostingUser]:
    """In the order that the head of the table shows."""
    field, down = sort.removeprefix("-"), sort.startswith("-")
    if field == "checked":
        key = F("last_check_at")
        return users.order_by(key.desc(nulls_last=True) if down else key.asc(nulls_first=True), "name")
    if field == "sites":
        rank = Case(*[When(state=state, then=Value(n)) for n, state in enumerate(RANK)], output_field=IntegerField())
        sites = VirtualHost.objects.filter(user=OuterRef("pk"), gone_at__isnull=True).order_by().values("user")
        worst = Coalesce(Subquery(sites.annotate(worst=Min(rank)).values("worst")), Value(len(RANK)))
        return users.annotate(worst=worst).order_by("-worst" if down else "worst", "name")
    return users.order_by("-name" if down else "name")


def rows(users: Sequence[HostingUser], root_name: str, selected: set[int] | None) -> list[Row]:
    """What the table says of the users of one page; `selected` None means all of them."""
    sites: dict[int, dict[str, int]] = {}
    found = (
        VirtualHost.objects.filter(user__in=[user.pk for user in users], gone_at__isnull=True)
        .values_list("user_id", "state")
        .annotate(n=Count("pk"))
        .order_by()
    )
    for user_id, state, n in found:
        sites.setdefault(user_id, {})[state] = n
    return [_row(user, sites.get(user.pk, {}), root_name, selected) for user in users]


def _row(user: HostingUser, states: dict[str, int], root_name: str, selected: set[int] | None) -> Row:
    check = user.last_check or {}
    event = check.get("event", "")
    sign, css = RESULT_ICONS.get(event, ("ok", "is-ok"))
    return Row(
        user=user,
        owner=user.owner.username if user.owner else root_name,
        sites=sum(states.values()),
        secured=states.get(SiteState.SECURED, 0) + states.get(SiteState.FOREIGN, 0),
        worst=next((str(state) for state in RANK if states.get(state)), ""),
        result=_result(event, check.get("data", {})) if event else "",
        result_icon=sign,
        result_css=css,
        selected=selected is None or user.pk in selected,
    )


def _result(event: str, data: dict[str, Any]) -> str:
    short = SHORT.get(data.get("reason", "")) if event == "check:skipped" else None
    return log.render(event, {**data, "reason_text": short} if short else data)


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a filter's menu, with how many users it has."""

    value: str
    name: str
    users: int


def menus(users: QuerySet[HostingUser]) -> tuple[list[Choice], list[Choice]]:
    """The feature lists and the owners of these users, for the two menus."""
    lists: Counter[int] = Counter()
    owned: Counter[int | None] = Counter()
    groups = users.values_list("feature_list", "owner").annotate(n=Count("pk")).order_by()
    for feature_list, owner, n in groups:
        lists[feature_list] += n
        owned[owner] += n
    names = FeatureList.objects.filter(pk__in=lists).order_by("name").values_list("pk", "name")
    persons = User.objects.filter(pk__in=[pk for pk in owned if pk]).order_by("username").values_list("pk", "username")
    owners = [Choice(name, name, owned[pk]) for pk, name in persons]
    if owned[None]:
        owners.insert(0, Choice("root", "root", owned[None]))
    return [Choice(str(pk), name, lists[pk]) for pk, name in names], owners
