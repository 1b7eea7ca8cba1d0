"""Causes as cards: who is affected, what to do, which records to set, and what happens if nobody does."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import quote

from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import policy
from autossl_panel.autossl.log import cards, causes, readers
from autossl_panel.autossl.log.records import Change, change
from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Problem
from autossl_panel.autossl.problem_facts import facts
from autossl_panel.autossl.problem_facts import visible as mine
from autossl_panel.hosting import name_search
from autossl_panel.names import to_unicode
from autossl_panel.people.models import User

from . import words
from .access import PanelRequest
from .marked import fill
from .templatetags.panel import day

QUIET = "quiet"
# Causes of a whole site, which has one row, under its main name
OF_SITES = frozenset({
    "foreign_defective", "foreign_expiring", "loop", "clock", "no_names", "all_excluded", "rate_limited", "order_stuck",
    "ca_unreachable", "ca_server", "ca_order", "ca_account", "ca_terms", "ca_eab", "ca_paused",
})  # fmt: skip
# What does not fit stays out until somebody changes the names: looking again finds it as it is.
NOT_TO_RECHECK = frozenset({"over_limit"})
# Records that a card shows; the cause's own page has all of them
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which problems to show."""

    q: str
    kind: str
    code: str
    user: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Filter":
        """Read it from the query string; what means nothing is left out."""
        query = request.GET
        kind = query.get("kind", "")
        return cls(
            q=query.get("q", "").strip()[:253],
            kind=kind if kind in causes.KINDS or kind == QUIET else "",
            code=query.get("code", "").strip()[:32],
            user=query.get("user", "").strip()[:64],
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.kind or self.code or self.user)


def matching(rows: QuerySet[Problem], wish: Filter) -> QuerySet[Problem]:
    """Those that a filter finds; what is left out quietly only where it is asked for."""
    rows = rows.filter(quiet=wish.kind == QUIET)
    if wish.kind and wish.kind != QUIET:
        rows = rows.filter(_of_kind(wish.kind))
    if wish.code:
        rows = rows.filter(code=wish.code)
    if wish.user:
        rows = rows.filter(user__name=wish.user)
    if wish.q:
        codes = [code for code, text in REASONS.items() if wish.q.lower() in f"{code} {text}".lower()]
        rows = rows.filter(name_search.of_few("name", wish.q) | Q(user__name__icontains=wish.q) | Q(code__in=codes))
    return rows


def _of_kind(kind: str) -> Q:
    """The same as `causes.kind`, for the database."""
    named = Q(code__in=[code for code, found in causes.KIND_OF.items() if found == kind])
    begins = [Q(code__startswith=prefix) for prefix, found in causes.KIND_BY_PREFIX if kind in (found, causes.REST)]
    by_prefix = reduce(or_, begins, Q(pk__in=[]))
    elsewhere = Q(code__in=list(causes.KIND_OF))
    if kind == causes.REST:
        return ~(elsewhere | by_prefix)
    return named | (by_prefix & ~elsewhere)


@dataclass(frozen=True, slots=True)
class Group:
    """A cause with its numbers. `lapsing` names are covered until `first_end`; `lapsed` sites had a certificate."""

    cause: str
    code: str
    names: int
    users: int
    since: datetime
    uncovered: int
    lapsing: int
    lapsed: int
    first_end: datetime | None
    example: int

    @property
    def of_sites(self) -> bool:
        """Whether each of its rows stands for a site with all its names."""
        return self.code in OF_SITES

    @property
    def rechecks(self) -> bool:
        """Whether looking again can find it mended."""
        return self.code not in NOT_TO_RECHECK

    @property
    def is_bad(self) -> bool:
        return bool(self.uncovered)

    @property
    def risk(self) -> str:
        """In a few words, beside the number of names."""
        if self.lapsed:
            return ngettext("%(n)d expired", "%(n)d expired", self.lapsed) % {"n": self.lapsed}
        if self.lapsing and self.first_end:
            return fill(_("%(n)d until %(day)s"), n=self.lapsing, day=day(self.first_end))
        return _("unsecured") if self.uncovered else _("no site at risk")


def groups(rows: QuerySet[Problem], now: datetime) -> list[Group]:
    """The causes of these problems, the most affected first."""
    ahead = Q(covered=True, expires_at__gt=now)
    found = (
        rows.order_by()
        .values("cause", "code")
        .annotate(
            names=Count("pk"),
            users=Count("user", distinct=True),
            since=Min("since"),
            uncovered=Count("pk", filter=Q(covered=False)),
            lapsing=Count("pk", filter=ahead),
            lapsed=Count("virtual_host", distinct=True, filter=Q(expires_at__lte=now)),
            first_end=Min("expires_at", filter=ahead),
            example=Min("pk"),
        )
    )
    return sorted((Group(**row) for row in found), key=lambda one: (-one.names, one.cause))


@dataclass(frozen=True, slots=True)
class Totals:
    """How much some causes are of: names, and sites where a cause is of whole ones."""

    names: int
    sites: int

    @classmethod
    def of(cls, found: Iterable[Group]) -> "Totals":
        """Of these causes together."""
        numbers = {True: 0, False: 0}
        for one in found:
            numbers[one.of_sites] += one.names
        return cls(numbers[False], numbers[True])

    def sentence(self, users: int) -> str:
        """“18 names and 2 sites of 5 users are not secured as they should be.”"""
        names = ngettext("%(n)s name", "%(n)s names", self.names) % {"n": words.number(self.names)}
        sites = ngettext("%(n)s site", "%(n)s sites", self.sites) % {"n": words.number(self.sites)}
        both = _("%(names)s and %(sites)s") % {"names": names, "sites": sites}
        whose = ngettext("of %(n)s user", "of %(n)s users", users) % {"n": words.number(users)}
        text = ngettext(
            "%(what)s %(whose)s is not secured as it should be.",
            "%(what)s %(whose)s are not secured as they should be.",
            self.names + self.sites,
        )
        return text % {"what": both if self.names and self.sites else names if self.names else sites, "whose": whose}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many causes there are of each kind (those left out quietly are one), and of each code."""

    kinds: Mapping[str, int]
    codes: Mapping[str, int]

    @property
    def loud(self) -> int:
        return sum(self.codes.values())


def counts(rows: QuerySet[Problem]) -> Counts:
    """Count all of `rows`."""
    kinds: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    found = rows.order_by().values_list("quiet", "code").annotate(n=Count("cause", distinct=True))
    for quiet, code, n in found:
        kinds[QUIET if quiet else causes.kind(code)] += n
        if not quiet:
            codes[code] += n
    return Counts(kinds, dict(sorted(codes.items())))


@dataclass(frozen=True, slots=True)
class Fix:
    """A record to set, and the names that it mends."""

    names: tuple[str, ...]
    change: Change

    @property
    def label(self) -> str:
        return {"set": _("Set to"), "add": _("Add"), "remove": _("Remove")}[self.change.verb]


@dataclass(frozen=True, slots=True)
class Card:
    """A cause in words, for the names of `rows`; `title` and `detail` alone need one row."""

    group: Group
    title: str
    detail: str
    rows: tuple[Problem, ...] = ()
    todo: str = ""
    seen: str = ""
    fixes: tuple[Fix, ...] = ()
    next_at: datetime | None = None
    mail: str = ""
    mail_to: str = ""

    @property
    def kind(self) -> str:
        return str(causes.KINDS[causes.kind(self.group.code)])

    @property
    def about_replacing(self) -> bool:
        """Whether a setting on the Options tab mends all of them."""
        return self.group.code in policy.FOREIGN_WORSE

    @property
    def about_provider(self) -> bool:
        """Whether the tab Providers has what mends it."""
        return causes.kind(self.group.code) == "ca" or self.group.code in ("over_limit", "wildcard_unsupported")

    @property
    def takes_over(self) -> int | None:
        """The one site that AutoSSL may be let take over from here; of several, each has its own page."""
        hosts = {row.virtual_host for row in self.rows} if self.about_replacing and not self.more else set()
        return next((host.pk for host in hosts if not host.takeover), None) if len(hosts) == 1 else None

    @property
    def more(self) -> int:
        return self.group.names - len(self.rows)

    @property
    def head(self) -> str:
        """What to do with the records, in a word."""
        verbs = {fix.change.verb for fix in self.fixes}
        if verbs == {"add"}:
            return _("Record to add")
        return _("Record to remove") if verbs == {"remove"} else _("Record to set")

    @property
    def consequences(self) -> list[tuple[str, bool]]:
        """What happens if nothing is done, the gravest first; True for what is printed bold."""
        group, found = self.group, []
        if group.lapsed:
            said = ngettext("%(n)d certificate has expired", "%(n)d certificates have expired", group.lapsed)
            found.append((said % {"n": group.lapsed}, True))
        if group.lapsing and group.first_end:
            if group.of_sites:
                said = ngettext(
                    "%(n)d site is no longer covered after %(day)s",
                    "%(n)d sites are no longer covered, the first after %(day)s",
                    group.lapsing,
                )
            else:
                said = ngettext(
                    "%(n)d name is no longer covered after %(day)s",
                    "%(n)d names are no longer covered, the first after %(day)s",
                    group.lapsing,
                )
            found.append((fill(said, n=group.lapsing, day=day(group.first_end)), True))
        if group.uncovered:
            if group.of_sites:
                said = ngettext("%(n)d site stays unsecured", "%(n)d sites stay unsecured", group.uncovered)
            else:
                said = ngettext("%(n)d name stays unsecured", "%(n)d names stay unsecured", group.uncovered)
            found.append((said % {"n": group.uncovered}, False))
        return found or [(_("no site is at risk"), False)]


def heads(found: Iterable[Group], person: User) -> list[Card]:
    """Cards that are closed: what is wrong, with whom."""
    found = list(found)
    rows = {row.pk: row for row in Problem.objects.filter(pk__in=[group.example for group in found])}
    return [_head(group, facts(rows[group.example], person)) for group in found if group.example in rows]


def _head(group: Group, told: Mapping[str, Any]) -> Card:
    title = cards.title(group.code, told, group.names)
    return Card(group, title, cards.detail(group.code, told, group.names))


def whole(
    group: Group, rows: QuerySet[Problem] | Sequence[Problem], person: User, here: Sequence[str], now: datetime
) -> Card:
    """The card of a cause in full, with its first names."""
    if isinstance(rows, QuerySet):
        rows = list(rows.order_by("covered", "name").select_related("user", "virtual_host")[:SHOWN])
    ahead = mine(person).filter(cause=group.cause, virtual_host__next_at__gt=now)
    told = facts(rows[0], person) if rows else {}
    title = cards.title(group.code, told, group.names)
    todo, fixed = cards.todo(group.code, told, group.names, readers.of(person)), tuple(fixes(rows, here, person))
    if rows and group.code in policy.FOREIGN_WORSE and all(row.virtual_host.takeover for row in rows):
        todo = words.taken_over()
    to = rows[0].user.email if rows and group.users == 1 else ""
    for_user = cards.todo(group.code, told, group.names, readers.Reader.USER) if to else ""
    return Card(
        group=group,
        title=title,
        detail=cards.detail(group.code, told, group.names),
        rows=tuple(rows),
        todo=todo,
        seen=cards.seen(group.code, told),
        fixes=fixed,
        next_at=ahead.aggregate(at=Min("virtual_host__next_at"))["at"],
        mail=_mail(to, title, for_user, fixed, rows) if to else "",
        mail_to=rows[0].user.name if to else "",
    )


def fixes(rows: Sequence[Problem], here: Sequence[str], person: User) -> list[Fix]:
    """The records that mend these names, each once: several names may hang on one."""
    found: dict[Change, list[str]] = {}
    for row in rows:
        one = change(row.code, facts(row, person), _own_first(row, here))
        if one is not None:
            found.setdefault(one, []).append(to_unicode(row.name))
    return [Fix(tuple(names), one) for one, names in found.items()]


def _own_first(row: Problem, here: Sequence[str]) -> list[str]:
    """This server's addresses, those that the site itself listens on first."""
    own = {str(listen.get("address", "")).strip("[]") for listen in row.virtual_host.listens}
    return sorted(here, key=lambda address: address not in own)


def _mail(to: str, title: str, todo: str, fixed: Sequence[Fix], rows: Sequence[Problem]) -> str:
    """A draft for the person who can mend it, as a mailto: address (RFC 6068)."""
    lines = [title, "", todo, ""]
    for fix in fixed:
        lines += [": ".join((_("Now"), one.line)) for one in fix.change.now]
        lines += [": ".join((fix.label, one.line)) for one in fix.change.to]
    lines += ["", _("Names:"), *(to_unicode(row.name) for row in rows)]
    body = "\r\n".join(lines)[:1800]
    return f"mailto:{quote(to, safe='@')}?subject={quote(title)}&body={quote(body)}"
