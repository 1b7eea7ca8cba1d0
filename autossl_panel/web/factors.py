"""A person's own second factors: setting up an app, adding and removing passkeys, recovery codes."""

from datetime import datetime, timedelta

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.people import factors as heart
from autossl_panel.people import passkeys
from autossl_panel.people.factors import CodeWrong
from autossl_panel.people.passkeys import PasskeyProblem
from autossl_panel.people.seal import SealBroken, seal, unseal

from . import access, gate, messages, qr, requirement, shell

DRAFT = "app draft"
# How long a set-up page may stay open
PATIENCE = timedelta(minutes=30)
# New recovery codes are shown in the session that made them, for so long
SHOWN_UNTIL = "recovery_codes_until"
SHOWN_FOR = timedelta(minutes=10)
NAME_LENGTH = 64


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@requirement.may_be_open
@access.fresh
def app(request: access.PanelRequest) -> HttpResponse:
    """Set up an authenticator app: a QR code, and a code of the app that proves it was read."""
    if heart.of(request.user).app_at is not None:
        return redirect("security")
    if request.method != "POST":
        return _app_form(request, heart.new_secret())
    try:
        secret = unseal(request.POST.get("draft", ""), f"{DRAFT} {request.user.pk}", PATIENCE)
    except SealBroken:
        return _app_form(request, heart.new_secret(), _("The page had waited too long. Scan the new code."))
    try:
        codes_came = heart.add_app(request.user, secret, request.POST.get("code", "").strip(), by=request.user)
    except CodeWrong:
        text = _("This is not what the app shows now. If it is, the clock of the telephone or of this server is wrong.")
        return _app_form(request, secret, text)
    requirement.look_again(request)
    messages.ok(request, _("The authenticator app is set up. From now on it is asked for after the password."))
    return _on(request, codes_came)


def _app_form(request: access.PanelRequest, secret: str, problem: str = "") -> HttpResponse:
    url = heart.app_url(request.user, secret)
    context = {
        "code": qr.svg(url, _("QR code for the authenticator app")),
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "url": url,
        "draft": seal(secret, f"{DRAFT} {request.user.pk}"),
        "problem": problem,
    }
    return shell.plain(request, "factor_app.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@requirement.may_be_open
@access.fresh
def passkey_add(request: access.PanelRequest) -> HttpResponse:
    """Add a passkey; the browser makes it, which needs script."""
    name = request.POST.get("name", "").strip()[:NAME_LENGTH] or _("Passkey")
    alone = "alone" in request.POST
    problem = ""
    if request.method == "POST":
        try:
            credential = passkeys.made(request.user, request.POST.get("credential", ""), alone=alone)
        except PasskeyProblem:
            problem = _("The browser’s answer was not taken, or came too late. Nothing was saved.")
        else:
            codes_came = heart.add_passkey(request.user, name, credential, by=request.user)
            requirement.look_again(request)
            messages.ok(request, _("The passkey “%(name)s” is added.") % {"name": name})
            return _on(request, codes_came)
    context = {
        "name": name if request.method == "POST" else "",
        "alone": alone or request.method != "POST",
        "problem": problem,
        "passkeys_possible": gate.passkeys_possible(request),
    }
    return shell.plain(request, "passkey_add.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh
def passkey_rename(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Call a passkey otherwise."""
    row = get_object_or_404(heart.passkeys(request.user), pk=pk)
    name = request.POST.get("name", "").strip()[:NAME_LENGTH]
    if request.method == "POST" and name:
        heart.rename_passkey(row, name, by=request.user)
        return redirect("security")
    context = {
        "name": name or row.data["name"],
        "problem": _("A passkey needs a name.") if request.method == "POST" else "",
    }
    return shell.plain(request, "passkey_rename.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh
def passkey_remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask; a post takes the passkey away."""
    row = get_object_or_404(heart.passkeys(request.user), pk=pk)
    return _remove(request, heart.PASSKEY, row.data["name"], pk)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh
def app_remove(request: access.PanelRequest) -> HttpResponse:
    """Ask; a post takes the authenticator app away."""
    if heart.of(request.user).app_at is None:
        raise Http404
    return _remove(request, heart.APP, _("the authenticator app"), None)


def _remove(request: access.PanelRequest, kind: str, name: str, pk: int | None) -> HttpResponse:
    found = heart.of(request.user)
    held = found.last and requirement.holds_for(request.user)
    if request.method == "POST" and not held:
        heart.remove(request.user, kind, pk=pk, by=request.user)
        requirement.look_again(request)
        messages.ok(request, _("“%(name)s” is removed.") % {"name": name})
        return redirect("security")
    context = {"name": name, "passkey": pk is not None, "last": found.last, "held": held}
    return shell.plain(request, "factor_remove.html", context)


def _on(request: access.PanelRequest, codes_came: bool) -> HttpResponse:
    """To the recovery codes where there are new ones to be kept, else back."""
    if not codes_came:
        return redirect("security")
    _show_codes(request, access.now())
    return redirect("recovery-codes")


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@access.fresh
def recovery_codes(request: access.PanelRequest) -> HttpResponse:
    """The codes, in the session that made them and shortly after; a post makes new ones."""
    if request.method == "POST":
        if not heart.new_codes(request.user, by=request.user):
            raise Http404
        _show_codes(request, access.now())
        return redirect("recovery-codes")
    found = heart.of(request.user)
    if not found.any:
        return redirect("security")
    context = {"left": found.codes_left, "codes": heart.codes(request.user) if _codes_are_shown(request) else ()}
    return shell.plain(request, "recovery_codes.html", context)


@require_safe
@access.person
@access.fresh
def recovery_codes_text(request: access.PanelRequest) -> HttpResponse:
    """The same as a file, as long as the page shows them."""
    if not _codes_are_shown(request):
        raise Http404
    head = _("Recovery codes of %(name)s for %(url)s; each works once.") % {
        "name": request.user.username,
        "url": request.build_absolute_uri("/"),
    }
    text = "\n".join((head, "", *heart.codes(request.user), ""))
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="autossl-recovery-codes.txt"'
    return answer


def _show_codes(request: access.PanelRequest, moment: datetime) -> None:
    request.session[SHOWN_UNTIL] = (moment + SHOWN_FOR).timestamp()


def _codes_are_shown(request: access.PanelRequest) -> bool:
    until = request.session.get(SHOWN_UNTIL)
    return until is not None and access.now().timestamp() < until
