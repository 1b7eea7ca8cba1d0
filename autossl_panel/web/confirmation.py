"""Who is there proves it once more before a dangerous act: the page that asks, and what was typed meanwhile.

A form that was sent too late is answered by the question, at its own address. What it held travels with the question,
sealed, and is taken up when the answer is right: nothing is typed twice, and nothing is kept here.
"""

import json
from datetime import timedelta
from typing import cast

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails

from autossl_panel.hosting import servers
from autossl_panel.people import factors
from autossl_panel.people import sign_in as heart
from autossl_panel.people.models import User
from autossl_panel.people.seal import SealBroken, seal, unseal
from autossl_panel.people.sign_in import SignInProblem

from . import gate, messages, requirement

PURPOSE = "confirmation"
# The field with what the form held; its presence says that a post is an answer
KEPT = "kept"
# How long somebody may look for their telephone
PATIENCE = timedelta(minutes=30)


def needed(request: HttpRequest) -> bool:
    """Whether the person has to prove again who they are before this request does something."""
    return not heart.is_fresh(request, timezone.now())


def is_answer(request: HttpRequest) -> bool:
    """Whether this post answers the question, with another post inside."""
    return request.method == "POST" and KEPT in request.POST


def ask(request: HttpRequest) -> HttpResponse:
    """The question, in place of what was asked for: a page of its own, or for a form that was sent, at its address."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    if htmx:
        here = htmx.current_url_abs_path or resolve_url("home")
        return HttpResponse(status=204, headers={"HX-Redirect": _page_url(here)})
    if request.method != "POST":
        return redirect(_page_url(request.get_full_path()))
    kept = {"person": _person(request).pk, "path": request.get_full_path(), "post": request.POST.urlencode()}
    return _page(request, request.get_full_path(), kept=seal(json.dumps(kept), PURPOSE))


def take(request: HttpRequest) -> HttpResponse | None:
    """Judge an answer. None: it is right, and the request holds the form that was sent first. Else what to show."""
    token = request.POST.get(KEPT, "")
    try:
        kept = json.loads(unseal(token, PURPOSE, PATIENCE))
    except SealBroken:
        kept = {}
    if (kept.get("person"), kept.get("path")) != (_person(request).pk, request.get_full_path()):
        messages.bad(request, _("The form had waited too long. Nothing was changed; fill it in again."))
        return redirect("home")
    try:
        _judge(request)
    except SignInProblem as problem:
        return _page(request, request.get_full_path(), kept=token, problem=problem)
    post = QueryDict(kept["post"], mutable=True)
    request.POST = post  # type: ignore[assignment]
    return None


@requirement.may_be_open
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """The question as a page of its own; a right answer leads on to the page that was asked for."""
    if request.method != "POST":
        return _page(request, resolve_url("confirm"))
    try:
        _judge(request)
    except SignInProblem as problem:
        return _page(request, resolve_url("confirm"), problem=problem)
    return redirect(gate.following(request))


def _judge(request: HttpRequest) -> None:
    answer = {name: request.POST.get(name, "") for name in ("password", "code", "credential")}
    heart.confirm(request, _person(request), timezone.now(), **answer)


def _page(request: HttpRequest, action: str, *, kept: str = "", problem: SignInProblem | None = None) -> HttpResponse:
    found = factors.of(_person(request))
    context = {
        "server": servers.this(),
        "action": action,
        "kept": kept,
        "next": "" if kept else gate.following(request),
        "factors": found,
        "passkeys_possible": gate.passkeys_possible(request),
        "problem": gate.words_again(problem) if problem else None,
        "wrong": "code" if problem and problem.code in ("code", "wait_codes", "seal") else "password",
    }
    return render(request, "confirm.html", context, status=429 if problem and problem.code.startswith("wait") else 200)


def _page_url(following: str) -> str:
    return f"{resolve_url('confirm')}?{urlencode({'next': following})}"


def _person(request: HttpRequest) -> User:
    """Only who is signed in comes this far."""
    return cast(User, request.user)
