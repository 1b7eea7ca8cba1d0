"""Icons, moments, badges and links of the pages. Nothing here asks the database."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django import template
from django.contrib.staticfiles import finders
from django.template import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from autossl_panel import names
from autossl_panel.autossl.models import Job, JobOutcome, Run
from autossl_panel.hosting.models import SiteState

from .. import words

register = template.Library()


@register.simple_tag
@lru_cache(maxsize=16)
def asset(path: str) -> str:
    """The URL of a static file, with a mark of its content, so that a new version is fetched at once."""
    found = finders.find(path)
    mark = hashlib.sha256(Path(found).read_bytes()).hexdigest()[:8] if isinstance(found, str) else "0"
    return f"{static(path)}?v={mark}"


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, css: str = "") -> SafeString:
    """A sign of the sprite; it says nothing that the word beside it does not say."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', f"i {css}".strip(), asset("sprite.svg"), name
    )


@register.filter
def moment(at: datetime | None) -> SafeString:
    """A time as a person says it, with the exact moment in its title."""
    return _time(at, words.moment)


@register.filter
def iso(text: str) -> datetime:
    """The moment that a row has as ISO text."""
    return datetime.fromisoformat(text)


@register.filter
def day(at: datetime | None) -> SafeString:
    """The day of a moment: 2 Dec."""
    return _time(at, words.day)


@register.filter
def clock(at: datetime | None) -> SafeString:
    """Hours, minutes and seconds, for log lines."""
    return _time(at, lambda moment, _now: moment.strftime("%H:%M:%S"))


@register.filter
def away(at: datetime | None) -> SafeString:
    """How far off a moment is: in 11 h, 2 s ago."""
    return _time(at, words.away)


def _time(at: datetime | None, say: Any) -> SafeString:
    if at is None:
        return mark_safe("")
    at = at.astimezone(timezone.get_current_timezone())
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        words.exact(at),
        say(at, timezone.now()),
    )


@register.filter
def took(seconds: float | timedelta | None) -> str:
    """A duration: 8 s, 4 min 06 s, 2 h 10 min."""
    if seconds is None:
        return ""
    return words.duration(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)


@register.filter
def took_run(run: Run) -> str:
    """How long a run took."""
    return took(run.ended_at - run.started_at) if run.ended_at else ""


@register.filter
def unicode_name(name: str) -> str:
    """A domain name as people read it: its Unicode form, with the A-label where they differ."""
    readable = names.to_unicode(name)
    return name if readable == name else f"{readable} ({name})"


OUTCOMES = {
    JobOutcome.SECURED: ("ok", "is-ok"),
    JobOutcome.DEFERRED: ("clock", "is-warn"),
    JobOutcome.WAITING: ("clock", "is-warn"),
    JobOutcome.FAILED: ("bad", "is-bad"),
    JobOutcome.CANCELLED: ("off", "dim"),
}


@register.simple_tag
def outcome_word(job: Job) -> SafeString:
    """How a site's work ended: sign and word."""
    outcome = JobOutcome(job.outcome)
    sign, css = OUTCOMES.get(outcome, ("out", "dim"))
    renewed = outcome == JobOutcome.SECURED and job.action == "renew"
    return format_html('<span class="{}">{} {}</span>', css, icon(sign), _("Renewed") if renewed else outcome.label)


@register.filter
def rough(seconds: float) -> str:
    """A duration in one unit: 2 min."""
    return words.rough(seconds)


@register.filter
def kind_of(event: str) -> str:
    """What an event is about, as a filter takes it: “person:” of “person:added”."""
    return f"{event.partition(':')[0]}:"


@register.filter
def join_keys(values: Mapping[str, object]) -> str:
    """The keys of a mapping, in order."""
    return ", ".join(values)


@register.filter
def account_id(url: str) -> str:
    """What a CA calls an account: the end of its URL."""
    return url.rstrip("/").rpartition("/")[2]


STATES = {
    SiteState.SECURED: ("ok", "ok"),
    SiteState.PARTLY: ("partly", "partly"),
    SiteState.UNSECURED: ("bad", "bad"),
    SiteState.FOREIGN: ("foreign", "foreign"),
    SiteState.OFF: ("off", "off"),
    SiteState.GONE: ("gone", "gone"),
}


@register.simple_tag
def state_badge(state: str) -> SafeString:
    """How a site stands: shape, word and colour."""
    found = SiteState(state)
    css, sign = STATES[found]
    return format_html('<span class="badge {}">{}{}</span>', css, icon(sign), found.label)


LEVEL_ICONS = {"success": "ok", "warn": "warn", "failure": "bad"}


@register.filter
def level_icon(level: str) -> SafeString:
    """The sign of a log level; plain lines have none."""
    return icon(LEVEL_ICONS[level]) if level in LEVEL_ICONS else mark_safe("")


@register.simple_tag(takes_context=True)
def here_with(context: RequestContext, **changes: object) -> str:
    """This page's address with other parameters; None takes one out, and every change goes back to the first page."""
    query = context.request.GET.copy()
    query.pop("page", None)
    query.pop("select", None)
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    encoded = query.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag
def terms_link(url: str, text: str) -> SafeString:
    """A CA's terms: a link where it is one for people; anything else is a stranger's text, shown and never linked."""
    if url.startswith(("https://", "http://")):
        return format_html('<a class="inline" href="{}" rel="noreferrer">{}</a>', url, text)
    return format_html('{} <span class="dim">({})</span>', text, unquote(url)[:200])
