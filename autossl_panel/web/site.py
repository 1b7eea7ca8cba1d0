"""A site's own page, and what one does there: check, let AutoSSL take over, take the chain along, revoke."""

import hashlib
import json
import re

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from autossl_panel import names as domain_names
from autossl_panel.autossl import revocation, runs, takeover
from autossl_panel.autossl.models import Certificate, Installation
from autossl_panel.autossl.standstill import account_in_use
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.people.models import User

from . import access, certificate_words, messages, places, revoking_words, shell, site_data, site_table
from .steps import next_step

# Those of `revocation` that a person is offered, the usual first
REASONS = (
    (
        "keyCompromise",
        gettext_lazy("Its private key was disclosed"),
        gettext_lazy("key compromise: browsers refuse it soonest"),
    ),
    ("superseded", gettext_lazy("Another certificate took its place"), gettext_lazy("superseded")),
    ("cessationOfOperation", gettext_lazy("The site was closed"), gettext_lazy("cessation of operation")),
    ("unspecified", gettext_lazy("For another reason"), gettext_lazy("unspecified")),
)


def _site(person: User, pk: int) -> VirtualHost:
    hosts = visible.virtual_hosts(person).select_related("user", "user__feature_list", "server")
    return get_object_or_404(hosts, pk=pk)


def _certificate(person: User, pk: int) -> Certificate:
    """A certificate that is or was at a site of the person's, or was ordered for one."""
    mine = visible.virtual_hosts(person)
    if person.is_root:
        return get_object_or_404(Certificate, pk=pk)
    at = Q(installations__virtual_host__in=mine) | Q(orders__virtual_host__in=mine)
    return get_object_or_404(Certificate.objects.filter(at).distinct(), pk=pk)


@require_safe
@access.operator
def site(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The page; for htmx, what opens below the site's row, or the news for a page that says what it knows."""
    now = access.now()
    found = site_data.detail(_site(request.user, pk), now, whole=request.user.is_root)
    account = account_in_use(found.host.server)
    certificate = found.certificate
    expired = certificate is not None and certificate.not_after <= now
    context = {
        "detail": found,
        "host": found.host,
        "certificate": certificate,
        "expiring": certificate is not None and site_table.is_near(certificate, now),
        "expired": expired,
        "step": next_step(found.host, certificate, found.job, now, disabled=account is None),
        "revocation": revoking_words.of(certificate),
        "issuer": certificate_words.issuer(certificate) if certificate else "",
        "key": certificate_words.key(certificate) if certificate else "",
        "serial": certificate_words.serial(certificate) if certificate else "",
        "in_a_row": site_data.IN_A_ROW,
        "list_url": places.listed(request, "certificates"),
        "may_check": account is not None and found.host.state not in (SiteState.GONE, SiteState.OFF),
        "may_take_over": found.host.takeover or _is_anothers(certificate),
        "may_revoke": certificate is not None and certificate.ours and not (certificate.revoked_at or expired),
        "news": _news(found),
    }
    if request.htmx and "news" in request.GET:
        same = request.GET["news"] == context["news"]
        return HttpResponse(status=204) if same else render(request, "_site_news.html", context)
    if request.htmx:
        return render(request, "_site_detail.html", context)
    server = shell.counted_server(request)
    # Of a site of another server the page around is still this one's
    slot = shell.slot(request.user, server, account=account) if server == found.host.server else None
    return shell.page(request, "site.html", "certificates", context, known=slot)


def _news(found: site_data.Detail) -> str:
    """What a worker does for the site now, so that a page can ask whether that has changed; "" for nothing."""
    job, certificate = found.job, found.certificate
    theirs = [certificate, *(event.earlier for event in found.history)]
    revoking = [one for one in theirs if one is not None and one.revoke_wish is not None and one.revoked_at is None]
    if job is None and not revoking:
        return ""
    work = f"{job.pk}.{job.state}.{job.phase}" if job is not None else ""
    asked = json.dumps([[one.pk, one.revoke_problem] for one in revoking], sort_keys=True)
    told = f"{work} {found.host.state} {certificate and certificate.pk} {asked}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _is_anothers(certificate: Certificate | None) -> bool:
    """Whether somebody else put it there; a self-signed one is nobody's purchase."""
    return certificate is not None and not certificate.ours and not certificate.self_signed


@require_POST
@access.operator
def check(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Run AutoSSL for the site's user, or land on the run that has the work before it."""
    host = _site(request.user, pk)
    run = runs.start(runs.user_scope(host.user.name), by=request.user, asked_from="panel", server=host.server)
    page = places.back(request, resolve_url("certificate", host.pk))
    return redirect(places.leading_back(resolve_url("run", run.pk), page))


@require_POST
@access.operator
def take_over(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Let AutoSSL replace another's certificate here once it is defective or about to expire, or take that back."""
    host, on = _site(request.user, pk), request.POST.get("on") == "1"
    if takeover.set_takeover(host, on, by=request.user, now=access.now()):
        said = (
            _("AutoSSL takes %(site)s over when its certificate is defective or about to expire. A sound one stays.")
            if on
            else _("AutoSSL leaves the certificate of %(site)s to whoever put it there.")
        )
        messages.ok(request, said % {"site": domain_names.spelled(host.name)})
    return redirect(places.back(request, resolve_url("certificate", host.pk)))


@require_safe
@access.operator
def pem(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The certificate and its chain, as they are served. The private key never leaves the helper."""
    found = _certificate(request.user, pk)
    response = HttpResponse(found.pem, content_type="application/x-pem-file")
    # What a stranger's certificate is called may be anything
    name = re.sub(r"[^a-z0-9.-]", "_", (found.names[0] if found.names else "certificate").lower())[:100]
    response["Content-Disposition"] = f'attachment; filename="{name}-{found.serial[:8]}.pem"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@access.operator
@access.fresh_to_post
def revoke(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask why, with what follows; a post has a worker revoke it."""
    found = _certificate(request.user, pk)
    problem = ""
    if request.method == "POST":
        reason = request.POST.get("reason", "")
        if reason not in _offered(found):
            problem = _("Choose a reason. Nothing was revoked.")
        else:
            try:
                revocation.ask(found, reason, by=request.user)
            except revocation.RevocationProblem as error:
                problem = error.text
            else:
                messages.ok(request, _("The CA is being asked to revoke %(serial)s.") % {"serial": found.serial})
                return redirect(_back(request.user, found))
    context = {"certificate": found, "uses": _uses(request.user, found), "reasons": REASONS, "problem": problem}
    context |= {"serial": certificate_words.serial(found), "issuer": certificate_words.issuer(found)}
    context["back"] = _back(request.user, found)
    if request.htmx:
        return render(request, "_revoke.html", context)
    return shell.page(request, "revoke.html", "certificates", context)


def _offered(certificate: Certificate) -> set[str]:
    """The reasons that may be given: those that the page offers, and the one given before, to send it again."""
    before = revoking_words.of(certificate)
    return {name for name, *_words in REASONS} | ({before.reason} if before is not None and before.reason else set())


def _uses(person: User, certificate: Certificate) -> list[str]:
    """The sites that show it to visitors now."""
    mine = visible.virtual_hosts(person)
    now = Installation.objects.filter(certificate=certificate, until__isnull=True, virtual_host__in=mine)
    return list(now.filter(virtual_host__gone_at__isnull=True).values_list("virtual_host__name", flat=True))


def _back(person: User, certificate: Certificate) -> str:
    """The page of a site that has or had it, else the list."""
    mine = visible.virtual_hosts(person)
    at = Installation.objects.filter(certificate=certificate, virtual_host__in=mine).order_by("-since")
    host = at.values_list("virtual_host_id", flat=True).first()
    return resolve_url("certificate", host) if host else resolve_url("certificates")
