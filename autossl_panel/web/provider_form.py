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

FIELDS = ("name", "directory_url", "ca_bundle", "private_ca", "max_names", "eab_kid", "eab_hmac_key")
USUAL_NAMES = 100


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """Add any RFC 8555 directory; a worker contacts it before it can be chosen."""
    if request.method == "POST":
        return _save(request, None)
    return _form(request, None, {"max_names": str(USUAL_NAMES)}, {})


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
    problems = {told["field"]: log.spoken(told["text"])} if told is not None else {}
    return _form(request, provider, values, problems)


def _save(request: access.PanelRequest, provider: Provider | None) -> HttpResponse:
    values = {name: request.POST.get(name, "").strip() for name in FIELDS}
    if provider is not None:
        values["name"] = provider.name
    wish = _draft(values, provider)
    found = [*_no_number(values["max_names"]), *heart.problems_of(wish, new=provider is None)]
    if not found:
        try:
            saved = heart.draft(wish, by=request.user, new=provider is None)
        except ProviderProblem as problem:
            found = [problem]
        else:
            return redirect(f"{resolve_url('providers')}?choose={saved.pk}")
    problems: dict[str, str] = {}
    for one in found:
        problems.setdefault(one.field, " ".join((one.text, _("Nothing was saved."))))
    if values["eab_hmac_key"]:
        # It is secret, so it is not sent back.
        problems.setdefault("eab_hmac_key", _("Enter the key once more."))
    return _form(request, provider, values, problems)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= 6


def _no_number(text: str) -> list[ProviderProblem]:
    if _is_number(text):
        return []
    said = _("“%(text)s” is not a number.") % {"text": text} if text else _("Enter a number of names from 1 to 1000.")
    return [ProviderProblem("max_names", said)]


def _draft(values: Mapping[str, str], provider: Provider | None) -> Draft:
    """What was typed; a number that is none, of which is told beside it, is left as it is at first."""
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
        max_names=int(values["max_names"]) if _is_number(values["max_names"]) else USUAL_NAMES,
        keep_binding=same and not values["eab_hmac_key"],
    )


def _form(
    request: access.PanelRequest,
    provider: Provider | None,
    values: Mapping[str, str],
    problems: Mapping[str, str],
) -> HttpResponse:
    first = next((name for name in FIELDS if name in problems), None)
    fields = {name: Field(name, values.get(name, ""), problems.get(name, ""), name == first) for name in FIELDS}
    other = " ".join(text for name, text in problems.items() if name not in FIELDS)
    context = {"provider": provider, "fields": fields, "other_problem": other}
    return shell.page(request, "provider_form.html", "providers", context)
