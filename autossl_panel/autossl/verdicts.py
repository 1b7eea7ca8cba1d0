"""What DCV or the CA found for a name, as a row: its outcome, its row of failures, and when it is asked again."""

import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from autossl_panel import dcv
from autossl_panel.dcv import Finding
from autossl_panel.hosting.models import Domain

from . import policy
from .facts import InstalledFacts
from .models import Outcome, Verdict

COLUMNS = (
    "at", "outcome", "code", "data", "answer", "first_failed_at", "last_failed_at", "last_passed_at", "attempts",
    "retry_at", "ca_refused_until", "ca_refusals",
)  # fmt: skip
# Codes that say a name leads to another server: after a month of them it is asked once a week
AWAY = frozenset({"elsewhere", "nxdomain", "no_address"})


def record(virtual_host_id: int, findings: Iterable[Finding], installed: InstalledFacts | None, now: datetime) -> None:
    """Write what preflight found for names of a virtual host."""
    found = {finding.name: finding for finding in findings}
    rows = _rows(virtual_host_id, found, now)
    for name, row in rows.items():
        finding = found[name]
        if row.answer and finding.answer != row.answer:
            # DNS says something else than when the CA refused it: worth another question
            row.ca_refused_until = None
        row.at, row.answer = now, finding.answer
        if finding.outcome == dcv.Outcome.PASS and row.ca_refused_until is not None and row.ca_refused_until > now:
            # The CA's word outranks ours: what it refused goes on failing, or a reduction would never be sure of it.
            row.last_passed_at = now
            continue
        row.outcome, row.code, row.data = str(finding.outcome), finding.code or "", dict(finding.data)
        if finding.outcome == dcv.Outcome.PASS:
            row.last_passed_at, row.first_failed_at, row.attempts, row.retry_at = now, None, 0, None
        else:
            _failed(row, installed, now, is_fault=finding.outcome == dcv.Outcome.FAIL)
    _save(rows.values())


def record_refused(
    virtual_host_id: int, refused: Mapping[str, tuple[str, str]], installed: InstalledFacts | None, now: datetime
) -> None:
    """Write which names the CA refused, with (kind, its words): that outranks a passing preflight for days."""
    rows = _rows(virtual_host_id, refused, now)
    for name, row in rows.items():
        kind, text = refused[name]
        row.at, row.outcome, row.code = now, Outcome.FAIL, "ca_refused"
        row.data = {"name": name, "kind": kind, "text": text}
        row.ca_refusals += 1
        row.ca_refused_until = policy.refused_until(row.ca_refusals, now)
        _failed(row, installed, now, is_fault=True)
        row.retry_at = max(row.retry_at or now, row.ca_refused_until)
    _save(rows.values())


def accepted(virtual_host_id: int, names: Iterable[str]) -> None:
    """A certificate was issued for these names: the CA has proven what we doubted, and takes what it once refused."""
    mine = Verdict.objects.filter(domain__virtual_host_id=virtual_host_id, domain__name__in=list(names))
    mine.filter(ca_refusals__gt=0).update(ca_refusals=0, ca_refused_until=None)
    mine.exclude(outcome=Outcome.PASS).update(
        outcome=Outcome.PASS, code="", data={}, first_failed_at=None, attempts=0, retry_at=None
    )


def _failed(row: Verdict, installed: InstalledFacts | None, now: datetime, *, is_fault: bool) -> None:
    if is_fault:
        row.first_failed_at = row.first_failed_at or now
        row.last_failed_at = now
    if row.retry_at is not None and row.retry_at > now:
        return  # asked along with others before its time: no rung of its own ladder
    row.attempts += 1
    row.retry_at = policy.retry_at(
        row.attempts,
        installed,
        now,
        random.random(),  # noqa: S311 - spreads load
        failing_since=row.first_failed_at,
        points_here=row.code not in AWAY,
    )


def _rows(virtual_host_id: int, names: Iterable[str], now: datetime) -> dict[str, Verdict]:
    """The verdict of each name that is still a domain of the virtual host, new ones not saved."""
    domains = Domain.objects.filter(virtual_host_id=virtual_host_id, name__in=list(names)).select_related("verdict")
    return {domain.name: _verdict(domain, now) for domain in domains}


def _verdict(domain: Domain, now: datetime) -> Verdict:
    known: Any = getattr(domain, "verdict", None)
    return known if known is not None else Verdict(domain=domain, at=now)


def _save(rows: Iterable[Verdict]) -> None:
    Verdict.objects.bulk_create(
        list(rows), update_conflicts=True, unique_fields=["domain"], update_fields=list(COLUMNS)
    )
