"""What the inventory says is installed, as rows: certificates that others put there, and ours that are in use."""

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    """Virtual hosts whose certificate is another than it was: `another` has one now, `none` lost it.

    `ended` are installations that are over, `begun` those that take their place; `pairs` the virtual hosts of which our
    store is to say otherwise than it does, by what.
    """

    another: tuple[int, ...]
    none: tuple[int, ...]
    ended: tuple[int, ...]
    begun: tuple[Installation, ...]
    pairs: Mapping[str, Sequence[int]]

    @property
    def written(self) -> set[int]:
        """The virtual hosts whose rows are written because of it."""
        return {*self.another, *self.none, *(host for hosts in self.pairs.values() for host in hosts)}


class Look:
    """What a server's configuration names, beside what its rows say is installed; every site of it has its row."""

    def __init__(self, server: Server, sites: Sequence[FoundSite], *, now: datetime) -> None:
        self.server = server
        self.sites = sites
        self.now = now
        self._facts = {site.key: _facts(site) for site in sites}
        _record(self._facts[site.key] for site in sites)
        self._certificates = _certificate_ids({found[0].fingerprint for found in self._facts.values() if found})

    def moves(self, among: Collection[int] | None = None) -> Moves:
        """What is to be written, as the rows are now; reads only. `among`: of these virtual hosts alone."""
        rows = VirtualHost.objects.filter(server=self.server)
        known = {key: (pk, pair) for key, pk, pair in rows.values_list("key", "pk", "stored_pair")}
        installations = Installation.objects.filter(virtual_host__server=self.server, until__isnull=True)
        columns = ("virtual_host_id", "pk", "certificate_id", "key_matches")
        current = {host: found for host, *found in installations.values_list(*columns)}
        # Put live while the helper was reading: its answer is older, and would have them ordered again.
        newer = set(installations.filter(since__gt=self.now).values_list("virtual_host_id", flat=True))
        ended: list[int] = []
        begun: list[Installation] = []
        lost: list[int] = []
        pairs: dict[str, list[int]] = {"": [], "detached": []}
        for site in self.sites:
            (host, pair), found = known[site.key], self._facts[site.key]
            before = current.pop(host, None)
            if host in newer or (among is not None and host not in among):
                continue
            stored = "detached" if _detached(site, found) else ""
            if pair != stored:
                pairs[stored].append(host)
            certificate = site.certificate
            wanted = self._certificates[found[0].fingerprint] if found else None
            matches = certificate.key_matches if certificate else None
            if before is not None and before[1:] == [wanted, matches]:
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
                        since=self.now,
                        path=certificate.path[:1024],
                        key_matches=matches,
                    )
                )
        ended.extend(pk for pk, _certificate, _matches in current.values())
        another = tuple(one.virtual_host_id for one in begun)
        return Moves(another, tuple(lost), tuple(ended), tuple(begun), pairs)

    def write(self, moves: Moves) -> None:
        """Bring the rows in step; the caller has those of `moves.written` locked."""
        for chunk in _chunks(moves.ended):
            Installation.objects.filter(pk__in=chunk).update(until=self.now)
        Installation.objects.bulk_create(moves.begun, batch_size=CHUNK)
        for value, hosts in moves.pairs.items():
            for chunk in _chunks(hosts):
                VirtualHost.objects.filter(pk__in=chunk).update(stored_pair=value)


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


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
