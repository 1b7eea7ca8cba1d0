"""Sign in, sign out, and the theme a person wants."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.hosting import servers
from autossl_panel.people import sign_in as people_sign_in
from autossl_panel.people.sign_in import Credentials, SignInProblem

from . import access


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The form; a right name and password lead on to the page that was asked for."""
    following = _following(request)
    if request.user.is_authenticated and request.method != "POST":
        return redirect(following)
    context = {"server": servers.this(), "username": "", "problem": None, "next": following}
    if request.method != "POST":
        return render(request, "sign_in.html", context)
    credentials = Credentials(
        username=request.POST.get("username", "").strip(),
        password=request.POST.get("password", ""),
        address=request.META.get("REMOTE_ADDR", ""),
    )
    try:
        person = people_sign_in.check(request, credentials, access.now())
    except SignInProblem as problem:
        context.update(username=credentials.username, problem=_words(problem))
        return render(request, "sign_in.html", context, status=429 if problem.code == "wait" else 200)
    login(request, person)
    return redirect(following)


def _words(problem: SignInProblem) -> tuple[str, str]:
    """The fact, and what follows from it."""
    if problem.code == "wait":
        wait = ngettext(
            "The panel takes the next try in %(n)d second.",
            "The panel takes the next try in %(n)d seconds.",
            problem.seconds,
        )
        return _("Too many wrong passwords."), wait % {"n": problem.seconds}
    return (
        _("User name or password is wrong."),
        _("After %(n)d wrong tries the panel waits a minute.") % {"n": people_sign_in.MOST_WRONG},
    )


def _following(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect(resolve_url("sign-in"))


@require_POST
@access.person
def theme(request: access.PanelRequest) -> HttpResponse:
    """Keep which theme the person wants, and go back."""
    try:
        people_sign_in.set_theme(request.user, request.POST.get("theme", ""))
    except ValueError:
        return HttpResponseBadRequest()
    return redirect(_following(request))
