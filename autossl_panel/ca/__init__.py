"""How to talk to a CA over ACME (RFC 8555): client, typed problems, directory, accounts, presets. No Django here."""

from autossl_panel.ca.account import new_account_key, thumbprint
from autossl_panel.ca.client import Client
from autossl_panel.ca.directory import DirectoryFacts, probe
from autossl_panel.ca.errors import CaProblem, ProblemKind, ReplacesRefused, SubProblem
from autossl_panel.ca.presets import PRESETS, Limit, Preset, Profile
from autossl_panel.ca.reader import Reader, RenewalInfo
from autossl_panel.ca.states import AuthorizationState, Challenge, OrderState

__all__ = [
    "PRESETS",
    "AuthorizationState",
    "CaProblem",
    "Challenge",
    "Client",
    "DirectoryFacts",
    "Limit",
    "OrderState",
    "Preset",
    "ProblemKind",
    "Profile",
    "Reader",
    "RenewalInfo",
    "ReplacesRefused",
    "SubProblem",
    "new_account_key",
    "probe",
    "thumbprint",
]
