"""Judging certificates: what is wrong with one, and whether a pair may be shown to visitors. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from autossl_panel.pki.certificates import CertificateFacts, PairProblem, read_chain
from autossl_panel.pki.keys import key_spki


def defects(facts: CertificateFacts, *, now: datetime, key_matches: bool | None = None) -> tuple[str, ...]:
    """What makes a certificate unusable, in the rules' order: `expired`, `mismatch`, `weak`, `chain`."""
    found = (
        ("expired", facts.not_after <= now),
        ("mismatch", key_matches is False),
        ("weak", facts.weak),
        ("chain", not facts.links),
    )
    return tuple(code for code, is_so in found if is_so)


def same_key(chain_pem: bytes, key_pem: bytes) -> bool:
    """Whether the private key belongs to the chain's first certificate. Raises PairProblem('unreadable')."""
    facts = read_chain(chain_pem)
    return facts.spki == key_spki(key_pem)


def check_pair(chain_pem: bytes, key_pem: bytes, *, names: Sequence[str], now: datetime) -> CertificateFacts:
    """The facts of a pair that may be shown to visitors at `now` for all of `names`; raises PairProblem otherwise."""
    facts = read_chain(chain_pem)
    if facts.spki != key_spki(key_pem):
        raise PairProblem("mismatch", "The certificate was made for another private key.")
    missing = [name for name in names if not facts.covers(name)]
    if missing:
        raise PairProblem("names", f"The certificate does not cover {', '.join(missing[:5])}.")
    if not facts.not_before <= now < facts.not_after:
        raise PairProblem("dates", f"The certificate is valid from {facts.not_before} to {facts.not_after}, not now.")
    if not facts.links:
        raise PairProblem("chain", "The certificates of the chain do not sign one another.")
    if facts.weak:
        raise PairProblem("weak", f"{facts.key_kind} {facts.key_bits} with {facts.signature_hash} is too weak.")
    return facts
