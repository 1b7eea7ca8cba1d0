"""What the inventory says is installed, as rows: certificates that others put there, and ours that are in use."""

import hashlib
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from autossl_panel import pki
from autossl_panel.helper.protocol import SiteFacts as FoundSite
from autossl_panel.hosting.models import Server, VirtualHost

from .certificates import row_of
from .models import Certificate, Installation

CHUNK = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moves:
    """Virtual hosts whose certificate is another than it was: `another` has one now, `none` lost it."""

    another: tuple[int, ...]
    none: tuple[int, ...]


def otherwise(sites: Iterable[FoundSite], ids: Mapping[str, int]) -> set[int]:
    """Those of these virtual hosts whose rows are written because of what is installed there; reads only.

    As near as can be told at little cost, for whoever locks them before any is written.
    """
    rows = Installation.objects.filter(virtual_host__in=list(ids.values()), until__isnull=True)
    current = {
        host: (fingerprint, matches)
        for host, fingerprint, matches in rows.values_list("virtual_host_id", "certificate__fingerprint", "key_matches")
    }
    pairs = dict(VirtualHost.objects.filter(pk__in=list(ids.values())).values_list("pk", "stored_pair"))
    found = set()
    for site in sites:
        host, certificate = ids.get(site.key), site.certificate
        if host is None:
            continue
        there = (_fingerprint(certificate.pem), certificate.key_matches) if certificate is not None else None
        stored = "detached" if site.live_serial and _detached(site, _facts(site)) else ""
        if there != current.get(host) or stored != pairs[host]:
            found.add(host)
    return found


def _fingerprint(pem: str) -> str:
    """Of the first certificate of a chain, without a look at what it says; "" where it is none."""
    end = "-----END CERTIFICATE-----"
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.partition(end)[0].strip() + f"\n{end}\n")).hexdigest()
    except ValueError:
        return ""


def sync(sites: Sequence[FoundSite], ids: Mapping[str, int], *, now: datetime) -> Moves:
    """Bring the current installations of these sites in step with what is configured; says which changed.

    `ids` are their virtual hosts, by key.
    """
    facts = {site.key: _facts(site) for site in sites}
    _record(facts.values())
    certificate_ids = _certificate_ids({found[0].fingerprint for found in facts.values() if found})
    rows = Installation.objects.filter(virtual_host__in=list(ids.values()), until__isnull=True)
    current = {
        host: (pk, certificate, matches, since)
        for pk, host, certificate, matches, since in rows.values_list(
            "pk", "virtual_host_id", "certificate_id", "key_matches", "since"
        )
    }
    ended: list[int] = []
    begun: list[Installation] = []
    lost: list[int] = []
    pairs: dict[str, list[int]] = {"": [], "detached": []}
    for site in sites:
        host, found = ids[site.key], facts[site.key]
        before = current.get(host)
        if before is not None and before[3] > now:
            # Put live while the helper was reading: its answer is older, and would have it ordered again.
            continue
        pairs["detached" if _detached(site, found) else ""].append(host)
        certificate = site.certificate
        wanted = certificate_ids[found[0].fingerprint] if found else None
        matches = certificate.key_matches if certificate else None
        if before is not None and before[1:3] == (wanted, matches):
            continue
        if before is not None:
            ended.append(before[0])
            if wanted is None:
                lost.append(host)
        if wanted is not None and certificate is not None:
            begun.append(
                Installation(
                    virtual_host_id=host,
                    certificate_id=wanted,
                    since=now,
                    path=certificate.path[:1024],
                    key_matches=matches,
                )
            )
    for chunk in _chunks(ended):
        Installation.objects.filter(pk__in=chunk).update(until=now)
    Installation.objects.bulk_create(begun, batch_size=CHUNK)
    for value, hosts in pairs.items():
        for chunk in _chunks(hosts):
            VirtualHost.objects.filter(pk__in=chunk).exclude(stored_pair=value).update(stored_pair=value)
    return Moves(tuple(one.virtual_host_id for one in begun), tuple(lost))


def end_of_gone(server: Server, now: datetime) -> None:
    """What is configured no longer is installed nowhere."""
    hosts = VirtualHost.objects.filter(server=server, gone_at__isnull=False)
    Installation.objects.filter(virtual_host__in=hosts, until__isnull=True).update(until=now)


def _facts(site: FoundSite) -> tuple[pki.CertificateFacts, bytes, bool] | None:
    """The facts of a configured certificate; None where there is none or it cannot be read."""
    if site.certificate is None:
        return None
    pem = site.certificate.pem.encode()
    try:
        return pki.read_chain(pem), pem, site.certificate.ours
    except pki.PairProblem:
        # nginx refuses such a file at its next test; for the rules the site has no certificate.
        return None


def _record(found: Iterable[tuple[pki.CertificateFacts, bytes, bool] | None]) -> None:
    rows = {one[0].fingerprint: row_of(one[0], one[1], provider=None, ours=one[2]) for one in found if one}
    known = set(_certificate_ids(set(rows)))
    Certificate.objects.bulk_create(
        [row for fingerprint, row in rows.items() if fingerprint not in known], batch_size=CHUNK, ignore_conflicts=True
    )


def _certificate_ids(fingerprints: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in _chunks(sorted(fingerprints)):
        found.update(Certificate.objects.filter(fingerprint__in=chunk).values_list("fingerprint", "pk"))
    return found


def _detached(site: FoundSite, found: tuple[pki.CertificateFacts, bytes, bool] | None) -> bool:
    """Our store has a pair for it, and the configuration names none or only a placeholder."""
    if site.certificate is not None and site.certificate.ours:
        return False
    placeholder = found is None or found[0].self_signed
    return bool(site.live_serial) and placeholder


def _chunks(items: list[T]) -> Iterable[list[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
