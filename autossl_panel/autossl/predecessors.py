"""What an order follows: the installed certificate as its CA counts it. Reads rows and asks nobody."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from .ledger import OrderKind, order_kind
from .models import Certificate
from .policy.hints import Predecessor, Window, replaces_free


def find(fingerprint: str) -> Certificate | None:
    """Our certificate of that fingerprint, without its text; None for another's, or for none."""
    if not fingerprint:
        return None
    return Certificate.objects.defer("pem").filter(fingerprint=fingerprint, ours=True).first()


def find_all(fingerprints: Iterable[str]) -> dict[str, Certificate]:
    """The same of many, by their fingerprints."""
    rows = Certificate.objects.defer("pem").filter(fingerprint__in=list(fingerprints), ours=True)
    return {row.fingerprint: row for row in rows}


def replaces(old: Certificate | None, names: Sequence[str], *, provider: int, account: int, now: datetime) -> str:
    """The ARI id of `old` where an order for `names` may say that it replaces it (RFC 9773 §5), else ""."""
    if old is None:
        return ""
    window = Window(old.ari_start, old.ari_end) if old.ari_start and old.ari_end else None
    facts = Predecessor(
        old.ari_id, tuple(old.names), old.provider_id, old.account_id, window, old.replaced_at is not None
    )
    return old.ari_id if replaces_free(facts, names, provider=provider, account=account, now=now) else ""


def kind(old: Certificate | None, names: Sequence[str], *, provider: int, replacing: bool, now: datetime) -> OrderKind:
    """What an order for `names` is to the limits of `provider`'s CA; `replacing`: it says that it replaces `old`."""
    known = old is not None and old.provider_id == provider and set(old.names) == set(names)
    issued_at = old.not_before.timestamp() if old is not None and known else None
    return order_kind(replaces=replacing, issued_at=issued_at, now=now.timestamp())
