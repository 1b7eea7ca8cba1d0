"""The inventory: the configuration's sites with the public facts of their certificates. No key is passed on."""

import hashlib
import os
import pwd
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from autossl_panel import pki
from autossl_panel.helper import files, protocol
from autossl_panel.helper.protocol import ConfigurationFault, InstalledCertificate, Listen, Remark, SiteFacts
from autossl_panel.helper.store import Store
from autossl_panel.pki import PairProblem
from autossl_panel.webservers import model
from autossl_panel.webservers import nginx as configurations
from autossl_panel.webservers.model import ConfigurationProblem, Site
from autossl_panel.webservers.nginx import Configuration

SPOOL = 4 * 1024 * 1024  # bytes of an answer that are held in memory
CHUNK = 200  # sites in one line of the answer
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_PairMark = tuple[str, int, int, str, int, int]


class Inventory:
    """Reads sites; keeps the last configuration and hash, so that an unchanged one is answered by stat alone.

    Not for two threads at once: callers hold the web server's lock.
    """

    def __init__(self, conf: Path, prefix: Path, store: Store) -> None:
        self._conf = conf
        self._prefix = prefix
        self._stale = False
        self._store = store
        self._configuration: Configuration | None = None
        self._hash = ""
        self._matches: dict[_PairMark, bool | None] = {}

    def read(self) -> Configuration:
        """The configuration as it is on disk now; raises ConfigurationProblem."""
        known = self._configuration
        if known is None or self._stale or not configurations.unchanged(known):
            self._hash = ""
            self._configuration = configurations.read(self._conf, prefix=self._prefix, previous=known)
            self._stale = False
            return self._configuration
        return known

    def preview(self, overlay: Mapping[str, bytes | None]) -> Configuration:
        """The configuration as it would be with these files (by real path); nothing is written."""
        return configurations.read(self._conf, prefix=self._prefix, previous=self._configuration, overlay=overlay)

    def forget(self) -> None:
        """Read anew next time: we have just written files or links ourselves."""
        self._stale, self._hash = True, ""

    def answer(self, unless: str | None) -> Iterator[tuple[bool, object]]:
        """The parts of an inventory's answer: sites in chunks, then the end with hash, remarks and problem.

        Everything is read before this returns; the parts come from a spool, so that a slow caller holds up nobody.
        """
        try:
            configuration = self.read()
        except ConfigurationProblem as problem:
            return iter([(False, _end("", problem=ConfigurationFault(problem.text, problem.file, problem.line)))])
        if unless is not None and unless == self._hash:
            return iter([(False, _end(self._hash, unchanged=True))])
        found = configurations.sites(configuration)
        spool, self._hash = self._spool(found)
        if unless == self._hash:
            spool.close()
            return iter([(False, _end(self._hash, unchanged=True))])
        return _parts(spool, _end(self._hash, skipped=_remarks(found.skipped), told=_remarks(found.told)))

    def _spool(self, found: model.Inventory) -> tuple[IO[bytes], str]:
        """All sites as lines of JSON in a file that vanishes when closed, and their hash."""
        digest = hashlib.sha256()
        spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - closed by whoever reads it
        try:
            for start in range(0, len(found.sites), CHUNK):
                sites = [self._facts(site) for site in found.sites[start : start + CHUNK]]
                line = protocol.dumps({"sites": sites})
                digest.update(line)
                spool.write(line)
        except BaseException:
            spool.close()
            raise
        digest.update(protocol.dumps([found.skipped, found.told]))
        spool.seek(0)
        return spool, digest.hexdigest()

    def _facts(self, site: Site) -> SiteFacts:
        serial = self._store.live_serial(site.key)
        return SiteFacts(
            key=site.key,
            name=site.name,
            names=site.names,
            docroot=site.docroot,
            owner_login=_owner(site.docroot),
            listens=tuple(Listen(one.address, one.port, one.ssl, one.default) for one in site.listens),
            tls=site.tls,
            file=site.file,
            line=site.line,
            attached=site.attached,
            redirects_only=site.redirects_only,
            live_serial=serial,
            certificate=self._certificate(site, serial),
        )

    def _certificate(self, site: Site, serial: str) -> InstalledCertificate | None:
        if not site.certificate_path:
            return None
        pem = public_pem(Path(site.certificate_path))
        if pem is None:
            return None
        return InstalledCertificate(
            pem=pem.decode("ascii"),
            path=site.certificate_path,
            ours=self._store.has(Path(site.certificate_path)),
            key_matches=self._key_matches(site),
            live_serial=serial,
        )

    def _key_matches(self, site: Site) -> bool | None:
        if not site.certificate_path or not site.key_path:
            return None
        try:
            one, other = os.stat(site.certificate_path), os.stat(site.key_path)
        except OSError:
            return None
        mark = (site.certificate_path, one.st_mtime_ns, one.st_ino, site.key_path, other.st_mtime_ns, other.st_ino)
        if mark not in self._matches:
            if len(self._matches) > 100_000:
                self._matches.clear()
            self._matches[mark] = _same_key(Path(site.certificate_path), Path(site.key_path))
        return self._matches[mark]


def _parts(spool: IO[bytes], end: object) -> Iterator[tuple[bool, object]]:
    with spool:
        for line in spool:
            yield True, line
    yield False, end


def public_pem(path: Path) -> bytes | None:
    """The certificates of a PEM file and nothing else of it, since many hold the key as well; None without any."""
    content = files.read_public(path)
    blocks = _CERTIFICATE.findall(content) if content is not None else []
    return b"\n".join(blocks) + b"\n" if blocks else None


def fingerprint(path: Path | str | None) -> str | None:
    """The fingerprint of a file's first certificate, None where there is none to read."""
    pem = public_pem(Path(path)) if path else None
    if pem is None:
        return None
    try:
        return pki.read_chain(pem).fingerprint
    except PairProblem:
        return None


def sound(site: Site) -> bool:
    """Whether the certificate of a site can be served to its visitors today."""
    pem = public_pem(Path(site.certificate_path)) if site.certificate_path else None
    if pem is None or not site.certificate_path or not site.key_path:
        return False
    try:
        facts = pki.read_chain(pem)
    except PairProblem:
        return False
    matches = _same_key(Path(site.certificate_path), Path(site.key_path))
    defects = pki.defects(facts, now=datetime.now(UTC), key_matches=matches)
    return bool(matches) and not defects and not facts.self_signed and facts.covers(site.name)


def _same_key(certificate: Path, key: Path) -> bool | None:
    chain, private = public_pem(certificate), files.read_public(key)
    # Many people keep key and chain in one file.
    block = _KEY.search(private) if private is not None else None
    if chain is None or block is None:
        return None
    try:
        return pki.same_key(chain, block[0] + b"\n")
    except PairProblem:
        return None


def _owner(docroot: Path | str | None) -> str:
    if not docroot:
        return ""
    try:
        return pwd.getpwuid(os.stat(docroot).st_uid).pw_name
    except (OSError, KeyError):
        return ""


def _remarks(found: tuple[model.Remark, ...]) -> tuple[Remark, ...]:
    return tuple(Remark(one.name, one.reason, one.file, one.line, one.text) for one in found)


def _end(
    digest: str,
    *,
    unchanged: bool = False,
    skipped: tuple[Remark, ...] = (),
    told: tuple[Remark, ...] = (),
    problem: ConfigurationFault | None = None,
) -> object:
    return {"hash": digest, "unchanged": unchanged, "skipped": skipped, "told": told, "problem": problem}
