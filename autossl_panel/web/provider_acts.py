"""What is done with a provider and its account: asked again, registered again or anew, another key, terms agreed to.

Each writes a row and rings the bell; a worker does it, and the tab follows.
"""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.autossl import providers as heart
from autossl_panel.autossl.models import Account, Provider, ProviderState
from autossl_panel.autossl.providers import ProviderProblem

from . import access, messages, shell


def there(pk: int) -> str:
    """The tab with this provider ticked."""
    return f"{resolve_url('providers')}?choose={pk}"


# The session's entry of the provider that a person has registered with, until it is told what came of it
ASKED = "provider_asked"


def remember(request: access.PanelRequest, provider: Provider, *, use: bool) -> None:
    """Keep what was asked for, so that the tab says so once a worker has done it."""
    said = "refreshed" if provider.active else "used" if use else "registered"
    request.session[ASKED] = {"provider": provider.pk, "said": said}


def _account(request: access.PanelRequest, pk: int) -> Account:
    return get_object_or_404(Account.objects.select_related("provider"), provider=pk, server=access.server(request))


@require_POST
@access.root
def check(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Have the directory read again."""
    provider = get_object_or_404(Provider, pk=pk)
    if provider.state != ProviderState.CHECKING:
        heart.check_again(provider, by=request.user)
    return redirect(there(pk))


@require_POST
@access.root
@access.fresh
def register(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Register again with the same key: the CA answers with the account it knows, or makes it anew."""
    account = _account(request, pk)
    provider = account.provider
    agreed = account.terms_agreed_at is not None and account.terms_url == provider.terms_url
    try:
        heart.ask_to_use(
            provider,
            account.server,
            agree_terms=agreed,
            contact=account.contact,
            by=request.user,
            use=provider.active or account.use_then,
        )
    except ProviderProblem as problem:
        messages.bad(request, problem.text)
    else:
        remember(request, provider, use=account.use_then)
    return redirect(there(pk))


@require_POST
@access.root
@access.fresh
def roll(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Give the account another key."""
    account = _account(request, pk)
    try:
        heart.ask_to_roll(account.provider, account.server, by=request.user)
    except ProviderProblem as problem:
        messages.bad(request, problem.text)
    return redirect(there(pk))


@require_POST
@access.root
@access.fresh
def agree(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Agree to the terms as they are now."""
    account = _account(request, pk)
    if "agree_terms" not in request.POST:
        messages.bad(request, _("Tick that you agree to the terms. Nothing was changed."))
        return redirect(there(pk))
    try:
        heart.agree_again(account.provider, account.server, by=request.user)
    except ProviderProblem as problem:
        messages.bad(request, problem.text)
    return redirect(there(pk))


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh
def anew(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with what follows; a post makes a new account with a new key."""
    account = _account(request, pk)
    provider = account.provider
    problem = None
    kid = request.POST.get("eab_kid", provider.eab_kid).strip()
    if request.method == "POST":
        try:
            hmac_key = request.POST.get("eab_hmac_key", "").strip()
            if hmac_key or (kid and kid != provider.eab_kid):
                heart.bind(provider, kid, hmac_key, by=request.user)
            agreed = "agree_terms" in request.POST
            heart.ask_to_register_anew(provider, account.server, agree_terms=agreed, by=request.user)
            return redirect(there(pk))
        except ProviderProblem as refused:
            problem = refused
    context = {
        "provider": provider,
        "account": account,
        "open_orders": account.orders.filter(closed_at__isnull=True).count(),
        "problem": problem,
        "eab_kid": kid,
        "agreed": "agree_terms" in request.POST,
    }
    return shell.page(request, "provider_anew.html", "providers", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask; a post takes a provider out that was never used."""
    provider = get_object_or_404(Provider, pk=pk)
    problem = ""
    if request.method == "POST":
        name = str(provider)
        try:
            heart.remove(provider, by=request.user)
        except ProviderProblem as refused:
            problem = refused.text
        else:
            messages.ok(request, _("“%(name)s” is removed.") % {"name": name})
            return redirect("providers")
    context = {"provider": provider, "problem": problem, "choices": provider.choices.count()}
    return shell.page(request, "provider_remove.html", "providers", context)
