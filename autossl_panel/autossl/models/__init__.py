"""Rows of the heart: providers and options, certificates and orders, runs with their jobs and log lines."""

from .certificates import Certificate, Installation, Order, OrderStatus, Outcome, RevocationList, Verdict
from .problems import DailyShare, Problem
from .providers import Account, AccountStatus, NotifyLevel, Options, Provider, ProviderChoice, ProviderState
from .runs import Beat, Job, JobOutcome, JobState, Lease, Level, LogLine, Phase, Run, Slot

__all__ = [
    "Account",
    "AccountStatus",
    "Beat",
    "Certificate",
    "DailyShare",
    "Installation",
    "Job",
    "JobOutcome",
    "JobState",
    "Lease",
    "Level",
    "LogLine",
    "NotifyLevel",
    "Options",
    "Order",
    "OrderStatus",
    "Outcome",
    "Phase",
    "Problem",
    "Provider",
    "ProviderChoice",
    "ProviderState",
    "RevocationList",
    "Run",
    "Slot",
    "Verdict",
]
