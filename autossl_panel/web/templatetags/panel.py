"""Icons, moments, badges and links of the pages. Nothing here asks the database."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote, urlencode

from django import template
from django.contrib.staticfiles import finders
from django.template import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from autossl_panel import names
from autossl_panel.autossl import log
from autossl_panel.autossl.models import Job, JobOutcome, Run
from autossl_panel.hosting.models import SiteState

from .. import fixed, nothing, picking, places, words
from ..access import PanelRequest

register = template.Library()
register.filter(nothing.filtered)
EMPTY = SafeString("")
# As the heart writes moments into a line's data, and as CAs do in theirs
MOMENTS = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?) UTC\b")


@register.simple_tag
@lru_cache(maxsize=16)
def asset(path: str) -> str:
    """The URL of a static file, with a mark of its content, so that a new version is fetched at once."""
    found = finders.find(path)
    mark = hashlib.sha256(Path(found).read_bytes()).hexdigest()[:8] if isinstance(found, str) else "0"
    return f"{static(path)}?v={mark}"


@lru_cache(maxsize=256)
def icon(name: str, css: str = "") -> SafeString:
    """A sign of the sprite; it says nothing that the word beside it does not say."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', f"i {css}".strip(), asset("sprite.svg"), name
    )


register.simple_tag(icon)
register.tag("icon", fixed.sign(icon, register.tags["icon"]))
# Django's own, only quicker: where a template loads i18n too, it loads this library after it
register.tag("trans", fixed.translate)
register.tag("blocktrans", fixed.block_translate)
register.tag("url", fixed.address)


@register.filter
def spoken(text: object) -> str:
    """What a row keeps as it was said: the panel's own sentences in the reader's language."""
    return log.spoken(str(text or ""))


@register.filter
def moment(at: datetime | None) -> SafeString:
    """A time as a person says it, with the exact moment in its title."""
    return _time(at, words.moment(at, timezone.now())) if at else EMPTY


@register.filter
def is_now(at: datetime) -> bool:
    """Whether that time is “just now”."""
    return words.is_now(at, timezone.now())


@register.filter
def iso(text: str) -> datetime:
    """The moment that a row has as ISO text."""
    return datetime.fromisoformat(text)


@register.filter
def number(n: int) -> str:
    """A number as people read it: from five digits on it is grouped."""
    return words.number(int(n)) if n else "0"


@register.filter
def day(at: datetime | None) -> SafeString:
    """The day of a moment: 2 Dec."""
    return _time(at, words.day(at, timezone.now())) if at else EMPTY


@register.filter
def whole_day(at: datetime) -> SafeString:
    """The day of a moment with its year: 2 Dec 2026."""
    return _time(at, words.whole_date(timezone.localtime(at).date()))


@register.filter
def since(at: datetime | None) -> SafeString:
    """When something began: today, 15:38, or the day."""
    if at is None:
        return EMPTY
    is_today = timezone.localtime(at).date() == timezone.localtime().date()
    return moment(at) if is_today else day(at)


@register.filter
def clock(at: datetime | None) -> SafeString:
    """Hours, minutes and seconds, for log lines."""
    return _time(at, words.clock(at)) if at else EMPTY


@register.filter
def away(at: datetime | None) -> SafeString:
    """How far off a moment is: in 11 h, 2 s ago."""
    return _time(at, words.away(at, timezone.now())) if at else EMPTY


def _time(at: datetime, text: str) -> SafeString:
    stamp = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return format_html('<time datetime="{}" title="{}">{}</time>', stamp, words.exact(at), text)


@register.filter
def told(text: str) -> SafeString:
    """A sentence of the log, with the moments that it names in UTC shown in the viewer's zone, and names as people read
    them, their A-labels in the title."""
    pieces: list[SafeString] = []
    end = 0
    for found in MOMENTS.finditer(text):
        pieces += [_told_names(text[end : found.start()]), _told_moment(found)]
        end = found.end()
    return SafeString("".join([*pieces, _told_names(text[end:])]))


def _told_names(text: str) -> SafeString:
    if "xn--" not in text:
        return conditional_escape(text)
    pieces: list[SafeString] = []
    end = 0
    for found in names.A_NAME.finditer(text):
        pieces += [conditional_escape(text[end : found.start()]), _told_name(found[0])]
        end = found.end()
    return SafeString("".join([*pieces, conditional_escape(text[end:])]))


def _told_name(name: str) -> SafeString:
    readable = names.to_unicode(name)
    return conditional_escape(name) if readable == name else format_html('<span title="{}">{}</span>', name, readable)


def _told_moment(found: re.Match[str]) -> SafeString:
    try:
        at = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return conditional_escape(found[0])
    here = timezone.localtime(at)
    if not here.utcoffset():
        return _time(at, found[0])
    return _time(at, here.strftime("%Y-%m-%d %H:%M:%S" if found[2] else "%Y-%m-%d %H:%M"))


@register.simple_tag
def zone_now() -> str:
    """The zone that times are shown in: Europe/Berlin (UTC+1)."""
    return words.zone(timezone.now())


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
    return names.spelled(name)


@register.filter
def domain(name: str) -> SafeString:
    """The same, where a line may break after each dot and nowhere else."""
    return SafeString(conditional_escape(unicode_name(name)).replace(".", ".<wbr>"))


@register.filter
def address(text: str) -> SafeString:
    """An e-mail address, where a line may break before the “@” and after each dot first of all."""
    return SafeString(conditional_escape(text).replace("@", "<wbr>@").replace(".", ".<wbr>"))


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
    return _badge(state, get_language())


@lru_cache(maxsize=256)
def _badge(state: str, _language: str | None) -> SafeString:
    found = SiteState(state)
    css, sign = STATES[found]
    return format_html('<span class="badge {}">{}{}</span>', css, icon(sign), found.label)


LEVEL_ICONS = {"success": "ok", "warn": "warn", "failure": "bad"}


@register.filter
def level_icon(level: str) -> SafeString:
    """The sign of a log level; plain lines have none."""
    return icon(LEVEL_ICONS[level]) if level in LEVEL_ICONS else EMPTY


@register.simple_tag
def steady(text: str) -> SafeString:
    """A text that is as wide as in bold, so that what is beside it stays where it is when it is the current one."""
    return format_html('<span class="steady" data-bold="{0}">{0}</span>', text)


@register.simple_tag(takes_context=True)
def here(context: RequestContext) -> str:
    """The address of the page that a person looks at, also in a fragment of it."""
    return places.here(cast(PanelRequest, context.request))


@register.simple_tag(takes_context=True)
def here_quoted(context: RequestContext) -> str:
    """The same as a value in the query of an address."""
    return quote(here(context), safe="/")


@register.simple_tag(takes_context=True)
def here_with(context: RequestContext, **changes: object) -> str:
    """This page's address with other parameters; None takes one out, and every change goes back to the first page."""
    given = context.request.GET
    # Turning pages or sorting leaves all that match ticked, with the exceptions; anything else begins anew.
    keeps = given.get(picking.SELECT) == picking.MATCH and changes.keys() <= {"page", "sort", "size"}
    begins = {"page"} if keeps else {"page", picking.SELECT, picking.LEFT_OUT}
    query = {name: values for name, values in given.lists() if name not in begins}
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = [str(value)]
    encoded = urlencode(query, doseq=True)
    return f"?{encoded}" if encoded else "?"


@register.simple_tag
def terms_link(url: str, text: str) -> SafeString:
    """A CA's terms: a link where it is one for people; anything else is a stranger's text, shown and never linked."""
    if url.startswith(("https://", "http://")):
        return format_html('<a class="inline" href="{}" rel="noreferrer">{}</a>', url, text)
    return format_html('{} <span class="dim">({})</span>', text, unquote(url)[:200])
