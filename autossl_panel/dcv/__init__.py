"""How to prove a domain is ours: DNS, CAA and the guarded fetch, with the verdict a CA would give.
Plain Python without Django; nothing here decides what is ordered."""

from .caa import permits as caa_allows
from .check import check, new_token
from .model import Finding, Outcome, Settings

__all__ = ["Finding", "Outcome", "Settings", "caa_allows", "check", "new_token"]
