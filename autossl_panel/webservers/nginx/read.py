"""Reading nginx's configuration with all its includes into one frozen value. What blocks mean is `blocks`' matter."""

import fnmatch
import glob
import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import crossplane.lexer

from autossl_panel.webservers.model import ConfigurationProblem, FileState, Watched
from autossl_panel.webservers.nginx.tokens import Statement, Tree, parse, words

DEEPEST = 50  # includes within includes; nginx itself ends where file descriptors do
_MAGIC = re.compile(r"[*?\[]")
_ONE = re.compile(r"\[([^\]!^\-\[])\]")  # the mask x.con[f] matches one name only: no folder has to be listed


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A statement in the file where it stands; `via` are the include statements that lead there inside the block."""

    statement: Statement
    real_path: str
    file: str
    via: tuple["Placed", ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One server block of the http level. `id` is stable while lines move: file, place in it, n-th inclusion."""

    id: str
    placed: Placed
    statements: tuple[Placed, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """All that nginx would read, in its order, as it was at one moment."""

    conf: Path
    prefix: Path
    files: tuple[FileState, ...]
    watched: tuple[Watched, ...]
    http: Placed | None
    http_statements: tuple[Placed, ...]
    servers: tuple[Server, ...]
    trees: Mapping[str, Tree] = field(repr=False)
    includes: Mapping[str, int] = field(repr=False)
    elsewhere: tuple[Placed, ...] = ()  # what the stream and mail blocks listen on

    def file_state(self, real_path: str) -> FileState | None:
        """The state of a file by its real path, None when it was not read."""
        return next((state for state in self.files if state.real_path == real_path), None)


def _seen(path: str) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


class _Reader:
    def __init__(self, conf: Path, previous: Configuration | None, overlay: Mapping[str, bytes | None]) -> None:
        self.folder = str(conf.parent)
        self.overlay = overlay
        self.old_states = {state.path: state for state in previous.files} if previous else {}
        self.old_trees = previous.trees if previous else {}
        self.states: dict[str, FileState] = {}
        self.trees: dict[str, Tree] = {}
        self.watched: dict[str, Watched] = {}
        self.listings: dict[str, list[str]] = {}
        self.uses: dict[str, int] = {}
        self.blocks: dict[tuple[str, int], int] = {}
        self.servers: list[Server] = []
        self.http: Placed | None = None
        self.http_statements: list[Placed] = []
        self.elsewhere: list[Placed] = []

    def load(self, path: str) -> tuple[str, Tree]:
        """The real path and the statements of a file, from the earlier reading where nothing changed."""
        if (state := self.states.get(path)) is not None:
            return state.real_path, self.trees[state.real_path]
        real = os.path.realpath(path)
        old = self.old_states.get(path)
        if (content := self.overlay.get(real)) is None:
            with open(path, "rb") as stream:
                stat = os.fstat(stream.fileno())
                if old is not None and (old.real_path, old.size, old.mtime_ns, old.inode) == (
                    real, stat.st_size, stat.st_mtime_ns, stat.st_ino,
                ):  # fmt: skip
                    self.states[path] = old
                    self.trees[real] = self.old_trees[real]
                    return real, self.trees[real]
                content = stream.read()
            size, mtime, inode = stat.st_size, stat.st_mtime_ns, stat.st_ino
        else:
            size, mtime, inode = len(content), 0, 0
        digest = hashlib.sha256(content).hexdigest()
        if old is not None and old.sha256 == digest and old.real_path == real:
            self.trees[real] = self.old_trees[real]
        elif real not in self.trees:
            self.trees[real] = parse(content, path)
        self.states[path] = FileState(path, real, size, mtime, inode, digest)
        return real, self.trees[real]

    def masked(self, mask: str) -> list[str]:
        """The files of an include, in nginx's order."""
        plain = _ONE.sub(r"\1", mask)
        if not _MAGIC.search(plain):
            self.watch(plain)
            return [plain] if self.exists(plain) else []
        folder, name = os.path.split(mask)
        if _MAGIC.search(folder):
            found = glob.glob(mask.replace("[^", "[!"))
            for place in glob.glob(folder.replace("[^", "[!")):
                self.watch(place)
        else:
            self.watch(folder)
            if folder not in self.listings:
                self.listings[folder] = os.listdir(folder) if os.path.isdir(folder) else []
            entries = self.listings[folder]
            matching = [e for e in entries if not e.startswith(".") or name.startswith(".")]
            # The C library takes [^…] for [!…], Python does not.
            found = [os.path.join(folder, entry) for entry in fnmatch.filter(matching, name.replace("[^", "[!"))]
        return sorted(found, key=os.fsencode)

    def exists(self, path: str) -> bool:
        real = os.path.realpath(path)
        return self.overlay[real] is not None if real in self.overlay else os.path.exists(path)

    def watch(self, path: str) -> None:
        if path not in self.watched:
            self.watched[path] = Watched(path, _seen(path))

    def included(self, placed: Placed) -> list[tuple[str, str, Tree]]:
        """(path, real path, statements) of what an include statement brings in."""
        statement = placed.statement
        if len(statement.args) != 1:
            raise ConfigurationProblem("include takes one file or mask", placed.file, statement.line)
        mask = os.path.join(self.folder, statement.args[0])
        paths = self.masked(mask) if _MAGIC.search(mask) else [mask]
        found = []
        for path in paths:
            try:
                real, tree = self.load(path)
            except OSError as error:
                text = f'the included file "{path}" cannot be read: {error.strerror}'
                raise ConfigurationProblem(text, placed.file, statement.line) from error
            found.append((path, real, tree))
        return found

    def expand(self, block: list[Statement], real: str, file: str, via: tuple[Placed, ...] = ()) -> Iterator[Placed]:
        """The statements of a block with its includes' in their places; the include statements too."""
        if len(via) > DEEPEST:
            raise ConfigurationProblem("includes include one another", file)
        for statement in block:
            placed = Placed(statement, real, file, via)
            yield placed
            if statement.name == "include":
                for path, inner, tree in self.included(placed):
                    yield from self.expand(tree.statements, inner, path, (*via, placed))

    def read(self, conf: str) -> None:
        try:
            real, tree = self.load(conf)
        except OSError as error:
            raise ConfigurationProblem(f"the file cannot be read: {error.strerror}", conf) from error
        for top in self.expand(tree.statements, real, conf):
            if top.statement.name == "http" and top.statement.body >= 0:
                self.http = top
                self.read_http(top)
            elif top.statement.name in ("stream", "mail") and top.statement.body >= 0:
                self.read_elsewhere(top)

    def read_elsewhere(self, other: Placed) -> None:
        for placed in self.expand(other.statement.block, other.real_path, other.file):
            if placed.statement.name == "server" and placed.statement.body >= 0:
                inside = self.expand(placed.statement.block, placed.real_path, placed.file)
                self.elsewhere += [one for one in inside if one.statement.name == "listen"]

    def read_http(self, http: Placed) -> None:
        for placed in self.expand(http.statement.block, http.real_path, http.file):
            if placed.statement.name == "server" and placed.statement.body >= 0:
                self.read_server(placed)
            else:
                self.http_statements.append(placed)
                if placed.via:
                    self.uses[placed.real_path] = self.uses.get(placed.real_path, 0) + 1

    def read_server(self, placed: Placed) -> None:
        where = (placed.real_path, placed.statement.start)
        count = self.blocks[where] = self.blocks.get(where, 0) + 1
        inside = tuple(self.expand(placed.statement.block, placed.real_path, placed.file))
        if count == 1:
            for real in {one.real_path for one in inside} - {placed.real_path}:
                self.uses[real] = self.uses.get(real, 0) + 1
        for one in inside:
            if one.statement.name == "ssl_certificate" and len(one.statement.args) == 1:
                path = one.statement.args[0]
                if "$" not in path and not path.startswith("data:"):
                    self.watch(os.path.join(self.folder, path))
        self.servers.append(Server(f"{count}", placed, inside))

    def numbered(self) -> tuple[Server, ...]:
        """Blocks with ids that survive moved lines: their ordinal within the file."""
        starts: dict[str, list[int]] = {}
        for real, start in sorted(self.blocks):
            starts.setdefault(real, []).append(start)
        ordinal = {(real, start): n for real, all_ in starts.items() for n, start in enumerate(all_, 1)}
        return tuple(
            Server(
                f"{one.placed.real_path}#{ordinal[one.placed.real_path, one.placed.statement.start]}"
                + (f"/{one.id}" if one.id != "1" else ""),
                one.placed,
                one.statements,
            )
            for one in self.servers
        )


def read(
    conf: Path,
    *,
    prefix: Path | None = None,
    previous: Configuration | None = None,
    overlay: Mapping[str, bytes | None] | None = None,
) -> Configuration:
    """The configuration that nginx would load from `conf`; raises ConfigurationProblem with file and line.

    `prefix` is nginx's --prefix (relative docroots). `previous` spares parsing what has not changed. `overlay` shows
    files (by real path) as they would be: how an edit is judged before it is written.
    """
    conf = Path(os.path.abspath(conf))
    reader = _Reader(conf, previous, overlay or {})
    reader.read(str(conf))
    return Configuration(
        conf=conf,
        prefix=prefix or Path("/usr/share/nginx"),
        files=tuple(reader.states.values()),
        # A file that was read is looked at as a file already.
        watched=tuple(one for path, one in reader.watched.items() if path not in reader.states),
        http=reader.http,
        http_statements=tuple(reader.http_statements),
        servers=reader.numbered(),
        trees=reader.trees,
        includes=reader.uses,
        elsewhere=tuple(reader.elsewhere),
    )


def unchanged(configuration: Configuration) -> bool:
    """Whether every file, include folder and certificate still is as it was read; by stat alone."""
    stat = os.stat
    try:
        for state in configuration.files:
            now = stat(state.path)
            if now.st_mtime_ns != state.mtime_ns or now.st_size != state.size or now.st_ino != state.inode:
                return False
    except OSError:
        return False
    return all(_seen(one.path) == one.seen for one in configuration.watched)


def crossplane_agrees(content: bytes, tree: Tree) -> bool:
    """Whether crossplane's lexer reads the same words: who edits by offset must not be alone."""
    if tree.lua:
        # Another language inside: each lexer skips it in its own way, and no edit of ours stands in it.
        return True
    text = content.decode("utf-8", "replace")
    if "\r" in text.replace("\r\n", ""):
        # A lone carriage return ends a line for Python, not for nginx; only the words can be compared.
        text = text.replace("\r", " ")
    stream = io.StringIO(text.replace("\r\n", "\n"))
    theirs = crossplane.lexer._lex_file_object(stream)
    try:
        return list(words(content)) == [word for word, _line, quoted in theirs if quoted or not word.startswith("#")]
    except RuntimeError:
        # Its end of file within a word or quote.
        return False
