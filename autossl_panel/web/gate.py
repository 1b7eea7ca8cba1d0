"""What the pages at the gate share: where to go on, what was wrong, whether passkeys can be had here."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.people import sign_in
from autossl_panel.people.sign_in import SignInProblem


def following(request: HttpRequest) -> str:
    """The page to go on to: the one that was asked for, if it is ours, else the first."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    # Without a slash it could be the name of a page, not its address
    if "/" in wanted and url_has_allowed_host_and_scheme(
        wanted, {request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def passkeys_possible(request: HttpRequest) -> bool:
    """Whether browsers let this page use passkeys: under a name, over https, or on localhost (WebAuthn §5.1.3)."""
    host = request.get_host()
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    try:
        ip_address(name)
    except ValueError:
        return request.is_secure() or name == "localhost"
    return False


def words(problem: SignInProblem) -> tuple[str, str]:
    """The fact, and what follows from it."""
    if problem.code == "wait":
        return _("Too many wrong passwords."), _next_try(problem.seconds)
    if problem.code == "wait_codes":
        return _("Too many wrong codes."), _("The panel takes the next one in five minutes at most.")
    if problem.code == "code":
        return (
            _("This code is not valid now."),
            _("Type the one that the app shows now. Each works once; so does each recovery code."),
        )
    if problem.code == "passkey":
        return _("This passkey does not open this account."), _("Nobody was signed in.")
    if problem.code == "seal":
        return (
            _("The second factor cannot be read."),
            _("The panel’s secret key is another one now. Root resets it with the command person reset-factors."),
        )
    return (
        _("User name or password is wrong."),
        _("After %(n)d wrong tries the panel waits a minute.") % {"n": sign_in.MOST_WRONG},
    )


def words_again(problem: SignInProblem) -> tuple[str, str]:
    """The same for who is signed in already."""
    if problem.code == "wrong":
        return _("The password is wrong."), words(problem)[1]
    if problem.code == "passkey":
        return _("This passkey is not one of yours."), _("Nothing was changed.")
    return words(problem)


def _next_try(seconds: int) -> str:
    return ngettext(
        "The panel takes the next try in %(n)d second.", "The panel takes the next try in %(n)d seconds.", seconds
    ) % {"n": seconds}
