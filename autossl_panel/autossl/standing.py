"""How a site stands and what comes next, worked out from its facts and written to its row where it changed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

from django.db import connection

from autossl_panel import names as domain_names
from autossl_panel.hosting.models import Server, SiteState, VirtualHost

from . import options as option_rows
from . import policy, problems, undecided
from .facts import Action, InstalledFacts, Need
from .log import causes
from .models import Outcome
from .sites import Site, policy_options, read_ids

STANDING = ("state", "names_wanted", "names_covered", "next_at", "next_reason", "problem")
# What holds a site that its own names and certificate say nothing of
HELD = policy.PERSON_ENDS | {"rate_limited", "providers_down"}
# Found out each time that a site is looked at, or said by a name's verdict
JUDGED_ANEW = frozenset({"unknown", "clock", "loop", "ca_refused"})
# What follows from it and from the site's facts
DERIVED = ("severity", "expires_at", "key_type", "problems_seen")
COLUMNS = (*STANDING, *DERIVED)
_columns_of_row, _of_standing = itemgetter(*COLUMNS), attrgetter(*STANDING)


@dataclass(frozen=True, slots=True)
class Standing:
    """The columns of a virtual host that say how it stands."""

    state: str
    names_wanted: int
    names_covered: int
    next_at: datetime | None
    next_reason: str
    problem: Mapping[str, Any] | None


def wanted_names(site: Site) -> list[str]:
    """The names that count: wanted, without an added www. that fails and is not covered (it is left out quietly)."""
    installed = site.facts.installed
    covered = installed.names if installed else ()
    return [
        name.name
        for name in site.facts.names
        if name.wanted and not (name.added and _failed(site, name.name) and not domain_names.covers(covered, name.name))
    ]


def covered_names(site: Site, wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that the installed certificate secures for a visitor now."""
    installed = site.facts.installed
    if installed is None or installed.self_signed or installed.revoked or installed.defects:
        return []
    return [name for name in wanted if domain_names.covers(installed.names, name)]


def of(site: Site, need: Need) -> Standing:
    """How `site` stands after `need` was asked."""
    wanted = wanted_names(site)
    covered = covered_names(site, wanted)
    state = _state(site, len(wanted), len(covered))
    problem = None
    if state not in (SiteState.OFF, SiteState.GONE):
        problem = _problem(site, need, wanted, covered) or _still(site, need)
    # A hold without an end (a wrong clock, a loop) is looked at again with every daily check.
    next_at, next_reason = need.until, need.reason
    if need.action == Action.KEEP and next_at is not None:
        if need.reason == "ok":
            # Some are looked at before their renewal: an added www. that does not work yet is asked for again.
            next_reason = "coverage" if need.missing and need.detail is None else "renew"
    elif need.action == Action.SKIP:
        next_at, next_reason = None, need.reason
    return Standing(state, len(wanted), len(covered), next_at, next_reason, problem)


def _state(site: Site, wanted: int, covered: int) -> SiteState:
    facts = site.facts
    if facts.off == "gone":
        return SiteState.GONE
    if facts.off is not None:
        return SiteState.OFF
    installed = facts.installed
    foreign = installed is not None and not installed.ours and not installed.self_signed
    if foreign and (covered or not wanted):
        # What a visitor meets counts: another's certificate that secures no name of it leaves the site unsecured
        return SiteState.FOREIGN
    if wanted and covered == wanted:
        return SiteState.SECURED
    return SiteState.PARTLY if covered else SiteState.UNSECURED


def _failed(site: Site, name: str) -> bool:
    found = site.failing.get(name)
    return found is not None and found.outcome == Outcome.FAIL


def _problem(site: Site, need: Need, wanted: list[str], covered: list[str]) -> dict[str, Any] | None:
    known: dict[str, Any] | None = site.row["problem"]
    if need.reason in HELD and known is not None and known["code"] == need.reason:
        # The CA's own words, with where to go, or the limit in its way stand on the row since it was held.
        return known
    if need.reason in policy.PERSON_ENDS:
        return {"code": need.reason, "domain": site.facts.main, "data": {}}
    if need.reason == "all_excluded":
        return {"code": need.reason, "domain": site.facts.main, "data": _excluded_by(site)}
    if need.reason in (*policy.FOREIGN_WORSE, "clock", "loop", "no_names"):
        return {"code": need.reason, "domain": site.facts.main, "data": _evidence(site, need)}
    secured = set(covered)
    missing = [name for name in wanted if name not in secured]
    # A covered name that fails is a problem too: the next renewal would lose it.
    for name in (*missing, *covered):
        found = site.failing.get(name)
        if found is not None:
            return {"code": found.code, "domain": name, "data": dict(found.data)}
    provider = site.options.provider
    if missing and provider is not None and len(wanted) > provider.max_names:
        limit = provider.max_names
        return {"code": "over_limit", "domain": missing[0], "data": {"limit": limit, "missing": missing[:20]}}
    return None


def _excluded_by(site: Site) -> dict[str, Any]:
    """The pattern that excludes the main domain, else any of the names; nothing where each is excluded by name."""
    for name in sorted(site.facts.names, key=lambda name: not name.main):
        if name.excluded_by is not None:
            return {"pattern": name.excluded_by.pattern, "level": name.excluded_by.level}
    return {}


def _still(site: Site, need: Need) -> Mapping[str, Any] | None:
    """What a job met beyond any name's verdict, as long as the site is held because of it."""
    before = site.row["problem"]
    if need.action != Action.WAIT or before is None or before["code"] in JUDGED_ANEW:
        return None
    if site.row["problems_seen"] == undecided.SEEN:
        return None  # nobody could say how it stands; by now somebody can
    return before if causes.kind(before["code"]) in ("server", "ca") else None


def _evidence(site: Site, need: Need) -> dict[str, Any]:
    installed = site.facts.installed
    return foreign_facts(installed, need) if installed is not None else {}


def foreign_facts(installed: InstalledFacts, need: Need) -> dict[str, Any]:
    """What advice on another's certificate needs to know: its end, and what is wrong with it, the worst first."""
    defects = [need.detail] if need.detail else []
    return {"not_after": installed.not_after.isoformat(), "defects": [*defects, *installed.defects]}


def save(found: Iterable[tuple[Site, Standing]], now: datetime) -> int:
    """Write what changed, unless a site was made due since it was read; returns how many rows there were to write."""
    rows, changed = [], []
    for site, standing in found:
        wrong = problems.of(site, standing.state, standing.problem)
        expires_at, key_type = _installed(site)
        seen = problems.digest(wrong, expires_at)
        derived = (int(problems.severity(site, standing.state, wrong)), expires_at, key_type, seen)
        if _columns_of_row(site.row) != (columns := (*_of_standing(standing), *derived)):
            rows.append((*map(_value, columns), site.row["pk"], _value(site.row["next_at"])))
            if seen != site.row["problems_seen"]:
                changed.append((site, wrong))
    # Before the digest that says they are written: whoever dies in between leaves it to the next look.
    problems.write(changed, now)
    if rows:
        quote = connection.ops.quote_name
        sets = ", ".join(f"{quote(column)} = %s" for column in COLUMNS)
        # One prepared statement: fifty thousand rows in a second, where bulk_update takes half a minute.
        with connection.cursor() as cursor:
            table = quote(VirtualHost._meta.db_table)
            # A site that somebody made due since it was read (enabled, included again) stays due: what it was decided
            # with was read after its row, so a change that is not seen there has changed the row.
            where = "id = %s AND next_at IS NOT DISTINCT FROM %s"
            # In the order in which all who write many sites lock them
            rows.sort(key=lambda row: row[-2])
            cursor.executemany(f"UPDATE {table} SET {sets} WHERE {where}", rows)  # noqa: S608 (names of our own)
    return len(rows)


def _installed(site: Site) -> tuple[datetime | None, str]:
    """What pages count sites by: when the installed certificate ends, and which key one of ours has."""
    installed = site.facts.installed
    if installed is None:
        return None, ""
    return installed.not_after, (installed.key_type or "") if installed.ours else ""


def _value(value: Any) -> Any:
    """A column's value as the database driver takes it."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, Mapping):
        return json.dumps(value)
    return str(value) if isinstance(value, SiteState) else value


def show(server: Server, ids: Iterable[int], now: datetime) -> None:
    """Write how sites stand that were just found or changed; when they are looked at next stays as it is."""
    serve_www = option_rows.current(server).serve_www
    found, errors = undecided.read(ids, partial(policy_options, server), now, serve_www=serve_www)

    def stands(site: Site) -> tuple[Site, Standing]:
        judged = of(site, policy.need(site.facts, site.options, now))
        return site, replace(judged, next_at=site.row["next_at"], next_reason=site.row["next_reason"])

    # What cannot be judged is told by the run that looks at it
    save(undecided.of_each(found, stands, errors).values(), now)


def record(
    server: Server,
    ids: Iterable[int],
    now: datetime,
    *,
    problems: Mapping[int, Mapping[str, Any]] | None = None,
    reasons: Mapping[int, str] | None = None,
) -> None:
    """Work out and write how these virtual hosts stand, after their jobs.

    `problems` are what went wrong beyond a name's own verdict; `reasons` why the next moment is what it is
    (“deferred” rather than “held back”).
    """
    serve_www = option_rows.current(server).serve_www
    problems, reasons = problems or {}, reasons or {}
    found = []
    for pk, site in read_ids(ids, partial(policy_options, server), now, serve_www=serve_www).items():
        need = policy.need(site.facts, site.options, now)
        standing = of(site, need)
        found.append(
            (
                site,
                Standing(
                    standing.state,
                    standing.names_wanted,
                    standing.names_covered,
                    # Work that is due and not held is for the next sweep
                    standing.next_at if need.until or need.action in (Action.SKIP, Action.KEEP, Action.HOLD) else now,
                    reasons.get(pk, standing.next_reason),
                    problems.get(pk, standing.problem),
                ),
            )
        )
    save(found, now)
