"""A preview beside the run that follows it, with a real CA, DNS and nginx: the same sites, reasons, names, provider."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command

from autossl_panel.autossl import options, preview, previewing, runs
from autossl_panel.autossl.models import Job, JobOutcome, Preview, PreviewAction, PreviewSite, Provider, Run
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import MAX_NAMES, SITES
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def parts(settings: Any) -> Iterator[Parts]:
    with Box(sites=SITES) as box, parts_of(box, settings) as found:
        yield found


def previewed(parts: Parts) -> dict[str, PreviewSite]:
    made = preview.ask(runs.ALL, asked_by=None, server=parts.server, ring=False)
    previewing.work_out(made.pk, parts.helper)
    made = Preview.objects.get(pk=made.pk)
    assert made.problem is None
    return {row.name: row for row in preview.sites(made, None)}


# How a job ends that no order is placed for
ENDS = {
    PreviewAction.FAIL: JobOutcome.FAILED,
    PreviewAction.KEEP: JobOutcome.KEPT,
    PreviewAction.DEFER: JobOutcome.DEFERRED,
    PreviewAction.WAIT: JobOutcome.WAITING,
}


def compare(foreseen: dict[str, PreviewSite], run: Run) -> None:
    jobs = {job.virtual_host.name: job for job in Job.objects.filter(run=run).select_related("order__provider")}
    ordered = {name: row for name, row in foreseen.items() if row.provider}
    assert set(ordered) == {name for name, job in jobs.items() if job.order is not None}
    for name, row in ordered.items():
        order = jobs[name].order
        assert order is not None
        names = [*row.names.get("kept", []), *row.names.get("added", [])]
        assert sorted(order.names) == sorted(names), name
        assert (order.reason, order.provider.name) == (row.reason, row.provider), name
        assert jobs[name].outcome == JobOutcome.SECURED, (name, jobs[name].phase, jobs[name].problem)
    for name, job in jobs.items():
        if name not in ordered:
            row = foreseen[name]
            assert (ENDS[PreviewAction(row.action)], row.reason) == (job.outcome, job.outcome_reason), name
    for counted, action in (("kept", PreviewAction.KEEP), ("skipped", PreviewAction.SKIP)):
        resting = sum(row.action == action for name, row in foreseen.items() if name not in jobs)
        assert run.counts.get(counted, 0) == resting, counted


def test_a_run_does_what_the_preview_said(parts: Parts) -> None:
    """Once every name was judged: all certificates are to have another key type, bought ones may be replaced."""
    Provider.objects.filter(pk=parts.provider.pk).update(max_names=MAX_NAMES)
    parts.run()
    wish = {"key_type": "p384", "replace_foreign": "yes"}
    options.change(parts.server, wish, by=None)
    options.change(parts.server, {"reissue": "yes"}, by=None)
    first = previewed(parts)
    assert {host.name for host in VirtualHost.objects.filter(gone_at__isnull=True)} == set(first)
    counts = Counter(row.action for row in first.values())
    assert counts["renew"] >= 12, counts
    assert counts["order"] >= 3, counts
    assert counts["fail"] == 2, counts
    compare(first, parts.run())
    # All is done: it says so, and the command says the same.
    second = previewed(parts)
    assert not any(row.provider for row in second.values())
    out = io.StringIO()
    call_command("autossl_check", "--all", "--preview", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert {site["virtual_host"]: site["action"] for site in told["sites"]} == {
        name: row.action for name, row in second.items()
    }
    compare(second, parts.run())
