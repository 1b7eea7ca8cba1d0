"""Signing in with an API token: what the header says, whose the token is, and how often a wrong one is looked at.

A token stands in the header `Authorization` alone: addresses end up in logs. A right one always opens: one script with
an old token must not shut out the others of its machine, and nobody guesses 262 bits.
"""

import re
from datetime import datetime

from allauth.core.internal import ratelimit
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from . import address, audit, tokens
from .models import ApiToken, User

# Seconds until a wrong token is looked at again, for who sends too many
PAUSE = 60
# RFC 9110 §11.4, with what a user name and a secret are made of; longer ones are none of ours
HEADER = re.compile(r"(?P<scheme>[A-Za-z]{1,16}) +(?P<username>[A-Za-z0-9_.@+-]{1,64}):(?P<secret>[A-Za-z0-9_]{1,128})")


class TokenRefused(ValueError):
    """Why a call is nobody's; `code` is missing (no header, another scheme, or not its form), wrong or wait."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@sensitive_variables("found")
def check(request: HttpRequest, scheme: str, now: datetime) -> ApiToken:
    """The token of this request, with its person, noted as used. Raises TokenRefused.

    Why one is wrong (unknown, another's, expired, its person deactivated) is nobody's business.
    """
    found = HEADER.fullmatch(request.META.get("HTTP_AUTHORIZATION", ""))
    if found is None or found["scheme"].lower() != scheme:
        raise TokenRefused("missing")
    token = tokens.find(found["username"], found["secret"], now)
    if token is None:
        _wrong(request, found["username"])
        raise TokenRefused("wrong")
    tokens.used(token, address.of(request), now)
    return token


def _wrong(request: HttpRequest, username: str) -> None:
    """Count it. A name that is nobody's stays out of the trail, and so does who goes on for hours."""
    if not _may(request, "api_token"):
        raise TokenRefused("wait")
    if _may(request, "api_token_told"):
        known = User.objects.filter(username=username).exists()
        audit.record(None, "token:refused", username if known else "", after=None if known else {"name": "unknown"})


def _may(request: HttpRequest, action: str) -> bool:
    """Whether ACCOUNT_RATE_LIMITS allows it to this address once more; it counts calls by GET, too."""
    return ratelimit.consume(request, app="allauth.account", action=action, limit_get=True) is not None
