"""Domain names: their one written form, what may be asked for in public, registered domain, www, importance.

Every other room compares names only in the form `normalize` gives. No DNS, no I/O (the public suffix list ships
with its package).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache, lru_cache

import idna
from publicsuffixlist import PublicSuffixList

MAX_NAME = 253
MAX_LABEL = 63

RESERVED_SUFFIXES = frozenset(
    {"local", "internal", "localhost", "test", "invalid", "example", "onion", "alt", "arpa"}  # RFC 6761, 7686, 9476
)

SERVICE_LABELS = frozenset(
    {
        "mail", "webmail", "cpanel", "whm", "webdisk", "cpcalendars", "cpcontacts", "autodiscover", "autoconfig",
        "smtp", "imap", "pop", "pop3", "ftp",
    }
)  # fmt: skip

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


class NameProblem(ValueError):
    """A text that is no domain name we can work with; `code` is `bad_name` or `not_public`."""

    def __init__(self, name: str, code: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.code = code
        self.text = text


def normalize(text: str) -> str:
    """The name as A-labels in lower case without trailing dot (UTS 46, non-transitional); `*.` in front is kept.

    Raises NameProblem('bad_name') for anything that is not a host name of letters, digits and hyphens: underscores,
    empty or over-long labels, IP addresses, a wildcard elsewhere than alone in front.
    """
    name = text.strip().lower().removesuffix(".")
    wildcard = name.startswith("*.")
    base = name[2:] if wildcard else name
    if not (_PLAIN.issuperset(base) and _well_formed(base) and "--" not in base):
        base = _to_ascii(base, text)
    full = "*." + base if wildcard else base
    if not _well_formed(base) or len(full) > MAX_NAME:
        raise NameProblem(text, "bad_name", _why_bad(text, base))
    return full


def _well_formed(base: str) -> bool:
    labels = base.split(".")
    return not labels[-1].isdigit() and all(
        0 < len(label) <= MAX_LABEL and label[0] != "-" and label[-1] != "-" for label in labels
    )


def _to_ascii(base: str, text: str) -> str:
    if not base or base.isspace():
        raise NameProblem(text, "bad_name", "The name is empty.")
    try:
        return idna.encode(base, uts46=True, transitional=False).decode("ascii").lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        # InvalidCodepoint and its kin quote the text itself; whoever shows the sentence escapes it.
        raise NameProblem(text, "bad_name", f"“{text[:80]}” is not a domain name: {error}.") from error


def _why_bad(text: str, base: str) -> str:
    shown = text[:80]
    if base.rsplit(".", 1)[-1].isdigit():
        return f"“{shown}” is an address or ends in a number; certificates here are for names."
    if len(base) > MAX_NAME:
        return f"“{shown}…” is longer than {MAX_NAME} characters."
    return f"“{shown}” is not a domain name: each part has 1 to {MAX_LABEL} letters, digits or inner hyphens."


def sought(text: str) -> str:
    """What somebody typed as a whole name, label by label in the form that names have here."""
    return ".".join(map(_label_sought, text.strip().lower().split(".")))


def _label_sought(label: str) -> str:
    if label.isascii():
        return label
    try:
        return idna.encode(label, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return label


@lru_cache(maxsize=64)
def part_sought(text: str) -> str:
    """A part of a name that somebody typed, in the form in which names are read (UTS 46): lower case, composed."""
    text = text.strip()
    if text.isascii():
        return text.lower()
    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        return unicodedata.normalize("NFC", text.lower())


def has_part(name: str, text: str) -> bool:
    """Whether what somebody typed is a part of the name, as it is read or as it is written."""
    part = part_sought(text)
    return part in name or part in to_unicode(name)


def to_unicode(name: str) -> str:
    """The name as people read it; a label that does not decode stays an A-label. Wildcards are kept."""
    if "xn--" not in name:
        return name
    return ".".join(_label_to_unicode(label) for label in name.split("."))


def _label_to_unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return label


# A name with an A-label in it, in the midst of a sentence
A_NAME = re.compile(r"(?<![\w.-])(?:\*\.)?(?:[a-z0-9_-]+\.)*xn--[a-z0-9-]+(?:\.[a-z0-9-]+)*")


def spelled(text: str) -> str:
    """A sentence where each name is as people read it, with its A-labels behind: “grüne.example (xn--….example)”."""
    if "xn--" not in text:
        return text
    return A_NAME.sub(lambda found: _both(found[0]), text)


def _both(name: str) -> str:
    read = to_unicode(name)
    return name if read == name else f"{read} ({name})"


@lru_cache(maxsize=65536)
def not_public(name: str) -> str | None:
    """Why a public CA cannot certify this name: `bad_name`, `not_public`, or None where it can.

    Not public: a single label, a reserved suffix, an entry of the public suffix list's ICANN section. A wildcard is
    judged by what follows its `*.`.
    """
    try:
        full = normalize(name)
    except NameProblem as problem:
        return problem.code
    base = full.removeprefix("*.")
    if "." not in base or base.rsplit(".", 1)[-1] in RESERVED_SUFFIXES:
        return "not_public"
    return "not_public" if _icann().publicsuffix(base) == base else None


def registered_domain(name: str) -> str:
    """The domain that was registered (one label below a public suffix, private section included, as CAs count).

    The whole name (without `*.`) where there is none.
    """
    base = name.removeprefix("*.")
    return _suffixes().privatesuffix(base) or base


@cache
def _icann() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def is_wildcard(name: str) -> bool:
    """Whether the name is a wildcard (`*.example.com`)."""
    return name.startswith("*.")


def is_service_name(name: str) -> bool:
    """Whether the name is a control panel's service name (mail., webmail., autodiscover., …) below a domain.

    `mail.com` is somebody's domain, not a service name.
    """
    label, _, rest = name.partition(".")
    return label in SERVICE_LABELS and "." in rest and registered_domain(name) != name


def www_of(name: str) -> str | None:
    """`www.` + name; None for a name that starts with www, a wildcard, a service name, or where it gets too long."""
    if name.startswith(("www.", "*.")) or "." not in name or len(name) > MAX_NAME - 4 or is_service_name(name):
        return None
    return "www." + name


def covers(patterns: Collection[str], name: str) -> bool:
    """Whether a certificate for `patterns` is good for `name`: equal, or one label under a `*.` (RFC 6125 §6.4.3)."""
    return name in patterns or ("*" + name[name.find(".") :] in patterns and name[:1] != "*")


def ranked(names: Iterable[str], *, main: str, covered: Collection[str] = ()) -> tuple[str, ...]:
    """The names, the most worth securing first.

    The main domain and its www, what is covered today, then other domains each with its www: service names last,
    fewer labels, shorter, alphabetical.
    """
    www_main = "www." + main

    def weight(name: str) -> tuple[int, bool, int, int, str, bool]:
        base = name.removeprefix("www.")
        group = 0 if name == main else 1 if name == www_main else 2 if covers(covered, name) else 3
        return group, is_service_name(base), base.count("."), len(base), base, base != name

    return tuple(sorted(dict.fromkeys(names), key=weight))
