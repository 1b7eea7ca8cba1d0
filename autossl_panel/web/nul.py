"""No text with a NUL gets to a view: PostgreSQL takes none, and nobody types one. Nothing else is judged here."""

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

NUL = "\0"


class NoNul:
    """Answers 400, with what the NUL stands in, where one is in path, query, cookies or a form's fields.

    Stands before what reads the session, whose key comes in a cookie. A form is read where its view is known, as the
    check of its token does: what is too large is refused in its own words, and a body that is no form is not read.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        cookies = ((name, [value]) for name, value in request.COOKIES.items())
        if NUL in request.path_info or _field(request.GET.lists()) or _field(cookies):
            # Nobody has said the language yet, and the last request's may be left in this thread
            with translation.override(translation.get_language_from_request(request)):
                return _refused(request, "")
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Callable[..., Any], _args: Any, _more: Any
    ) -> HttpResponse | None:
        """Look at the form; `request.POST` is empty where there is none."""
        name = _field(request.POST.lists())
        return _refused(request, name) if name else None


def _field(fields: Iterable[tuple[str, list[Any]]]) -> str:
    """The name of the first field with a NUL; "" where there is none."""
    return next((name.replace(NUL, "?") or "?" for name, values in fields if NUL in name or _in_one(values)), "")


def _in_one(values: Iterable[Any]) -> bool:
    return any(isinstance(value, str) and NUL in value for value in values)


def _refused(request: HttpRequest, field: str) -> HttpResponse:
    """The page; for who asks as htmx does it is not shown, its page has words of its own."""
    if "HX-Request" in request.headers:
        return HttpResponse(status=400)
    return render(request, "nul.html", {"field": field[:64]}, status=400)
