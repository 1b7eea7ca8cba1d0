"""What a failure means: for each ACME problem, and for a certificate that came out other than asked for."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from autossl_panel import names as domain_names
from autossl_panel.autossl.facts import InstalledFacts
from autossl_panel.pki import CertificateFacts


class Remedy(StrEnum):
    """What to do after an ACME problem."""

    RETRY_LATER = "retry_later"
    NEXT_PROVIDER = "next_provider"  # giving up this order; retry later where there is no other
    FIX_NEEDED = "fix_needed"  # somebody must change DNS, the site or its CAA record
    STOP = "stop"  # nothing more with this provider until the admin acts
    NEW_ORDER = "new_order"  # only this order is lost


class Kind(Protocol):
    """A problem's kind: the CA layer's ProblemKind, or its text."""

    def __str__(self) -> str: ...


_REMEDIES = {
    "server": Remedy.NEXT_PROVIDER,
    "unreachable": Remedy.NEXT_PROVIDER,
    "rate": Remedy.RETRY_LATER,
    "badNonce": Remedy.RETRY_LATER,
    "other": Remedy.RETRY_LATER,
    "connection": Remedy.FIX_NEEDED,
    "unauthorized": Remedy.FIX_NEEDED,
    "dns": Remedy.FIX_NEEDED,
    "caa": Remedy.FIX_NEEDED,
    "rejectedIdentifier": Remedy.FIX_NEEDED,
    "account": Remedy.STOP,
    "terms": Remedy.STOP,
    "eab": Remedy.STOP,
    "order": Remedy.NEW_ORDER,
    "malformed": Remedy.NEW_ORDER,
}


def remedy(kind: Kind) -> Remedy:
    """What an ACME problem of this kind means. A limit that outlasts the certificate is for `choose` to pass over."""
    return _REMEDIES.get(str(kind), Remedy.RETRY_LATER)


class Refusal(StrEnum):
    """Why an issued certificate is not taken."""

    OTHER_KEY = "other_key"
    MISSING_NAMES = "missing_names"
    NOT_LATER = "not_later"


# Orders for more names or another key: not for a later expiry
NOT_FOR_TIME = frozenset({"coverage", "key_type"})


def accept_issued(
    issued: CertificateFacts, *, names: Sequence[str], spki: str, replaced: InstalledFacts | None, reason: str = ""
) -> Refusal | None:
    """None where an issued certificate is what was ordered, for `reason`, else why it is refused.

    `names` and `spki` are those of the CSR. Expiring no later than the replaced one is a fault only where that is a
    sound certificate of ours: a ten-year placeholder or somebody's defective one outlives any order. And only where a
    later expiry was the point: CAs shorten their lifetimes (90 → 64 → 45 days), so what is ordered for more names, or
    because the CA is about to revoke, may end sooner than what it replaces. Never may an earlier one be given again.
    """
    if issued.spki != spki:
        return Refusal.OTHER_KEY
    if not all(domain_names.covers(issued.names, name) for name in names):
        return Refusal.MISSING_NAMES
    if replaced is None or not replaced.ours or replaced.self_signed or replaced.revoked or replaced.defects:
        return None
    useful = any(domain_names.covers(replaced.names, name) for name in names)
    if not useful or issued.not_after > replaced.not_after:
        return None
    # Some CAs date from midnight: two of one day begin, and end, alike.
    anew = issued.not_before >= replaced.not_before and issued.fingerprint != replaced.fingerprint
    for_time = reason not in NOT_FOR_TIME and not (reason == "ari" and replaced.ari_end is not None)
    return Refusal.NOT_LATER if for_time or not anew else None
