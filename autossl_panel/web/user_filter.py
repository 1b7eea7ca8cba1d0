"""What Manage Users and People's hosting users have in common: the filter in the address, and the menus that set it."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from autossl_panel.hosting.models import HostingUser

from . import picking
from .access import PanelRequest

# In an address: the users that no reseller has
ROOT = "root"


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which users to show, and in which order."""

    q: str
    state: str
    feature_list: str
    owner: str
    sort: str

    @classmethod
    def of(cls, request: PanelRequest, states: Collection[str], sorts: Collection[str]) -> "Filter":
        """Read it from the query string; what means nothing is left out. Only root tells owners apart."""
        query = request.GET
        state, sort = query.get("state", ""), query.get("sort", "")
        return cls(
            q=query.get("q", "").strip()[:253],
            state=state if state in states else "",
            feature_list="".join(map(str, picking.ids([query.get("list", "")]))),
            owner=query.get("owner", "")[:64] if request.user.is_root else "",
            sort=sort if sort.removeprefix("-") in sorts else "name",
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.narrowed_past_state or self.state)

    @property
    def narrowed_past_state(self) -> bool:
        """By more than the chips, whose numbers are known."""
        return bool(self.q or self.feature_list or self.owner)

    def whose(self, users: QuerySet[HostingUser]) -> QuerySet[HostingUser]:
        """Those of the chosen feature list and owner."""
        if self.feature_list:
            users = users.filter(feature_list_id=int(self.feature_list))
        if self.owner == ROOT:
            return users.filter(owner__isnull=True)
        return users.filter(owner__username=self.owner) if self.owner else users


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a filter's menu, with how many users it has."""

    value: str
    name: str
    users: int


def menus(groups: Iterable[tuple[int, str, str | None, int]]) -> tuple[list[Choice], list[Choice]]:
    """The menus of feature lists and of owners, from groups: number and name of the list, owner (None: root), users."""
    lists: Counter[tuple[str, int]] = Counter()
    owned: Counter[str] = Counter()
    for pk, name, owner, users in groups:
        lists[name, pk] += users
        owned[owner or ROOT] += users
    # Root first, whatever the resellers are called
    owners = sorted(owned.items(), key=lambda item: (item[0] != ROOT, item[0]))
    return (
        [Choice(str(pk), name, users) for (name, pk), users in sorted(lists.items())],
        [Choice(name, name, users) for name, users in owners],
    )
