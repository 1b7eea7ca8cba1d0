"""The table of hosting users under People: whose they are, who signs in for them, which defaults they have."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from autossl_panel.autossl.models import ProviderChoice
from autossl_panel.hosting.models import HostingUser

from . import user_filter
from .user_filter import ROOT, Choice, Filter

NO_LOGIN, SUSPENDED = "no-login", "suspended"
STATES = {
    ROOT: Q(owner__isnull=True),
    NO_LOGIN: Q(login__isnull=True),
    SUSPENDED: Q(suspended=True),
}
SORTS = ("name", "owner", "list")


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
    users = wish.whose(users)
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
    by = users.values_list("feature_list", "feature_list__name", "owner__username")
    return user_filter.menus(by.annotate(n=Count("pk")).order_by())
