"""The CAs' lists of revoked certificates (RFC 5280 §5): read by the sweep, each at most once a day.

A list that cannot be read, or is not its issuer's own, changes nothing, and says so on its row.
"""

import logging
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from autossl_panel import dcv, pki
from autossl_panel.dcv.download import DownloadProblem, download
from autossl_panel.hosting.models import Server

from . import options as option_rows
from . import revocation
from .models import Certificate, Installation, RevocationList

log = logging.getLogger("autossl_panel.revoked_lists")

LARGEST = 32 << 20
# Seconds for one list; none is begun after so many
SECONDS = 60.0
BEGUN_WITHIN = 15.0
DAY = timedelta(days=1)
SOONEST = timedelta(hours=1)
AGAIN = timedelta(hours=1)
# How many certificates' own issuers are tried before a list is given up
TRIED = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list is; `ours`: certificates of ours name it, `private_ca`: their CA is a private one."""

    url: str
    ours: bool
    private_ca: bool


def look(server: Server, now: datetime) -> int:
    """Read the lists that are due for certificates installed on `server`, ours first; how many were read or tried."""
    begun = time.monotonic()
    tried = 0
    for place in due(server, now):
        if time.monotonic() - begun > BEGUN_WITHIN:
            break
        tried += 1
        _read(server, place, now)
    return tried


def due(server: Server, now: datetime) -> list[Place]:
    """The lists that were not read yet, or long enough ago."""
    rows = _current(server).filter(not_after__gt=now, revoked_at__isnull=True).exclude(crl_url="")
    found: dict[str, Place] = {}
    for url, ours, private in rows.values_list("crl_url", "ours", "provider__private_ca").distinct():
        known = found.get(url)
        is_private = bool(ours and private) or bool(known and known.private_ca)
        found[url] = Place(url, ours or bool(known and known.ours), is_private)
    for url in RevocationList.objects.filter(next_at__gt=now).values_list("url", flat=True):
        found.pop(url, None)
    return sorted(found.values(), key=lambda place: (not place.ours, place.url))


def forget_unused() -> None:
    """Remove the rows of lists that no installed certificate names any more."""
    named = _current().filter(crl_url=OuterRef("url"))
    RevocationList.objects.exclude(Exists(named)).delete()


def _current(server: Server | None = None) -> QuerySet[Certificate]:
    """Certificates that are installed now, on one server or on any."""
    installed = Installation.objects.filter(
        certificate=OuterRef("pk"), until__isnull=True, virtual_host__gone_at__isnull=True
    )
    if server is not None:
        installed = installed.filter(virtual_host__server=server)
    return Certificate.objects.filter(Exists(installed))


def _read(server: Server, place: Place, now: datetime) -> None:
    row, _made = RevocationList.objects.get_or_create(url=place.url)
    resolvers = tuple(option_rows.current(server).resolvers)
    settings = dcv.Settings(resolvers=resolvers, private_ca=place.private_ca)
    try:
        data = download(place.url, settings, most=LARGEST, seconds=SECONDS)
    except DownloadProblem as problem:
        _told(row, problem.code, problem.text, now)
        return
    found, next_update, refused = _compared(place.url, data, now)
    if found:
        log.warning("%s lists %s of the certificates installed here as revoked", place.url, len(found))
        revocation.note(found, now)
    if refused is not None:
        _told(row, refused.code, refused.text, now)
        return
    row.read_at, row.problem = now, None
    next_at = min(next_update or now + DAY, now + DAY)
    # Spread, so that what was first read together is not for ever after
    row.next_at = max(next_at, now + SOONEST) + SOONEST * random.random()  # noqa: S311 - spreads load
    row.save(update_fields=["read_at", "next_at", "problem"])


def _told(row: RevocationList, code: str, text: str, now: datetime) -> None:
    row.problem = {"code": code, "text": text}
    row.next_at = now + AGAIN
    row.save(update_fields=["next_at", "problem"])
    log.warning("the list of revoked certificates %s says nothing: %s", row.url, text)


Found = dict[int, tuple[datetime, int | None]]


def _compared(url: str, data: bytes, now: datetime) -> tuple[Found, datetime | None, pki.ListProblem | None]:
    """Which installed certificates are on the list, when the next one comes, and why it was not believed, if so."""
    rows = _current().filter(crl_url=url, not_after__gt=now, revoked_at__isnull=True).order_by("-ours", "pk")
    by_issuer: dict[str, list[tuple[int, str]]] = {}
    for pk, serial, issuer in rows.values_list("pk", "serial", "issuer"):
        by_issuer.setdefault(issuer, []).append((pk, serial))
    found: Found = {}
    next_update, refused = None, None
    for mine in by_issuer.values():
        listed = _believed(url, data, [pk for pk, _serial in mine[:TRIED]], now)
        if isinstance(listed, pki.ListProblem):
            refused = refused or listed
            continue
        next_update = listed.next_update
        for pk, serial in mine:
            if (entry := listed.find(serial)) is not None:
                found[pk] = (entry.at, entry.reason)
    # A stranger's certificate may name a list that is not its issuer's: that is no fault of the list.
    return found, next_update, refused if next_update is None else None


def _believed(url: str, data: bytes, ids: Iterable[int], now: datetime) -> pki.RevokedList | pki.ListProblem:
    """The list, checked against the issuer that one of these certificates came with."""
    problem = pki.ListProblem("no_issuer", "No certificate names it any more.")
    for pem in Certificate.objects.filter(pk__in=list(ids)).order_by("-ours", "pk").values_list("pem", flat=True):
        try:
            return pki.read_list(data, chain_pem=pem.encode(), url=url, now=now)
        except pki.ListProblem as refused:
            problem = refused
    return problem
