"""What comes next for a site, and when, in words: one line, and the reason below it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import log
from autossl_panel.autossl.models import Certificate, Job, JobState
from autossl_panel.hosting.models import SiteState, VirtualHost

from .templatetags.panel import day, moment

# Why another's certificate is kept
ANOTHERS = ("foreign", "foreign_expiring", "foreign_defective")
# Renewals nearer than this are said by the hour
SOON = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens next, with its moment in it, and why."""

    text: SafeString | str
    why: str


def next_step(
    host: VirtualHost, certificate: Certificate | None, job: Job | None, now: datetime, *, disabled: bool = False
) -> Step:
    """What the table says of `host`, whose certificate and live job these are. `disabled`: no provider is in use."""
    if job is not None:
        return Step(_working(job), _doing(job))
    if certificate is not None and certificate.revoke_wish is not None and certificate.revoked_at is None:
        return _revoking(certificate, now)
    if host.state == SiteState.GONE:
        text = format_html(_("Site removed on {day}"), day=day(host.gone_at)) if host.gone_at else _("Site removed")
        return Step(_("Nothing"), text)
    anothers = host.state == SiteState.FOREIGN or host.next_reason in ANOTHERS
    if disabled and host.state != SiteState.OFF and not anothers:
        return Step(_("Nothing"), _("AutoSSL is disabled"))
    if host.next_at is None:
        return _without_moment(host)
    if host.next_at <= now:
        return Step(_("Within a minute"), _why(host))
    if host.next_reason in ANOTHERS:
        return Step(_("Kept"), _problem(host) or _("Not by AutoSSL"))
    if host.next_reason == "renew":
        return Step(format_html(_("Renews {when}"), when=_when(host.next_at, now)), _renewal(certificate, host.next_at))
    if host.next_reason == "coverage":
        return Step(format_html(_("Looks again {when}"), when=_when(host.next_at, now)), _missing(host))
    if host.next_reason == "deferred":
        return Step(format_html(_("Deferred, next try {when}"), when=moment(host.next_at)), _why(host))
    if host.next_reason == "rate_limited":
        return Step(
            format_html(_("Waits until {when}"), when=moment(host.next_at)), _first_up(log.reason_text("rate_limited"))
        )
    return Step(format_html(_("Next try {when}"), when=moment(host.next_at)), _why(host))


def _working(job: Job) -> str:
    words = {
        "new": _("Ordering now"),
        "renew": _("Renewing now"),
        "extend": _("Extending now"),
        "resume": _("Its order goes on"),
        "install": _("Installing now"),
    }
    return words.get(job.action, _("At work"))


def _doing(job: Job) -> str:
    if job.state == JobState.RUNNING:
        return str(job.get_phase_display())
    return str(job.get_state_display())


def _revoking(certificate: Certificate, now: datetime) -> Step:
    """Somebody asked for its revocation, which the CA has not heard of yet."""
    until = (certificate.revoke_problem or {}).get("until")
    at = datetime.fromisoformat(until) if until else now
    why = _("Then the site gets a new one")
    if at <= now:
        return Step(_("Is revoked within a minute"), why)
    return Step(format_html(_("Revocation, next try {when}"), when=moment(at)), why)


def _without_moment(host: VirtualHost) -> Step:
    if host.state == SiteState.OFF or host.next_reason in ("disabled", "suspended"):
        why = _("the user is suspended") if host.next_reason == "suspended" else _("AutoSSL is disabled")
        return Step(_("Nothing"), _first_up(why))
    if host.state == SiteState.FOREIGN or host.next_reason in ANOTHERS:
        return Step(_("Kept"), _problem(host) or _("Not by AutoSSL"))
    return Step(_("With the next daily check"), _why(host))


def _when(at: datetime, now: datetime) -> SafeString:
    return moment(at) if at - now < SOON else day(at)


def _renewal(certificate: Certificate | None, at: datetime) -> str:
    """By whose word, or with how much of its life left."""
    if certificate is None:
        return ""
    if certificate.renewal_at is not None:
        return _("By the CA’s hint (ARI)")
    left = (certificate.not_after - at) / (certificate.not_after - certificate.not_before)
    for share, words in ((1 / 3, _("With a third of its life left")), (1 / 2, _("With half of its life left"))):
        if abs(left - share) < 0.01:
            return words
    return _("With %(n)d %% of its life left") % {"n": round(100 * left)}


def _missing(host: VirtualHost) -> str:
    lacking = host.names_wanted - host.names_covered
    if lacking <= 0:
        return _("An added www. does not work yet")
    return ngettext("%(n)d name is not covered", "%(n)d names are not covered", lacking) % {"n": lacking}


def _why(host: VirtualHost) -> str:
    return _problem(host) or (_first_up(log.reason_text(host.next_reason)) if host.next_reason else "")


def _problem(host: VirtualHost) -> str:
    return _first_up(log.reason_text(host.problem["code"])) if host.problem else ""


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
