"""The order of the providers that are asked where a site's own fails: one more, one less, up, down."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from autossl_panel.autossl import choices
from autossl_panel.autossl.models import Account, Provider
from autossl_panel.autossl.providers import ProviderProblem

from . import access, messages

ACTS = ("add", "remove", "up", "down")


@require_POST
@access.root
@access.fresh
def change(request: access.PanelRequest) -> HttpResponse:
    """One step of the order; the button that is there says which, its value of which provider."""
    act = next((act for act in ACTS if act in request.POST), "")
    text = request.POST.get("who" if act == "add" else act, "")
    provider = Provider.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None
    if provider is None:
        messages.bad(request, _("Choose a provider. Nothing was changed."))
        return redirect("providers")
    before = choices.fallbacks()
    after = _moved(before, provider, act)
    if after != before:
        try:
            choices.set_fallbacks(after, by=request.user, server=access.server(request))
        except ProviderProblem as problem:
            messages.bad(request, " ".join((problem.text, _("Nothing was changed."))))
            return redirect("providers")
    return redirect(f"{resolve_url('providers')}#{_place(after, provider, act)}")


def _place(order: list[Provider], provider: Provider, act: str) -> str:
    """The button of the order where the next step is at hand, so that the page stays there: the browser goes to it."""
    if provider not in order:
        return "fallback-add"
    ways = {"up": provider != order[0], "down": provider != order[-1], "remove": True}
    return next(f"{way}-{provider.pk}" for way in (act, *ways) if ways.get(way))


def _moved(order: list[Provider], provider: Provider, act: str) -> list[Provider]:
    """The order after a step; what makes no sense any more (somebody else was first) leaves it so."""
    if act == "add":
        return order if provider in order else [*order, provider]
    if provider not in order:
        return order
    rest = [one for one in order if one != provider]
    if act == "remove":
        return rest
    place = order.index(provider) + (-1 if act == "up" else 1)
    place = min(max(place, 0), len(rest))
    return [*rest[:place], provider, *rest[place:]]


@require_POST
@access.root
def try_now(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Have a provider that is left alone because of faults tried at once."""
    account = get_object_or_404(Account.objects.select_related("provider"), provider=pk, server=access.server(request))
    if choices.try_now(account, by=request.user, now=access.now()):
        text = _("The next order goes to “%(name)s” and shows whether it works again.")
        messages.ok(request, text % {"name": account.provider})
    else:
        messages.info(request, _("“%(name)s” is not left alone now.") % {"name": account.provider})
    return redirect("providers")
