"""The Providers tab: who issues the certificates. What needs the network is a row that a worker works on."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from autossl_panel.autossl import census
from autossl_panel.autossl import providers as heart
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting.models import Server

from . import access, comparing, messages, provider_limits, provider_rows, question, shell
from .provider_acts import ASKED, remember, there
from .provider_profile import lose_names
from .provider_rows import Row
from .question import Point, Question

OFF = "off"
# What a worker has done, in words
DONE = {
    "roll": gettext_lazy("The account has another key."),
    "anew": gettext_lazy("A new account is registered."),
    "agree": gettext_lazy("The terms are agreed to."),
}
# What a person asked for is told on the tab, whichever way that is opened
CHOSEN = {
    "used": gettext_lazy("“%(name)s” is now the provider."),
    "registered": gettext_lazy("An account with “%(name)s” is registered."),
    "refreshed": gettext_lazy("The registration with “%(name)s” is refreshed."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def providers(request: access.PanelRequest) -> HttpResponse:
    """The list; a post chooses one: it is contacted, then registered with, by a worker."""
    server = shell.counted_server(request)
    if request.method != "POST":
        _tell_chosen(request, server)
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
            asked = _use(request, provider, server)
        except ProviderProblem as problem:
            return _page(request, server, provider, problem)
        if asked is not None:
            return question.ask(request, "providers", asked)
    return redirect(there(provider.pk))


def _wanted(text: str) -> Provider | None:
    return Provider.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None


def _use(request: access.PanelRequest, provider: Provider, server: Server) -> Question | None:
    """Have it used, or registered with only; the question instead, where sites would lose something."""
    post = request.POST
    kid, hmac_key = post.get(f"eab_kid-{provider.pk}", "").strip(), post.get(f"eab_hmac_key-{provider.pk}", "").strip()
    if kid or hmac_key:
        heart.bind(provider, kid, hmac_key, by=request.user)
    agreed = f"agree_terms-{provider.pk}" in post
    contact = heart.checked_contact(post.get(f"contact-{provider.pk}", ""))
    only = f"only-{provider.pk}" in post and not provider.active
    heart.check_usable(provider, server, agree_terms=agreed)
    if not only and not provider.active and post.get("sure") != str(provider.pk):
        points = _consequences(server, provider)
        if points:
            hidden = [("provider", str(provider.pk)), (f"contact-{provider.pk}", contact)]
            hidden += [(f"agree_terms-{provider.pk}", "on")] if agreed else []
            return _question(provider, points, hidden)
    heart.ask_to_use(provider, server, agree_terms=agreed, contact=contact, by=request.user, use=not only)
    remember(request, provider, use=not only)
    return None


def _tell_chosen(request: access.PanelRequest, server: Server) -> None:
    """Say once that the provider which was chosen is in use; what went wrong stands at it."""
    asked = request.session.get(ASKED)
    if asked is None:
        return
    account = Account.objects.select_related("provider").filter(server=server, provider=asked["provider"]).first()
    if account is not None and account.status == AccountStatus.REGISTERING:
        return
    del request.session[ASKED]
    if account is None or account.problem is not None or account.status != AccountStatus.VALID:
        return
    if asked["said"] != "used" or account.provider.active:
        messages.ok(request, CHOSEN[asked["said"]] % {"name": account.provider})


def _consequences(server: Server, provider: Provider) -> list[Point]:
    """What this server's sites would lose by using the provider."""
    board = provider_rows.board(server, access.now(), {})
    row = next(row for row in board.rows if row.provider == provider)
    points = []
    if row.trial:
        points.append(
            Point(
                _("No browser trusts its certificates."),
                _("It is for trials: visitors of each site see a warning from its next renewal on."),
                "bad",
                "is-bad",
            )
        )
    if row.over:
        points.append(lose_names(row.over, provider.max_names))
    if row.private:
        n = row.private
        text = ngettext("%(n)d site has names that are not public.", "%(n)d sites have names that are not public.", n)
        points.append(
            Point(
                text % {"n": n},
                _("This CA certifies public names only: those names are not renewed any more."),
                "bad",
                "is-bad",
            )
        )
    if board.needs.wildcards and provider.stated.get("wildcard") is False:
        n = board.needs.wildcards
        text = ngettext("%(n)d site has a name with a wildcard.", "%(n)d sites have names with a wildcard.", n)
        points.append(Point(text % {"n": n}, _("This CA issues none.")))
    return points


def _question(provider: Provider, points: list[Point], hidden: list[tuple[str, str]]) -> Question:
    return Question(
        _("Use “%(name)s” for this server?") % {"name": provider},
        [
            *points,
            question.good(_("Installed certificates stay"), _("until they are renewed by the new provider.")),
        ],
        _("Use it"),
        _("Back"),
        there(provider.pk),
        resolve_url("providers"),
        hidden,
        str(provider.pk),
    )


def _page(
    request: access.PanelRequest, server: Server, chosen: Provider | None, problem: ProviderProblem | None = None
) -> HttpResponse:
    now = access.now()
    board = provider_rows.board(server, now, request.POST, chosen, problem)
    current = board.current
    account = current.account if current is not None else None
    context = {
        "board": board,
        "none_chosen": not any(row.chosen for row in board.rows),
        "current": current,
        "problem": problem,
        "lapse": board.census.lapse if current else None,
        "card": provider_limits.card(account, now) if account is not None and account.url else None,
        "lines": comparing.table(board),
        "scored": [row for row in board.rows if row.score is not None],
        "scores": comparing.scores(board),
        "now": now,
    }
    slot = shell.slot(request.user, server, account=account)
    return shell.page(request, "providers.html", "providers", context, known=slot)


@require_GET
@access.root
def state(request: access.PanelRequest, pk: int) -> HttpResponse:
    """What a worker is doing with a provider; once it is done, the page is opened again with what came out."""
    provider = get_object_or_404(Provider, pk=pk)
    account = Account.objects.filter(provider=provider, server=access.server(request)).first()
    row = provider_rows.row(provider, account)
    if row.busy:
        return render(request, "_provider_busy.html", {"row": row})
    _tell(request, row, request.GET)
    url = there(pk)
    if provider.draft is not None or (provider.state == ProviderState.REFUSED and "note" not in provider.stated):
        url = resolve_url("provider-edit", pk)
    return HttpResponse(status=204, headers={"HX-Redirect": url})


def _tell(request: access.PanelRequest, row: Row, asked: Mapping[str, Any]) -> None:
    """Say that it is done, where it is; what went wrong stands on the page."""
    done = DONE.get(asked.get("doing", ""))
    if done is not None and not row.problem and row.account is not None and row.account.problem is None:
        messages.ok(request, str(done))


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh
def disable(request: access.PanelRequest) -> HttpResponse:
    """Ask, with what would lapse and when; the server's name has to be typed."""
    server = shell.counted_server(request)
    wrong = False
    if request.method == "POST":
        wrong = request.POST.get("server", "").strip().lower() != server.name.lower()
        if not wrong:
            heart.disable(by=request.user)
            messages.ok(request, _("AutoSSL is disabled. Installed certificates stay until they expire."))
            return redirect("providers")
    context = {"server": server, "wrong": wrong, "lapse": census.count(server, access.now()).lapse}
    return shell.page(request, "provider_disable.html", "providers", context)
