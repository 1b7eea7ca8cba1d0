"""Rows of the heart: providers and options, certificates and orders, runs with jobs and log lines, previews,
notifications.
"""

from .certificates import Certificate, Installation, Order, OrderStatus, Outcome, RevocationList, Verdict
from .limits import Bucket
from .notices import Channel, Kind, Message, MessageState, Notice, UntoldRun, Way
from .previews import Preview, PreviewAction, PreviewSite
from .problems import DailyShare, Problem
from .providers import (
    Account,
    AccountStatus,
    NotifyLevel,
    Options,
    Provider,
    ProviderChoice,
    ProviderState,
    SecondFactorRule,
)
from .rehearsals import Rehearsal, RehearsalLine, RehearsalOutcome, RehearsalSite
from .runs import Beat, Job, JobOutcome, JobState, Lease, Level, LogLine, Phase, Run, Slot

__all__ = [
    "Account",
    "AccountStatus",
    "Beat",
    "Bucket",
    "Certificate",
    "Channel",
    "DailyShare",
    "Installation",
    "Job",
    "JobOutcome",
    "JobState",
    "Kind",
    "Lease",
    "Level",
    "LogLine",
    "Message",
    "MessageState",
    "Notice",
    "NotifyLevel",
    "Options",
    "Order",
    "OrderStatus",
    "Outcome",
    "Phase",
    "Preview",
    "PreviewAction",
    "PreviewSite",
    "Problem",
    "Provider",
    "ProviderChoice",
    "ProviderState",
    "Rehearsal",
    "RehearsalLine",
    "RehearsalOutcome",
    "RehearsalSite",
    "RevocationList",
    "Run",
    "SecondFactorRule",
    "Slot",
    "UntoldRun",
    "Verdict",
    "Way",
]
