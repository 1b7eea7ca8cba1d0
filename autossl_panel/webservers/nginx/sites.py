"""From server blocks to sites: which block owns a name, which blocks are parts of it. What a site needs is not here."""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from autossl_panel.webservers.model import Inventory, Listen, Remark, Site
from autossl_panel.webservers.nginx.blocks import Block, blocks, inherited
from autossl_panel.webservers.nginx.read import Configuration

_KEY = re.compile(r"[^a-z0-9.-]")
# With the hash it fits into 80, which is what rows have for it.
_KEY_LENGTH = 71
_NAMELESS = ("", "_")


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A site with its blocks: `main` owns the names, `parts` (main first) all have some of them, `sibling` is ours."""

    key: str
    names: tuple[str, ...]
    main: Block
    parts: tuple[Block, ...]
    sibling: Block | None


def key_of(name: str) -> str:
    """A stable name for rows and files: the first name and 8 hex of its hash."""
    safe = _KEY.sub("_", name)[:_KEY_LENGTH].rstrip(".").lstrip(".-") or "_"
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _usable(block: Block) -> tuple[str, ...]:
    return tuple(name for name in block.admins.names if name not in _NAMELESS and _why_not(name) is None)


def _why_not(name: str) -> tuple[str, str] | None:
    if name.startswith("~"):
        return "regex", "A regular expression names no domain that a certificate could hold."
    if name.endswith("*"):
        return "wildcard_suffix", "A name that ends in * names no domain that a certificate could hold."
    if not name.isascii():
        return "not_ascii", "nginx compares with what browsers send, which is the A-label (xn--): this never matches."
    if "$" in name:
        return "variable", "nginx takes this as a literal name: no host is called so."
    return None


def owners(all_blocks: Iterable[Block]) -> dict[str, Block]:
    """Who has a name: the first TLS block with it, else the first plain one. Our own blocks own nothing."""
    found: dict[str, Block] = {}
    for block in all_blocks:
        if block.panels:
            continue
        for name in _usable(block):
            holder = found.get(name)
            if holder is None or (block.admins.tls and not holder.admins.tls):
                found[name] = block
    return found


def wholes(all_blocks: list[Block]) -> dict[str, Whole]:
    """Every site by key, in the order of the configuration."""
    owner = owners(all_blocks)
    parts: dict[int, dict[int, Block]] = {}
    siblings: dict[int, Block] = {}
    for block in all_blocks:
        for name in block.admins.names:
            if (holder := owner.get(name)) is None:
                continue
            if block.panels:
                siblings.setdefault(holder.number, block)
            else:
                parts.setdefault(holder.number, {holder.number: holder})[block.number] = block
    found: dict[str, Whole] = {}
    for block in all_blocks:
        names = tuple(name for name in _usable(block) if owner.get(name) is block)
        if names and not block.panels:
            # A wildcard is no domain a person knows a site by, where there is a better one.
            first = next((name for name in names if not name.startswith("*")), names[0])
            ordered = (first, *(name for name in names if name != first))
            key = key_of(first)
            found[key] = Whole(key, ordered, block, tuple(parts[block.number].values()), siblings.get(block.number))
    return found


def _site(whole: Whole, configuration: Configuration, root: str | None) -> Site:
    main = whole.main
    tls = main if whole.sibling is None or main.admins.tls else whole.sibling
    # A certificate that an admin put beside ours is the one to judge, not to paper over.
    pair = tls.admins if tls.admins.all("ssl_certificate") else tls
    folder = str(configuration.conf.parent)
    served = tls.tls
    docroot = main.last("root") or root
    certificate = pair.last("ssl_certificate") or (next(inherited(configuration, "ssl_certificate"), None))
    key = pair.last("ssl_certificate_key") or (next(inherited(configuration, "ssl_certificate_key"), None))
    listens: dict[Listen, None] = {}
    for part in (*whole.parts, *((whole.sibling,) if whole.sibling else ())):
        listens.update(dict.fromkeys(socket.listen for socket in part.sockets))
    return Site(
        key=whole.key,
        name=whole.names[0],
        names=whole.names,
        docroot=None if docroot is None or "$" in docroot else os.path.join(str(configuration.prefix), docroot),
        listens=tuple(listens),
        file=main.placed.file,
        line=main.statement.line,
        tls=served,
        certificate_path=_path(certificate, folder) if served else None,
        key_path=_path(key, folder) if served else None,
        redirects_only=redirects_only(whole),
        attached=all(part.includes for part in whole.parts),
    )


def _path(text: str | None, folder: str) -> str | None:
    if text is None or "$" in text or text.startswith(("data:", "engine:")):
        return None
    return os.path.join(folder, text)


def redirects_only(whole: Whole) -> bool:
    """No TLS block of the admin's, and the plain one sends every request to itself over HTTPS."""
    block = whole.main.admins
    return not block.tls and bool(block.redirections)


def sites(configuration: Configuration) -> Inventory:
    """All virtual hosts; the names that can have no certificate; and names that stand in two blocks of a socket."""
    all_blocks = blocks(configuration)
    found = wholes(all_blocks)
    root = next(inherited(configuration, "root"), None)
    skipped: list[Remark] = []
    told: list[Remark] = []
    seen: dict[tuple[str, int, str], Block] = {}
    for block in all_blocks:
        if block.panels:
            continue
        lines: dict[tuple[str, str], Remark] = {}
        for word, placed in block.admins.words:
            if (why := _why_not(word)) is not None:
                skipped.append(Remark(word, why[0], placed.file, placed.statement.line, why[1]))
                continue
            for listen in {socket.listen for socket in block.admins.sockets}:
                first = seen.setdefault((listen.address, listen.port, word), block)
                if first is not block and word not in _NAMELESS:
                    where = f"{first.placed.file} line {first.statement.line}"
                    text = f"nginx ignores this name here: the server block in {where} has it first."
                    lines[word, where] = Remark(word, "duplicate", placed.file, placed.statement.line, text)
        told.extend(lines.values())
    return Inventory(tuple(_site(whole, configuration, root) for whole in found.values()), tuple(skipped), tuple(told))
