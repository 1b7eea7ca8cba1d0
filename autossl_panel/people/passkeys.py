"""Passkeys (WebAuthn): what a browser is asked, and judging what it answers. Every answer is a stranger's text."""

import json
from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, LoginWebAuthnForm
from allauth.mfa.webauthn.internal import auth
from django.core.exceptions import ValidationError
from django.forms import Form

from .models import User


class PasskeyProblem(ValueError):
    """Why an answer is not taken: `refused`, or `wait` after too many."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def options(person: User | None) -> dict[str, Any]:
    """What a browser needs to use a passkey of `person`, or of anybody who signs in with a passkey alone."""
    found: dict[str, Any] = auth.begin_authentication(person)
    return found


def new_options(person: User, *, alone: bool) -> dict[str, Any]:
    """What a browser needs to make a passkey; `alone`: one that signs in without a password."""
    found: dict[str, Any] = auth.begin_registration(person, alone)
    return found


def used(person: User | None, answer: str) -> Authenticator:
    """The passkey that a browser used, of `person`, or of whoever it says. Raises PasskeyProblem."""
    data = {"credential": _readable(answer)}
    form = LoginWebAuthnForm(data=data) if person is None else AuthenticateWebAuthnForm(user=person, data=data)
    return _judged(form)["credential"]  # type: ignore[no-any-return]


def made(person: User, answer: str, *, alone: bool) -> Mapping[str, Any]:
    """The credential that a browser made for `person`. Raises PasskeyProblem."""
    data = {"name": "", "credential": _readable(answer), **({"passwordless": "on"} if alone else {})}
    return _judged(AddWebAuthnForm(user=person, data=data))["credential"]  # type: ignore[no-any-return]


def _readable(answer: str) -> str:
    """The JSON of a credential as far as its shape goes."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise PasskeyProblem("refused") from error
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise PasskeyProblem("refused")
    return answer


def _judged(form: Form) -> dict[str, Any]:
    try:
        valid = form.is_valid()
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        # What fido2 raises while it reads structures that no browser makes
        raise PasskeyProblem("refused") from error
    if not valid:
        errors = [error for of_field in form.errors.as_data().values() for error in of_field]
        waits = any(isinstance(error, ValidationError) and error.code == "too_many_login_attempts" for error in errors)
        raise PasskeyProblem("wait" if waits else "refused")
    return form.cleaned_data
