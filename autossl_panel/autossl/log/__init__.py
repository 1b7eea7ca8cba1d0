"""The log of runs: lines are written as event and data at once, and rendered to text when read."""

from .render import Line, reason_text, render
from .writer import Writer, for_job, for_run

__all__ = ["Line", "Writer", "for_job", "for_run", "reason_text", "render"]
