"""Pausing AutoSSL, with what it means, and resuming it."""

from django.http import HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.autossl import census, options
from autossl_panel.autossl.models import Job, JobState, Options
from autossl_panel.hosting.models import Server, VirtualHost

from . import access, messages, places, question, shell
from .marked import fill
from .question import Point, Question
from .templatetags.panel import day


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
def pause(request: access.PanelRequest) -> HttpResponse:
    """Ask, with what follows; a post pauses. While it is paused: ask whether to resume."""
    server = access.server(request)
    back = places.back(request, resolve_url("users"))
    if request.method == "POST":
        if not options.pause(server, by=request.user, now=access.now()):
            messages.info(request, _("AutoSSL was paused already."))
        return redirect(back)
    row = options.current(server)
    asked = _resume(server, row, back) if row.paused_at is not None else _stop(server, back)
    if request.htmx:
        return render(request, "_question.html", {"question": asked})
    return shell.page(request, "question.html", "users", {"question": asked})


def _stop(server: Server, back: str) -> Question:
    lapse = census.count(server, access.now()).lapse
    points = [Point(_("Nothing is ordered, renewed or installed"), _("until somebody resumes it."), "pause")]
    if lapse.within_30_days and lapse.first is not None:
        text = ngettext(
            "%(n)d certificate expires within 30 days", "%(n)d certificates expire within 30 days", lapse.within_30_days
        )
        first = ngettext(
            "if AutoSSL stays paused: on %(day)s.",
            "if AutoSSL stays paused; the first on %(day)s.",
            lapse.within_30_days,
        )
        points.append(Point(text % {"n": lapse.within_30_days}, fill(first, day=day(lapse.first)), "clock"))
    live = Job.objects.filter(server=server, state__in=(JobState.RUNNING, JobState.STAGED)).count()
    if live:
        text = ngettext("%(n)d site in hand finishes its step;", "%(n)d sites in hand finish their step;", live)
        points.append(Point(text % {"n": live}, _("an order that is open goes on afterwards."), "play", ""))
    points += [
        question.good(_("Installed certificates stay served."), _("How sites stand is still judged every day.")),
        Point(_("Everybody reads of it"), _("at the head of each page."), "info", ""),
    ]
    return Question(
        _("Pause AutoSSL on this server?"),
        points,
        _("Pause AutoSSL"),
        _("Keep it running"),
        back,
        resolve_url("pause"),
        [("next", back)],
        focus="paused",
    )


def _resume(server: Server, row: Options, back: str) -> Question:
    held = VirtualHost.objects.filter(server=server, next_reason="paused").count()
    text = ngettext("%(n)d site was held", "%(n)d sites were held", held) % {"n": held}
    points = [Point(text, _("and is looked at within a minute, the urgent first."), "play", "")] if held else []
    points.append(question.good(_("Orders stay within the limits of the CA.")))
    return Question(
        _("Resume AutoSSL?"),
        points,
        _("Resume AutoSSL"),
        _("Keep it paused"),
        back,
        resolve_url("resume"),
        [("next", back)],
        red=False,
    )


@require_POST
@access.root
def resume(request: access.PanelRequest) -> HttpResponse:
    """Resume; what was held is due at once."""
    if options.resume(access.server(request), by=request.user, now=access.now()):
        messages.ok(request, _("AutoSSL is resumed. What was held is looked at within a minute, the urgent first."))
    else:
        messages.info(request, _("AutoSSL was not paused."))
    return redirect(places.back(request, resolve_url("users")))
