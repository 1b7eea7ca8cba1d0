"""What the panel itself says of its dealings with a CA: each sentence a code, with the facts in it.

A row keeps the sentence, in English, as `say` made it; `heard` finds code and facts in it again, so that whoever reads
the row, an old one too, gets it in their own language. The words of a CA are no sentence of ours and stay as they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


def gettext_noop(text: str) -> str:
    """Marks a text to be translated where it is read; no Django here."""
    return text


SENTENCES: Final[Mapping[str, str]] = {
    "certificate": gettext_noop(
        "The certificate of %(host)s is not to be trusted: %(reason)s. A private CA needs its own CA bundle."
    ),
    "other_root": gettext_noop("The certificate of %(host)s comes from no root in this CA bundle: %(reason)s."),
    "dns": gettext_noop("The name %(host)s cannot be resolved: %(reason)s."),
    "no_host": gettext_noop("“%(host)s” is no host name."),
    "refused": gettext_noop("%(host)s refuses connections on port %(port)s."),
    "timeout": gettext_noop(
        "%(host)s did not answer in time (waits: %(connect)s s to connect, %(answer)s s to answer)."
    ),
    "tls": gettext_noop("%(host)s does not speak proper TLS: %(reason)s."),
    "closed": gettext_noop("%(host)s closed the connection without an answer."),
    "unreachable": gettext_noop("%(host)s cannot be reached: %(reason)s."),
    "broken_off": gettext_noop("%(host)s broke off its answer."),
    "http": gettext_noop("%(host)s does not answer in proper HTTP: %(reason)s."),
    "not_https": gettext_noop("“%(url)s” is no https:// address."),
    "not_usable": gettext_noop("“%(url)s” is no usable https:// address."),
    "bundle": gettext_noop("The CA bundle %(path)s cannot be used: %(reason)s."),
    "redirects": gettext_noop(
        "%(host)s redirects (%(status)s) to “%(onward)s”. Enter the address of the directory itself."
    ),
    "no_directory": gettext_noop("%(host)s answered %(status)s: there is no ACME directory at %(url)s."),
    "no_acme": gettext_noop("What %(host)s answers is no ACME directory (%(kind)s): %(url)s."),
    "missing": gettext_noop("What %(host)s answers is no ACME directory: %(names)s missing in %(url)s."),
    "no_json": gettext_noop("%(host)s answered %(status)s with what is no JSON object."),
    "silent": gettext_noop("%(host)s answered %(status)s without saying why."),
    "no_reason": gettext_noop("The CA gave no reason."),
    "no_nonce": gettext_noop("%(host)s gave no nonce."),
    "no_location": gettext_noop("%(host)s did not say where the new resource is."),
    "no_window": gettext_noop("%(host)s answered without a usable window for the renewal."),
    "no_chain": gettext_noop("What %(host)s sent as certificate is no PEM chain."),
    "silent_authorization": gettext_noop("The CA calls the authorization %(status)s and gives no reason."),
    "no_token": gettext_noop("The CA's HTTP-01 challenge has no usable token or address."),
    "no_account": gettext_noop("There is no account at this CA yet: register first."),
    "key_unread": gettext_noop("The account key cannot be read."),
    "key_kind": gettext_noop("The account key is no P-256 key."),
    "terms": gettext_noop("The CA asks for agreement to its terms: %(url)s"),
    "eab_wanted": gettext_noop("This CA wants an external account binding (EAB): a key identifier and an HMAC key."),
    "eab_text": gettext_noop("The EAB HMAC key is not base64url text."),
    "eab_empty": gettext_noop("The EAB key identifier or HMAC key is empty."),
    "no_key_change": gettext_noop("This CA lets no account change its key."),
    "no_revocations": gettext_noop("This CA takes no revocations over ACME."),
    "another_provider": gettext_noop("“%(name)s” is another provider already, with certificates. Choose another name."),
    "revoke_unread": gettext_noop("The certificate to revoke cannot be read."),
}
# What may stand at a place; at any other, everything
_PLACES = {
    "host": r"[^\s“”]{1,300}", "port": r"\d{1,5}", "status": r"[A-Za-z0-9][A-Za-z0-9 ()'-]{0,60}",
    "connect": r"[\d.e+]+", "answer": r"[\d.e+]+", "url": r"[^“”\s]{1,2000}", "path": r"\S.{0,1000}?",
}  # fmt: skip
_PLACE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Heard:
    """A sentence taken apart: its text with places, as it is translated, and what stands there."""

    code: str
    template: str
    facts: Mapping[str, str]


def say(code: str, **facts: object) -> str:
    """The sentence with its facts, in English, as rows keep it."""
    return SENTENCES[code] % facts


@lru_cache(maxsize=2048)
def heard(text: str) -> Heard | None:
    """What one of our sentences says; None for anybody else's words."""
    for code, pattern in _PATTERNS.items():
        if (found := pattern.fullmatch(text)) is not None:
            return Heard(code, SENTENCES[code], found.groupdict())
    return None


def _pattern(template: str) -> re.Pattern[str]:
    pieces = _PLACE.split(template)
    # Text and name of a place in turn
    return re.compile(
        "".join(
            f"(?P<{piece}>{_PLACES.get(piece, '.+?')})" if place % 2 else re.escape(piece)
            for place, piece in enumerate(pieces)
        )
    )


_PATTERNS = {code: _pattern(template) for code, template in SENTENCES.items()}
