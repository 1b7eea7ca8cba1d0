"""What allauth asks us: no sign-up, no mail, whose address, which steps a sign-in has, how secrets are kept."""

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.stages import AuthenticateStage
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import address, audit
from .models import User
from .seal import SealBroken, seal, unseal

# When the person of a session last proved who they are, in seconds of the epoch
PROVED_AT = "proved_at"
FACTOR = "second factor"


class SecondFactor(AuthenticateStage):
    """The step after the password for whoever has an authenticator app or a passkey; a passkey alone is both."""

    urlname = "second-factor"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """Where to go on: to the page of the second factor, or straight in."""
        if self._should_handle(self.request):
            return HttpResponseRedirect(reverse(self.urlname)), True
        return None, True


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by root, by the command or under People; never by a stranger."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return address.of(request) or "unknown"

    def get_login_stages(self) -> list[str]:
        return [f"{SecondFactor.__module__}.{SecondFactor.__qualname__}"]

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """All steps are done: the session is the person's from now on."""
        person = cast(User, user)
        with transaction.atomic():
            super().login(request, person)
            request.session[PROVED_AT] = timezone.now().timestamp()
            audit.record(person, "person:signed_in", person.username)

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        return HttpResponseRedirect(reverse("sign-in"))

    def add_message(self, *_args: Any, **_more: Any) -> None:
        """Our pages say themselves what happened."""


class FactorAdapter(DefaultMFAAdapter):
    """Second factors belong to a login name, whatever mail address there is; their secrets are sealed."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": gettext_lazy("This is not a code that is valid now."),
    }

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return str(user.get_username())

    def get_totp_issuer(self) -> str:
        return f"AutoSSL Panel {context.request.get_host()}"

    def encrypt(self, text: str) -> str:
        return seal(text, FACTOR)

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return unseal(encrypted_text, FACTOR)
        except SealBroken as broken:
            raise ValidationError(
                _("The panel’s secret key is another one now. Root resets this second factor."), code="seal"
            ) from broken

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        host = context.request.get_host()
        return {"id": host.partition(":")[0], "name": "AutoSSL Panel"}

    def get_public_key_credential_user_entity(self, user: AbstractBaseUser) -> dict[str, Any]:
        # The handle as allauth reads it back when a passkey alone says whose it is: base 36
        handle = user_pk_to_url_str(user).encode()
        return {"id": handle, "display_name": user.get_username(), "name": user.get_username()}
