"""How a site stands as something to be told: one state at most, the worst. Facts and `now` in, a matter out; no rows.

The first that holds wins, as in `policy`: whose decisions these are, not made anew here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autossl_panel import names as domain_names
from autossl_panel.hosting.models import VirtualHost

from .. import policy, standing
from ..facts import UNDECIDED, Action, InstalledFacts, Need, PolicyOptions
from ..models import JobOutcome, Kind
from ..sites import Site
from .changes import ZERO, Fact
from .matters import INSTALLING, OF_A_NAME, PATIENT, Matter, family, patience

FOREIGN = ("foreign_expiring", "foreign_defective")
# Answers of the policy that leave nothing to be told: switched off, or nobody wishes for a certificate
OFF = ("disabled", "suspended", "gone", "all_excluded", "no_names")
# Needs that a run takes up as soon as it looks
AT_ONCE = (Action.NEW, Action.RENEW, Action.EXTEND, Action.INSTALL)
WITH_CAUSE = (JobOutcome.FAILED, JobOutcome.DEFERRED)
# What a job waits for that kept a renewal from being made: the CA's own faults
IN_VAIN = frozenset({"ca_unreachable", "ca_server"})
# This part of its life left, a certificate that nobody renewed is in danger whatever the reason
IN_DANGER = 10


@dataclass(frozen=True, slots=True)
class LastJob:
    """How the newest ended job of a site ended."""

    outcome: str
    reason: str
    problem: Mapping[str, Any] | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class View:
    """A site at one moment, as it is judged."""

    site: Site
    need: Need
    last: LastJob | None
    options: PolicyOptions
    now: datetime
    paused: bool = False

    @property
    def installed(self) -> InstalledFacts | None:
        """What visitors get, a placeholder aside."""
        found = self.site.facts.installed
        return None if found is None or found.self_signed else found


def judge(
    site: Site, last: LastJob | None, options: PolicyOptions, now: datetime, *, paused: bool = False
) -> tuple[bool, Matter | None]:
    """Whether anything can be said of a site now, and what is to be told of it.

    While this host's clock is wrong no expiry is judged, so what was told stays as it is.
    """
    view = View(site, policy.need(site.facts, options, now), last, options, now, paused)
    if view.need.reason == "clock":
        return False, None
    return True, _state(view)


def undecided(host: VirtualHost, now: datetime) -> Matter | None:
    """What is to be told of a site that an error of ours keeps from being judged: that visitors get no valid
    certificate, as its row says; None where they get one.
    """
    if host.expires_at is not None and host.expires_at > now:
        return None
    user_patience, admin_patience = patience(UNDECIDED)
    return Matter(
        Kind.EXPIRED if host.expires_at is not None else Kind.UNSECURED,
        f"site:{host.pk}",
        frozenset({("", UNDECIDED)}),
        code=UNDECIDED,
        domain=host.name,
        data=(host.problem or {}).get("data") or {},
        not_after=host.expires_at,
        host_id=host.pk,
        site=host.name,
        user_id=host.user_id,
        user_patience=user_patience,
        admin_patience=admin_patience,
    )


def _state(view: View) -> Matter | None:
    need, installed = view.need, view.installed
    if need.action == Action.SKIP and need.reason in OFF:
        return None
    if installed is not None and installed.not_after <= view.now:
        return _expired(view, installed)
    if need.action == Action.SKIP:
        return _unattended(view, installed)
    if installed is not None and need.action == Action.KEEP and need.reason in FOREIGN:
        return _matter(view, Kind.FOREIGN, need.reason, data=standing.foreign_facts(installed, need))
    problem = _problem(view)
    code = str(problem["code"]) if problem else ""
    if code in INSTALLING:
        return _matter(view, Kind.INSTALL, code, problem)
    if installed is None or installed.revoked or (installed.ours and installed.defects):
        unheard = problem is None or code in PATIENT
        return None if unheard else _matter(view, Kind.UNSECURED, code, problem, _lacking(view))
    if need.action != Action.KEEP and _overdue(view, installed):
        return _not_renewed(view, installed, problem) or _uncovered(view, problem)
    return _uncovered(view, problem)


def _unattended(view: View, installed: InstalledFacts | None) -> Matter | None:
    """No provider is in use: nobody renews what is nearly over."""
    if installed is None or not _endangered(view, installed):
        return None
    return _matter(view, Kind.EXPIRING, view.need.reason, patient=False)


def _problem(view: View) -> Mapping[str, Any] | None:
    """What stands in the way: what the row says, else what the last job failed of, where there is need still."""
    problem: Mapping[str, Any] | None = view.site.row["problem"]
    if problem is not None:
        return problem
    if view.need.action in (Action.KEEP, Action.SKIP):
        return None
    return _of_last(view)


def _of_last(view: View) -> Mapping[str, Any] | None:
    last = view.last
    if last is None:
        return None
    if last.outcome not in WITH_CAUSE and not (last.outcome == JobOutcome.WAITING and last.reason in IN_VAIN):
        return None
    return last.problem or {"code": last.reason, "domain": view.site.facts.main, "data": {}}


def _expired(view: View, installed: InstalledFacts) -> Matter:
    problem = _problem(view)
    if not installed.ours and view.need.action == Action.KEEP:
        data = standing.foreign_facts(installed, view.need)
        return _matter(view, Kind.EXPIRED, "foreign_defective", data=data, patient=False)
    return _matter(view, Kind.EXPIRED, str(problem["code"]) if problem else "expired", problem, patient=False)


def _overdue(view: View, installed: InstalledFacts) -> bool:
    """Whether the certificate should have been replaced by now."""
    return not installed.ours or view.now >= policy.renew_at(installed, view.options.provider, view.now)


def _not_renewed(view: View, installed: InstalledFacts, problem: Mapping[str, Any] | None) -> Matter | None:
    """A renewal that is due: tried in vain, or never tried until its life is nearly over."""
    tried = _tried(view, installed)
    if tried is not None:
        dropped = _failing(view, installed)
        if view.last is not None and view.last.outcome == JobOutcome.DEFERRED and dropped:
            until = policy.defer_until(installed)
            if until <= view.now:
                until = view.site.row["next_at"] or view.now
            return _matter(view, Kind.DEFERRED, str(tried["code"]), tried, dropped, until=until)
        return _matter(view, Kind.EXPIRING, str(tried["code"]), tried, patient=not _endangered(view, installed))
    if not _endangered(view, installed):
        return None
    if view.paused:
        return _matter(view, Kind.EXPIRING, "paused", patient=False)
    if view.need.action in AT_ONCE:
        return None  # somebody takes it up within a minute
    return _matter(view, Kind.EXPIRING, str(problem["code"]) if problem else view.need.reason, problem, patient=False)


def _tried(view: View, installed: InstalledFacts) -> Mapping[str, Any] | None:
    """What the newest try failed of, if it was made since the renewal was due."""
    tried = _of_last(view)
    if view.last is None or tried is None or tried["code"] in PATIENT:
        return None
    if installed.ours and view.last.ended_at < policy.renew_at(installed, view.options.provider, view.now):
        return None
    return tried


def _endangered(view: View, installed: InstalledFacts) -> bool:
    return installed.not_after - view.now < installed.lifetime / IN_DANGER


def _failing(view: View, installed: InstalledFacts) -> dict[str, str]:
    """The covered and wished names that fail, with why: what a renewal would lose."""
    found = {}
    for name in view.site.facts.names:
        if name.ended or not domain_names.covers(installed.names, name.name):
            continue
        failing = view.site.failing.get(name.name)
        if name.not_wanted is not None:
            found[name.name] = name.not_wanted
        elif failing is not None:
            found[name.name] = failing.code or "unknown"
    return found


def _lacking(view: View) -> dict[str, str]:
    """The wanted names that no certificate secures, with why where it is known."""
    wanted = standing.wanted_names(view.site)
    covered = set(standing.covered_names(view.site, wanted))
    failing = view.site.failing
    return {name: failing[name].code if name in failing else "" for name in wanted if name not in covered}


def _uncovered(view: View, problem: Mapping[str, Any] | None) -> Matter | None:
    """Wanted names that the certificate lacks. A covered name that fails is told when its renewal is due."""
    lacking = _lacking(view)
    name = next((name for name, why in lacking.items() if why), None)
    if name is not None:
        found = view.site.failing[name]
        return _matter(view, Kind.UNCOVERED, found.code, {"domain": name, "data": dict(found.data)}, lacking)
    code = str(problem["code"]) if problem else ""
    if not lacking or not code or code in PATIENT or code in OF_A_NAME:
        return None
    return _matter(view, Kind.UNCOVERED, code, problem, lacking)


def _matter(
    view: View,
    kind: Kind,
    code: str,
    problem: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    until: datetime | None = None,
    patient: bool = True,
) -> Matter:
    """The matter; its facts are the names with their causes where it is about names, else the cause."""
    installed = view.installed
    about = names if names and kind in (Kind.DEFERRED, Kind.UNCOVERED) else {"": code}
    facts: frozenset[Fact] = frozenset((name, family(why or code)) for name, why in about.items())
    user_patience, admin_patience = patience(code) if patient else (ZERO, ZERO)
    return Matter(
        kind,
        f"site:{view.site.row['pk']}",
        facts,
        code=code,
        domain=str((problem or {}).get("domain") or view.site.facts.main),
        data=data if data is not None else (problem or {}).get("data") or {},
        names=tuple(names or ()),
        until=until,
        next_at=view.site.row["next_at"],
        not_after=installed.not_after if installed is not None else None,
        host_id=view.site.row["pk"],
        site=view.site.row["name"],
        user_id=view.site.row["user_id"],
        user_patience=user_patience,
        admin_patience=admin_patience,
    )
