"""The log of runs: lines are written as event and data at once, and rendered to text when read."""

from .advice import known
from .readers import Reader
from .render import (
    Line,
    cause_text,
    limit_text,
    line,
    problem_advice,
    problem_text,
    problem_told,
    reason_text,
    render,
    scope_text,
)
from .spoken import spoken
from .tail import Tail
from .titles import of_provider
from .writer import Writer, for_job, for_run

__all__ = [
    "Line",
    "Reader",
    "Tail",
    "Writer",
    "cause_text",
    "for_job",
    "for_run",
    "known",
    "limit_text",
    "line",
    "of_provider",
    "problem_advice",
    "problem_text",
    "problem_told",
    "reason_text",
    "render",
    "scope_text",
    "spoken",
]
