"""The table of SSL/TLS Status: which names, in which order, and the numbers of the filters. Asks no database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from autossl_panel.autossl.domains import Name, NameState, Site
from autossl_panel.names import has_part

from . import status_words
from .access import PanelRequest
from .status_words import Reader, Told

NEEDS = "needs"
# What the chips filter by, in their order: first what needs somebody, whatever its state; then each state once, so that
# these add up to all. Those of the second row show only where there is something behind them.
CHIPS: tuple[str, ...] = (NEEDS, NameState.SECURED, NameState.FOREIGN, NameState.EXCLUDED)
RARE: tuple[str, ...] = (
    NameState.AT_RISK,
    NameState.UNSECURED,
    NameState.WAITING,
    NameState.LEFT_OUT,
    NameState.OFF,
)
# Shape beside the word: CSS class and sign of the badge
BADGES = {
    NameState.SECURED: ("ok", "ok"),
    NameState.AT_RISK: ("warn", "warn"),
    NameState.UNSECURED: ("bad", "bad"),
    NameState.WAITING: ("warn", "clock"),
    NameState.FOREIGN: ("foreign", "foreign"),
    NameState.LEFT_OUT: ("gone", "gone"),
    NameState.EXCLUDED: ("off", "off"),
    NameState.OFF: ("off", "off"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which names to show."""

    q: str
    state: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Filter":
        """Read it from the query string; what means nothing is left out."""
        state = request.GET.get("state", "")
        return cls(request.GET.get("q", "").strip()[:253], state if state in (*CHIPS, *RARE) else "")

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state)

    def takes(self, name: Name, site: Site) -> bool:
        """Whether a name is shown; a search finds it by its own name and by its site's."""
        if self.q and not has_part(name.name, self.q) and not has_part(site.name, self.q):
            return False
        if self.state == NEEDS:
            return name.needs
        return not self.state or name.state == self.state


@dataclass(frozen=True, slots=True)
class Row:
    """A name as the table shows it."""

    name: Name
    site: Site
    told: Told
    selected: bool

    @property
    def badge(self) -> tuple[str, str]:
        return BADGES[self.name.state]

    @property
    def main(self) -> bool:
        """Whether it is the site's main name; the others stand below it."""
        return self.name == self.site.names[0]

    @property
    def act(self) -> str:
        """What its button does: exclude, include, or nothing where the exclusion is not its own."""
        if self.name.state != NameState.EXCLUDED:
            return "exclude"
        return "include" if self.name.exclusion is not None else ""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one site on a page, with what is wrong with all of it."""

    site: Site
    rows: Sequence[Row]
    cause: str
    fix: str

    @property
    def whole(self) -> bool:
        """Whether the site's main name stands above the others; else the site is named."""
        return self.rows[0].main


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of a hosting user's names."""

    names: int
    wished: int
    covered: int
    needs: int
    # Of those that need somebody: covered today
    needs_covered: int
    certificates: int
    first_expiry: datetime | None
    by_chip: dict[str, int]

    @property
    def unwished(self) -> int:
        """Those that are left out or excluded: no part of what is to be covered."""
        return self.names - self.wished


def matching(sites: Iterable[Site], wish: Filter) -> list[tuple[Site, Name]]:
    """The names that a filter shows, by site."""
    return [(site, name) for site in sites for name in site.names if wish.takes(name, site)]


def groups(found: Sequence[tuple[Site, Name]], reader: Reader, selected: frozenset[int]) -> list[Group]:
    """What the table says of the names of one page."""
    shown = []
    for _pk, pairs in groupby(found, key=lambda pair: pair[0].pk):
        rows = [row(site, name, reader, selected) for site, name in pairs]
        site = rows[0].site
        # Of a site that nobody wishes a certificate for there is nothing to do
        problem = site.problem if any(name.wished for name in site.names) else None
        cause = status_words.cause(problem) if problem else ""
        fix = status_words.fix({**problem, "domain": site.name}, reader.person) if problem else ""
        shown.append(Group(site, rows, cause, fix))
    return shown


def row(site: Site, name: Name, reader: Reader, selected: frozenset[int]) -> Row:
    """What the table says of one name."""
    told = status_words.of(name, site, reader)
    return Row(name, site, told, name.domain_id in selected)


def due(sites: Iterable[Site], now: datetime) -> bool:
    """Whether any site is said to be looked at within a minute: what the page shows of it changes by itself."""
    return any(status_words.is_due(site, now) for site in sites)


def totals(sites: Sequence[Site]) -> Totals:
    """Count all names of a hosting user."""
    names = [name for site in sites for name in site.names]
    by_chip = {str(state): 0 for state in (*CHIPS, *RARE)}
    for name in names:
        if name.state in by_chip:
            by_chip[name.state] += 1
        by_chip[NEEDS] += name.needs
    ours = [site.installed for site in sites if site.installed and site.installed.ours and site.installed.sound]
    wished = [name for name in names if name.wished]
    return Totals(
        names=len(names),
        wished=len(wished),
        covered=sum(name.covered for name in wished),
        needs=by_chip[NEEDS],
        needs_covered=sum(name.needs and name.covered for name in wished),
        certificates=len(ours),
        first_expiry=min((installed.not_after for installed in ours), default=None),
        by_chip=by_chip,
    )
