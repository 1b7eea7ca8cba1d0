"""`plan`: may we order, and for which names? After DCV. The numbers are the rows of rules §3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from autossl_panel.autossl.facts import Action, InstalledFacts, NameFacts, Need, Plan, PolicyOptions, SiteFacts
from autossl_panel.autossl.policy.loops import loop_ends_at
from autossl_panel.autossl.policy.times import confirmation, defer_until, suspended_until
from autossl_panel.names import covers, ranked

# The reason of a plan that loses names which are covered today and still wished
REDUCED = "reduced_coverage"


class Finding(Protocol):
    """What DCV found for a name: outcome `pass`, `fail` or `unknown`, and a code where it did not pass."""

    @property
    def outcome(self) -> str: ...

    @property
    def code(self) -> str | None: ...


@dataclass(slots=True)
class _Sorted:
    """The wished names by what may be done with them."""

    orderable: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)  # orderable, and not covered today
    failed: dict[str, str] = field(default_factory=dict)  # name to code
    lost: list[NameFacts] = field(default_factory=list)  # failed, covered and still wished


def plan(
    need: Need,
    findings: Mapping[str, Finding],
    site: SiteFacts,
    options: PolicyOptions,
    now: datetime,
    *,
    reductions_suspended: bool = False,
) -> Plan:
    """What to do about a need once DCV has spoken. `until` is after `now` wherever it is set.

    `reductions_suspended`: many names that passed before fail alike, so no failure counts against coverage now.
    Raises ValueError for a need that asks for no order.
    """
    if need.action not in (Action.NEW, Action.RENEW, Action.EXTEND) or options.provider is None:
        raise ValueError(f"a plan follows a need for an order, not {need.action}")
    if options.paused:  # somebody paused it while the names were proven
        return Plan(Action.HOLD, "paused")
    installed = site.installed
    guarded = installed if installed is not None and not installed.unprotected(now) else None
    late = guarded is None or now >= defer_until(guarded)
    names = _sort(site, findings, options.provider.name, guarded, now, may_try=late)
    left_out = tuple(names.failed.items())
    if not names.orderable:  # 1
        return Plan(Action.FAIL, "dcv_all_failed", left_out=left_out)
    covered = installed.names if installed is not None else ()
    order = ranked(names.orderable, main=site.main, covered=covered)
    kept, over = order[: options.provider.max_names], order[options.provider.max_names :]
    left_out += tuple((name, "over_limit") for name in over)
    if need.action == Action.EXTEND and not set(names.fresh).intersection(kept):  # 2
        return Plan(Action.KEEP, "dcv_nothing_new", left_out=left_out)
    lost = tuple(name.name for name in names.lost)
    reason = need.reason
    if lost and guarded is not None:
        if need.action == Action.EXTEND or need.reason == "key_type":  # 3
            return Plan(Action.KEEP, "dcv_would_reduce", left_out=left_out)
        if not late:  # 4
            return Plan(Action.DEFER, "deferred", left_out=left_out, until=defer_until(guarded), dropped=lost)
        unsure_until = _unsure_until(names.lost, options.provider.name, guarded, now, suspended=reductions_suspended)
        if unsure_until is not None:
            why = "reductions_suspended" if reductions_suspended else "deferred"
            return Plan(Action.DEFER, why, left_out=left_out, until=unsure_until, dropped=lost)
        reason = REDUCED  # 5
    ends_at = loop_ends_at(site, reason, kept, now)
    if ends_at is not None:
        return Plan(Action.HOLD, "loop", left_out=left_out, until=ends_at)
    displaced = tuple(name for name in over if guarded is not None and covers(guarded.names, name))
    return Plan(Action.ORDER, reason, kept, left_out, dropped=lost + displaced)  # 5, 6


def _sort(
    site: SiteFacts,
    findings: Mapping[str, Finding],
    provider: str,
    guarded: InstalledFacts | None,
    now: datetime,
    *,
    may_try: bool,
) -> _Sorted:
    names = _Sorted()
    covered = site.installed.names if site.installed is not None else ()
    for name in site.names:
        if name.ended:
            continue
        code = _failure(name, findings.get(name.name), provider, now, may_try=may_try)
        is_covered = covers(covered, name.name)
        if code is None:
            names.orderable.append(name.name)
            if not is_covered:
                names.fresh.append(name.name)
            continue
        names.failed[name.name] = code
        if is_covered and guarded is not None:
            names.lost.append(name)
    return names


def _failure(name: NameFacts, finding: Finding | None, provider: str, now: datetime, *, may_try: bool) -> str | None:
    """Why a wished name cannot go into an order; None where it passed, or is unknown and may be tried."""
    if name.not_wanted is not None:
        return name.not_wanted
    if name.refusals and name.refused(provider, now) is not None:
        return "ca_refused"
    if finding is None or finding.outcome == "unknown":
        return None if may_try else "unknown"
    return None if finding.outcome == "pass" else finding.code or "unknown"


def _unsure_until(
    lost: list[NameFacts], provider: str, installed: InstalledFacts, now: datetime, *, suspended: bool
) -> datetime | None:
    """Until when a reduction waits for the failure to be seen a second time; None once it is sure, or time is up."""
    gap = confirmation(installed)
    if suspended and now < suspended_until(installed):
        return min(now + gap, suspended_until(installed))
    since = [_failing_since(name, provider, now) for name in lost if name.not_wanted is None]
    unsure = [moment for moment in since if now - moment < gap]
    if not unsure:
        return None
    until = max(unsure) + gap
    return until if until < installed.not_after else None


def _failing_since(name: NameFacts, provider: str, now: datetime) -> datetime:
    """When the row of failures began that ends now: preflight's, or that of this provider's CA."""
    refused = name.refused(provider, now)
    known = [moment for moment in (name.first_failed_at, refused.since if refused else None) if moment is not None]
    return min(known, default=now)
