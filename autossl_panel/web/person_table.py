"""The table of persons: filters, and what each row says. Numbers only for the rows of one page."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import factors
from autossl_panel.people.models import Role, User

from .access import PanelRequest

INACTIVE = "inactive"
STATES = (*Role.values, INACTIVE)
# Names of hosting users that a row shows of a login
NAMED = 3


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which persons to show."""

    q: str
    state: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Filter":
        """Read it from the query string; what means nothing is left out."""
        state = request.GET.get("state", "")
        return cls(request.GET.get("q", "").strip()[:253], state if state in STATES else "")

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state)


@dataclass(frozen=True, slots=True)
class Row:
    """A person as the table shows it. `logins` are the first hosting users that a login is for, `more` the rest."""

    person: User
    owned: int
    logins: Sequence[str]
    more: int
    factors: Sequence[str]


def narrowed(people: QuerySet[User], wish: Filter) -> QuerySet[User]:
    """The persons that match a filter; a search finds a login by its hosting users, too."""
    if wish.q:
        named = HostingUser.objects.filter(name__icontains=wish.q, login__isnull=False).values("login")
        people = people.filter(Q(username__icontains=wish.q) | Q(email__icontains=wish.q) | Q(pk__in=named))
    if wish.state == INACTIVE:
        return people.filter(is_active=False)
    return people.filter(role=wish.state) if wish.state else people


def counts(people: QuerySet[User]) -> dict[str, int]:
    """How many persons each filter chip stands for."""
    by_role = {role: Count("pk", filter=Q(role=role)) for role in Role.values}
    return people.aggregate(all=Count("pk"), inactive=Count("pk", filter=Q(is_active=False)), **by_role)


def rows(people: Sequence[User]) -> list[Row]:
    """What the table says of the persons of one page."""
    ids = [person.pk for person in people]
    groups = HostingUser.objects.filter(owner__in=ids).order_by().values_list("owner").annotate(n=Count("pk"))
    owned = {owner: n for owner, n in groups if owner is not None}
    logins: dict[int, list[str]] = {}
    for login, name in HostingUser.objects.filter(login__in=ids).order_by("name").values_list("login", "name"):
        logins.setdefault(login, []).append(name)
    kinds = factors.kinds_of(ids)
    return [
        Row(
            person,
            owned.get(person.pk, 0),
            logins.get(person.pk, [])[:NAMED],
            max(0, len(logins.get(person.pk, [])) - NAMED),
            called(kinds.get(person.pk, [])),
        )
        for person in people
    ]


def called(kinds: Sequence[str]) -> list[str]:
    """Kinds of second factors in words."""
    words = {str(factors.APP): _("authenticator app"), str(factors.PASSKEY): _("passkey")}
    return [words.get(kind, kind) for kind in kinds]
