"""Where an act was asked for, so that it comes back there. Only addresses of this panel."""

from django.utils.http import url_has_allowed_host_and_scheme

from .access import PanelRequest


def here(request: PanelRequest) -> str:
    """The page that a person looks at: for a fragment the one that asked, for a question the one it was asked on."""
    return _asked(request.GET.get("next")) or _of_fragment(request) or request.get_full_path()


def back(request: PanelRequest, otherwise: str) -> str:
    """The page that the form, or the link to it, stood on."""
    told = request.POST.get("next") or request.GET.get("next")
    return _asked(told) or _of_fragment(request) or otherwise


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
