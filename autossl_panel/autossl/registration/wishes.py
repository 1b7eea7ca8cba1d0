"""What a person asks for an account: another key, a new registration, agreement to new terms. Done by workers.

A wish stands on the account's row until it is done or refused; each may be taken up again after a crash anywhere.
"""

import logging
from contextlib import closing

from django.db import transaction
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.ca import account as ca_account
from autossl_panel.hosting.models import Server

from ..apart import Apart
from ..models import Account, AccountStatus
from . import accounts, directories, keys
from .accounts import binding_is_spent, client, heard_limit, heard_problem, leave_behind, make, refused
from .keys import Next
from .settling import new_client, settle, take_over

log = logging.getLogger("autossl_panel.registration")

# Seconds that somebody who wants to change a key waits for orders in hand
PATIENCE = 150.0


def carry_out(account: Account, *, seconds: float = PATIENCE) -> bool:
    """Do what a person asked for; the row then says what came out. False where orders in hand did not let it.

    May be called again after a crash anywhere: the wish stays until it is done or refused.
    """
    wish = (account.wish or {}).get("do")
    if wish == "agree":
        _tell_agreement(account)
        return True
    steps = {"roll": roll_key, "anew": register_anew}
    return steps[wish](account, seconds=seconds) if wish in steps else True


def carry_out_all(server: Server, *, seconds: float = 10.0) -> None:
    """Take up the drafts, registrations and wishes whose task was lost, or that had to wait.

    A fault in one holds up no other; the first is raised when all had their turn.
    """
    now, each = timezone.now(), Apart(log)
    with each.piece("directories could not all be taken up"):
        directories.take_up(now)
    with each.piece("registrations could not all be taken up"):
        accounts.take_up(server, now)
    for account in Account.objects.select_related("provider").filter(server=server, wish__isnull=False):
        with each.piece("what was asked for the account with %s", account.provider):
            carry_out(account, seconds=seconds)
    each.end()


def _tell_agreement(account: Account) -> None:
    """Tell the CA that its terms are agreed to. One that knows no such thing has nothing against it."""
    with keys.in_use(account):
        asking = None
        try:
            with closing(client(account)) as asking:
                asking.update_account(agree_terms=True)
        except ca.CaProblem as problem:
            heard_problem(account, problem)
            heard_limit(account, problem, asking)
            log.warning("%s was not told that its terms are agreed to: %s", account.provider, problem)
    Account.objects.filter(pk=account.pk).update(wish=None)


def roll_key(account: Account, *, seconds: float = PATIENCE) -> bool:
    """Give the account another key (RFC 8555 §7.3.5); its orders and certificates stay. False where it was in use.

    A crash anywhere leaves the old key, or both beside one another: then the CA is asked which one it knows.
    """
    with keys.alone(account, seconds=seconds) as ours:
        if not ours:
            return False
        account.refresh_from_db()
        try:
            _roll(account)
        except ca.CaProblem as problem:
            account.problem = {"field": "provider", "code": "roll", "text": str(problem), "link": problem.link}
        account.wish = None
        account.save(update_fields=["problem", "thumbprint", "wish"])
    return True


def _roll(account: Account) -> None:
    if keys.path(account, Next.ROLLED).exists() and settle(account, rolling=True):
        return
    new = keys.made(account, Next.ROLLED)
    with closing(new_client(account.provider, keys.path(account).read_bytes(), account.url)) as asking:
        try:
            asking.change_key(new)
        except ca.CaProblem as problem:
            heard_limit(account, problem, asking)
            if problem.kind != ca.ProblemKind.UNREACHABLE:
                keys.drop(account, Next.ROLLED)
                raise
            # The CA may have heard it, and only its answer got lost.
            if not settle(account, rolling=True):
                raise
            return
    take_over(account, Next.ROLLED)


def register_anew(account: Account, *, seconds: float = PATIENCE) -> bool:
    """Make a new account with a new key, for a key that is lost or an account that the CA no longer knows.

    What the old account has open and unsigned is given up, its certificates stay. False where it was in use.
    """
    with keys.alone(account, seconds=seconds) as ours:
        if not ours:
            return False
        account.refresh_from_db()
        provider = account.provider
        key = keys.made(account, Next.ANEW)
        try:
            with closing(new_client(provider, key)) as new:
                url = make(account, new)
        except ca.CaProblem as problem:
            account.wish = None
            account.save(update_fields=["wish"])
            refused(account, problem)
            return True
        with transaction.atomic():
            leave_behind(account)
            account.url, account.status, account.problem, account.wish = url, AccountStatus.VALID, None, None
            account.thumbprint, account.registered_at = ca_account.thumbprint(key), timezone.now()
            # Nothing else: its permit was counted meanwhile, and how it fares.
            account.save(update_fields=["url", "status", "problem", "wish", "thumbprint", "registered_at"])
            binding_is_spent(provider)
        keys.promote(account, Next.ANEW)
    return True
