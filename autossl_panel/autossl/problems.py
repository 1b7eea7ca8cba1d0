"""The rows of what is wrong with a site's names, kept in step with how the site stands: written by `standing`, and
by `undecided` where nobody can say how it stands.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from autossl_panel.hosting.models import Domain, Severity, SiteState, VirtualHost
from autossl_panel.names import covers

from .log import causes
from .models import Outcome, Problem
from .sites import Site

CHUNK = 500
# Wishes that somebody ended are no trouble
QUIET = frozenset({"all_excluded"})
# What passes without anybody's doing, or costs no renewal
NO_HOLD = frozenset({"unknown", "over_limit", "rate_limited", "order_stuck", "busy", "ca_unreachable", "ca_server"})


@dataclass(frozen=True, slots=True)
class Found:
    """One name's problem; of the whole site by its main name. `since` None: nobody noted when it began.

    `covered`: the certificate secures the name today. `quiet`: told where one looks for it, counted nowhere.
    """

    name: str
    code: str
    data: Mapping[str, Any]
    quiet: bool
    covered: bool
    since: datetime | None
    whole_site: bool = False


def of(site: Site, state: str, problem: Mapping[str, Any] | None) -> list[Found]:
    """What is wrong with a site that stands in `state`: its wanted names that fail, and `problem` if it is another."""
    if state in (SiteState.OFF, SiteState.GONE) or not (site.failing or problem):
        return []
    installed = site.facts.installed
    certified = installed.names if installed is not None else ()
    secures = installed is not None and not (installed.self_signed or installed.revoked or installed.defects)
    found = []
    for name in site.facts.names:
        failing = site.failing.get(name.name)
        if failing is None or not name.wanted:
            continue
        named = covers(certified, name.name)
        quiet = name.added and not named and failing.outcome == Outcome.FAIL
        data = {"name": name.name, **failing.data}
        found.append(Found(name.name, failing.code, data, quiet, named and secures, name.first_failed_at))
    if problem is not None and problem["code"] == "over_limit":
        found += _over_limit(site, certified, problem)
    elif problem is not None and (problem["code"], problem["domain"]) not in {(one.code, one.name) for one in found}:
        main = problem["domain"] or site.facts.main
        data = {"name": main, **(problem["data"] or {})}
        covered = secures and covers(certified, main)
        found.append(Found(main, problem["code"], data, problem["code"] in QUIET, covered, None, whole_site=True))
    return found


def _over_limit(site: Site, certified: Sequence[str], problem: Mapping[str, Any]) -> list[Found]:
    """A row for each name that does not fit; what stands on the site names the first of them."""
    lacking = [name.name for name in site.facts.names if name.wanted and not covers(certified, name.name)]
    limit = (problem["data"] or {}).get("limit")
    return [
        Found(name, "over_limit", {"name": name, "limit": limit}, quiet=False, covered=False, since=None)
        for name in lacking
        if name not in site.failing
    ]


def severity(site: Site, state: str, found: Sequence[Found]) -> Severity:
    """How much a site that stands in `state`, with these problems, needs a person."""
    if state in (SiteState.SECURED, SiteState.PARTLY):
        # What is not covered yet stops no renewal; what is covered and fails does, and so does what ails the site.
        if any((one.covered or one.whole_site) and not one.quiet and one.code not in NO_HOLD for one in found):
            return Severity.HELD
        return Severity.SECURED if state == SiteState.SECURED else Severity.PARTLY
    if state == SiteState.FOREIGN:
        return Severity.FOREIGN_WORSE if any(one.whole_site for one in found) else Severity.FOREIGN
    if state == SiteState.OFF:
        installed = site.facts.installed
        return Severity.LAPSING if installed is not None and installed.ours else Severity.OFF
    return Severity.GONE if state == SiteState.GONE else Severity.UNSECURED


def digest(found: Sequence[Found], expires_at: datetime | None) -> str:
    """What the rows would say, as 32 characters; "" for no rows."""
    if not found:
        return ""
    said = [(one.name, one.code, dict(one.data), one.quiet, one.covered, one.whole_site) for one in found]
    text = json.dumps([said, expires_at], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write(changed: Iterable[tuple[Site, Sequence[Found]]], now: datetime) -> None:
    """Put these rows in the place of what these sites had; what went on before keeps its beginning."""
    changed = list(changed)
    for start in range(0, len(changed), CHUNK):
        part = changed[start : start + CHUNK]
        ids = [site.row["pk"] for site, _found in part]
        with transaction.atomic():
            old = Problem.objects.filter(virtual_host__in=ids)
            began = {
                (host, name, code): since
                for host, name, code, since in old.values_list("virtual_host_id", "name", "code", "since")
            }
            old.delete()
            domains = _domains([site.row["pk"] for site, found in part if found])
            rows = [_row(site, one, domains, began, now) for site, found in part for one in found]
            Problem.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)


def write_whole(host: VirtualHost, problem: Mapping[str, Any], now: datetime) -> None:
    """Put one problem of the site as a whole in the place of what it had, whatever its facts say."""
    name, code = str(problem["domain"]), str(problem["code"])
    with transaction.atomic():
        old = Problem.objects.filter(virtual_host=host)
        since = old.filter(name=name, code=code).values_list("since", flat=True).first()
        old.delete()
        Problem.objects.create(
            virtual_host=host,
            user_id=host.user_id,
            name=name,
            code=code,
            cause=causes.key(code, problem["data"]),
            covered=host.state == SiteState.SECURED,
            expires_at=host.expires_at,
            since=since or now,
            data=dict(problem["data"], name=name),
        )


def forget(virtual_hosts: Sequence[int]) -> None:
    """Sites that are gone have no problems."""
    Problem.objects.filter(virtual_host__in=virtual_hosts).delete()


def _domains(ids: Sequence[int]) -> dict[tuple[int, str], int]:
    rows = Domain.objects.filter(virtual_host__in=ids).order_by().values_list("virtual_host_id", "name", "pk")
    return {(host, name): pk for host, name, pk in rows}


def _row(
    site: Site,
    one: Found,
    domains: Mapping[tuple[int, str], int],
    began: Mapping[tuple[int, str, str], datetime],
    now: datetime,
) -> Problem:
    host = site.row["pk"]
    installed = site.facts.installed
    return Problem(
        virtual_host_id=host,
        user_id=site.row["user_id"],
        domain_id=None if one.whole_site else domains.get((host, one.name)),
        name=one.name[:253],
        code=one.code[:32],
        cause=causes.key(one.code, one.data),
        quiet=one.quiet,
        covered=one.covered,
        expires_at=installed.not_after if installed is not None else None,
        since=one.since or began.get((host, one.name, one.code)) or now,
        data=dict(one.data),
    )
