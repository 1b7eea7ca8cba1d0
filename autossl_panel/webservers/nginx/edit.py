"""Our marks in an admin's file, put in and taken out byte for byte. Which block gets what is decided elsewhere."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from autossl_panel.webservers.model import ConfigurationProblem
from autossl_panel.webservers.nginx.blocks import stem_of
from autossl_panel.webservers.nginx.read import Configuration, Placed, crossplane_agrees
from autossl_panel.webservers.nginx.tokens import Statement, Tree

OFF = b"#autossl-off "  # before each line of a directive that we replaced
SPLIT = b"#autossl-split"  # ends a line that we had to break after such a directive
_BLANK = re.compile(rb"[ \t]*\r?(?:\n|\Z)")
_REST_FREE = re.compile(rb"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_INDENT = re.compile(rb"[ \t]*")


@dataclass(slots=True, eq=False)
class Draft:
    """A file's bytes as read, and the replacements gathered so far: (from, to) → bytes."""

    path: str
    content: bytes
    tree: Tree
    sha256: str
    changes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def result(self) -> bytes:
        parts, position = [], 0
        for (start, end), new in sorted(self.changes.items()):
            parts += [self.content[position:start], new]
            position = end
        return b"".join((*parts, self.content[position:]))

    def line_start(self, offset: int) -> int:
        return self.content.rfind(b"\n", 0, offset) + 1

    def alone_before(self, offset: int) -> bool:
        return not self.content[self.line_start(offset) : offset].strip(b" \t")

    def ending(self, offset: int) -> bytes:
        """The line ending in use at an offset."""
        feed = self.content.find(b"\n", offset)
        feed = feed if feed >= 0 else self.content.rfind(b"\n")
        return b"\r\n" if feed > 0 and self.content[feed - 1 : feed] == b"\r" else b"\n"

    def include_first(self, block: Statement, path: str) -> None:
        """Our include line as the block's first directive: one line, or inline where the block stands on one."""
        text = f"include {path};".encode()
        rest = _REST_FREE.match(self.content, block.body)
        if rest is None or not rest[0].endswith(b"\n"):
            self.changes[block.body, block.body] = b" " + text
            return
        at = rest.end()
        first = block.block[0].start if block.block else at
        indent = self.content[self.line_start(first) : first] if block.block else b""
        if indent.strip(b" \t") or not block.block:
            indent = self.own_indent(block.start) + b"    "
        self.changes[at, at] = indent + text + self.ending(block.body)

    def own_indent(self, offset: int) -> bytes:
        found = _INDENT.match(self.content, self.line_start(offset))
        return found[0] if found else b""

    def include_last(self, block: Statement, path: str) -> None:
        """Our include line as the block's last directive."""
        text, brace = f"include {path};".encode(), block.end - 1
        if self.alone_before(brace):
            at = self.line_start(brace)
            # A line before a closing brace that has text in front of the block's own line does not occur: it is alone.
            self.changes[at, at] = self.own_indent(brace) + b"    " + text + self.ending(brace)
        else:
            self.changes[brace, brace] = text

    def include_after(self, statement: Statement, path: str) -> None:
        """Our include directly behind a directive, on its line."""
        self.changes[statement.end, statement.end] = f" include {path};".encode()

    def take_out(self, statement: Statement) -> None:
        """Remove an include of ours, with its line where it has one of its own."""
        start, end = statement.start, statement.end
        rest = _BLANK.match(self.content, end)
        if self.alone_before(start) and rest is not None and rest.end() > end:
            self.changes[self.line_start(start), rest.end()] = b""
            return
        if not self.inline_last(statement) and self.content[start - 1 : start] == b" ":
            start -= 1
        self.changes[start, end] = b""

    @staticmethod
    def inline_last(statement: Statement) -> bool:
        return bool(statement.args) and statement.args[0].endswith("/http.con[f]")

    def comment_out(self, statement: Statement) -> None:
        """Switch a directive off with our mark; what follows on its line goes on below."""
        start, end = statement.start, statement.end
        new = OFF + self.content[start:end].replace(b"\n", b"\n" + OFF)
        if _REST_FREE.match(self.content, end) is None:
            new += SPLIT + self.ending(end)
        self.changes[start, end] = new

    def comment_in(self, start: int, end: int, *, for_good: bool = False) -> None:
        """Take our marks off between two offsets; `for_good` leaves plain comments in their place."""
        for first, last in self.tree.comments:
            if first < start or last > end or not self.content.startswith(OFF, first):
                continue
            self.changes[first, first + len(OFF)] = b"# " if for_good else b""
            line = self.content[first:last].rstrip(b"\r")
            if line.endswith(b";" + SPLIT):
                at = first + len(line) - len(SPLIT)
                self.changes.pop((at, last + 1), None)
                self.changes[at, at + len(SPLIT) if for_good else last + 1] = b""


class Drafts:
    """The files that an edit touches, each read once and held against what the configuration was made from."""

    def __init__(self, configuration: Configuration) -> None:
        self._states = {state.real_path: state for state in configuration.files}
        self._trees = configuration.trees
        self._drafts: dict[str, Draft] = {}
        self._sound: dict[str, bool] = {}

    def of(self, real_path: str) -> Draft:
        """The draft of a file; raises ConfigurationProblem when it is not what was read."""
        if (draft := self._drafts.get(real_path)) is None:
            try:
                content = Path(real_path).read_bytes()
            except OSError as error:
                raise ConfigurationProblem(f"the file cannot be read: {error.strerror}", real_path) from error
            digest = hashlib.sha256(content).hexdigest()
            if digest != self._states[real_path].sha256:
                raise ConfigurationProblem("the file was changed meanwhile", real_path)
            draft = self._drafts[real_path] = Draft(real_path, content, self._trees[real_path], digest)
        return draft

    def at(self, placed: Placed) -> Draft:
        """The draft of the file where a statement stands."""
        return self.of(placed.real_path)

    def sound(self, real_path: str) -> bool:
        """Whether both readings of the file agree, so that it may be edited by offsets."""
        if real_path not in self._sound:
            draft = self.of(real_path)
            self._sound[real_path] = crossplane_agrees(draft.content, draft.tree)
        return self._sound[real_path]

    def results(self) -> tuple[dict[str, bytes], dict[str, str]]:
        """(new bytes, sha256 of the old) of every file that changes."""
        changed = {path: (draft.result(), draft) for path, draft in self._drafts.items() if draft.changes}
        changed = {path: pair for path, pair in changed.items() if pair[0] != pair[1].content}
        return {p: pair[0] for p, pair in changed.items()}, {p: pair[1].sha256 for p, pair in changed.items()}


def take_out_all(drafts: Drafts, configuration: Configuration, replaced: Iterable[Placed]) -> None:
    """Every include and every mark of ours in every file of the configuration.

    What we switched off stays off in the `replaced` blocks, where an admin has put another certificate since.
    """
    for real_path, tree in configuration.trees.items():
        pending = list(tree.statements)
        ours = []
        while pending:
            statement = pending.pop()
            pending += statement.block
            if stem_of(Placed(statement, real_path, real_path)) is not None:
                ours.append(statement)
        if not ours and not tree.comments:
            continue
        draft = drafts.of(real_path)
        for statement in ours:
            draft.take_out(statement)
        draft.comment_in(0, len(draft.content))
    for block in replaced:
        drafts.at(block).comment_in(block.statement.start, block.statement.end, for_good=True)
