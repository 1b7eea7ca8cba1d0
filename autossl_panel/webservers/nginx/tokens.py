"""nginx's configuration syntax by byte offsets, as ngx_conf_read_token reads it. Nothing of what directives mean."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from autossl_panel.webservers.model import ConfigurationProblem

_TOKEN = re.compile(
    rb"""[ \t\r\n]*(?:(\#[^\n]*)|([;{}])|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|((?:\\.|\$\{?|[^ \t\r\n;{\\$])+))""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\([\"'\\trn])")
_PLAIN = {b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_LUA = re.compile(
    rb"--\[(=*)\[.*?\]\1\]|--[^\n]*|\[(=*)\[.*?\]\2\]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[{}]", re.DOTALL
)
_AFTER_QUOTE = b" \t\r\n;{)"


@dataclass(slots=True, eq=False)
class Statement:
    """A directive: `start` to `end` are its bytes with the `;` or the block; `body` follows the `{`, -1 without one."""

    name: str
    args: tuple[str, ...]
    start: int
    end: int
    line: int
    body: int = -1
    block: "list[Statement]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Tree:
    """A file's statements and comments (start, end); `lua` where a block is another language."""

    statements: list[Statement]
    comments: list[tuple[int, int]]
    lua: bool = False


def _value(raw: bytes, quoted: bool) -> str:
    if quoted:
        raw = raw[1:-1]
    if b"\\" in raw:
        raw = _ESCAPE.sub(lambda found: _PLAIN.get(found[1], found[1]), raw)
    return raw.decode("utf-8", "surrogateescape")


def _lua_end(content: bytes, offset: int) -> int:
    """Offset of the brace that closes a Lua block, -1 for none."""
    depth = 1
    for found in _LUA.finditer(content, offset):
        if found[0] == b"{":
            depth += 1
        elif found[0] == b"}":
            depth -= 1
            if depth == 0:
                return found.start()
    return -1


class _Parser:
    """One pass over a file: a stack of open blocks, the words of the statement that is being read."""

    def __init__(self, content: bytes, file: str) -> None:
        self.content, self.file = content, file
        self.tree = Tree([], [])
        self.open: list[Statement] = []
        self.words: list[str] = []
        self.start = self.line = self.counted = 0
        self.at_line = 1

    def line_of(self, offset: int) -> int:
        self.at_line += self.content.count(b"\n", self.counted, offset)
        self.counted = offset
        return self.at_line

    def problem(self, text: str, offset: int) -> ConfigurationProblem:
        return ConfigurationProblem(text, self.file, self.content.count(b"\n", 0, offset) + 1)

    def parse(self) -> Tree:
        content, position, size, match = self.content, 0, len(self.content), _TOKEN.match
        while position < size:
            found = match(content, position)
            if found is None:
                if content[position:].strip(b" \t\r\n"):
                    raise self.problem("unexpected end of file, an unfinished word or quote", position)
                break
            kind = found.lastindex or 0
            position = found.end()
            if kind in (3, 4):
                if not self.words:
                    self.start = found.start(kind)
                    self.line = self.line_of(self.start)
                if kind == 3 and position < size and content[position] not in _AFTER_QUOTE:
                    raise self.problem("unexpected character after a quoted word", position)
                if kind == 4 and found[4][:1] in b"\"'":
                    raise self.problem("a quote that never ends", found.start(4))
                self.words.append(_value(found[kind], kind == 3))
            elif kind == 2:
                position = self.special(found[2], found.start(2), position)
            else:
                self.tree.comments.append((found.start(1), found.end(1)))
        if self.words:
            raise self.problem('unexpected end of file, expecting ";" or "}"', size)
        if self.open:
            raise self.problem('unexpected end of file, expecting "}"', size)
        return self.tree

    def special(self, char: bytes, offset: int, position: int) -> int:
        if char == b"}":
            if self.words or not self.open:
                raise self.problem('unexpected "}"', offset)
            self.open.pop().end = position
            return position
        if not self.words:
            raise self.problem(f'unexpected "{char.decode()}"', offset)
        siblings = self.open[-1].block if self.open else self.tree.statements
        statement = Statement(self.words[0], tuple(self.words[1:]), self.start, position, self.line)
        siblings.append(statement)
        self.words = []
        if char == b"{":
            statement.body = position
            if statement.name.endswith("_by_lua_block"):
                return self.lua(statement, position)
            self.open.append(statement)
        return position

    def lua(self, statement: Statement, position: int) -> int:
        self.tree.lua = True
        end = _lua_end(self.content, position)
        if end < 0:
            raise self.problem('unexpected end of file, expecting "}" after Lua code', position)
        statement.end = end + 1
        return end + 1


def parse(content: bytes, file: str) -> Tree:
    """The statements of a file; raises ConfigurationProblem with the line where nginx would stop."""
    return _Parser(content, file).parse()


def words(content: bytes) -> Iterator[str]:
    """Every word but comments, written as crossplane's lexer writes them: to compare the two."""
    position = 0
    while found := _TOKEN.match(content, position):
        kind = found.lastindex or 0
        raw, position = found[kind], found.end()
        if kind == 3:
            raw = raw[1:-1].replace(b"\\" + raw[:1], raw[:1])
        if kind != 1:
            yield raw.decode("utf-8", "replace").replace("\r\n", "\n")
