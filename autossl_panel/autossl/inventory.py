"""Rows keep step with the web server's configuration: users, virtual hosts, domains and what is installed."""

import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import islice
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db import transaction

from autossl_panel import names
from autossl_panel.helper.client import Client, HelperGone, HelperProblem
from autossl_panel.helper.protocol import SiteFacts as FoundSite
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Domain, HostingUser, Server, Severity, SiteState, VirtualHost

from . import installed, policy, problems, standing

CHUNK = 500
# Characters of each half of `seen`
DIGEST = 32
# No domain name is longer (RFC 1035, section 2.3.4): what is can be no name, and has no row
NAME = 253


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the configuration found. `problem`: it could not be read, and rows are as they were."""

    unchanged: bool = False
    sites: int = 0
    users: int = 0
    appeared: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    told: tuple[Mapping[str, object], ...] = ()
    problem: Mapping[str, object] | None = None


def refresh(server: Server, helper: Client, *, now: datetime) -> Changes:
    """Ask the helper what is configured and bring the rows in step; nothing is written where no file changed.

    `now` is the moment before it is asked: what was installed later than that is newer than the answer.
    """
    try:
        answer = helper.inventory(unless=server.inventory_hash or None)
    except HelperGone as error:
        return _failed(server, {"file": "", "line": None, "text": f"The helper does not answer: {error}"})
    except HelperProblem as error:
        return _failed(server, {"file": error.file or "", "line": error.line, "text": error.text})
    if answer.problem is not None:
        problem = answer.problem
        return _failed(server, {"file": problem.file or "", "line": problem.line, "text": problem.text})
    if answer.unchanged:
        if server.inventory_problem is not None:
            Server.objects.filter(pk=server.pk).update(inventory_problem=None)
        return Changes(unchanged=True)
    known = {(item["name"], item["text"]) for item in server.inventory_told}
    try:
        owners = Owners(settings.AUTOSSL_HOMES, read_user_map(settings.AUTOSSL_USER_MAP))
    except UserMapProblem as error:
        return _failed(server, {"file": "", "line": None, "text": f"AUTOSSL_USER_MAP: {error}"})
    with transaction.atomic():
        # Two at once would both add what is new.
        Server.objects.select_for_update(no_key=True).get(pk=server.pk)
        changes = _Sync(server, answer.sites, owners, now).run()
        told = [
            {"name": _text(one.name), "text": _text(one.text or one.reason), "file": _text(one.file), "line": one.line}
            for one in (*answer.skipped, *answer.told)
        ] + [dict(item) for item in changes.told]
        Server.objects.filter(pk=server.pk).update(
            inventory_hash=answer.hash, inventory_at=now, inventory_problem=None, inventory_told=told
        )
    server.refresh_from_db()
    return Changes(
        sites=changes.sites,
        users=changes.users,
        appeared=changes.appeared,
        changed=changes.changed,
        gone=changes.gone,
        # Once told is told: a configuration that we edit ourselves is read again and again.
        told=tuple(item for item in told if (item["name"], item["text"]) not in known),
    )


def _failed(server: Server, problem: dict[str, object]) -> Changes:
    problem = {key: _text(value) if isinstance(value, str) else value for key, value in problem.items()}
    Server.objects.filter(pk=server.pk).update(inventory_problem=problem)
    server.inventory_problem = problem
    return Changes(problem=problem)


class _Kind(IntEnum):
    """What became of a site's row."""

    SAME = 0
    APPEARED = 1
    CHANGED = 2
    # Stands elsewhere or otherwise in its file: nothing to decide anew
    MOVED = 3


class _Sync:
    """One pass over everything that is configured, inside one transaction: what it is, what differs, what is written.

    Of each site a few numbers are held, and only of a chunk of them all that is known: there may be very many.
    """

    def __init__(self, server: Server, sites: Iterable[FoundSite], owners: "Owners", now: datetime) -> None:
        self.server = server
        self.sites = sites
        self.owners = owners
        self.now = now
        self.told: list[Mapping[str, object]] = []
        # Names that are not added to another site
        self.www: set[str] = set()
        # Of each site in its order: the id of its hosting user, and its kind
        self.users, self.kinds = array("q"), bytearray()
        self.wiped: list[int] = []
        self.appeared: list[str] = []
        self.changed: list[str] = []

    def run(self) -> Changes:
        users = self._meet()
        written, found = self._compare()
        rows = VirtualHost.objects.filter(server=self.server, gone_at__isnull=True)
        gone = {pk: key for pk, key in rows.values_list("pk", "key").iterator() if pk not in found}
        hosting_users.lock(VirtualHost.objects.filter(pk__in=[*written, *gone, *self.wiped]))
        self._leave(list(gone))
        another: list[int] = []
        for kinds, chunk in self._chunks():
            another += self._write(kinds, chunk)
        installed.end_of_gone(self.server, self.now)
        # Another's certificate, or our lines wiped by another tool: what was decided no longer holds.
        for ids in _chunks([*another, *self.wiped]):
            VirtualHost.objects.filter(pk__in=ids).update(next_at=self.now, next_reason="changed")
        return Changes(
            sites=len(self.users),
            users=users,
            appeared=tuple(self.appeared),
            changed=tuple(self.changed),
            gone=tuple(key.rsplit("-", 1)[0] for key in gone.values()),
            told=tuple(self.told),
        )

    def _meet(self) -> int:
        """Whose each site is; how many hosting users have any."""
        numbers: dict[str, int] = {}
        for site in self.sites:
            self.www.update(name for name in site.names if name.startswith("www."))
            self.users.append(numbers.setdefault(self._owner(site), len(numbers)))
        ids = self._user_ids(numbers.keys())
        by_number = [ids[name] for name in numbers]
        for at, number in enumerate(self.users):
            self.users[at] = by_number[number]
        return len(numbers)

    def _chunks(self) -> Iterator[tuple[bytearray, list[tuple[FoundSite, int]]]]:
        """The sites with their users, some at a time, and what was found out of them so far."""
        found = zip(self.sites, self.users, strict=True)
        for start in range(0, len(self.users), CHUNK):
            yield self.kinds[start : start + CHUNK], list(islice(found, CHUNK))

    def _owner(self, site: FoundSite) -> str:
        name, by_default = self.owners.of(site)
        if by_default:
            text = "its docroot tells no hosting user; it was given to one named after the site"
            self.told.append({"name": site.name, "text": text, "file": _text(site.file), "line": site.line})
        return _text(name, 64)

    def _user_ids(self, wanted: Set[str]) -> dict[str, int]:
        """The hosting users of these names, made where missing; one that lost its last site is gone."""
        feature_list = hosting_users.default_feature_list()
        rows = HostingUser.objects.filter(server=self.server)
        missing = sorted(wanted - set(rows.values_list("name", flat=True)))
        HostingUser.objects.bulk_create(
            [HostingUser(server=self.server, name=name, feature_list=feature_list) for name in missing],
            batch_size=CHUNK,
        )
        ids: dict[str, int] = {}
        back, left = [], []
        for pk, name, gone_at in rows.values_list("pk", "name", "gone_at").iterator():
            if name in wanted:
                ids[name] = pk
            if gone_at is not None and name in wanted:
                back.append(pk)
            elif gone_at is None and name not in wanted:
                left.append(pk)
        hosting_users.lock(HostingUser.objects.filter(pk__in=[*back, *left]))
        for users, gone in ((back, None), (left, self.now)):
            for chunk in _chunks(users):
                HostingUser.objects.filter(pk__in=chunk).update(gone_at=gone)
        return ids

    # --- what differs ------------------------------------------------------------------------------------------------

    def _compare(self) -> tuple[list[int], set[int]]:
        """Note of each site what its row lacks. Returns the rows to be written, and those that there are."""
        written: list[int] = []
        found: set[int] = set()
        kinds = bytearray()
        for _kinds, chunk in self._chunks():
            rows = VirtualHost.objects.filter(server=self.server, key__in=[site.key for site, _user in chunk])
            known = {row[0]: row[1:] for row in rows.values_list("key", "pk", "seen", "gone_at", "attached")}
            ids = {key: row[0] for key, row in known.items()}
            written += installed.otherwise([site for site, _user in chunk], ids)
            for site, user in chunk:
                before = known.get(site.key)
                if before is None:
                    kinds.append(_Kind.APPEARED)
                    continue
                pk, seen, gone_at, attached = before
                found.add(pk)
                kind = self._kind(seen, gone_at, self._seen(site, user, self._wished(site)))
                kinds.append(kind)
                if kind is not _Kind.SAME:
                    written.append(pk)
                if kind is not _Kind.CHANGED and attached and not site.attached:
                    self.wiped.append(pk)
        self.kinds = kinds
        return written, found

    @staticmethod
    def _kind(before: str, gone_at: datetime | None, seen: str) -> _Kind:
        if before[:DIGEST] != seen[:DIGEST] or gone_at is not None:
            return _Kind.CHANGED
        return _Kind.SAME if before == seen else _Kind.MOVED

    def _wished(self, site: FoundSite) -> list[tuple[str, bool]]:
        wished = policy.wished_names(site.names, taken_elsewhere=self.www.__contains__)
        return [(name, added) for name, added in wished if len(name) <= NAME]

    @staticmethod
    def _seen(site: FoundSite, user: int, wished: Iterable[tuple[str, bool]]) -> str:
        """What decides over a site, and where and how it stands: our own edits move lines and add listeners."""
        meaning = _digest([site.name, list(wished), user, site.docroot])
        return meaning + _digest([site.file, site.line, _listens(site), site.tls, site.attached])

    # --- writing -----------------------------------------------------------------------------------------------------

    def _leave(self, gone: list[int]) -> None:
        for chunk in _chunks(gone):
            problems.forget(chunk)
            VirtualHost.objects.filter(pk__in=chunk).update(
                gone_at=self.now,
                state=SiteState.GONE,
                severity=Severity.GONE,
                next_at=None,
                next_reason="",
                problem=None,
                problems_seen="",
            )

    def _write(self, kinds: Sequence[int], chunk: Sequence[tuple[FoundSite, int]]) -> tuple[int, ...]:
        """Bring the rows of some sites in step; returns those that have another certificate now."""
        keys = [site.key for site, _user in chunk]
        ids = dict(VirtualHost.objects.filter(server=self.server, key__in=keys).values_list("key", "pk"))
        rows: dict[_Kind, list[VirtualHost]] = {kind: [] for kind in _Kind}
        wishes: dict[str, list[tuple[str, bool]]] = {}
        for kind, (site, user) in zip(map(_Kind, kinds), chunk, strict=True):
            if kind is not _Kind.SAME:
                wishes[site.key] = self._wished(site)
                rows[kind].append(self._row(site, user, wishes[site.key], ids.get(site.key)))
        appeared, changed = rows[_Kind.APPEARED], rows[_Kind.CHANGED]
        self._write_hosts(appeared, changed, rows[_Kind.MOVED])
        self._write_domains([*appeared, *changed], {row.key for row in appeared}, wishes)
        ids |= {row.key: row.pk for row in appeared}
        moves = installed.sync([site for site, _user in chunk], ids, now=self.now)
        new = [row.pk for row in (*appeared, *changed)]
        if otherwise := {*new, *moves.another, *moves.none}:
            standing.show(self.server, otherwise, self.now)
        self.appeared += [row.name for row in appeared]
        self.changed += [row.name for row in changed]
        return moves.another

    def _row(self, site: FoundSite, user: int, wished: Iterable[tuple[str, bool]], pk: int | None) -> VirtualHost:
        return VirtualHost(
            pk=pk,
            server=self.server,
            user_id=user,
            key=site.key,
            name=site.name[:NAME],
            docroot=_text(site.docroot or "", 1024),
            file=_text(site.file, 1024),
            line=site.line,
            listens=_listens(site),
            tls=site.tls,
            attached=site.attached,
            seen=self._seen(site, user, wished),
            appeared_at=self.now,
            next_at=self.now,
            next_reason="changed",
        )

    def _write_hosts(self, appeared: list[VirtualHost], changed: list[VirtualHost], moved: list[VirtualHost]) -> None:
        VirtualHost.objects.bulk_create(appeared, batch_size=CHUNK)
        for row in changed:
            row.gone_at = None
        fields = ["user", "name", "docroot", "file", "line", "listens", "tls", "attached", "seen", "gone_at"]
        VirtualHost.objects.bulk_update([*changed, *moved], fields, batch_size=CHUNK)
        ids = [row.pk for row in changed]
        VirtualHost.objects.filter(pk__in=ids).update(next_at=self.now, next_reason="changed")

    def _write_domains(self, rows: list[VirtualHost], new: set[str], wishes: dict[str, list[tuple[str, bool]]]) -> None:
        """Names that stay keep their rows, and with them what DCV found."""
        before: dict[int, dict[str, Domain]] = {}
        for chunk in _chunks([row.pk for row in rows if row.key not in new]):
            for found in Domain.objects.filter(virtual_host_id__in=chunk):
                before.setdefault(found.virtual_host_id, {})[found.name] = found
        make: list[Domain] = []
        move: list[Domain] = []
        drop: list[int] = []
        for row in rows:
            known = before.get(row.pk, {})
            for position, (name, added) in enumerate(wishes[row.key]):
                domain = known.pop(name, None)
                if domain is None:
                    unfit = names.not_public(name) or ""
                    make.append(Domain(virtual_host_id=row.pk, name=name, added=added, unfit=unfit, position=position))
                elif (domain.added, domain.position) != (added, position):
                    domain.added, domain.position = added, position
                    move.append(domain)
            drop.extend(left.pk for left in known.values())
        for chunk in _chunks(drop):
            Domain.objects.filter(pk__in=chunk).delete()
        Domain.objects.bulk_update(move, ["added", "position"], batch_size=CHUNK)
        Domain.objects.bulk_create(make, batch_size=CHUNK)


class Owners:
    """Whose a site is: the explicit map, else below which home its docroot lies, else the docroot's owner."""

    def __init__(self, homes: Path, mapped: Mapping[str, str]) -> None:
        self.homes = PurePosixPath(homes)
        self.mapped = mapped

    def of(self, site: FoundSite) -> tuple[str, bool]:
        """(hosting user, whether nothing told and the user is named after the site)."""
        for name in site.names:
            if name in self.mapped:
                return self.mapped[name], False
        if site.docroot:
            docroot = PurePosixPath(os.path.normpath(site.docroot))
            for folder in (docroot, *docroot.parents):
                if str(folder) in self.mapped:
                    return self.mapped[str(folder)], False
            if self.homes in docroot.parents:
                return docroot.relative_to(self.homes).parts[0], False
        if site.owner_login:
            return site.owner_login, False
        return site.name[:64], True


def read_user_map(path: str) -> dict[str, str]:
    """The explicit map, one “SITE USER” or “/FOLDER USER” a line, # for comments; empty where no file is named.

    Raises UserMapProblem for a file or a line that cannot be read.
    """
    if not path:
        return {}
    found: dict[str, str] = {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserMapProblem(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise UserMapProblem(f"{path}:{number}: a line is “SITE USER” or “/FOLDER USER”, not “{line.strip()}”.")
        found[words[0].lower() if not words[0].startswith("/") else os.path.normpath(words[0])] = words[1]
    return found


class UserMapProblem(ValueError):
    """The file that AUTOSSL_USER_MAP names has a line that cannot be read."""


def _text(said: str, most: int = 2000) -> str:
    """What a file of somebody else's says, as a database takes it: cut, bytes that are no UTF-8 written out."""
    return said.encode("utf-8", "backslashreplace").decode().replace("\0", "")[:most]


def _listens(site: FoundSite) -> list[dict[str, object]]:
    return [{"address": one.address, "port": one.port, "ssl": one.ssl, "default": one.default} for one in site.listens]


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:DIGEST]


def _chunks(ids: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
