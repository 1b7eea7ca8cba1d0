"""What happened when a provider's directory was asked in vain, and what to do about it, by the kind of trouble."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# By the short types of `ca`'s own problems: what happened, and what to do
_WORDS: Mapping[str, tuple["_StrPromise", "_StrPromise"]] = {
    "dns": (
        _("Its name was not found in DNS"),
        _("Check the address for a slip, and the resolvers of this server (/etc/resolv.conf)."),
    ),
    "refused": (
        _("It refuses connections"),
        _("Check the port in the address, and whether the CA is running: something else may stand in front of it."),
    ),
    "timeout": (
        _("It did not answer in time"),
        _("Check that this server’s firewall and network let it out to that address and port."),
    ),
    "certificate": (
        _("Its own certificate is not trusted"),
        _("For a CA of your own, enter its root certificate as CA bundle in the settings; check this server’s clock."),
    ),
    "tls": (
        _("It does not speak TLS properly"),
        _("Check that the address is that of the CA and begins with https, with the port of its ACME service."),
    ),
    "network": (
        _("It cannot be reached"),
        _("Check this server’s network and firewall, and whether the CA is running."),
    ),
    "http": (
        _("Its answer cannot be read"),
        _("Check the address; what answers there, or a proxy on the way, speaks no proper HTTP."),
    ),
    "not_acme": (
        _("What answers is no ACME directory"),
        _("Take the address of the ACME directory from the CA’s documentation, with its whole path."),
    ),
    "url": (_("Its address cannot be used"), _("Enter an address that begins with https:// in the settings.")),
    "bundle": (
        _("Its CA bundle cannot be used"),
        _("Enter certificates in PEM form as CA bundle in the settings, or leave it empty."),
    ),
}
# By kind, where the CA itself said no or an older row names no type
_BY_KIND: Mapping[str, tuple["_StrPromise", "_StrPromise"]] = {
    "unreachable": _WORDS["network"],
    "server": (_("It has trouble of its own"), _("Nothing is to be done here: ask it again later.")),
    "rate": (_("It wants to be asked less often"), _("Nothing is to be done here: ask it again later.")),
}
_OTHERWISE = (_("Its directory cannot be read"), _("See what it says, and check its address in the settings."))


def happened(problem: Mapping[str, Any]) -> str:
    """What happened, in half a sentence; `problem` is a provider's own, or its last answer."""
    return str(_of(problem)[0])


def to_do(problem: Mapping[str, Any]) -> str:
    """What a person can do about it."""
    return str(_of(problem)[1])


def _of(problem: Mapping[str, Any]) -> tuple["_StrPromise", "_StrPromise"]:
    found = _WORDS.get(str(problem.get("type", "")))
    return found or _BY_KIND.get(str(problem.get("code", "")), _OTHERWISE)
