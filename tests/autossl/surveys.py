"""Surveys as tests make them: who reads the configuration for them, and what they told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from autossl_panel.autossl import runs, survey
from autossl_panel.autossl.models import LogLine, Run
from autossl_panel.helper.client import Client, HelperGone
from autossl_panel.helper.protocol import InventoryAnswer, SiteFacts


class Reads:
    """A helper that answers one question as it was told: these sites, a problem, or that no file has changed."""

    def __init__(self, sites: Sequence[SiteFacts] | None = None, problem: Any = None, *, gone: bool = False) -> None:
        self.sites, self.problem, self.gone = sites, problem, gone

    def inventory(self, *, unless: str | None = None) -> InventoryAnswer:
        if self.gone:
            raise HelperGone("no such socket")
        unchanged = self.sites is None and self.problem is None
        return InventoryAnswer("h", unchanged, tuple(self.sites or ()), (), (), self.problem)


def look(run: Run, helper: Reads | None = None) -> Run:
    """Survey a run; as it stands then."""
    survey.survey(run, cast(Client, helper or Reads()))
    return Run.objects.get(pk=run.pk)


def surveyed(scope: str = runs.ALL, by: Any = None, asked_from: str = "schedule", helper: Reads | None = None) -> Run:
    """A run, begun and surveyed."""
    return look(runs.start(scope, by=by, asked_from=asked_from), helper)


def events(run: Run) -> list[str]:
    """What its log tells, in order."""
    return list(LogLine.objects.filter(run=run).order_by("seq").values_list("event", flat=True))
