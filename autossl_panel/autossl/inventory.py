"""Rows keep step with the web server's configuration: users, virtual hosts, domains and what is installed."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db import transaction
from django.utils.functional import cached_property

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


class _Sync:
    """One pass over everything that is configured, in chunks, inside one transaction."""

    def __init__(self, server: Server, sites: Sequence[FoundSite], owners: "Owners", now: datetime) -> None:
        self.server = server
        self.sites = sites
        self.now = now
        self.told: list[Mapping[str, object]] = []
        self.owners = owners

    @cached_property
    def all_names(self) -> set[str]:
        return {name for site in self.sites for name in site.names}

    def run(self) -> Changes:
        owner_of = {site.key: self._owner(site) for site in self.sites}
        users = self._users(set(owner_of.values()))
        known = {
            key: (pk, seen, gone_at, attached)
            for pk, key, seen, gone_at, attached in VirtualHost.objects.filter(server=self.server).values_list(
                "pk", "key", "seen", "gone_at", "attached"
            )
        }
        appeared: list[VirtualHost] = []
        changed: list[VirtualHost] = []
        moved: list[VirtualHost] = []
        wiped: list[int] = []
        wishes: dict[str, list[tuple[str, bool]]] = {}
        for site in self.sites:
            wished = [
                (name, added)
                for name, added in policy.wished_names(site.names, taken_elsewhere=self.all_names.__contains__)
                if len(name) <= NAME
            ]
            row = self._row(site, users[owner_of[site.key]], wished)
            before = known.get(site.key)
            if before is None:
                appeared.append(row)
            elif before[1][:DIGEST] != row.seen[:DIGEST] or before[2] is not None:
                row.pk = before[0]
                changed.append(row)
            else:
                if before[3] and not site.attached:
                    wiped.append(before[0])
                if before[1] != row.seen:
                    row.pk = before[0]
                    moved.append(row)
                continue
            wishes[site.key] = wished
        found = {site.key for site in self.sites}
        gone = [
            (pk, key) for key, (pk, _seen, gone_at, _attached) in known.items() if gone_at is None and key not in found
        ]
        written = [*(row.pk for row in (*changed, *moved)), *(pk for pk, _key in gone), *wiped]
        VirtualHost.objects.bulk_create(appeared, batch_size=CHUNK)
        look = installed.Look(self.server, self.sites, now=self.now)
        # All at once, before any is written; nobody else sees yet what has just appeared
        new = {row.pk for row in appeared}
        mine = {*written, *look.moves().written} - new
        hosting_users.lock(VirtualHost.objects.filter(pk__in=mine))
        self._write(changed, moved, [pk for pk, _key in gone])
        self._write_domains([*appeared, *changed], {row.key for row in appeared}, wishes)
        # What somebody has written since is newer than what the helper read
        look.write(moves := look.moves(mine | new))
        # Another's certificate, or our lines wiped by another tool: what was decided no longer holds.
        for chunk in _chunks([*moves.another, *wiped]):
            VirtualHost.objects.filter(pk__in=chunk).update(next_at=self.now, next_reason="changed")
        for chunk in _chunks([*(row.pk for row in (*appeared, *changed)), *moves.another, *moves.none]):
            standing.show(self.server, chunk, self.now)
        return Changes(
            sites=len(self.sites),
            users=len(users),
            appeared=tuple(row.name for row in appeared),
            changed=tuple(row.name for row in changed),
            gone=tuple(key.rsplit("-", 1)[0] for _pk, key in gone),
            told=tuple(self.told),
        )

    def _owner(self, site: FoundSite) -> str:
        name, by_default = self.owners.of(site)
        if by_default:
            text = "its docroot tells no hosting user; it was given to one named after the site"
            self.told.append({"name": site.name, "text": text, "file": _text(site.file), "line": site.line})
        return _text(name, 64)

    def _users(self, wanted: set[str]) -> dict[str, HostingUser]:
        """The hosting users of these names, made where missing; one that lost its last site is gone."""
        feature_list = hosting_users.default_feature_list()
        known = set(HostingUser.objects.filter(server=self.server).values_list("name", flat=True))
        HostingUser.objects.bulk_create(
            [HostingUser(server=self.server, name=name, feature_list=feature_list) for name in sorted(wanted - known)],
            batch_size=CHUNK,
        )
        rows = {row.name: row for row in HostingUser.objects.filter(server=self.server)}
        back = [row.pk for row in rows.values() if row.gone_at is not None and row.name in wanted]
        left = [row.pk for row in rows.values() if row.gone_at is None and row.name not in wanted]
        hosting_users.lock(HostingUser.objects.filter(pk__in=[*back, *left]))
        for ids, gone_at in ((back, None), (left, self.now)):
            for chunk in _chunks(ids):
                HostingUser.objects.filter(pk__in=chunk).update(gone_at=gone_at)
        return {name: rows[name] for name in wanted}

    def _row(self, site: FoundSite, user: HostingUser, wished: Iterable[tuple[str, bool]]) -> VirtualHost:
        listens = [
            {"address": one.address, "port": one.port, "ssl": one.ssl, "default": one.default} for one in site.listens
        ]
        # What decides over it, and where and how it stands: our own edits move lines and add listeners.
        meaning = _digest([site.name, list(wished), user.pk, site.docroot])
        place = _digest([site.file, site.line, listens, site.tls, site.attached])
        return VirtualHost(
            server=self.server,
            user=user,
            key=site.key,
            name=site.name[:NAME],
            docroot=_text(site.docroot or "", 1024),
            file=_text(site.file, 1024),
            line=site.line,
            listens=listens,
            tls=site.tls,
            attached=site.attached,
            seen=meaning + place,
            appeared_at=self.now,
            next_at=self.now,
            next_reason="changed",
        )

    def _write(self, changed: list[VirtualHost], moved: list[VirtualHost], gone: list[int]) -> None:
        for row in changed:
            row.gone_at = None
        fields = ["user", "name", "docroot", "file", "line", "listens", "tls", "attached", "seen", "gone_at"]
        VirtualHost.objects.bulk_update([*changed, *moved], fields, batch_size=CHUNK)
        for chunk in _chunks([row.pk for row in changed]):
            VirtualHost.objects.filter(pk__in=chunk).update(next_at=self.now, next_reason="changed")
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


def _digest(said: object) -> str:
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:DIGEST]


def _chunks(ids: list[int]) -> Iterable[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
