"""What is no screen: the foot that is polled, and the pages about requests that cannot be taken."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from autossl_panel.hosting import servers

from . import access, shell


@require_GET
@access.person
def seen(request: access.PanelRequest) -> HttpResponse:
    """When the workers gave their last sign, for a page that stays open."""
    return render(request, "_seen.html", {"shell": shell.seen(servers.this(), access.now())})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for what Django refuses to read; too much is a case of its own."""
    if isinstance(exception, RequestDataTooBig):
        return render(request, "413.html", status=413)
    return render(request, "400.html", status=400)
