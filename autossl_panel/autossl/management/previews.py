"""A preview on the terminal: asked of the workers, or worked out here where none are; as a table or as JSON."""

import time
from datetime import datetime

from django.core.management.base import OutputWrapper
from django.db.models import QuerySet

from autossl_panel.autossl import foreground, log, preview, preview_told, previewing
from autossl_panel.autossl.models import Preview, PreviewAction, PreviewSite
from autossl_panel.hosting.models import Server

from .base import FAILED, failed, plural, table

# Seconds without a sign of the workers, after which it is worked out here
SILENT = 30.0
# Rows that are fetched at once
CHUNK = 2000
# What needs nothing is counted, not listed
QUIET = (PreviewAction.KEEP, PreviewAction.SKIP)


def show_preview(out: OutputWrapper, server: Server, scope: str, *, as_json: bool) -> int:
    """Print what a run of `scope` would do; the exit status of the command."""
    found = _worked_out(server, scope)
    rows = preview.sites(found, None).select_related("user")
    if as_json:
        _json(out, found, rows)
        return FAILED if found.problem else 0
    if found.problem is not None:
        failed(_sentence(found.problem))
    _text(out, found, rows)
    return 0


def _worked_out(server: Server, scope: str) -> Preview:
    """The preview, at its end."""
    alive = foreground.workers_alive(server)
    found = preview.ask(scope, asked_by=None, server=server, ring=alive)
    seen_at = time.monotonic()
    while alive and found.ended_at is None and time.monotonic() - seen_at < SILENT:
        time.sleep(0.2)
        found.refresh_from_db()
        if foreground.workers_alive(server):
            seen_at = time.monotonic()
    while found.ended_at is None:
        with foreground.helper() as helper:
            previewing.work_out(found.pk, helper)
        found.refresh_from_db()
        if found.ended_at is None:
            # Another process is at it.
            time.sleep(0.3)
    return found


def _sentence(problem: dict[str, str]) -> str:
    text = log.reason_text(problem["code"])
    said = f"{text}: {problem['text']}" if problem["text"] else text
    return f"There is no preview: {said}."


def _json(out: OutputWrapper, found: Preview, rows: QuerySet[PreviewSite]) -> None:
    """One document, a site a line: readable by programs as a whole, by people line by line."""
    for piece in preview_told.pieces(found, rows):
        out.write(piece, ending="")
    out.write("")


def _text(out: OutputWrapper, found: Preview, rows: QuerySet[PreviewSite]) -> None:
    work = rows.exclude(action__in=QUIET)
    head = ("SITE", "USER", "WOULD", "NAMES", "PROVIDER", "WHEN", "WHY")
    told = [_cells(row) for row in work.iterator(CHUNK)]
    if told:
        table(out, head, told)
        out.write("")
    counts = [f"{found.counts[action]} {action}" for action in PreviewAction if found.counts.get(action)]
    out.write(f"{plural(found.sites, 'site')}: {', '.join(counts) or 'nothing'}.")
    if found.orders:
        free = f", {found.free_orders} of them free of every limit" if found.free_orders else ""
        out.write(f"{plural(found.orders, 'order')} would be placed now{free}.")
    if found.limited:
        out.write(f"{plural(found.limited, 'site')} would wait for a limit of the CA.")
    if found.last_at is not None:
        out.write(f"The last would be done at about {_at(found.last_at)}.")
    out.write(f"Decided at {_at(found.at)} from what the last checks found: a run checks the names first.")


def _cells(row: PreviewSite) -> tuple[object, ...]:
    has, of = preview_told.covered(row)
    when = _at(row.until) if row.until is not None else "now" if row.provider else "-"
    action = f"{row.action}, urgent" if row.urgent else row.action
    return row.name, row.user.name, action, f"{has}/{of}", row.provider or "-", when, preview_told.why(row)


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
