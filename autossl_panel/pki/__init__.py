"""Keys, CSRs and certificates: made, read and judged, also the one a server shows. Plain: no Django, no files.

No trust store is ever asked: whether a chain's links sign one another is a fact; whom a browser trusts is not ours.
"""

from autossl_panel.pki.certificates import (
    CertificateFacts,
    KeyType,
    PairProblem,
    leaf_pem,
    read_chain,
    read_der,
    signers,
)
from autossl_panel.pki.judge import check_pair, defects, same_key
from autossl_panel.pki.keys import csr_der, csr_names, csr_spki, key_spki, make_csr, new_key
from autossl_panel.pki.revoked import ListProblem, Revoked, RevokedList, read_list
from autossl_panel.pki.served import Served, Signature, handshake

__all__ = [
    "CertificateFacts",
    "KeyType",
    "ListProblem",
    "PairProblem",
    "Revoked",
    "RevokedList",
    "Served",
    "Signature",
    "check_pair",
    "csr_der",
    "csr_names",
    "csr_spki",
    "defects",
    "handshake",
    "key_spki",
    "leaf_pem",
    "make_csr",
    "new_key",
    "read_chain",
    "read_der",
    "read_list",
    "same_key",
    "signers",
]
