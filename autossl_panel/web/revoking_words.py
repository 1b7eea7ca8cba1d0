"""What a page says of a revocation that was asked for: by whom, what became of it, when it is tried again."""

from dataclasses import dataclass
from datetime import datetime

from autossl_panel.autossl import log, revocation
from autossl_panel.autossl.models import Certificate

# What a CA's problem is called where its words and what to do stand
CODES = {"server": "ca_server", "unreachable": "ca_unreachable", "rate": "rate_limited", "account": "ca_account"}


@dataclass(frozen=True, slots=True)
class Revocation:
    """A wish that is not fulfilled yet (`again`: when the CA is asked next, None where that is at once), or one that
    the CA refused for good (not `open`). `cause` says what stood in the way and what to do; "" where nothing did.
    """

    open: bool
    by: str
    reason: str
    cause: str
    again: datetime | None


def of(certificate: Certificate | None) -> Revocation | None:
    """The revocation of a certificate that is not revoked; None where nobody asked for one."""
    if certificate is None or certificate.revoked_at is not None:
        return None
    wish, problem = certificate.revoke_wish, certificate.revoke_problem
    if wish is None and problem is None:
        return None
    cause, again = "", None
    if problem is not None:
        code = CODES.get(str(problem["code"]), "")
        cause = str(problem["text"])
        if code and wish is not None:
            provider = certificate.provider
            named = log.of_provider(provider.name, str(provider)) if provider is not None else {}
            cause = log.problem_advice({"code": code, "data": {"text": cause, **named}})
        again = datetime.fromisoformat(problem["until"]) if problem.get("until") else None
    names = {number: name for name, number in revocation.REASONS.items()}
    reason = names.get(int(wish["reason"]), "") if wish is not None else ""
    return Revocation(wish is not None, str(wish["by"]) if wish is not None else "", reason, cause, again)
