"""API tokens: own ones beside sessions and security; for root, everybody's under People. A secret is shown once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.people import tokens as heart
from autossl_panel.people.models import ApiToken, User
from autossl_panel.people.tokens import TokenProblem

from . import access, messages, people_frame, shell
from .paging import paginate
from .people import NOTHING, fields

NEVER = "never"
# How long a token may live, in days
LIVES = {
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "365": gettext_lazy("a year"),
    NEVER: gettext_lazy("without end"),
}
USUAL = "365"
SOON = timedelta(days=14)
# What everybody who sees hosting users may read
READING = "json-api/get_autossl_check_schedule?api.version=1"


@dataclass(frozen=True, slots=True)
class Row:
    """A token as the table shows it."""

    token: ApiToken
    expired: bool
    soon: bool


@require_safe
@access.person
def tokens(request: access.PanelRequest) -> HttpResponse:
    """The own ones."""
    paging = paginate(request, heart.of(request.user))
    context = {"rows": _rows(paging.rows, access.now()), "paging": paging}
    return shell.plain(request, "tokens.html", context)


@require_safe
@access.root
def everybodys(request: access.PanelRequest) -> HttpResponse:
    """All that there are, for root; a search finds them by name and by person."""
    q = request.GET.get("q", "").strip()[:253]
    found = heart.visible(request.user)
    if q:
        found = found.filter(Q(name__icontains=q) | Q(person__username__icontains=q))
    paging = paginate(request, found)
    context = {"rows": _rows(paging.rows, access.now()), "paging": paging, "q": q, "everybody": True}
    return people_frame.page(request, "people_tokens.html", people_frame.TOKENS, context)


@sensitive_variables("secret", "context")
@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """The form; a post makes a token and shows it, this once."""
    values = {"name": "", "expires": USUAL, "read_only": ""}
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "") for name in values}
        try:
            token, secret = _made(request, **values)
        except TokenProblem as problem:
            problems = {problem.field: f"{problem.text} {NOTHING}"}
        else:
            context = {"token": token, "secret": secret, "example": _example(request.user, secret)}
            return shell.plain(request, "token_made.html", context)
    return shell.plain(request, "token_add.html", {"fields": fields(values, problems), "lives": LIVES.items()})


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def revoke(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with what follows; a post revokes. There is no way back: nobody knows the secret any more."""
    token = get_object_or_404(heart.visible(request.user), pk=pk)
    everybody = request.user.is_root and request.GET.get("whose") == "everybody"
    back = "people-tokens" if everybody else "tokens"
    if request.method != "POST":
        context = {"token": token, "everybody": everybody}
        if everybody:
            return people_frame.page(request, "people_token_revoke.html", people_frame.TOKENS, context)
        return shell.plain(request, "token_revoke.html", context)
    if heart.revoke(token, by=request.user):
        messages.ok(request, _("The token “%(name)s” is revoked and opens nothing any more.") % {"name": token.name})
    return redirect(back)


def _made(request: access.PanelRequest, *, name: str, expires: str, read_only: str) -> tuple[ApiToken, str]:
    if expires not in LIVES:
        raise TokenProblem("expires", _("Choose one of the times."))
    now = access.now()
    until = now + timedelta(days=int(expires)) if expires != NEVER else None
    return heart.make(request.user, name, expires_at=until, read_only=read_only == "yes", by=request.user, now=now)


@sensitive_variables("secret")
def _example(person: User, secret: str) -> str:
    """A call that changes nothing."""
    scheme = "cpanel" if person.is_login else "whm"
    path = "execute/SSL/is_autossl_check_in_progress" if person.is_login else READING
    return f"curl -H 'Authorization: {scheme} {person.username}:{secret}' \\\n  '{settings.AUTOSSL_URL}/{path}'"


def _rows(found: Iterable[ApiToken], now: datetime) -> list[Row]:
    return [
        Row(token, heart.has_expired(token, now), token.expires_at is not None and token.expires_at <= now + SOON)
        for token in found
    ]
