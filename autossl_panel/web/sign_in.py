"""Sign in with a password or a passkey, the second factor, and sign out."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.hosting import servers
from autossl_panel.people import factors
from autossl_panel.people import sign_in as heart
from autossl_panel.people.adapter import SecondFactor
from autossl_panel.people.sign_in import SignInProblem

from . import access, gate, messages


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The form; a right name and password lead on, to the second factor or to the page that was asked for."""
    if request.method == "POST":
        username = request.POST.get("username", "").strip()
        try:
            password = request.POST.get("password", "")
            return heart.with_password(request, username, password, gate.following(request), access.now())
        except SignInProblem as problem:
            return _form(request, username, problem)
    if request.user.is_authenticated:
        return redirect(gate.following(request))
    return _form(request)


@login_not_required
@require_POST
def passkey(request: HttpRequest) -> HttpResponse:
    """Sign in by a passkey alone."""
    try:
        return heart.with_passkey_alone(request, request.POST.get("credential", ""), gate.following(request))
    except SignInProblem as problem:
        return _form(request, "", problem)


def _form(request: HttpRequest, username: str = "", problem: SignInProblem | None = None) -> HttpResponse:
    context = {
        "server": servers.this(),
        "username": username,
        "problem": gate.words(problem) if problem else None,
        "next": gate.following(request),
        "passkeys_possible": gate.passkeys_possible(request),
    }
    return render(request, "sign_in.html", context, status=_status(problem))


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """The step after the password: a code of the app, a recovery code, or a passkey."""
    stage = None if request.user.is_authenticated else heart.waiting(request)
    if stage is None:
        return redirect("home" if request.user.is_authenticated else "sign-in")
    problem = None
    if request.method == "POST":
        answer = {name: request.POST.get(name, "").strip() for name in ("code", "credential")}
        person = heart.person_of(stage)
        before = factors.of(person).codes_left
        try:
            done = heart.with_second_factor(stage, **answer)
        except SignInProblem as refused:
            problem = refused
        else:
            _tell_codes_left(request, before, factors.of(person).codes_left)
            return done
    return render(request, "second_factor.html", _second(request, stage, problem), status=_status(problem))


def _tell_codes_left(request: HttpRequest, before: int, left: int) -> None:
    """Whoever had to spend a recovery code should know how many there are yet, and that new ones can be made."""
    if left < before:
        text = ngettext(
            "You signed in with a recovery code: %(n)d is left. New ones are made under Security.",
            "You signed in with a recovery code: %(n)d are left. New ones are made under Security.",
            left,
        )
        messages.info(request, text % {"n": left})


def _second(request: HttpRequest, stage: SecondFactor, problem: SignInProblem | None) -> dict[str, object]:
    person = heart.person_of(stage)
    return {
        "server": servers.this(),
        "username": person.username,
        "factors": factors.of(person),
        "passkeys_possible": gate.passkeys_possible(request),
        "problem": gate.words(problem) if problem else None,
    }


def _status(problem: SignInProblem | None) -> int:
    return 429 if problem is not None and problem.code.startswith("wait") else 200


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    heart.sign_out(request)
    return redirect("sign-in")
