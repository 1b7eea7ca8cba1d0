"""What DCV or the CA found for a name, as a row: its outcome, its row of failures, and when it is asked again."""

import random
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from autossl_panel import dcv
from autossl_panel import names as domain_names
from autossl_panel.dcv import Finding
from autossl_panel.hosting.models import Domain

from . import policy
from .facts import LONGEST_OF_A_NAME, InstalledFacts, holds
from .models import Outcome, Provider, Verdict

COLUMNS = (
    "at", "outcome", "code", "data", "answer", "first_failed_at", "last_failed_at", "last_passed_at", "attempts",
    "retry_at", "refusals", "barred",
)  # fmt: skip
# Codes that say a name leads to another server: after a month of them it is asked once a week
AWAY = frozenset({"elsewhere", "nxdomain", "no_address"})


def record(
    virtual_host_id: int, findings: Iterable[Finding], installed: InstalledFacts | None, now: datetime, *, provider: str
) -> None:
    """Write what preflight found for names of a virtual host that is to be ordered from `provider`."""
    found = {finding.name: finding for finding in findings}
    rows = _rows(virtual_host_id, found, now)
    for name, row in rows.items():
        finding = found[name]
        if row.answer and finding.answer != row.answer:
            # DNS says something else than when a CA refused it: worth another question
            row.refusals = None
        row.at, row.answer, row.barred = now, finding.answer, _barred(finding)
        if finding.outcome == dcv.Outcome.PASS and _stands(row, provider, now):
            # The CA's word outranks ours: what it refused goes on failing, or a reduction would never be sure of it.
            row.last_passed_at = now
            continue
        row.outcome, row.code, row.data = str(finding.outcome), finding.code or "", dict(finding.data)
        if finding.outcome == dcv.Outcome.PASS:
            row.last_passed_at, row.first_failed_at, row.attempts, row.retry_at = now, None, 0, None
        else:
            covering = _covering(installed, name)
            _failed(row, installed, now, is_fault=finding.outcome == dcv.Outcome.FAIL, covered=covering is not None)
    _save(rows.values())


def record_refused(
    virtual_host_id: int,
    refused: Mapping[str, tuple[str, str]],
    now: datetime,
    *,
    provider: str,
    installed: InstalledFacts | None = None,
) -> None:
    """Write which names the CA of `provider` refused, with (kind, its words). `installed` is the site's certificate.

    That outranks a passing preflight for days, there and nowhere else: another provider may take the name at once.
    """
    rows = _rows(virtual_host_id, refused, now)
    for name, row in rows.items():
        kind, text = refused[name]
        before = (row.refusals or {}).get(provider)
        times = before["times"] + 1 if before is not None else 1
        covering = _covering(installed, name)
        row.at, row.outcome, row.code = now, Outcome.FAIL, "ca_refused"
        row.data = {"name": name, "kind": kind, "text": text}
        row.last_failed_at = now
        row.refusals = {
            **(row.refusals or {}),
            provider: {
                "since": before["since"] if before is not None else now.isoformat(),
                "until": policy.refused_until(times, now, covering=covering).isoformat(),
                "times": times,
                "kind": kind,
                "text": text,
            },
        }
    _save(rows.values())


def accepted(virtual_host_id: int, names: Iterable[str], *, provider: str) -> None:
    """`provider` issued a certificate for these names: proven what we doubted, and taken what it once refused."""
    mine = Verdict.objects.filter(domain__virtual_host_id=virtual_host_id, domain__name__in=list(names))
    for row in mine.filter(refusals__isnull=False):
        left = {name: one for name, one in (row.refusals or {}).items() if name != provider}
        Verdict.objects.filter(pk=row.pk).update(refusals=left or None)
    mine.exclude(outcome=Outcome.PASS).update(
        outcome=Outcome.PASS, code="", data={}, first_failed_at=None, attempts=0, retry_at=None, barred=None
    )


def _stands(row: Verdict, provider: str, now: datetime) -> bool:
    refusal = (row.refusals or {}).get(provider)
    return refusal is not None and holds(datetime.fromisoformat(refusal["until"]), now, LONGEST_OF_A_NAME)


def _barred(finding: Finding) -> list[str] | None:
    """The providers that the CAA records of a name forbid, where they forbade the one that it was proven for."""
    if finding.code != "caa" or finding.caa is None:
        return None
    wildcard = finding.name.startswith("*.")
    return [
        name
        for name, identities in Provider.objects.values_list("name", "caa_identities")
        if identities and not dcv.caa_allows(finding.caa, identities, wildcard=wildcard)
    ]


def _covering(installed: InstalledFacts | None, name: str) -> InstalledFacts | None:
    """The site's certificate where it is of ours and has the name, expired or not."""
    mine = installed is not None and installed.ours and domain_names.covers(installed.names, name)
    return installed if mine else None


def _failed(row: Verdict, installed: InstalledFacts | None, now: datetime, *, is_fault: bool, covered: bool) -> None:
    if is_fault:
        # Not in days to come, by a clock that ran ahead: a row of failures that begins there is never sure
        row.first_failed_at = min(row.first_failed_at or now, now)
        row.last_failed_at = now
    if row.retry_at is not None and holds(row.retry_at, now, LONGEST_OF_A_NAME):
        return  # asked along with others before its time: no rung of its own ladder
    row.attempts += 1
    row.retry_at = policy.retry_at(
        row.attempts,
        installed,
        now,
        random.random(),  # noqa: S311 - spreads load
        failing_since=None if covered else row.first_failed_at,
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
        sorted(rows, key=lambda row: row.pk or 0),
        update_conflicts=True,
        unique_fields=["domain"],
        update_fields=list(COLUMNS),
    )
