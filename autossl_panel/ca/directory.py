"""The directory of an ACME server: what an admin is told about a CA, and where its resources are (RFC 8555 §7.1.1)."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from autossl_panel.ca.errors import CaProblem, ProblemKind, clean, document, from_response, own, retry_after
from autossl_panel.ca.transport import Transport, no_gate, target
from autossl_panel.sentences import say

# Long enough that a run reads it once, short enough that a CA's new profiles or terms are seen the same day.
KEPT_SECONDS = 3600.0

_RESOURCES = ("newNonce", "newAccount", "newOrder")


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """What a CA's directory says. `date_offset` is the CA's Date header minus our clock."""

    url: str
    terms_url: str | None
    eab_required: bool
    profiles: Mapping[str, str]
    caa_identities: tuple[str, ...]
    renewal_info: str | None
    website: str | None
    date_offset: timedelta
    new_nonce: str = field(repr=False)
    new_account: str = field(repr=False)
    new_order: str = field(repr=False)
    revoke_cert: str | None = field(repr=False)
    key_change: str | None = field(repr=False)


def probe(
    url: str,
    *,
    ca_bundle: Path | None,
    now: datetime,
    connect_timeout: float = 10,
    read_timeout: float = 30,
    gate: Callable[[str], None] = no_gate,
) -> DirectoryFacts:
    """Read the directory at `url`; a CaProblem with a sentence for the admin when it is no ACME directory we can trust.

    `now` is our clock at the call; the CA's Date header is compared with it. `gate` is passed before each request.
    """
    started = time.monotonic()
    with Transport(
        ca_bundle=ca_bundle,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        clock=lambda: now + timedelta(seconds=time.monotonic() - started),
        gate=gate,
    ) as transport:
        return read(transport, url)


def read(transport: Transport, url: str) -> DirectoryFacts:
    """Fetch and judge the directory at `url`."""
    host = target(url).authority
    answer = transport.send("GET", url, resource="directory")
    if 300 <= answer.status < 400:
        onward = clean(answer.headers["Location"], 200)
        raise own(
            ProblemKind.UNREACHABLE,
            "not_acme",
            say("redirects", host=host, status=answer.status, onward=onward),
            status=answer.status,
        )
    if answer.status != 200:
        problem = from_response(
            host, answer.status, answer.body, until=retry_after(answer.headers["Retry-After"], answer.at)
        )
        if problem.kind in (ProblemKind.SERVER, ProblemKind.RATE):
            raise problem
        raise own(
            ProblemKind.UNREACHABLE,
            "not_acme",
            say("no_directory", host=host, status=answer.status, url=url),
            status=answer.status,
        )
    fields = document(answer.body)
    if fields is None:
        kind = clean(answer.headers["Content-Type"], 60) or "no content type"
        raise own(ProblemKind.UNREACHABLE, "not_acme", say("no_acme", host=host, kind=kind, url=url))
    return _facts(url, host, fields, transport.date_offset or timedelta())


def _facts(url: str, host: str, fields: Mapping[str, Any], date_offset: timedelta) -> DirectoryFacts:
    missing = [name for name in _RESOURCES if _https(fields.get(name)) is None]
    if missing:
        raise own(
            ProblemKind.UNREACHABLE,
            "not_acme",
            say("missing", host=host, names=", ".join(missing), url=url),
        )
    meta = fields.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return DirectoryFacts(
        url=url,
        terms_url=_link(meta.get("termsOfService")),
        eab_required=meta.get("externalAccountRequired") is True,
        profiles=_texts(meta.get("profiles")),
        caa_identities=_names(meta.get("caaIdentities")),
        renewal_info=_https(fields.get("renewalInfo")),
        website=_link(meta.get("website")),
        date_offset=date_offset,
        new_nonce=fields["newNonce"],
        new_account=fields["newAccount"],
        new_order=fields["newOrder"],
        revoke_cert=_https(fields.get("revokeCert")),
        key_change=_https(fields.get("keyChange")),
    )


def _https(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        target(value)
    except CaProblem:
        return None
    return value


def _link(value: object) -> str | None:
    # Shown as a link: nothing that a browser would run may come through. Pebble's terms are a data: text.
    text = clean(value, 1000)
    return text if text.startswith(("https://", "http://", "data:text/plain,")) else None


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean(name, 64): clean(text, 500) for name, text in list(value.items())[:50] if clean(name, 64)}


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(name.lower() for part in value[:50] if (name := clean(part, 253)))


class _Shelf:
    """One directory, kept for all threads, and the last failure to read it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.facts: DirectoryFacts | None = None
        self.read_at = 0.0
        self.problem: CaProblem | None = None
        self.failed_at = 0.0

    def get(self, transport: Transport, url: str) -> DirectoryFacts:
        came_at = time.monotonic()
        with self.lock:  # held while reading: eight threads that start together shall read it once
            if self.facts is not None and time.monotonic() - self.read_at < KEPT_SECONDS:
                return self.facts
            if self.problem is not None and self.failed_at >= came_at:
                # It failed while we waited: each of eight threads running into its own time-out would take minutes.
                raise self.problem.copy()
            try:
                self.facts = read(transport, url)
            except CaProblem as problem:
                self.facts, self.problem, self.failed_at = None, problem.copy(), time.monotonic()
                raise
            self.read_at = time.monotonic()
            return self.facts


_shelves: dict[tuple[str, Path | None], _Shelf] = {}


def shared(transport: Transport, url: str, ca_bundle: Path | None) -> DirectoryFacts:
    """The directory at `url`, read once an hour for all threads of this process."""
    return _shelves.setdefault((url, ca_bundle), _Shelf()).get(transport, url)


def forget(url: str, ca_bundle: Path | None) -> None:
    """Read the directory at `url` anew next time: an address in it has turned out to be gone."""
    _shelves.pop((url, ca_bundle), None)
