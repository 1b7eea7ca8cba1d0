"""Root may require the second factor: who has none then sees nothing but the pages that set one up."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils import timezone

from autossl_panel.autossl import options
from autossl_panel.people import factors
from autossl_panel.people.models import User

# Until when (seconds of the epoch) a session need not be looked at again
LOOKED = "second_factor_looked_at_until"
# Within so long a new requirement reaches who is signed in already: asking at each request would be dear
LOOK_EVERY = timedelta(minutes=1)
OPEN = "open_without_second_factor"
AnyView = TypeVar("AnyView", bound=Callable[..., Any])


def may_be_open(view: AnyView) -> AnyView:
    """A page that is open to who still has to set up a second factor. Decorators above it hand the mark on."""
    setattr(view, OPEN, True)
    return view


def holds_for(person: User) -> bool:
    """Whether root requires a second factor of `person`."""
    return person.role in options.second_factor_roles()


def look_again(request: HttpRequest) -> None:
    """Forget what the session knew: a factor was added or removed."""
    request.session.pop(LOOKED, None)


def misses(request: HttpRequest, person: User) -> bool:
    """Whether `person` lacks the second factor that is required; looked up once a minute for a session."""
    now = timezone.now()
    if request.session.get(LOOKED, 0) > now.timestamp():
        return False
    if holds_for(person) and not factors.has_any(person):
        return True
    request.session[LOOKED] = (now + LOOK_EVERY).timestamp()
    return False


class SecondFactorRequired:
    """Leads whoever lacks a required second factor to where it is set up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _more: Any
    ) -> HttpResponse | None:
        if getattr(view, OPEN, False) or not getattr(view, "login_required", True):
            return None
        if not isinstance(request.user, User) or not misses(request, request.user):
            return None
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(status=204, headers={"HX-Redirect": resolve_url("security")})
        return redirect("security")
