"""Revoking a certificate (RFC 8555 §7.6): a person asks, a worker does it."""

from django.db import transaction
from django_q.tasks import async_task

from autossl_panel.people import audit
from autossl_panel.people.models import User

from .models import Certificate

# RFC 5280 §5.3.1, as far as public CAs take them from a subscriber
REASONS = (0, 1, 4, 5)
# What does the work; named, not imported, because tasks stand above this.
WORK = "autossl_panel.autossl.tasks.revoke"


class RevocationProblem(ValueError):
    """A certificate that cannot be revoked; `field` names the input that is wrong."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def ask(certificate: Certificate, reason: int, *, by: User | None) -> None:
    """Have a worker revoke `certificate`; raises RevocationProblem where it is not ours or revoked already."""
    if reason not in REASONS:
        raise RevocationProblem("reason", f"{reason} is not a reason that a CA takes.")
    wish = {"reason": reason, "by": by.username if by is not None else ""}
    with transaction.atomic():
        rows = Certificate.objects.filter(pk=certificate.pk, ours=True, revoked_at__isnull=True)
        if not rows.update(revoke_wish=wish, revoke_problem=None):
            raise RevocationProblem("certificate", "Only what this panel ordered can be revoked, and once.")
        audit.record(by, "certificate:revoke", certificate.serial, after={"reason": reason, "names": certificate.names})
        async_task(WORK, certificate.pk)
    certificate.revoke_wish, certificate.revoke_problem = wish, None
