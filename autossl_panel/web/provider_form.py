"""The form that adds an ACME directory, or mends one that was refused; it keeps what was typed."""

from collections.abc import Mapping

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl import drafts, log
from autossl_panel.autossl import providers as heart
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.providers import Draft, ProviderProblem

from . import access, shell
from .fields import Field

FIELDS = ("name", "directory_url", "ca_bundle", "private_ca", "eab_kid", "eab_hmac_key", "max_names")


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """Add any RFC 8555 directory; a worker contacts it before it can be chosen."""
    if request.method == "POST":
        return _save(request, None)
    return _form(request, None, {"max_names": "100"}, None)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def edit(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The form of a provider that is there, with the problem at its field where it was refused."""
    provider = get_object_or_404(Provider, pk=pk)
    if request.method == "POST":
        return _save(request, provider)
    typed = drafts.wished(provider)
    values = {
        "name": typed.name,
        "directory_url": typed.directory_url,
        "ca_bundle": typed.ca_bundle,
        "private_ca": "yes" if typed.private_ca else "",
        "eab_kid": typed.eab_kid,
        "max_names": str(typed.max_names),
    }
    told = drafts.problem(provider)
    problem = ProviderProblem(told["field"], log.spoken(told["text"]), told["code"]) if told is not None else None
    return _form(request, provider, values, problem)


def _save(request: access.PanelRequest, provider: Provider | None) -> HttpResponse:
    values = {name: request.POST.get(name, "").strip() for name in FIELDS}
    if provider is not None:
        values["name"] = provider.name
    try:
        saved = heart.draft(_draft(values, provider), by=request.user, new=provider is None)
    except ProviderProblem as problem:
        told = ProviderProblem(problem.field, " ".join((problem.text, _("Nothing was saved."))), problem.code)
        return _form(request, provider, values, told)
    return redirect(f"{resolve_url('providers')}?choose={saved.pk}")


def _draft(values: Mapping[str, str], provider: Provider | None) -> Draft:
    if not values["max_names"].isdecimal() or len(values["max_names"]) > 6:
        raise ProviderProblem("max_names", _("“%(text)s” is not a number.") % {"text": values["max_names"]})
    bundle = values["ca_bundle"].replace("\r\n", "\n")
    # An HMAC key is never shown: left empty it stays, for the same key id at the same CA.
    before = drafts.wished(provider) if provider is not None else None
    same = before is not None and (before.directory_url, before.eab_kid) == (
        values["directory_url"],
        values["eab_kid"],
    )
    return Draft(
        name=values["name"],
        directory_url=values["directory_url"],
        ca_bundle=f"{bundle}\n" if bundle else "",
        private_ca=bool(values["private_ca"]),
        eab_kid=values["eab_kid"],
        eab_hmac_key=values["eab_hmac_key"],
        max_names=int(values["max_names"]),
        keep_binding=same and not values["eab_hmac_key"],
    )


def _form(
    request: access.PanelRequest,
    provider: Provider | None,
    values: Mapping[str, str],
    problem: ProviderProblem | None,
) -> HttpResponse:
    fields = {}
    for name in FIELDS:
        here = problem is not None and problem.field == name
        text = problem.text if problem is not None and here else ""
        fields[name] = Field(name, values.get(name, ""), text, here)
    other = problem.text if problem is not None and problem.field not in FIELDS else ""
    context = {"provider": provider, "fields": fields, "other_problem": other}
    return shell.page(request, "provider_form.html", "providers", context)
