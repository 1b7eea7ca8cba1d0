"""What a preview says: in words for people, as data for programs. Reads nothing but the rows that it is given."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.names import to_unicode

from . import log
from .facts import UNDECIDED
from .models import Preview, PreviewAction, PreviewSite

# Rows that are fetched at once for other programs
CHUNK = 2000
# Left-out names that are spelled out; the rest are counted
SPELLED_OUT = 3
NO_NAMES: Mapping[str, str] = {}
# Why a provider is asked that is not simply the site's own
WHY_ASKED = frozenset({"provider_fallback", "provider_probe", "provider_instead", "provider_despite"})


def why(row: PreviewSite, called: Mapping[str, str] = NO_NAMES) -> str:
    """Why that would be done: the reason, then what it means for the names, in whole sentences.

    `called`: what people call a provider, by its name.
    """
    sentences = [_first_up(log.reason_text(row.reason))]
    if row.reason == "busy" and row.limit:
        sentences = [_("Run %(id)d has it") % {"id": row.limit["run"]}]
    elif row.reason == UNDECIDED:
        sentences = [_("It cannot be decided, because of an error in the panel itself: see the log of the workers")]
    elif row.limit is not None:
        sentences += _limit(row, called)
    sentences += _names(row)
    if row.provider_reason in WHY_ASKED:
        values = {"provider": called.get(row.provider, row.provider), "why": log.reason_text(row.provider_reason)}
        sentences.append(_("%(provider)s is asked: %(why)s") % values)
    return ". ".join(sentences)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def _limit(row: PreviewSite, called: Mapping[str, str]) -> list[str]:
    limit: Mapping[str, Any] = row.limit or {}
    what = log.limit_text(limit["kind"], limit["label"])
    provider = called.get(limit["provider"], limit["provider"])
    values = {"what": what, "used": limit["used"], "allowed": limit["allowed"], "provider": provider}
    if not limit["allowed"]:
        return [_("%(provider)s refuses %(what)s") % values]
    return [_("%(provider)s: %(used)d of %(allowed)d %(what)s used") % values]


def _names(row: PreviewSite) -> list[str]:
    names: Mapping[str, Any] = row.names
    said = []
    dropped = names.get("dropped")
    if dropped and row.action != PreviewAction.DEFER:
        said.append(_("%(names)s would no longer be covered") % {"names": _listed(dropped)})
    codes: dict[str, list[str]] = {}
    for name, code in (*names.get("left_out", ()), *names.get("failing", ())):
        # An added www. that does not work is left out quietly, and what a site lacks is no news without a cause.
        if code and code not in ("excluded", row.reason):
            codes.setdefault(code, []).append(name)
    for code, some in codes.items():
        said.append(_("%(names)s: %(why)s") % {"names": _listed(some), "why": log.reason_text(code)})
    unproven = len(names.get("unproven", ()))
    if unproven and row.provider:
        said.append(
            ngettext(
                "%(n)d name is not checked yet and would be first",
                "%(n)d names are not checked yet and would be first",
                unproven,
            )
            % {"n": unproven}
        )
    return said


def _listed(names: Iterable[str]) -> str:
    found = [to_unicode(name) for name in names]
    shown = ", ".join(found[:SPELLED_OUT])
    more = len(found) - SPELLED_OUT
    return shown if more <= 0 else _("%(names)s and %(n)d more") % {"names": shown, "n": more}


def covered(row: PreviewSite) -> tuple[int, int]:
    """How many names the certificate would cover or covers, of how many that count."""
    names: Mapping[str, Any] = row.names
    has = len(names.get("kept", ())) + len(names.get("added", ()))
    quiet = names.get("quiet", ())
    return has, has + sum(code != "excluded" and name not in quiet for name, code in names.get("left_out", ()))


def as_data(found: Preview, rows: Iterable[PreviewSite]) -> dict[str, Any]:
    """All of a preview for other programs; `rows` with their users."""
    return {**head(found), "sites": [site(row) for row in rows]}


def pieces(found: Preview, rows: QuerySet[PreviewSite]) -> Iterator[str]:
    """The same as one JSON document, a site a line, never whole in memory; `rows` with their users."""
    yield json.dumps(head(found))[:-1] + ', "sites": ['
    comma = ""
    for row in rows.iterator(CHUNK):
        yield f"{comma}\n{json.dumps(site(row))}"
        comma = ","
    yield "\n]}"


def head(found: Preview) -> dict[str, Any]:
    """A preview without its sites. Moments are ISO 8601 in UTC."""
    return {
        "scope": found.scope,
        "asked_at": stamp(found.asked_at),
        "at": stamp(found.at),
        "ended_at": stamp(found.ended_at),
        "problem": found.problem,
        "counts": {str(action): found.counts.get(action, 0) for action in PreviewAction},
        "orders": found.orders,
        "free_orders": found.free_orders,
        "limited": found.limited,
        "last_at": stamp(found.last_at),
    }


def site(row: PreviewSite) -> dict[str, Any]:
    """One site of a preview."""
    names: Mapping[str, Any] = row.names
    busy = row.action == PreviewAction.BUSY
    return {
        "virtual_host": row.name,
        "user": row.user.name,
        "action": row.action,
        "urgent": row.urgent,
        "reason": row.reason,
        "names": {
            "kept": names.get("kept", []),
            "added": names.get("added", []),
            "left_out": [{"domain": name, "reason": code or None} for name, code in names.get("left_out", [])],
            "failing": [{"domain": name, "reason": code} for name, code in names.get("failing", [])],
            "dropped": names.get("dropped", []),
            "unproven": names.get("unproven", []),
        },
        "provider": row.provider or None,
        "provider_reason": row.provider_reason or None,
        "limit": None if busy else row.limit,
        "run": row.limit["run"] if busy and row.limit else None,
        "until": stamp(row.until),
        "done_at": stamp(row.done_at),
    }


def stamp(at: datetime | None) -> str | None:
    """A moment as programs read it."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
