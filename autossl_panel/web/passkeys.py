"""What a browser needs to use or to make a passkey."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from autossl_panel.people import passkeys as heart
from autossl_panel.people import sign_in
from autossl_panel.people.sign_in import SignInProblem

from . import access, requirement


@login_not_required
@require_POST
def options(request: HttpRequest) -> HttpResponse:
    """For using one: of whoever is signed in, about to, or unknown yet."""
    try:
        return JsonResponse(sign_in.passkey_options(request))
    except SignInProblem:
        return JsonResponse({}, status=429)


@require_POST
@access.person
@requirement.may_be_open
@access.fresh
def new_options(request: access.PanelRequest) -> HttpResponse:
    """For making one."""
    return JsonResponse(heart.new_options(request.user, alone="alone" in request.POST))
