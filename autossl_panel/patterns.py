"""Patterns over domain names, as people type them: `*` is any text, dots included, `?` one character. No I/O.

A pattern is compared with a name's A-labels and with its Unicode form, so that either may be typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import idna

from autossl_panel import names

MAX_PATTERN = 253
_ASCII = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._*?")


class PatternProblem(ValueError):
    """A text that is no pattern; `text` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def normalize(text: str) -> str:
    """The pattern in the form that is kept: lower case, UTS 46 mapped, runs of `*` as one, no trailing dot.

    A pattern without wildcards becomes the A-labels of the name that it is. Raises PatternProblem.
    """
    shown = text.strip()[:80]
    pattern = text.strip().lower().removesuffix(".")
    if not pattern:
        raise PatternProblem("The pattern is empty. “*.example.com” is every name below example.com.")
    if len(pattern) > MAX_PATTERN:
        raise PatternProblem(f"“{shown}…” is longer than {MAX_PATTERN} characters, and so than any name.")
    if not pattern.isascii():
        try:
            pattern = idna.uts46_remap(pattern, std3_rules=False, transitional=False)
        except (idna.IDNAError, UnicodeError) as error:
            raise PatternProblem(f"“{shown}” cannot be a part of a domain name: {error}.") from error
    wrong = next((char for char in pattern if char.isascii() and char not in _ASCII), None)
    if wrong is not None:
        raise PatternProblem(
            f"“{shown}” is no pattern: “{wrong}” cannot be in a domain name. Only * (any text) and ? (one character) "
            "have a meaning of their own."
        )
    pattern = re.sub(r"\*{2,}", "*", pattern)
    if pattern.isascii() or "*" in pattern or "?" in pattern:
        return pattern
    try:
        return names.normalize(pattern)
    except names.NameProblem as problem:
        raise PatternProblem(problem.text) from problem


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The expression of a normal pattern, for `fullmatch`. Linear in the name's length: no part is tried twice."""
    first, *rest = (_literal(part) for part in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    # Each piece between two stars is found as early as it goes, and never looked for again behind that.
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _literal(text: str) -> str:
    return "".join("." if char == "?" else re.escape(char) for char in text)


def matches(pattern: str, name: str) -> bool:
    """Whether a normal pattern is of this name (A-labels); its Unicode form counts too."""
    found = compiled(pattern).fullmatch
    if found(name) is not None:
        return True
    return "xn--" in name and found(names.to_unicode(name)) is not None


@dataclass(frozen=True, slots=True)
class Matcher:
    """Many patterns at once; `of` gives the first that is of a name. Exact ones cost one look-up."""

    patterns: Sequence[str]
    _exact: dict[str, int] = field(init=False)
    _wild: tuple[int, ...] = field(init=False)
    _any: re.Pattern[str] | None = field(init=False)

    def __post_init__(self) -> None:
        exact: dict[str, int] = {}
        wild = []
        for number, pattern in enumerate(self.patterns):
            if "*" in pattern or "?" in pattern:
                wild.append(number)
            else:
                exact.setdefault(pattern, number)
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_wild", tuple(wild))
        text = "|".join(f"(?>{compiled(self.patterns[number]).pattern}\\Z)" for number in wild)
        object.__setattr__(self, "_any", re.compile(text, re.DOTALL) if wild else None)

    def of(self, name: str) -> int | None:
        """Which of the patterns is the first that this name (A-labels) matches, None for none."""
        exact = self._exact.get(name)
        wild = self._first_wild(name)
        if exact is None or wild is None:
            return wild if exact is None else exact
        return min(exact, wild)

    def _first_wild(self, name: str) -> int | None:
        if self._any is None:
            return None
        shown = names.to_unicode(name)
        if self._any.match(name) is None and (shown == name or self._any.match(shown) is None):
            return None
        return next(number for number in self._wild if matches(self.patterns[number], name))
