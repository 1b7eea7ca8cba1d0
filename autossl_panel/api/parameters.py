"""Parameters: declared with a name and a type, read from query and form body, refused by name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from . import schema
from .refusals import Wrong
from .schema import Schema

LONGEST = 253
# A parameter that may be given several times is numbered, too: domain, domain-1, domain-2
NUMBERED = re.compile(r"(?P<name>.+)-\d{1,4}", re.ASCII)
MOST = 1000
Value = str | bool | tuple[str, ...]
# What was sent: each name with its values, in the order in which they came
Sent = Mapping[str, Sequence[str]]


class Kind(Enum):
    """What a parameter's text means."""

    TEXT = "text"
    # 1 or 0
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function. One that is `repeated` is read as a tuple, one that is left out as what is empty."""

    name: str
    about: str
    kind: Kind = Kind.TEXT
    required: bool = False
    repeated: bool = False

    @property
    def schema(self) -> Schema:
        """One value of it."""
        return schema.number(only=(0, 1)) if self.kind == Kind.FLAG else {"type": "string", "maxLength": LONGEST}

    def read(self, texts: Sequence[str]) -> Value:
        """The value of what was sent. Raises Wrong."""
        texts = [text for text in (_clean(self.name, text) for text in texts) if text]
        if self.required and not texts:
            raise Wrong(self.name, "it is missing.")
        if self.repeated:
            if len(texts) > MOST:
                raise Wrong(self.name, f"it is given {len(texts)} times; {MOST} are the most.")
            return tuple(dict.fromkeys(texts))
        if len(texts) > 1:
            raise Wrong(self.name, f"it is given {len(texts)} times; once is right.")
        if self.kind == Kind.FLAG:
            if texts and texts[0] not in ("0", "1"):
                raise Wrong(self.name, f"“{texts[0]}” is neither 1 nor 0.")
            return texts == ["1"]
        return texts[0] if texts else ""


def read(declared: Iterable[Parameter], sent: Sent) -> dict[str, Value]:
    """All parameters of a function from what was sent. Raises Wrong, also for a name that it does not have."""
    known = {parameter.name: parameter for parameter in declared}
    texts: dict[str, list[str]] = {name: [] for name in known}
    for name, values in sent.items():
        texts[_meant(name, known)] += values
    return {name: parameter.read(texts[name]) for name, parameter in known.items()}


def _meant(name: str, known: Mapping[str, Parameter]) -> str:
    if name in known:
        return name
    numbered = NUMBERED.fullmatch(name)
    if numbered and numbered["name"] in known and known[numbered["name"]].repeated:
        return numbered["name"]
    there_are = f"There are: {', '.join(known)}." if known else "This function has none."
    raise Wrong(shown(name), f"there is no such parameter. {there_are}")


def shown(name: str) -> str:
    """A stranger's text, short and on one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:64]) or "(empty)"


def _clean(name: str, text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST:
        raise Wrong(name, f"it has {len(text)} characters; {LONGEST} are the most.")
    if not text.isprintable():
        raise Wrong(name, "it has characters that cannot be printed.")
    return text
