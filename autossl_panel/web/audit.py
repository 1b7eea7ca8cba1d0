"""The audit trail: who changed what, from where, before and after; looked through, and taken along as CSV or NDJSON."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.http import HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from autossl_panel.autossl import log
from autossl_panel.people import audit_details, audit_words, trail
from autossl_panel.people.models import AuditEntry
from autossl_panel.people.trail import Difference, Wish, WishProblem

from . import access, people_frame
from .paging import paginate

COLUMNS = ("at", "person", "source", "address", "event", "subject", "before", "after")
# A spreadsheet takes what begins so for a formula; some take the wide forms as well
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as the page shows it."""

    entry: AuditEntry
    event: str
    subject: str
    source: str
    link: str
    differences: tuple[Difference, ...]


@require_safe
@access.root
def audit(request: access.PanelRequest) -> HttpResponse:
    """The entries that match, newest first."""
    wish = Wish.of(request.GET)
    problem = None
    try:
        found = trail.entries(wish)
    except WishProblem as refused:
        problem, found = refused, AuditEntry.objects.none()
    paging = paginate(request, found)
    context = {
        "wish": wish,
        "problem": problem,
        "paging": paging,
        "rows": [_row(entry) for entry in paging.rows],
        "events": _grouped(),
        "sources": audit_words.SOURCES,
    }
    return people_frame.page(request, "audit.html", people_frame.TRAIL, context)


def _row(entry: AuditEntry) -> Row:
    return Row(
        entry,
        audit_words.event(entry.event),
        # A run's is its scope
        log.scope_text(entry.subject) if entry.event.startswith("run:") else entry.subject,
        audit_words.source(entry.source),
        _link(entry),
        tuple(trail.differences(entry)),
    )


def _grouped() -> dict[str, list[tuple[str, str]]]:
    """The events for a menu, under what they are about."""
    found: dict[str, list[tuple[str, str]]] = {}
    for code, words in audit_words.EVENTS.items():
        found.setdefault(audit_details.subject(code.partition(":")[0]), []).append((code, str(words)))
    return found


def _link(entry: AuditEntry) -> str:
    """Where what was changed can be looked at; "" where there is no such page."""
    kind = entry.event.partition(":")[0]
    if kind == "user":
        return f"{resolve_url('users')}?{urlencode({'q': entry.subject})}"
    if kind == "name":
        return f"{resolve_url('users')}?{urlencode({'q': (entry.before or entry.after or {}).get('user', '')})}"
    if kind == "run" and isinstance(pk := (entry.after or {}).get("run"), int):
        return resolve_url("run", pk)
    return {"provider": resolve_url("providers"), "options": resolve_url("options")}.get(kind, "")


@require_safe
@access.root
def as_csv(request: access.PanelRequest) -> HttpResponseBase:
    """What matches, as a table for a spreadsheet, row by row while it is read."""
    return _file(request, "audit.csv", "text/csv; charset=utf-8", _csv)


@require_safe
@access.root
def as_ndjson(request: access.PanelRequest) -> HttpResponseBase:
    """What matches, one JSON object a line."""
    return _file(request, "audit.ndjson", "application/x-ndjson", _ndjson)


def _file(
    request: access.PanelRequest, name: str, kind: str, lines: Callable[[Iterable[AuditEntry]], Iterator[str]]
) -> HttpResponseBase:
    try:
        found = trail.entries(Wish.of(request.GET))
    except WishProblem as problem:
        return HttpResponseBadRequest(problem.text, content_type="text/plain; charset=utf-8")
    answer = StreamingHttpResponse(lines(found.iterator(chunk_size=CHUNK)), content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _plain(entry: AuditEntry) -> dict[str, Any]:
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    names = ("source", "address", "event", "subject", "before", "after")
    return {"at": at, "person": entry.person_name, **{name: getattr(entry, name) for name in names}}


def _ndjson(entries: Iterable[AuditEntry]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(_plain(entry), ensure_ascii=False) + "\n"


class _Lines:
    """What csv writes to: it hands each line on."""

    def write(self, line: str) -> str:
        return line


def _csv(entries: Iterable[AuditEntry]) -> Iterator[str]:
    writer = csv.writer(_Lines())
    yield writer.writerow(COLUMNS)
    for entry in entries:
        yield writer.writerow([_cell(value) for value in _plain(entry).values()])


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: what would be one begins with an apostrophe."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA) else text
