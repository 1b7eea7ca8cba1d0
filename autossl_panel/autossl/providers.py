"""Providers as rows: drafts, choice, terms. What needs the network is in `registration`, run by workers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people import audit, mail, taken
from autossl_panel.people.models import User

from . import directory_urls, drafts, limits, log
from .models import Account, AccountStatus, Provider, ProviderChoice, ProviderState

CHECK = "autossl_panel.autossl.tasks.check_provider"
REGISTER = "autossl_panel.autossl.tasks.register_account"
WISH = "autossl_panel.autossl.tasks.carry_out_wish"


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
    """What a person types to add a provider. `keep_binding`: what binds the account is left as the row has it."""

    name: str
    directory_url: str
    ca_bundle: str = ""
    private_ca: bool = False
    eab_kid: str = ""
    eab_hmac_key: str = ""
    max_names: int = 100
    keep_binding: bool = False

    def problems(self) -> Iterator[ProviderProblem]:
        """What is wrong, input by input, in the order of the form."""
        if not self.name:
            yield ProviderProblem("name", _("Enter a name."))
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", self.name):
            text = _("“%(name)s” is not a name: letters, digits, spaces, dots, dashes; at most 64.")
            yield ProviderProblem("name", text % {"name": self.name})
        if not self.directory_url:
            yield ProviderProblem("directory_url", _("Enter the https:// address of the CA’s ACME directory."))
        elif not directory_urls.is_one(self.directory_url):
            text = _("“%(url)s” is not an https:// address of an ACME directory.")
            yield ProviderProblem("directory_url", text % {"url": self.directory_url[:200]})
        if self.ca_bundle:
            try:
                x509.load_pem_x509_certificates(self.ca_bundle.encode())
            except ValueError:
                yield ProviderProblem("ca_bundle", _("This is not a bundle of certificates in PEM form."))
        if not 1 <= self.max_names <= 1000:
            text = _("%(n)d is not a number of names from 1 to 1000.")
            yield ProviderProblem("max_names", text % {"n": self.max_names})
        if not self.keep_binding:
            yield from _eab_problems(self.eab_kid, self.eab_hmac_key)

    def check(self) -> None:
        """Raise ProviderProblem for the first input that is wrong."""
        for problem in self.problems():
            raise problem


def problems_of(wish: Draft, *, new: bool) -> list[ProviderProblem]:
    """All that `draft` would refuse, as far as rows tell now."""
    found = list(wish.problems())
    known = Provider.objects.filter(name=wish.name).first()
    if known is not None and new:
        found.insert(0, _taken(wish.name))
    elif known is not None and (why := drafts.another_ca(known, wish.directory_url)) is not None:
        found.append(ProviderProblem(why["field"], log.spoken(why["text"]), why["code"]))
    return found


def _taken(name: str) -> ProviderProblem:
    return ProviderProblem("name", _("“%(name)s” is in the list already.") % {"name": name})


def draft(wish: Draft, *, by: User | None, ring: bool = True, new: bool = False) -> Provider:
    """Make or replace the draft of a provider, checked by a worker (`ring`) or by who calls `registration.probe`.

    What a provider in force has stays in force until that was done and went well. `new`: nothing is replaced; raises
    ProviderProblem where the name is taken.
    """
    wish.check()
    settings = {name: getattr(wish, name) for name in drafts.SETTINGS}
    binding = {name: getattr(wish, name) for name in drafts.BINDING}
    problem = _taken(wish.name)
    with transaction.atomic():
        there = Provider.objects.filter(name=wish.name).first()
        if there is not None and there.directory_url != wish.directory_url:
            limits.hold_still(there)
        known = Provider.objects.select_for_update().filter(name=wish.name).first()
        if known is None:
            # An empty row first: of two at once, the second is told of the first instead of writing over it.
            with taken.unless(problem):
                Provider.objects.create(name=wish.name)
        elif new:
            raise problem
        if known is not None and (why := drafts.another_ca(known, wish.directory_url)) is not None:
            raise ProviderProblem(why["field"], log.spoken(why["text"]), why["code"])
        provider = Provider.objects.get(name=wish.name)
        held = known is not None and drafts.in_force(known)
        if held:
            drafts.hold(provider, settings, None if wish.keep_binding else binding)
        else:
            for name, value in {**settings, **({} if wish.keep_binding else binding)}.items():
                setattr(provider, name, value)
            provider.state, provider.problem, provider.draft = ProviderState.CHECKING, None, None
            if known is not None and known.directory_url != wish.directory_url:
                # An account of another CA: this one has to be registered with, and agreed to, first.
                limits.leave(known)
                Account.objects.filter(provider=provider).delete()
                provider.active, provider.stated = False, {}
        provider.asked_at = timezone.now()
        provider.save()
        _record_draft(known, drafts.wished(provider), by, held=held)
        if ring:
            async_task(CHECK, provider.pk)
    return provider


def _record_draft(known: Provider | None, wished: Provider, by: User | None, *, held: bool) -> None:
    after = drafts.facts(wished)
    if known is None:
        audit.record(by, "provider:added", wished.name, after=after)
        return
    before = drafts.facts(known)
    if known.eab_hmac_key and wished.eab_hmac_key not in ("", known.eab_hmac_key):
        after["eab_hmac_key"] = "another is kept for the next registration"
    if before == after:
        audit.record(by, "provider:check_asked", wished.name)
    elif held:
        audit.record(by, "provider:change_asked", wished.name, before=before, after=after)
    else:
        audit.record(by, "provider:changed", wished.name, before=before, after=after)


def _eab_problems(kid: str, hmac_key: str) -> Iterator[ProviderProblem]:
    if hmac_key and not kid:
        yield ProviderProblem("eab_kid", _("External account binding needs both, the key id and the HMAC key."))
    if len(kid) > 200:
        yield ProviderProblem("eab_kid", _("This is longer than any CA's."))
    if kid and not hmac_key:
        yield ProviderProblem("eab_hmac_key", _("External account binding needs both, the key id and the HMAC key."))
    elif len(hmac_key) > 500:
        yield ProviderProblem("eab_hmac_key", _("This is longer than any CA's."))
    elif hmac_key and not re.fullmatch(r"[A-Za-z0-9_=-]+", hmac_key):
        yield ProviderProblem("eab_hmac_key", _("The HMAC key is base64url text, as the CA shows it."))


def bind(provider: Provider, kid: str, hmac_key: str, *, by: User | None) -> None:
    """Keep the external account binding that the next registration with this provider uses."""
    for problem in _eab_problems(kid, hmac_key):
        raise problem
    with transaction.atomic():
        Provider.objects.filter(pk=provider.pk).update(eab_kid=kid, eab_hmac_key=hmac_key)
        audit.record(by, "provider:bound", provider.name, after={"eab_kid": kid})
    provider.eab_kid, provider.eab_hmac_key = kid, hmac_key


def check_again(provider: Provider, *, by: User | None) -> None:
    """Ask a worker to read the directory (again)."""
    with transaction.atomic():
        asked = {"state": ProviderState.CHECKING, "problem": None, "asked_at": timezone.now()}
        Provider.objects.filter(pk=provider.pk).update(**asked)
        audit.record(by, "provider:check_asked", provider.name)
        async_task(CHECK, provider.pk)


def ask_to_use(
    provider: Provider,
    server: Server,
    *,
    agree_terms: bool,
    contact: str = "",
    by: User | None,
    ring: bool = True,
    use: bool = True,
) -> Account:
    """Choose a provider: its account is registered by a worker (`ring`), then it is the one that AutoSSL uses.

    Not `use`: registered only, for the fallbacks and for users with a provider of their own.
    """
    check_usable(provider, server, agree_terms=agree_terms)
    contact = checked_contact(contact)
    with transaction.atomic():
        now = timezone.now()
        account, _made = Account.objects.update_or_create(
            provider=provider,
            server=server,
            defaults={
                "status": AccountStatus.REGISTERING,
                "contact": contact,
                "terms_url": provider.terms_url,
                "terms_agreed_at": now if provider.terms_url else None,
                "terms_agreed_by": by.username if by else "",
                "problem": None,
                "asked_at": now,
                "use_then": use,
            },
        )
        asked = {"contact": contact, "terms": provider.terms_url, "server": server.name}
        audit.record(by, "provider:chosen" if use else "provider:registered", provider.name, after=asked)
        if ring:
            async_task(REGISTER, account.pk)
    return account


def check_usable(provider: Provider, server: Server, *, agree_terms: bool) -> None:
    """Raise ProviderProblem unless `ask_to_use` would take it."""
    if provider.state != ProviderState.READY:
        text = _("“%(name)s” is not ready: its directory has not answered yet.")
        raise ProviderProblem("provider", text % {"name": provider}, "not_ready")
    _check_agreed(provider, agree_terms)
    known = Account.objects.filter(provider=provider, server=server, status=AccountStatus.VALID).exists()
    if provider.eab_required and not known and not provider.eab_hmac_key:
        raise ProviderProblem("eab_kid", _needs_binding(provider), "eab")


def checked_contact(text: str) -> str:
    """The address that a CA is told, "" for none; raises ProviderProblem before a CA says so in words of its own."""
    typed = text.strip().removeprefix("mailto:")
    try:
        return mail.address(typed) if typed else ""
    except mail.AddressProblem as problem:
        raise ProviderProblem("contact", problem.text) from problem


def _check_agreed(provider: Provider, agree_terms: bool) -> None:
    if provider.terms_url and not agree_terms:
        raise ProviderProblem(
            "agree_terms",
            _("“%(name)s” registers only those who agree to its terms of service: %(url)s")
            % {"name": provider, "url": provider.terms_url},
            "terms",
        )


def _needs_binding(provider: Provider) -> str:
    text = _("“%(name)s” registers only with external account binding: give its key id and HMAC key.")
    return text % {"name": provider}


def activate(provider: Provider) -> None:
    """Make `provider` the one that AutoSSL uses. Sites that were looked at while there was none are due."""
    with transaction.atomic():
        before = _in_use()
        Provider.objects.filter(active=True).exclude(pk=provider.pk).update(active=False)
        Provider.objects.filter(pk=provider.pk).update(active=True)
        idle = VirtualHost.objects.filter(next_at__isnull=True, next_reason="no_provider")
        hosting_users.make_due(idle, timezone.now())
        audit.record(None, "provider:used", provider.name, before=before, after={"in_use": provider.name})


def _in_use() -> dict[str, str]:
    """Which provider AutoSSL uses, for the audit trail."""
    return {"in_use": Provider.objects.filter(active=True).values_list("name", flat=True).first() or ""}


def disable(*, by: User | None) -> None:
    """Use no provider: AutoSSL orders nothing until one is chosen."""
    with transaction.atomic():
        before = _in_use()
        Provider.objects.filter(active=True).update(active=False)
        audit.record(by, "provider:disabled", before["in_use"], before=before, after={"in_use": ""})


def remove(provider: Provider, *, by: User | None) -> None:
    """Take a provider out that never issued a certificate and is not in use."""
    with transaction.atomic():
        limits.hold_still(provider)
        # Only now: an order may have been placed, or somebody may have chosen it, while we waited.
        row = Provider.objects.select_for_update().filter(pk=provider.pk).first()
        if row is None:
            return
        if row.active:
            text = _("“%(name)s” is in use. Choose another provider first.")
            raise ProviderProblem("provider", text % {"name": provider}, "active")
        if row.orders.exists():
            text = _("“%(name)s” has issued certificates here; it stays in the list.")
            raise ProviderProblem("provider", text % {"name": provider}, "orders")
        audit.record(by, "provider:removed", row.name, before=drafts.facts(row))
        limits.leave(row)
        row.delete()


def take_back(provider: Provider, before: Provider | None, *, by: User | None) -> None:
    """Undo a draft whose directory was refused: put the row back as it was `before`, or take out what was added."""
    with transaction.atomic():
        told = drafts.facts(drafts.wished(provider))
        if before is None:
            audit.record(by, "provider:removed", provider.name, before=told)
            provider.delete()
        else:
            before.save()
            audit.record(by, "provider:changed", provider.name, before=told, after=drafts.facts(before))


def in_use() -> QuerySet[Provider]:
    """The providers that certificates are ordered from: the active one, fallbacks, those of users or feature lists."""
    chosen = ProviderChoice.objects.values("provider")
    return Provider.objects.filter(Q(active=True) | Q(fallback__isnull=False) | Q(pk__in=chosen))


def active(server: Server) -> tuple[Provider, Account] | None:
    """The provider that AutoSSL uses on `server`, with its account."""
    account = (
        Account.objects.select_related("provider").filter(server=server, provider__active=True).exclude(url="").first()
    )
    return (account.provider, account) if account else None


# --- an account's key and terms --------------------------------------------------------------------------------------


def ask_to_roll(provider: Provider, server: Server, *, by: User | None, ring: bool = True) -> Account:
    """Give the account another key; a worker does it (`ring`), or who calls `registration.carry_out`."""
    return _wish(_registered(provider, server), "roll", "account:roll_key", by=by, ring=ring)


def ask_to_register_anew(
    provider: Provider, server: Server, *, agree_terms: bool, by: User | None, ring: bool = True
) -> Account:
    """Make a new account with a new key: the old key is lost, or the CA no longer knows the account."""
    account = Account.objects.filter(provider=provider, server=server).first()
    if account is None:
        raise ProviderProblem(
            "provider", _("There is no account with “%(name)s” yet: use the provider first.") % {"name": provider}
        )
    _check_agreed(provider, agree_terms)
    if provider.eab_required and not provider.eab_hmac_key:
        raise ProviderProblem("eab_kid", _needs_binding(provider), "eab")
    return _wish(account, "anew", "account:register_anew", by=by, ring=ring, agreed=True)


def agree_again(provider: Provider, server: Server, *, by: User | None, ring: bool = True) -> Account:
    """Agree to the terms as they are now, for the account that there is; a worker tells the CA."""
    return _wish(_registered(provider, server), "agree", "account:agree_terms", by=by, ring=ring, agreed=True)


def _registered(provider: Provider, server: Server) -> Account:
    account = Account.objects.filter(provider=provider, server=server).exclude(url="").first()
    if account is None:
        raise ProviderProblem(
            "provider", _("There is no account with “%(name)s” yet: use the provider first.") % {"name": provider}
        )
    return account


def _wish(account: Account, do: str, event: str, *, by: User | None, ring: bool, agreed: bool = False) -> Account:
    """Note on the account what a person wants done, with its audit entry, and ring the bell."""
    with transaction.atomic():
        row = Account.objects.select_for_update().select_related("provider").get(pk=account.pk)
        if row.wish is not None and row.wish["do"] != do:
            raise ProviderProblem(
                "provider", _("Something else is being done with this account. Wait a moment."), "busy"
            )
        before = {"terms_url": row.terms_url}
        row.wish = {"do": do, "by": by.username if by else ""}
        if agreed:
            row.terms_url = row.provider.terms_url
            row.terms_agreed_at = timezone.now() if row.terms_url else None
            row.terms_agreed_by = by.username if by else ""
            if row.problem is not None and row.problem["field"] == "agree_terms":
                row.problem = None
        row.save(update_fields=["wish", "terms_url", "terms_agreed_at", "terms_agreed_by", "problem"])
        audit.record(by, event, row.provider.name, before=before, after={"terms_url": row.terms_url, "asked": do})
        if ring:
            async_task(WISH, row.pk)
    return row
