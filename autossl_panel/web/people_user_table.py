"""The table of hosting users under People: whose they are, who signs in for them, which defaults they have."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from autossl_panel.autossl.models import ProviderChoice
from autossl_panel.hosting.models import HostingUser

from . import picking
from .access import PanelRequest
from .user_table import Choice

ROOT, NO_LOGIN, SUSPENDED = "root", "no-login", "suspended"
STATES = {
    ROOT: Q(owner__isnull=True),
    NO_LOGIN: Q(login__isnull=True),
    SUSPENDED: Q(suspended=True),
}
SORTS = ("name", "owner", "list")


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which hosting users to show, and in which order."""

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
            state=state if state in STATES else "",
            feature_list="".join(map(str, picking.ids([query.get("list", "")]))),
            owner=query.get("owner", "")[:64],
            sort=sort if sort.removeprefix("-") in SORTS else "name",
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state or self.feature_list or self.owner)


@dataclass(frozen=True, slots=True)
class Row:
    """A hosting user as the table shows it."""

    user: HostingUser
    provider: str
    selected: bool


def narrowed(users: QuerySet[HostingUser], wish: Filter) -> QuerySet[HostingUser]:
    """The hosting users that match a filter; a search looks at name, login and e-mail address."""
    if wish.q:
        text = Q(name__icontains=wish.q) | Q(login__username__icontains=wish.q) | Q(email__icontains=wish.q)
        users = users.filter(text)
    if wish.feature_list:
        users = users.filter(feature_list_id=int(wish.feature_list))
    if wish.owner:
        users = users.filter(owner__isnull=True) if wish.owner == ROOT else users.filter(owner__username=wish.owner)
    return users.filter(STATES[wish.state]) if wish.state else users


def counts(users: QuerySet[HostingUser]) -> dict[str, int]:
    """How many hosting users each filter chip stands for."""
    numbers = {state.replace("-", "_"): Count("pk", filter=condition) for state, condition in STATES.items()}
    return users.aggregate(all=Count("pk"), **numbers)


def ordered(users: QuerySet[HostingUser], sort: str) -> QuerySet[HostingUser]:
    """In the order that the head of the table shows."""
    down = "-" if sort.startswith("-") else ""
    column = {"name": "name", "owner": "owner__username", "list": "feature_list__name"}[sort.removeprefix("-")]
    return users.order_by(f"{down}{column}", "name") if column != "name" else users.order_by(f"{down}name")


def rows(users: Sequence[HostingUser], selected: frozenset[int]) -> list[Row]:
    """What the table says of the users of one page."""
    choices = ProviderChoice.objects.filter(user__in=[user.pk for user in users]).select_related("provider")
    providers = {choice.user_id: str(choice.provider) for choice in choices}
    return [Row(user, providers.get(user.pk, ""), user.pk in selected) for user in users]


def menus(users: QuerySet[HostingUser]) -> tuple[list[Choice], list[Choice]]:
    """The feature lists and the owners that these users have, for the two menus."""
    lists: Counter[tuple[str, int]] = Counter()
    owned: Counter[str] = Counter()
    groups = users.values_list("feature_list", "feature_list__name", "owner__username").annotate(n=Count("pk"))
    for pk, name, owner, n in groups.order_by():
        lists[name, pk] += n
        owned[owner or ROOT] += n
    return (
        [Choice(str(pk), name, n) for (name, pk), n in sorted(lists.items())],
        [Choice(name, name, n) for name, n in sorted(owned.items())],
    )
