"""Accounts at CAs: registered, used by clients, and what a CA says against one on the way."""

import logging
from contextlib import closing
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.ca import account as ca_account
from autossl_panel.hosting.models import Server

from .. import ledger, limits, pacing, providers
from ..apart import Apart
from ..ledger import Asked
from ..log.render import limit_text
from ..models import Account, AccountStatus, Certificate, Job, JobState, Order, OrderStatus, Provider
from . import keys
from .directories import LOST_AFTER, refresh
from .settling import new_client, settle

log = logging.getLogger("autossl_panel.registration")

# Which input a problem of the account belongs to, and what it is called
FIELDS = {
    ca.ProblemKind.TERMS: ("agree_terms", "terms"),
    ca.ProblemKind.EAB: ("eab_kid", "eab"),
    ca.ProblemKind.ACCOUNT: ("provider", "account"),
}
# Seconds that a CA has for an answer that nobody waits for
ANSWERED_IN = 10.0
GONE, LOST = "account_gone", "key_lost"
OF_THE_CA = (*(code for _field, code in FIELDS.values()), GONE, LOST)


def register(account: Account) -> Account:
    """Register (the same key gives the same account), and use the provider from now on where that was asked for; or
    say why not on the row.
    """
    with keys.in_use(account):
        return _registered(account)


def _registered(account: Account) -> Account:
    provider = account.provider
    key = keys.made(account)
    known = account.url
    try:
        with closing(new_client(provider, key)) as new:
            url = make(account, new)
            account.problem = _contact_problem(account, new) if url == known else None
    except ca.CaProblem as problem:
        return refused(account, problem)
    with transaction.atomic():
        if known and url != known:
            leave_behind(account)
        account.url = url
        account.status = AccountStatus.VALID
        account.thumbprint = ca_account.thumbprint(key)
        if url != known:
            account.registered_at = timezone.now()
        account.save(update_fields=["url", "status", "problem", "thumbprint", "registered_at"])
        binding_is_spent(provider)
        if account.use_then:
            providers.activate(provider)
    return account


def take_up(server: Server, now: datetime) -> None:
    """Register the accounts whose task was lost with the worker that had it; a fault at one holds up no other."""
    lost = Account.objects.filter(server=server, status=AccountStatus.REGISTERING, asked_at__lte=now - LOST_AFTER)
    each = Apart(log)
    for account in lost.select_related("provider"):
        with each.piece("the registration with %s", account.provider):
            register(account)
    each.end()


def leave_behind(account: Account) -> None:
    """What belongs to the account that was: open orders that nobody works on, and who ordered its certificates."""
    live = Job.objects.filter(order=OuterRef("pk")).exclude(state=JobState.ENDED)
    unsigned = Order.objects.filter(account=account, closed_at__isnull=True, staged_at__isnull=True)
    unsigned = unsigned.filter(status__in=[OrderStatus.PENDING, OrderStatus.READY]).exclude(Exists(live))
    unsigned.update(closed_at=timezone.now(), closed_as="given_up")
    Certificate.objects.filter(account=account).update(account=None)


def make(account: Account, new: ca.Client) -> str:
    """Register with `new`, or find the account again; its URL. A new one needs a permit: some CAs count accounts.

    Raises CaProblem, also where our own count says that there is no room now.
    """

    def permitted() -> None:
        answer = limits.take(account, ledger.registration(), now=new.freshen() or timezone.now())
        if isinstance(answer, limits.Wait):
            detail = f"{account.provider}: {limit_text(answer.kind, answer.label)}"
            until = f" The next is possible at {answer.until:%Y-%m-%d %H:%M} UTC." if answer.until else ""
            raise ca.CaProblem(
                ca.ProblemKind.RATE,
                type="urn:autossl-panel:error:limit",
                detail=f"{detail}: {answer.used} of {answer.allowed} used.{until}",
                retry_after=answer.until,
            )

    try:
        return new.register(
            contact=contact(account), agree_terms=agreed(account), eab=binding(account.provider), before_new=permitted
        )
    except ca.CaProblem as problem:
        heard_limit(account, problem, new, Asked.NEW_ACCOUNT)
        raise


def contact(account: Account) -> list[str]:
    """The addresses that the CA gets to know."""
    return [account.contact] if account.contact else []


def agreed(account: Account) -> bool:
    """Whether a person agreed to the CA's terms."""
    return account.terms_agreed_at is not None


def binding(provider: Provider) -> tuple[str, str] | None:
    """The external account binding (key id, HMAC key), where there is one that has not been used."""
    return (provider.eab_kid, provider.eab_hmac_key) if provider.eab_hmac_key else None


def binding_is_spent(provider: Provider) -> None:
    """The HMAC key has done its work; many CAs take it once only."""
    Provider.objects.filter(pk=provider.pk).update(eab_hmac_key="")


def _contact_problem(account: Account, new: ca.Client) -> dict[str, str] | None:
    """Tell a CA that knows the account its contact and consent; an address it does not take is no reason to refuse."""
    try:
        new.update_account(contact=contact(account), agree_terms=agreed(account))
    except ca.CaProblem as problem:
        return {"field": "contact", "code": "contact", "text": str(problem)}
    return None


def refused(account: Account, problem: ca.CaProblem) -> Account:
    """Say on the row why the CA did not register the account."""
    field, code = FIELDS.get(problem.kind, ("provider", str(problem.kind)))
    account.status = AccountStatus.REFUSED
    account.problem = {"field": field, "code": code, "text": str(problem), "link": problem.link}
    account.save(update_fields=["status", "problem"])
    return account


def client(account: Account) -> ca.Client:
    """A client for one thread, on the account. Raises CaProblem (ACCOUNT) where its key is lost or cannot be read.

    Whoever uses it does so inside `keys.in_use`. Its requests keep to the pace that the CA allows.
    """
    settle(account)
    try:
        key = _key(account)
        thumbprint = ca_account.thumbprint(key)
    except ca.CaProblem as problem:
        heard_problem(account, problem)
        raise
    if account.thumbprint != thumbprint:
        account.thumbprint = thumbprint
        account.save(update_fields=["thumbprint"])
    return new_client(account.provider, key, account.url)


def _key(account: Account) -> bytes:
    try:
        return keys.path(account).read_bytes()
    except OSError as error:
        text = f"The account key cannot be read ({error}). Register anew with the provider: it makes a new account."
        raise ca.CaProblem(ca.ProblemKind.ACCOUNT, type="urn:autossl-panel:error:key", detail=text) from error


def reader(provider: Provider) -> ca.Reader:
    """What reads from the provider's CA without an account, for one thread, at the pace that the CA allows."""
    return ca.Reader(
        provider.directory_url,
        ca_bundle=keys.bundle(provider),
        connect_timeout=5,
        read_timeout=ANSWERED_IN,
        gate=pacing.pace(provider),
    )


def heard_problem(account: Account, problem: ca.CaProblem) -> None:
    """Say on the account's row what a CA wants of a person before it goes on; other problems are not the account's.

    A profile that is refused makes the directory be read again: it may no longer be offered.
    """
    if problem.short_type == "invalidProfile":
        refresh(account.provider, timezone.now())
    if problem.kind not in FIELDS:
        return
    field, code = FIELDS[problem.kind]
    if problem.account_gone or problem.short_type == "key":
        code = GONE if problem.account_gone else LOST
    link = problem.link or (account.provider.terms_url if problem.kind == ca.ProblemKind.TERMS else "")
    said = {"field": field, "code": code, "text": str(problem), "link": link}
    if account.problem != said:
        account.problem = said
        Account.objects.filter(pk=account.pk).update(problem=said)


def heard_limit(account: Account, problem: ca.CaProblem, asking: ca.Client | None, asked: Asked = Asked.OTHER) -> None:
    """Note what a CA refused all the same, by request or for a time, so that everybody waits for just that.

    For what is no order's: those are noted with their names.
    """
    if not (problem.sent and problem.answered):
        return  # our own gate, or nobody: nothing new was heard
    now = (asking.ca_time if asking is not None else None) or timezone.now()
    skew = (asking.date_offset if asking is not None else None) or limits.NO_SKEW
    limits.heard(account.provider, problem, asked, account=account, now=now, skew=skew)


def heard_good(account: Account) -> None:
    """The CA took an order: what it said against the account before no longer holds."""
    if account.problem and account.problem["code"] in OF_THE_CA:
        account.problem = None
        Account.objects.filter(pk=account.pk).update(problem=None)
