"""Jobs: claimed with leases from our own table and worked through by runners, many in flight, resumable anywhere."""

from .claims import Claim, ClaimLost, claim, release, take_back
from .endings import Ending, finish
from .runner import Runner
from .through import ring_where_needed, work, work_through

__all__ = [
    "Claim",
    "ClaimLost",
    "Ending",
    "Runner",
    "claim",
    "finish",
    "release",
    "ring_where_needed",
    "take_back",
    "work",
    "work_through",
]
