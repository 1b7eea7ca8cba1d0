"""Rows read into the frozen facts that `policy` decides over; set-based, for one site or for fifty thousand."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.hosting.models import Domain, Exclusion, Server, Setting, VirtualHost

from . import options as option_rows
from . import providers, quick
from .facts import InstalledFacts, NameFacts, PolicyOptions, ProviderFacts, SiteFacts
from .models import Installation, Order, Outcome, Verdict

DEFECTS = ("expired", "revoked", "mismatch", "weak", "chain")
# What a public CA's rules say of a name, and what holds for a private CA too
PUBLIC_ONLY = "not_public"


@dataclass(frozen=True, slots=True)
class Failing:
    """A name's verdict that is not a pass."""

    code: str
    outcome: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A virtual host: its row's values, its facts, and what DCV found wrong, by name."""

    row: Mapping[str, Any]
    facts: SiteFacts
    failing: Mapping[str, Failing] = field(default_factory=dict)


def policy_options(server: Server) -> PolicyOptions:
    """The options and the provider in use as facts."""
    row = option_rows.current(server)
    found = providers.active(server)
    provider = None
    offset = timedelta(0)
    if found is not None:
        source = found[0]
        provider = ProviderFacts(name=source.name, max_names=source.max_names, private_ca=source.private_ca)
        offset = timedelta(seconds=source.clock_offset)
    return PolicyOptions(
        provider=provider,
        replace_foreign=row.replace_foreign,
        key_type=row.key_type,
        clock_offset=offset,
    )


def read_ids(ids: Iterable[int], options: PolicyOptions, now: datetime, *, serve_www: bool = True) -> dict[int, Site]:
    """The sites of these virtual hosts."""
    return read({"pk__in": list(ids)}, options, now, serve_www=serve_www, whole=True)


ROW = (
    "pk", "user_id", "name", "user__suspended", "user__autossl", "user__feature_list__autossl",
    "stored_pair", "retry_at", "held_until", "held_reason", "takeover", "last_extend_at",
    "state", "names_wanted", "names_covered", "next_at", "next_reason", "problem", "severity", "expires_at",
    "problems_seen",
)  # fmt: skip
MOMENTS = ("retry_at", "held_until", "last_extend_at", "next_at", "expires_at")


def read(
    hosts: Mapping[str, Any], options: PolicyOptions, now: datetime, *, serve_www: bool, whole: bool = False
) -> dict[int, Site]:
    """The sites of the virtual hosts that `hosts` (filters of VirtualHost) name, in the order of their users.

    Passing verdicts are read only where `whole`: a survey needs none of them.
    """
    rows = _rows(hosts)
    private = options.provider is not None and options.provider.private_ca
    excluded = set(
        Exclusion.objects.filter(user__in={row["user_id"] for row in rows}).values_list("user_id", "name")
        if len(rows) < 500
        else Exclusion.objects.values_list("user_id", "name")
    )
    gone = set() if hosts.get("gone_at__isnull") else _gone(hosts)
    # Only a site that was extended once is asked for its first hour
    appeared = dict(VirtualHost.objects.filter(**hosts, last_extend_at__isnull=False).values_list("pk", "appeared_at"))
    verdicts = _verdicts(hosts, whole)
    domains = _domains(hosts)
    certificates = _installed(hosts, now)
    open_orders, recent, caused = _orders(hosts, now)
    found = {}
    for row in rows:
        pk = row["pk"]
        mine = verdicts.get(pk, {})
        certificate_id, certificate = certificates.get(pk, (0, None))
        status, staged = open_orders.get(pk, (None, False))
        facts = SiteFacts(
            off="gone" if pk in gone else _off(row),
            names=tuple(
                _name(
                    name,
                    added,
                    unfit,
                    position == 0,
                    mine.get(name),
                    _excluded(excluded, row["user_id"], name, added),
                    private,
                    serve_www,
                )
                for position, (name, added, unfit) in enumerate(domains.get(pk, ()))
            ),
            installed=certificate,
            open_order=status,
            stored_pair="staged" if staged else row["stored_pair"] or None,
            retry_at=row["retry_at"],
            held_until=row["held_until"],
            held_reason=row["held_reason"] or None,
            takeover=row["takeover"],
            first_seen_at=appeared.get(pk),
            last_extend_at=row["last_extend_at"],
            recent_orders=recent.get(pk, ()),
            last_order_defect=caused.get((pk, certificate_id)),
        )
        failing = {
            name: Failing(verdict.code, verdict.outcome, verdict.data)
            for name, verdict in mine.items()
            if verdict.outcome != Outcome.PASS
        }
        found[pk] = Site(row, facts, failing)
    return found


def _excluded(excluded: set[tuple[int, str]], user_id: int, name: str, added: bool) -> bool:
    """An added www. goes with the name it was added to."""
    return (user_id, name) in excluded or (added and (user_id, name.removeprefix("www.")) in excluded)


def _rows(hosts: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for values in quick.rows(VirtualHost.objects.filter(**hosts).order_by("user_id", "pk").values_list(*ROW)):
        row = dict(zip(ROW, values, strict=True))
        for name in MOMENTS:
            if row[name] is not None:
                row[name] = quick.moment(row[name])
        if row["problem"] is not None:
            row["problem"] = json.loads(row["problem"])
        found.append(row)
    return found


def _gone(hosts: Mapping[str, Any]) -> set[int]:
    return set(VirtualHost.objects.filter(**hosts, gone_at__isnull=False).values_list("pk", flat=True))


def _off(row: Mapping[str, Any]) -> str | None:
    if row["user__suspended"]:
        return "suspended"
    setting = row["user__autossl"]
    on = row["user__feature_list__autossl"] if setting == Setting.FEATURE_LIST else setting == Setting.ON
    return None if on else "disabled"


def _name(
    name: str,
    added: bool,
    unfit: str,
    main: bool,
    verdict: Verdict | None,
    excluded: bool,
    private: bool,
    serve_www: bool,
) -> NameFacts:
    code = None
    if excluded:
        code = "excluded"
    elif unfit and not (private and unfit == PUBLIC_ONLY):
        code = unfit
    elif name.startswith("*."):
        code = "wildcard_unsupported"
    elif added and not serve_www:
        code = "www_not_served"
    if verdict is None:
        return NameFacts(name, main, added, code, None, None, None, None, None, excluded)
    return NameFacts(
        name,
        main,
        added,
        code,
        retry_at=verdict.retry_at,
        ca_refused_until=verdict.ca_refused_until,
        first_failed_at=verdict.first_failed_at,
        last_failed_at=verdict.last_failed_at,
        last_passed_at=verdict.last_passed_at,
        ended=excluded,
    )


def _of(hosts: Mapping[str, Any], path: str = "virtual_host") -> dict[str, Any]:
    """The same filters seen from a row that points at the virtual host."""
    return {f"{path}__{key}": value for key, value in hosts.items()}


def _domains(hosts: Mapping[str, Any]) -> dict[int, list[tuple[str, bool, str]]]:
    found: dict[int, list[tuple[str, bool, str]]] = {}
    rows = Domain.objects.filter(**_of(hosts)).order_by("virtual_host_id", "position")
    for host, name, added, unfit in quick.rows(rows.values_list("virtual_host_id", "name", "added", "unfit")):
        found.setdefault(host, []).append((name, added, unfit))
    return found


def _verdicts(hosts: Mapping[str, Any], whole: bool) -> dict[int, dict[str, Verdict]]:
    rows = Verdict.objects.filter(**_of(hosts, "domain__virtual_host")).select_related("domain")
    if not whole:
        rows = rows.exclude(outcome=Outcome.PASS, ca_refused_until__isnull=True)
    found: dict[int, dict[str, Verdict]] = {}
    for row in rows:
        found.setdefault(row.domain.virtual_host_id, {})[row.domain.name] = row
    return found


INSTALLED = (
    "virtual_host_id", "certificate_id", "key_matches", "certificate__names", "certificate__not_before",
    "certificate__not_after", "certificate__ours", "certificate__self_signed", "certificate__links",
    "certificate__weak", "certificate__revoked_at", "certificate__key_kind", "certificate__key_bits",
    "certificate__serial", "certificate__fingerprint", "certificate__renewal_at",
)  # fmt: skip
KEY_TYPES = {("ec", 256): "p256", ("ec", 384): "p384", ("rsa", 2048): "rsa2048", ("rsa", 4096): "rsa4096"}


def _installed(hosts: Mapping[str, Any], now: datetime) -> dict[int, tuple[int, InstalledFacts]]:
    rows = Installation.objects.filter(until__isnull=True, **_of(hosts)).values_list(*INSTALLED)
    found = {}
    for (
        host, certificate, matches, names, not_before, not_after, ours, self_signed, links, weak, revoked_at, kind,
        bits, serial, fingerprint, renewal_at,
    ) in quick.rows(rows):  # fmt: skip
        since, until, renewal = quick.moment(not_before), quick.moment(not_after), quick.moment(renewal_at)
        defects: tuple[str, ...] = ()
        if until <= now or matches is False or weak or not links:
            judged = (
                ("expired", until <= now),
                ("mismatch", matches is False),
                ("weak", weak),
                ("chain", not links),
            )
            defects = tuple(code for code, is_so in judged if is_so)
        found[host] = (
            certificate,
            InstalledFacts(
                names=tuple(json.loads(names)),
                not_before=since,
                not_after=until,
                ours=ours,
                self_signed=self_signed,
                defects=defects,
                revoked=revoked_at is not None,
                key_type=KEY_TYPES.get((kind, bits)),
                serial=serial,
                fingerprint=fingerprint,
                renewal_at=renewal,
            ),
        )
    return found


def _orders(
    hosts: Mapping[str, Any], now: datetime
) -> tuple[
    dict[int, tuple[str, bool]],
    dict[int, tuple[tuple[datetime, str, tuple[str, ...]], ...]],
    dict[tuple[int, int], str],
]:
    """Open orders (status, staged or not), issued orders of the last day, which defect caused which certificate."""
    mine = Order.objects.filter(**_of(hosts))
    opened = {
        host: (status, staged_at is not None)
        for host, status, staged_at in mine.filter(closed_at__isnull=True).values_list(
            "virtual_host_id", "status", "staged_at"
        )
    }
    recent: dict[int, tuple[tuple[datetime, str, tuple[str, ...]], ...]] = {}
    issued = mine.filter(certificate__isnull=False)
    for host, at, reason, names in issued.filter(created_at__gt=now - timedelta(days=1)).values_list(
        "virtual_host_id", "created_at", "reason", "names"
    ):
        recent[host] = (*recent.get(host, ()), (at, reason, tuple(names)))
    caused = {
        (host, certificate): reason
        for host, certificate, reason in issued.filter(reason__in=DEFECTS).values_list(
            "virtual_host_id", "certificate_id", "reason"
        )
    }
    return opened, recent, caused
