"""Providers as rows: drafts, choice, terms. What needs the network is in `registration`, which workers run."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from autossl_panel.hosting.models import Server
from autossl_panel.people.models import User

from .models import Account, AccountStatus, Provider, ProviderState

CHECK = "autossl_panel.autossl.tasks.check_provider"
REGISTER = "autossl_panel.autossl.tasks.register_account"


class ProviderProblem(ValueError):
    """Something that cannot be taken; `field` is the input: name, directory_url, ca_bundle, eab_kid, agree_terms …"""

    def __init__(self, field: str, text: str, code: str = "invalid") -> None:
        super().__init__(text)
        self.field = field
        self.text = text
        self.code = code

    def as_json(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person types to add a provider."""

    name: str
    directory_url: str
    ca_bundle: str = ""
    private_ca: bool = False
    eab_kid: str = ""
    eab_hmac_key: str = ""
    max_names: int = 100

    def check(self) -> None:
        """Raise ProviderProblem for the first input that is wrong."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", self.name):
            text = _("“%(name)s” is not a name: letters, digits, spaces, dots, dashes; at most 64.")
            raise ProviderProblem("name", text % {"name": self.name})
        url = urlsplit(self.directory_url)
        if url.scheme != "https" or not url.hostname:
            text = _("“%(url)s” is not an https:// address of an ACME directory.")
            raise ProviderProblem("directory_url", text % {"url": self.directory_url})
        if self.ca_bundle:
            try:
                x509.load_pem_x509_certificates(self.ca_bundle.encode())
            except ValueError as error:
                text = _("This is not a bundle of certificates in PEM form.")
                raise ProviderProblem("ca_bundle", text) from error
        _check_eab(self.eab_kid, self.eab_hmac_key)
        if not 1 <= self.max_names <= 1000:
            text = _("%(n)d is not a number of names from 1 to 1000.")
            raise ProviderProblem("max_names", text % {"n": self.max_names})


def draft(wish: Draft, *, by: User | None, ring: bool = True) -> Provider:
    """Make or replace the draft of a provider, checked by a worker (`ring`) or by who calls `registration.probe`."""
    wish.check()
    with transaction.atomic():
        known = Provider.objects.select_for_update().filter(name=wish.name).first()
        if known is not None and known.orders.exists() and known.directory_url != wish.directory_url:
            text = _("“%(name)s” is another provider already, with certificates. Choose another name.")
            raise ProviderProblem("name", text % {"name": wish.name})
        provider, _made = Provider.objects.update_or_create(
            name=wish.name,
            defaults={
                "directory_url": wish.directory_url,
                "ca_bundle": wish.ca_bundle,
                "private_ca": wish.private_ca,
                "eab_kid": wish.eab_kid,
                "eab_hmac_key": wish.eab_hmac_key,
                "max_names": wish.max_names,
                "state": ProviderState.CHECKING,
                "problem": None,
            },
        )
        if known is not None and known.directory_url != wish.directory_url:
            # An account of another CA: this one has to be registered with, and agreed to, first.
            Account.objects.filter(provider=provider).delete()
            Provider.objects.filter(pk=provider.pk).update(active=False)
            provider.active = False
        if ring:
            async_task(CHECK, provider.pk)
    return provider


def _check_eab(kid: str, hmac_key: str) -> None:
    if bool(kid) != bool(hmac_key):
        field = "eab_hmac_key" if kid else "eab_kid"
        raise ProviderProblem(field, _("External account binding needs both, the key id and the HMAC key."))
    if len(kid) > 200 or len(hmac_key) > 500:
        raise ProviderProblem("eab_kid" if len(kid) > 200 else "eab_hmac_key", _("This is longer than any CA's."))
    if hmac_key and not re.fullmatch(r"[A-Za-z0-9_=-]+", hmac_key):
        raise ProviderProblem("eab_hmac_key", _("The HMAC key is base64url text, as the CA shows it."))


def bind(provider: Provider, kid: str, hmac_key: str, *, by: User | None) -> None:
    """Keep the external account binding that the next registration with this provider uses."""
    _check_eab(kid, hmac_key)
    Provider.objects.filter(pk=provider.pk).update(eab_kid=kid, eab_hmac_key=hmac_key)
    provider.eab_kid, provider.eab_hmac_key = kid, hmac_key


def check_again(provider: Provider) -> None:
    """Ask a worker to read the directory (again)."""
    with transaction.atomic():
        Provider.objects.filter(pk=provider.pk).update(state=ProviderState.CHECKING, problem=None)
        async_task(CHECK, provider.pk)


def ask_to_use(
    provider: Provider, server: Server, *, agree_terms: bool, contact: str = "", by: User | None, ring: bool = True
) -> Account:
    """Choose a provider: its account is registered by a worker (`ring`), then it is the one that AutoSSL uses."""
    if provider.state != ProviderState.READY:
        text = _("“%(name)s” is not ready: its directory has not answered yet.")
        raise ProviderProblem("provider", text % {"name": provider}, "not_ready")
    if provider.terms_url and not agree_terms:
        text = _("“%(name)s” registers only who agrees to its terms of service: %(url)s")
        raise ProviderProblem("agree_terms", text % {"name": provider, "url": provider.terms_url}, "terms")
    known = Account.objects.filter(provider=provider, server=server, status=AccountStatus.VALID).exists()
    if provider.eab_required and not known and not provider.eab_hmac_key:
        text = _("“%(name)s” registers only with external account binding: give its key id and HMAC key.")
        raise ProviderProblem("eab_kid", text % {"name": provider}, "eab")
    with transaction.atomic():
        account, _made = Account.objects.update_or_create(
            provider=provider,
            server=server,
            defaults={
                "status": AccountStatus.REGISTERING,
                "contact": contact,
                "terms_url": provider.terms_url,
                "terms_agreed_at": timezone.now() if provider.terms_url else None,
                "problem": None,
            },
        )
        if ring:
            async_task(REGISTER, account.pk)
    return account


def activate(provider: Provider) -> None:
    """Make `provider` the one that AutoSSL uses."""
    with transaction.atomic():
        Provider.objects.filter(active=True).exclude(pk=provider.pk).update(active=False)
        Provider.objects.filter(pk=provider.pk).update(active=True)


def disable(*, by: User | None) -> None:
    """Use no provider: AutoSSL orders nothing until one is chosen."""
    Provider.objects.filter(active=True).update(active=False)


def remove(provider: Provider, *, by: User | None) -> None:
    """Take a provider out that never issued a certificate and is not in use."""
    if provider.active:
        text = _("“%(name)s” is in use. Choose another provider first.")
        raise ProviderProblem("provider", text % {"name": provider}, "active")
    if provider.orders.exists():
        text = _("“%(name)s” has issued certificates here; it stays in the list.")
        raise ProviderProblem("provider", text % {"name": provider}, "orders")
    provider.delete()


def active(server: Server) -> tuple[Provider, Account] | None:
    """The provider that AutoSSL uses on `server`, with its account."""
    account = (
        Account.objects.select_related("provider").filter(server=server, provider__active=True).exclude(url="").first()
    )
    return (account.provider, account) if account else None
