"""How each name of a hosting user stands, as its owner reads it. Reads rows, decides nothing, writes nothing.

The counts that stand on a virtual host are `standing`'s; a test holds the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from autossl_panel import names as domain_names
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, SiteState
from autossl_panel.people.models import User

from . import sites
from .facts import ExcludedBy
from .models import Installation, Outcome, Verdict
from .policies import Policies
from .sites import Failing, UserWishes, Wishes

# Problems that stand on a site and are about the one name that they carry; the rest are about the whole site
OF_A_NAME = frozenset({"over_limit", "ca_refused"})
# Why a name cannot be asked for that nobody has to mend: it is left out quietly
UNFIT = frozenset({"not_public", "bad_name", "wildcard_unsupported", "www_not_served"})


class NameState(TextChoices):
    """How one name stands."""

    SECURED = "secured", _("Secured")
    AT_RISK = "at-risk", _("At risk")  # covered today, but its renewal is in doubt
    UNSECURED = "unsecured", _("Unsecured")
    WAITING = "waiting", _("Waiting")  # nothing is wrong: its turn comes
    FOREIGN = "foreign", _("Foreign")
    LEFT_OUT = "left-out", _("Left out")
    EXCLUDED = "excluded", _("Excluded")
    OFF = "off", _("Off")


# Worst first: the order in which sites are shown
RANK = {state: place for place, state in enumerate(
    (
        NameState.UNSECURED, NameState.AT_RISK, NameState.WAITING, NameState.FOREIGN, NameState.OFF,
        NameState.SECURED, NameState.LEFT_OUT, NameState.EXCLUDED,
    )
)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Installed:
    """The certificate at a site, as far as its owner reads of it."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    ours: bool
    self_signed: bool
    # of pki.defects, and “revoked”
    defects: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether a visitor is served well by it."""
        return not self.self_signed and not self.defects


@dataclass(frozen=True, slots=True)
class Excluded:
    """The name's own exclusion: since when, and by whom."""

    at: datetime
    by: User | None


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a site.

    `problem` is {"code", "domain", "data"} of what keeps it from being secured, or will; `reason` the code of why it is
    left out, excluded or waits; `needs` says that it stays as it is until somebody does something.
    """

    domain_id: int
    name: str
    added: bool
    state: NameState
    covered: bool
    reason: str
    problem: Mapping[str, Any] | None
    exclusion: Excluded | None
    needs: bool
    excluded_by: ExcludedBy | None = None  # a pattern, where it is that

    @property
    def wished(self) -> bool:
        """Whether a certificate is wished and possible for it."""
        return self.state not in (NameState.EXCLUDED, NameState.LEFT_OUT)

    @property
    def rank(self) -> int:
        """Its place in that order; what somebody has to mend stands at least where a covered name at risk does."""
        return min(RANK[self.state], RANK[NameState.AT_RISK]) if self.needs else RANK[self.state]


@dataclass(frozen=True, slots=True)
class Site:
    """A virtual host with its names, the main one first. `problem` is one that is about all of it."""

    pk: int
    name: str
    state: str
    installed: Installed | None
    next_at: datetime | None
    next_reason: str
    problem: Mapping[str, Any] | None
    names: tuple[Name, ...]

    @property
    def rank(self) -> int:
        return min((name.rank for name in self.names), default=len(RANK))


def of_user(user: HostingUser, policies: Policies, now: datetime, *, serve_www: bool) -> list[Site]:
    """The sites of a hosting user with the state of every name, those that need somebody first. Three questions."""
    excluded = _excluded(user)
    wishes = Wishes(policies, {user.pk: set(excluded)} if excluded else {}, serve_www)
    around = _Surroundings(
        now=now,
        enabled=user.enabled and not user.suspended,
        decided=wishes.of(
            {"user_id": user.pk, "user__feature_list_id": user.feature_list_id, "user__owner_id": user.owner_id}
        ),
        excluded=excluded,
    )
    installed = _installed(user, now)
    found: dict[int, list[Domain]] = {}
    for row in _rows(user):
        found.setdefault(row.virtual_host_id, []).append(row)
    shown = [_Judged.of(around, rows, installed.get(pk)).site() for pk, rows in found.items()]
    return sorted(shown, key=lambda site: (site.rank, site.name))


COLUMNS = (
    "name", "added", "unfit", "position", "virtual_host__name", "virtual_host__state", "virtual_host__next_at",
    "virtual_host__next_reason", "virtual_host__problem",
)  # fmt: skip


def _rows(user: HostingUser) -> Iterable[Domain]:
    rows = Domain.objects.filter(virtual_host__user=user, virtual_host__gone_at__isnull=True)
    rows = rows.select_related("virtual_host", "verdict").only(*COLUMNS, "verdict")
    return rows.order_by("virtual_host_id", "position")


def _excluded(user: HostingUser) -> dict[str, Excluded]:
    rows = Exclusion.objects.filter(user=user).select_related("by")
    return {row.name: Excluded(row.at, row.by) for row in rows}


def _installed(user: HostingUser, now: datetime) -> dict[int, Installed]:
    rows = Installation.objects.filter(
        virtual_host__user=user, virtual_host__gone_at__isnull=True, until__isnull=True
    ).select_related("certificate")
    found = {}
    for row in rows.defer("certificate__pem", "evidence"):
        certificate = row.certificate
        defects = sites.defects_of(certificate.not_after, row.key_matches, certificate.weak, certificate.links, now)
        found[row.virtual_host_id] = Installed(
            names=tuple(certificate.names),
            issuer=certificate.issuer,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            ours=certificate.ours,
            self_signed=certificate.self_signed,
            defects=("revoked", *defects) if certificate.revoked_at is not None else defects,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What holds for every site of the user."""

    now: datetime
    enabled: bool
    decided: UserWishes
    excluded: Mapping[str, Excluded]

    @property
    def has_provider(self) -> bool:
        return self.decided.options.provider is not None


@dataclass(frozen=True, slots=True)
class _Judged:
    """One site while its names are judged; `failing` are those with something against them."""

    around: _Surroundings
    rows: Sequence[Domain]
    installed: Installed | None
    verdicts: Mapping[str, Verdict]
    failing: Mapping[str, Failing]
    wildcards: Sequence[str]

    @classmethod
    def of(cls, around: _Surroundings, rows: Sequence[Domain], installed: Installed | None) -> "_Judged":
        verdicts = {row.name: row.verdict for row in rows if hasattr(row, "verdict")}
        failing = sites.failing_of(verdicts, around.decided.options, around.now)
        wildcards = [row.name for row in rows if row.name.startswith("*.")]
        return cls(around, rows, installed, verdicts, failing, wildcards)

    def site(self) -> Site:
        host = self.rows[0].virtual_host
        return Site(
            pk=host.pk,
            name=host.name,
            state=host.state if self.around.enabled else SiteState.OFF,
            installed=self.installed,
            next_at=host.next_at,
            next_reason=host.next_reason,
            problem=self._problem_of_all(),
            names=tuple(self._name(row, main=place == 0) for place, row in enumerate(self.rows)),
        )

    @property
    def _stored(self) -> Mapping[str, Any] | None:
        """The problem that stands on the virtual host."""
        found: Mapping[str, Any] | None = self.rows[0].virtual_host.problem
        return found

    def _problem_of_all(self) -> Mapping[str, Any] | None:
        """The site's problem, where it is not one name's own."""
        problem = self._stored
        if problem is None or not self.around.enabled or problem["code"] in OF_A_NAME:
            return None
        own = self.failing.get(problem["domain"])
        return None if own is not None and own.code == problem["code"] else problem

    def _name(self, row: Domain, *, main: bool) -> Name:
        name, installed = row.name, self.installed
        verdict = self.verdicts.get(name)
        facts = sites.name_facts(self.around.decided, name, row.added, row.unfit, main, verdict, self.wildcards)
        covered = installed is not None and installed.sound and domain_names.covers(installed.names, name)
        problem = self._problem(row, facts.not_wanted)
        state = self._state(row, facts.not_wanted, covered, problem)
        needs = state in (NameState.UNSECURED, NameState.AT_RISK)
        if state == NameState.FOREIGN:
            needs = self._problem_of_all() is not None
        reason = facts.not_wanted or ""
        if not reason and state == NameState.UNSECURED and not self.around.has_provider:
            reason = "no_provider"
            # Whose name it is can do nothing about that
            needs = problem is not None
        return Name(
            row.pk,
            name,
            row.added,
            state,
            covered,
            reason,
            problem,
            self.around.excluded.get(name),
            needs,
            facts.excluded_by,
        )

    def _state(self, row: Domain, reason: str | None, covered: bool, problem: Mapping[str, Any] | None) -> NameState:
        """Guards in order; the first that holds says how the name stands."""
        failing = self.failing.get(row.name)
        failed = failing is not None and failing.outcome == Outcome.FAIL
        if reason == "excluded":
            return NameState.EXCLUDED
        if not self.around.enabled:
            return NameState.OFF
        if covered and self._kept():
            return NameState.FOREIGN
        if covered:
            in_doubt = failed or reason in UNFIT or (self._problem_of_all() is not None and self._renewal_is_due())
            return NameState.AT_RISK if in_doubt else NameState.SECURED
        if reason in UNFIT or (row.added and failed):
            return NameState.LEFT_OUT
        wrong = problem is not None or self._problem_of_all() is not None or self._kept()
        return NameState.UNSECURED if wrong or not self.around.has_provider else NameState.WAITING

    def _kept(self) -> bool:
        """Another's certificate stands here, so that nothing is ordered for the names that it lacks."""
        return self.installed is not None and not self.installed.ours and not self.installed.self_signed

    def _renewal_is_due(self) -> bool:
        found = self.installed
        return found is not None and self.around.now >= found.not_after - (found.not_after - found.not_before) / 3

    def _problem(self, row: Domain, reason: str | None) -> Mapping[str, Any] | None:
        """What is wrong with this very name."""
        if reason == "excluded" or not self.around.enabled:
            return None
        if reason in UNFIT:
            return {"code": reason, "domain": row.name, "data": {}}
        if (failing := self.failing.get(row.name)) is not None:
            return {"code": failing.code, "domain": row.name, "data": failing.data or {}}
        stored = self._stored
        if stored is None or stored["code"] not in OF_A_NAME:
            return None
        concerned = row.name == stored["domain"] or row.name in (stored.get("data") or {}).get("missing", ())
        return {**stored, "domain": row.name} if concerned else None
