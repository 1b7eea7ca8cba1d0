"""Orders, authorizations and challenges as the CA reports them, read leniently into frozen facts (RFC 8555 §7.1).

A status or an identifier type that is not known is kept as text, never raised: a CA may be newer than this program.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from autossl_panel.ca.errors import CaProblem, ProblemKind, clean, from_document, own
from autossl_panel.sentences import say

# RFC 8555 §8.1: base64url, at least 128 bits. It becomes a file's name: nothing else may pass.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_FAILED = frozenset({"invalid", "deactivated", "expired", "revoked"})
_MOST_URLS = 1000


@dataclass(frozen=True, slots=True)
class Challenge:
    """One HTTP-01 challenge: `key_authorization` is what must be served for `token`."""

    url: str
    token: str
    key_authorization: str
    status: str
    problem: CaProblem | None


@dataclass(frozen=True, slots=True)
class AuthorizationState:
    """One name's authorization. When `failed`, there is always a problem, also where the CA gave none."""

    url: str
    identifier: str
    status: str
    expires: datetime | None
    http01: Challenge | None
    problem: CaProblem | None
    identifier_type: str = "dns"
    wildcard: bool = False

    @property
    def failed(self) -> bool:
        """It will never become valid: invalid, deactivated, expired or revoked."""
        return self.status in _FAILED


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as last seen. `url` alone is enough to go on after a crash."""

    url: str
    status: str
    expires: datetime | None
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None
    problem: CaProblem | None
    retry_after: datetime | None
    names: tuple[str, ...] = ()
    replaces: str | None = None

    @property
    def settled(self) -> bool:
        """Nothing more will come by waiting: valid or invalid."""
        return self.status in ("valid", "invalid")


def order_state(url: str, fields: Mapping[str, Any], *, retry_after: datetime | None) -> OrderState:
    """The order in a JSON object of the CA."""
    error = fields.get("error")
    return OrderState(
        url=url,
        status=_word(fields.get("status")),
        expires=moment(fields.get("expires")),
        authorizations=_urls(fields.get("authorizations")),
        finalize=_url(fields.get("finalize")) or "",
        certificate=_url(fields.get("certificate")),
        problem=from_document(error) if isinstance(error, dict) else None,
        retry_after=retry_after,
        names=_names(fields.get("identifiers")),
        replaces=clean(fields.get("replaces"), 300) or None,
    )


def authorization_state(url: str, fields: Mapping[str, Any], *, thumbprint: str) -> AuthorizationState:
    """The authorization in a JSON object of the CA; key authorizations are made with `thumbprint` (RFC 8555 §8.1)."""
    identifier = fields.get("identifier")
    identifier = identifier if isinstance(identifier, dict) else {}
    status = _word(fields.get("status"))
    offered = fields.get("challenges")
    offered = [part for part in offered if isinstance(part, dict)] if isinstance(offered, list) else []
    http01 = next((part for part in offered if part.get("type") == "http-01"), None)
    challenge = _challenge(http01, thumbprint) if http01 is not None else None
    return AuthorizationState(
        url=url,
        identifier=clean(identifier.get("value"), 255),
        status=status,
        expires=moment(fields.get("expires")),
        http01=challenge,
        problem=_authorization_problem(status, offered, http01, challenge),
        identifier_type=clean(identifier.get("type"), 30),
        wildcard=fields.get("wildcard") is True,
    )


def _authorization_problem(
    status: str,
    offered: list[dict[str, Any]],
    http01: dict[str, Any] | None,
    challenge: Challenge | None,
) -> CaProblem | None:
    if challenge is not None and challenge.problem is not None:
        return challenge.problem
    errors = (part["error"] for part in offered if isinstance(part.get("error"), dict))
    if (error := next(errors, None)) is not None:
        return from_document(error)
    if status in _FAILED:
        # An authorization that fails without a word is a failure all the same.
        return own(ProblemKind.UNAUTHORIZED, "silent", say("silent_authorization", status=status))
    if status == "pending" and http01 is not None and challenge is None:
        return own(ProblemKind.MALFORMED, "token", say("no_token"))
    return None


def _challenge(fields: Mapping[str, Any], thumbprint: str) -> Challenge | None:
    token = fields.get("token")
    url = _url(fields.get("url"))
    if url is None or not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    error = fields.get("error")
    return Challenge(
        url=url,
        token=token,
        key_authorization=f"{token}.{thumbprint}",
        status=_word(fields.get("status")),
        problem=from_document(error) if isinstance(error, dict) else None,
    )


def _word(value: object) -> str:
    return clean(value, 30) or "unknown"


def _url(value: object) -> str | None:
    if isinstance(value, str) and len(value) <= 2000 and value.isascii() and value.startswith("https://"):
        return value
    return None


def _urls(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(url for part in value[:_MOST_URLS] if (url := _url(part)) is not None)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(clean(part.get("value"), 255) for part in value[:_MOST_URLS] if isinstance(part, dict))


def moment(value: object) -> datetime | None:
    """A time as ACME writes it (RFC 3339), aware UTC; None for anything else."""
    if not isinstance(value, str) or len(value) > 60:
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
