"""A person's own security: password, second factors at a glance, and the theme."""

from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from autossl_panel.people import factors, persons, sessions, tokens
from autossl_panel.people.persons import PersonProblem

from . import access, gate, messages, requirement, shell


@require_safe
@access.person
@requirement.may_be_open
def security(request: access.PanelRequest) -> HttpResponse:
    """What protects this login, and what is missing."""
    context = {
        "factors": factors.of(request.user),
        "required": requirement.holds_for(request.user),
        "sessions": sessions.of(request.user, access.now()).count(),
        "tokens": tokens.of(request.user).count(),
        "passkeys_possible": gate.passkeys_possible(request),
    }
    return shell.plain(request, "security.html", context)


@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh
def password(request: access.PanelRequest) -> HttpResponse:
    """A new password; every other session of the person ends."""
    problem: PersonProblem | None = None
    if request.method == "POST":
        try:
            _change(request)
        except PersonProblem as refused:
            problem = refused
        else:
            messages.ok(request, _("The password is changed. Your other sessions have ended."))
            return redirect("security")
    return shell.plain(request, "password.html", {"problem": problem})


def _change(request: access.PanelRequest) -> None:
    wanted = request.POST.get("password", "")
    if wanted != request.POST.get("again", ""):
        raise PersonProblem("again", _("The two are not the same. Nothing was changed."))
    persons.change_password(request.user, wanted, by=request.user, keep_session=request.session.session_key)
    update_session_auth_hash(request, request.user)


@require_POST
@access.person
@requirement.may_be_open
def theme(request: access.PanelRequest) -> HttpResponse:
    """Keep which theme the person wants, and go back."""
    try:
        persons.set_theme(request.user, request.POST.get("theme", ""))
    except ValueError:
        return HttpResponseBadRequest()
    return redirect(gate.following(request))
