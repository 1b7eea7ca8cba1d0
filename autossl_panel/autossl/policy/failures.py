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


def remedy(kind: Kind, *, outlasts_certificate: bool = False) -> Remedy:
    """What an ACME problem of this kind means; a limit that outlasts the certificate means the next provider."""
    if outlasts_certificate and str(kind) == "rate":
        return Remedy.NEXT_PROVIDER
    return _REMEDIES.get(str(kind), Remedy.RETRY_LATER)


class Refusal(StrEnum):
    """Why an issued certificate is not taken."""

    OTHER_KEY = "other_key"
    MISSING_NAMES = "missing_names"
    NOT_LATER = "not_later"


def accept_issued(
    issued: CertificateFacts, *, names: Sequence[str], spki: str, replaced: InstalledFacts | None
) -> Refusal | None:
    """None where an issued certificate is what was ordered, else why it is refused.

    `names` and `spki` are those of the CSR. Expiring no later than the replaced one is a fault only where that is a
    sound certificate of ours: a ten-year placeholder or somebody's defective one outlives any order.
    """
    if issued.spki != spki:
        return Refusal.OTHER_KEY
    if not all(domain_names.covers(issued.names, name) for name in names):
        return Refusal.MISSING_NAMES
    if replaced is None or not replaced.ours or replaced.self_signed or replaced.revoked or replaced.defects:
        return None
    useful = any(domain_names.covers(replaced.names, name) for name in names)
    return Refusal.NOT_LATER if useful and issued.not_after <= replaced.not_after else None
