"""Revoking certificates at their CA as persons wished (RFC 8555 §7.6). Run by workers and commands only.

A wish stands on the certificate's row until it is done, or the CA refuses it for good.
"""

import logging
from contextlib import closing
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.hosting.models import Server

from . import registration, revocation
from .apart import Apart
from .models import Account, Certificate
from .registration import keys

log = logging.getLogger("autossl_panel.revocation")

# When a CA that could not be asked is asked again
AGAIN = timedelta(minutes=10)
_PASSING = frozenset({ca.ProblemKind.SERVER, ca.ProblemKind.UNREACHABLE, ca.ProblemKind.RATE, ca.ProblemKind.BAD_NONCE})


def carry_out(certificate: Certificate) -> Certificate:
    """Revoke as wished, over the account that ordered it; the row then says since when, or why not."""
    wish = certificate.revoke_wish
    if wish is None or certificate.revoked_at is not None:
        Certificate.objects.filter(pk=certificate.pk).update(revoke_wish=None)
        return certificate
    account = _account(certificate)
    if account is None:
        return _failed(certificate, "account", "There is no account left that may revoke it.", None)
    client = None
    try:
        with keys.in_use(account), closing(registration.client(account)) as client:
            done = client.revoke(certificate.pem.encode(), wish["reason"])
    except ca.CaProblem as problem:
        registration.heard_problem(account, problem)
        if problem.kind == ca.ProblemKind.RATE:
            # Where it cannot revoke just now, that says nothing of orders.
            registration.heard_limit(account, problem, client)
        until = None
        if problem.kind in _PASSING:
            until = max(problem.retry_after or timezone.now(), timezone.now() + AGAIN)
        return _failed(certificate, str(problem.kind), str(problem), until)
    # What the CA revoked before us had a reason of its own, which its list tells.
    revocation.note({certificate.pk: (timezone.now(), wish["reason"] if done else None)}, timezone.now())
    certificate.refresh_from_db()
    return certificate


def carry_out_all(server: Server, now: datetime) -> None:
    """Take up wishes whose task was lost, or that the CA could not take then; a fault at one holds up no other."""
    # Those of this server's accounts; of what has lost its account those that were installed here, or nowhere.
    here = Q(installations__virtual_host__server=server) | Q(installations__isnull=True)
    mine = Q(account__server=server) | Q(account__isnull=True) & here
    waiting = Certificate.objects.filter(mine, revoke_wish__isnull=False)
    each = Apart(log)
    for certificate in waiting.select_related("provider", "account").distinct():
        until = (certificate.revoke_problem or {}).get("until")
        if until is None or datetime.fromisoformat(until) <= now:
            with each.piece("the revocation of certificate %s", certificate.serial):
                carry_out(certificate)
    each.end()


def _account(certificate: Certificate) -> Account | None:
    """The account that ordered it; else the provider's present one, which may as well where it holds the names' proofs
    (RFC 8555 §7.6).
    """
    if certificate.account is not None:
        return certificate.account
    return Account.objects.filter(provider=certificate.provider_id).exclude(url="").first()


def _failed(certificate: Certificate, code: str, text: str, until: datetime | None) -> Certificate:
    """Say why it is not revoked; the wish stays where it is tried again at `until`."""
    certificate.revoke_problem = {"code": code, "text": text, "until": until.isoformat() if until else None}
    if until is None:
        certificate.revoke_wish = None
    certificate.save(update_fields=["revoke_wish", "revoke_problem"])
    log.warning("certificate %s is not revoked: %s", certificate.serial, text)
    return certificate
