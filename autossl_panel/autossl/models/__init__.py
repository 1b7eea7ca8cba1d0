"""Rows of the heart: providers and options, certificates and orders, runs with their jobs and log lines."""

from .certificates import Certificate, Installation, Order, OrderStatus, Outcome, Verdict
from .providers import Account, AccountStatus, Options, Provider, ProviderState
from .runs import Beat, Job, JobOutcome, JobState, Lease, Level, LogLine, Phase, Run, Slot

__all__ = [
    "Account",
    "AccountStatus",
    "Beat",
    "Certificate",
    "Installation",
    "Job",
    "JobOutcome",
    "JobState",
    "Lease",
    "Level",
    "LogLine",
    "Options",
    "Order",
    "OrderStatus",
    "Outcome",
    "Phase",
    "Provider",
    "ProviderState",
    "Run",
    "Slot",
    "Verdict",
]
