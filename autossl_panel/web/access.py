"""Who may open a page. Objects are fetched through what a person may see; everything else is 404, never 403."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server
from autossl_panel.people.models import Role, User

from . import confirmation

Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]


class PanelRequest(HttpRequest):
    """A request of a signed-in person, as our views get it."""

    user: User
    htmx: HtmxDetails
    panel_server: Server


PanelView = Callable[Concatenate[PanelRequest, Rest], HttpResponseBase]


def _only(*roles: Role) -> Callable[[PanelView[Rest]], View[Rest]]:
    def decorate(view: PanelView[Rest]) -> View[Rest]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
            panel_request = cast(PanelRequest, request)
            if panel_request.user.role not in roles:
                raise Http404
            return view(panel_request, *args, **kwargs)

        return cast(View[Rest], guarded)

    return decorate


root = _only(Role.ROOT)
operator = _only(Role.ROOT, Role.RESELLER)
person = _only(*Role)


def fresh(view: PanelView[Rest]) -> View[Rest]:
    """A dangerous act: who did not prove lately who they are is asked first, and what was typed is kept meanwhile."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        if confirmation.is_answer(request):
            shown = confirmation.take(request)
            if shown is not None:
                return shown
        elif confirmation.needed(request):
            return confirmation.ask(request)
        return view(cast(PanelRequest, request), *args, **kwargs)

    return cast(View[Rest], guarded)


def fresh_to_post(view: PanelView[Rest]) -> View[Rest]:
    """The same for a page that anybody may look at whose form is a dangerous act."""
    asking = fresh(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        if request.method == "POST":
            return asking(request, *args, **kwargs)
        return view(cast(PanelRequest, request), *args, **kwargs)

    return cast(View[Rest], guarded)


def fresh_where(concerned: Callable[[PanelRequest], bool]) -> Callable[[PanelView[Rest]], View[Rest]]:
    """The same for a form that is a dangerous act where `concerned` says so of what was sent."""

    def decorate(view: PanelView[Rest]) -> View[Rest]:
        asking = fresh(view)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
            panel_request = cast(PanelRequest, request)
            if confirmation.is_answer(request) or (request.method == "POST" and concerned(panel_request)):
                return asking(request, *args, **kwargs)
            return view(panel_request, *args, **kwargs)

        return cast(View[Rest], guarded)

    return decorate


def server(request: PanelRequest) -> Server:
    """This machine's row with its options and the workers' last sign, asked for once a request."""
    found: Server | None = getattr(request, "panel_server", None)
    if found is None:
        found = servers.this(Server.objects.select_related("options__paused_by", "beat"))
        request.panel_server = found
    return found


def now() -> datetime:
    """The moment a view hands down; heart functions take it as an argument."""
    return datetime.now(UTC)
