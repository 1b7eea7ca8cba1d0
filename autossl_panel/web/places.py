"""Where an act was asked for, so that it comes back there. Only addresses of this panel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy

from .access import PanelRequest

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# Where one comes to a run from by an act, and what the way back is called
NAMED: dict[str, "_StrPromise"] = {
    "problems": gettext_lazy("Back to Problems"),
    "problem": gettext_lazy("Back to the problem"),
    "pending": gettext_lazy("Back to Pending"),
    "certificate": gettext_lazy("Back to the site"),
    "certificates": gettext_lazy("Back to Certificates"),
    "users": gettext_lazy("Back to Manage Users"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """The way back to the page that an act was asked for on."""

    url: str
    label: str


def here(request: PanelRequest) -> str:
    """The page that a person looks at: for a fragment the one that asked, for a question the one it was asked on."""
    return _asked(request.GET.get("next")) or _of_fragment(request) or request.get_full_path()


def back(request: PanelRequest, otherwise: str) -> str:
    """The page that the form, or the link to it, stood on."""
    told = request.POST.get("next") or request.GET.get("next")
    return _asked(told) or _of_fragment(request) or otherwise


def leading_back(to: str, page: str) -> str:
    """The address `to`, which then knows the page to go back to."""
    return f"{to}?{urlencode({'from': page})}"


def way_back(request: PanelRequest) -> Way | None:
    """Where the address says that one came from: a page of this panel that one can go back to, else None."""
    url = _asked(request.GET.get("from"))
    try:
        name = resolve(path_of(url)).url_name if url else None
    except Resolver404:
        return None
    return Way(url, str(NAMED[name])) if name in NAMED else None


def listed(request: PanelRequest, name: str) -> str:
    """The list that one came from, with its filter; the whole one where one came from elsewhere."""
    whole, url = resolve_url(name), _asked(request.GET.get("from"))
    return url if path_of(url) == whole else whole


def is_local(url: str) -> bool:
    """Whether an address is one of this panel's pages, whoever wrote it."""
    return url.startswith("/") and url_has_allowed_host_and_scheme(url, None)


def path_of(url: str) -> str:
    """An address without what is asked of the page."""
    return url.partition("#")[0].partition("?")[0]


def _asked(url: str | None) -> str:
    return url if url and is_local(url) else ""


def _of_fragment(request: PanelRequest) -> str:
    return _asked(request.htmx.current_url_abs_path)
