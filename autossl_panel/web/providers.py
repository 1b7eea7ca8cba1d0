"""The Providers tab: who issues the certificates. What needs the network is a row that a worker works on."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from autossl_panel.autossl import providers as heart
from autossl_panel.autossl.models import Account, AccountStatus, Installation, Provider, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server

from . import access, messages, shell

OFF = "off"


@dataclass(frozen=True, slots=True)
class Row:
    """A provider as the list shows it. `problem` belongs to `field`; what was typed is kept."""

    provider: Provider
    account: Account | None
    chosen: bool
    field: str
    problem: str
    contact: str
    eab_kid: str

    @property
    def busy(self) -> bool:
        account = self.account
        at_work = account is not None and (account.status == AccountStatus.REGISTERING or account.wish is not None)
        return self.provider.state == ProviderState.CHECKING or at_work

    @property
    def registered(self) -> bool:
        return self.account is not None and bool(self.account.url)

    @property
    def terms_changed(self) -> bool:
        return self.registered and self.account is not None and self.account.terms_url != self.provider.terms_url

    @property
    def asks_eab(self) -> bool:
        return self.provider.eab_required and not self.registered


@dataclass(frozen=True, slots=True)
class Lapse:
    """The certificates that nobody would renew any more."""

    number: int
    first: datetime | None
    within_30_days: int


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def providers(request: access.PanelRequest) -> HttpResponse:
    """The list; a post chooses one: it is contacted, then registered with, by a worker."""
    server = servers.this()
    if request.method != "POST":
        return _page(request, server, _wanted(request.GET.get("choose", "")))
    wanted = request.POST.get("provider", "")
    if wanted == OFF:
        return redirect("providers-disable" if Provider.objects.filter(active=True).exists() else "providers")
    provider = _wanted(wanted)
    if provider is None:
        messages.bad(request, _("No provider was chosen."))
        return redirect("providers")
    if provider.state in (ProviderState.NEW, ProviderState.REFUSED):
        heart.check_again(provider, by=request.user)
    elif provider.state == ProviderState.READY:
        try:
            _use(request, provider, server)
        except ProviderProblem as problem:
            return _page(request, server, provider, problem)
    return redirect(f"{resolve_url('providers')}?choose={provider.pk}")


def _wanted(text: str) -> Provider | None:
    return Provider.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None


def _use(request: access.PanelRequest, provider: Provider, server: Server) -> None:
    post = request.POST
    kid, hmac_key = post.get(f"eab_kid-{provider.pk}", "").strip(), post.get(f"eab_hmac_key-{provider.pk}", "").strip()
    if kid or hmac_key:
        heart.bind(provider, kid, hmac_key, by=request.user)
    heart.ask_to_use(
        provider,
        server,
        agree_terms=f"agree_terms-{provider.pk}" in post,
        contact=post.get(f"contact-{provider.pk}", "").strip(),
        by=request.user,
    )


def _page(
    request: access.PanelRequest, server: Server, chosen: Provider | None, problem: ProviderProblem | None = None
) -> HttpResponse:
    accounts = {account.provider_id: account for account in Account.objects.filter(server=server)}
    found = list(Provider.objects.defer("ca_bundle"))
    current = next((provider for provider in found if provider.active), None)
    chosen = chosen or current
    rows = [
        _row(request, provider, accounts.get(provider.pk), provider == chosen, problem if provider == chosen else None)
        for provider in found
    ]
    context = {
        "rows": rows,
        "none_chosen": chosen is None,
        "current": next((row for row in rows if row.provider.active), None),
        "problem": problem,
        "lapse": _lapse(access.now()) if current else None,
    }
    return shell.page(request, "providers.html", "providers", context)


def _row(
    request: access.PanelRequest,
    provider: Provider,
    account: Account | None,
    chosen: bool,
    problem: ProviderProblem | None,
) -> Row:
    field, text = "", ""
    if problem is not None:
        field, text = problem.field, problem.text
    elif account is not None and account.status == AccountStatus.REFUSED and account.problem:
        field, text = account.problem["field"], account.problem["text"]
    elif provider.state == ProviderState.REFUSED and provider.problem:
        field, text = provider.problem["field"], provider.problem["text"]
    post = request.POST
    return Row(
        provider=provider,
        account=account,
        chosen=chosen,
        field=field,
        problem=text,
        contact=post.get(f"contact-{provider.pk}", account.contact if account else ""),
        eab_kid=post.get(f"eab_kid-{provider.pk}", provider.eab_kid),
    )


def _lapse(now: datetime) -> Lapse:
    ours = Installation.objects.filter(
        until__isnull=True, virtual_host__gone_at__isnull=True, certificate__ours=True, certificate__not_after__gt=now
    )
    found = ours.aggregate(number=Count("pk"), first=Min("certificate__not_after"))
    soon = ours.filter(certificate__not_after__lt=now + shell.MONTH).count()
    return Lapse(found["number"], found["first"], soon)


@require_GET
@access.root
def state(request: access.PanelRequest, pk: int) -> HttpResponse:
    """What a worker is doing with a provider; once it is done, the page is opened again with what came out."""
    provider = get_object_or_404(Provider, pk=pk)
    account = Account.objects.filter(provider=provider, server=servers.this()).first()
    row = _row(request, provider, account, True, None)
    if row.busy:
        return render(request, "_provider_busy.html", {"row": row})
    url = f"{resolve_url('providers')}?choose={pk}"
    if provider.state == ProviderState.REFUSED and "note" not in provider.stated:
        url = resolve_url("provider-edit", pk)
    return HttpResponse(status=204, headers={"HX-Redirect": url})


@require_POST
@access.root
def check(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Have the directory read again."""
    provider = get_object_or_404(Provider, pk=pk)
    if provider.state != ProviderState.CHECKING:
        heart.check_again(provider, by=request.user)
    return redirect(f"{resolve_url('providers')}?choose={pk}")


@require_POST
@access.root
@access.fresh
def register(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Register again with the same key: the CA answers with the account it knows, or makes it anew."""
    provider = get_object_or_404(Provider, pk=pk)
    server = servers.this()
    account = get_object_or_404(Account, provider=provider, server=server)
    agreed = account.terms_agreed_at is not None and account.terms_url == provider.terms_url
    try:
        heart.ask_to_use(provider, server, agree_terms=agreed, contact=account.contact, by=request.user)
    except ProviderProblem as problem:
        return _page(request, server, provider, problem)
    return redirect(f"{resolve_url('providers')}?choose={pk}")


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh
def disable(request: access.PanelRequest) -> HttpResponse:
    """Ask, with what would lapse and when; the server's name has to be typed."""
    server = servers.this()
    wrong = False
    if request.method == "POST":
        wrong = request.POST.get("server", "").strip().lower() != server.name.lower()
        if not wrong:
            heart.disable(by=request.user)
            messages.ok(request, _("AutoSSL is disabled. Installed certificates stay until they expire."))
            return redirect("providers")
    context = {"server": server, "wrong": wrong, "lapse": _lapse(access.now())}
    return shell.page(request, "provider_disable.html", "providers", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask; a post takes a provider out that was never used."""
    provider = get_object_or_404(Provider, pk=pk)
    problem = ""
    if request.method == "POST":
        try:
            name = str(provider)
            heart.remove(provider, by=request.user)
        except ProviderProblem as refused:
            problem = refused.text
        else:
            messages.ok(request, _("“%(name)s” is removed.") % {"name": name})
            return redirect("providers")
    return shell.page(request, "provider_remove.html", "providers", {"provider": provider, "problem": problem})
