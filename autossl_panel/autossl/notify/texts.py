"""The words of notifications: one table by kind, the causes and fixes that no advice covers, and names as people read
them. Strangers' text is cut and cleaned here; escaping is the template's.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from autossl_panel import names

from .. import log
from ..log import Reader, advice
from ..models import Kind
from .kinds import Audience
from .matters import OF_THE_CA, OF_THE_SERVER, Matter

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

CAUSE_LENGTH = 300
FIX_LENGTH = 600


@dataclass(frozen=True, slots=True)
class Words:
    """What a kind is called: a digest's heading, its subject line for one or for many, and the sentence of a site."""

    title: "_StrPromise"
    one: "_StrPromise"
    many: "_StrPromise"
    sentence: "_StrPromise | str" = ""


WORDS: dict[Kind, Words] = {
    Kind.SERVER: Words(
        gettext_lazy("This server has trouble of its own"),
        gettext_lazy("Trouble of this server: %(cause)s"),
        gettext_lazy("%(n)d troubles of this server"),
    ),
    Kind.RUN: Words(
        gettext_lazy("Runs that could not do all of their work"),
        gettext_lazy("Run: %(cause)s"),
        gettext_lazy("%(n)d troubles of runs"),
    ),
    Kind.PROVIDER: Words(
        gettext_lazy("Trouble with a provider or its account"),
        gettext_lazy("%(site)s: %(cause)s"),
        gettext_lazy("Trouble with %(n)d providers"),
    ),
    Kind.REVOKED: Words(
        gettext_lazy("Revoked certificates"),
        gettext_lazy("%(site)s: the certificate was revoked"),
        gettext_lazy("%(n)d certificates were revoked"),
        gettext_lazy("The certificate was revoked."),
    ),
    Kind.EXPIRED: Words(
        gettext_lazy("Expired certificates"),
        gettext_lazy("%(site)s: the certificate has expired"),
        gettext_lazy("%(n)d certificates have expired"),
        gettext_lazy("Visitors see a warning: the certificate expired on %(expires)s."),
    ),
    Kind.EXPIRING: Words(
        gettext_lazy("Certificates that cannot be renewed and will expire"),
        gettext_lazy("%(site)s: the certificate cannot be renewed"),
        gettext_lazy("%(n)d certificates cannot be renewed"),
        gettext_lazy("The certificate could not be renewed. It expires on %(expires)s."),
    ),
    Kind.UNSECURED: Words(
        gettext_lazy("Sites that could not be secured"),
        gettext_lazy("%(site)s: no certificate could be obtained"),
        gettext_lazy("%(n)d sites could not be secured"),
        gettext_lazy("No certificate could be obtained for %(names)s."),
    ),
    Kind.INSTALL: Words(
        gettext_lazy("Certificates that could not be installed"),
        gettext_lazy("%(site)s: the certificate could not be installed"),
        gettext_lazy("%(n)d certificates could not be installed"),
        gettext_lazy("The certificate could not be installed. What was served before is served still."),
    ),
    Kind.DEFERRED: Words(
        gettext_lazy("Renewals that wait, because names fail"),
        gettext_lazy("%(site)s: the renewal waits for failing names"),
        gettext_lazy("%(n)d renewals wait for failing names"),
        gettext_lazy("The renewal waits until %(until)s. What fails then will be dropped: %(names)s."),
    ),
    Kind.FOREIGN: Words(
        gettext_lazy("Certificates from elsewhere that need somebody"),
        gettext_lazy("%(site)s: a certificate from elsewhere needs you"),
        gettext_lazy("%(n)d certificates from elsewhere need you"),
        gettext_lazy("AutoSSL leaves certificates from elsewhere alone."),
    ),
    Kind.REDUCED: Words(
        gettext_lazy("Certificates that cover less than before"),
        gettext_lazy("%(site)s: the new certificate covers less"),
        gettext_lazy("%(n)d new certificates cover less than before"),
        gettext_lazy("The certificate was renewed without names that fail: %(names)s."),
    ),
    Kind.UNCOVERED: Words(
        gettext_lazy("Names that no certificate covers"),
        gettext_lazy("%(site)s: names are not covered"),
        gettext_lazy("%(n)d sites have names that are not covered"),
        gettext_lazy("Not covered: %(names)s."),
    ),
    Kind.RENEWED: Words(
        gettext_lazy("Renewed"),
        gettext_lazy("%(site)s: the certificate is renewed"),
        gettext_lazy("%(n)d certificates are renewed"),
        gettext_lazy("Renewed for %(names)s."),
    ),
    Kind.SECURED: Words(
        gettext_lazy("Secured"),
        gettext_lazy("%(site)s is secured"),
        gettext_lazy("%(n)d sites are secured"),
        gettext_lazy("Secured for %(names)s."),
    ),
}

# Causes that are told only here, or told otherwise than in a log
CAUSES: dict[str, "_StrPromise"] = {
    "inventory": gettext_lazy("the web server's configuration cannot be read"),
    "resolver": gettext_lazy("no DNS resolver gives usable answers"),
    "no_route": gettext_lazy("names have addresses that this server has no route to"),
    "own_address_timeout": gettext_lazy("this server does not reach its own address"),
    "reductions_suspended": gettext_lazy("many names that passed before fail alike, so none is dropped for now"),
    "undelivered": gettext_lazy("messages could not be delivered"),
    "failed": gettext_lazy("the run could not go on"),
    "failures": gettext_lazy("sites failed whose certificates still hold"),
    "no_provider": gettext_lazy("no provider is chosen, so nothing is renewed"),
    "paused": gettext_lazy("AutoSSL is paused, so nothing is renewed"),
    "ca_unreachable": gettext_lazy("the CA cannot be reached"),
    "profile_gone": gettext_lazy("the profile that was chosen is no longer offered"),
    "reduced_coverage": gettext_lazy("names failed until the renewal could wait no longer"),
    "self_signed": gettext_lazy("it had a self-signed certificate"),
    "missing": gettext_lazy("it had no certificate"),
}

# What to do about what is no name's own trouble; for the administrator
FIXES: dict[str, "_StrPromise"] = {
    "inventory": gettext_lazy("Mend the file that is named here; “discover” says whether it can be read then."),
    "resolver": gettext_lazy("Check the resolvers on the Options tab, and whether this server reaches them."),
    "no_route": gettext_lazy("Give this server a route for that family of addresses, or have the names lose theirs."),
    "own_address_timeout": gettext_lazy("Check the firewall, and whether the router lets this server reach itself."),
    "reductions_suspended": gettext_lazy("Look for what these names share: a nameserver, a firewall, a proxy."),
    "undelivered": gettext_lazy("See to the address, then have them sent again on the Options tab, or: notify again."),
    "failed": gettext_lazy("See the run's log. “systemctl status autossl-helper” tells whether the helper runs."),
    "failures": gettext_lazy("See the run's log for these sites. Their certificates are sound; AutoSSL tries again."),
    "no_provider": gettext_lazy("Choose a provider on the Providers tab, or with: provider use NAME."),
    "paused": gettext_lazy("Resume AutoSSL in the panel."),
    "ca_unreachable": gettext_lazy("Check that this server reaches the CA: firewall, proxy, DNS. AutoSSL tries again."),
    "ca_server": gettext_lazy("The CA has to mend this. AutoSSL tries again by itself."),
    "ca_terms": gettext_lazy(
        "Read and agree to the terms on the Providers tab, or: provider use NAME --agree-tos --register-only."
    ),
    "ca_eab": gettext_lazy("Ask the CA for new external account binding and give it on the Providers tab."),
    "ca_account": gettext_lazy("“New account” on the Providers tab, or: provider register-anew NAME --agree-tos."),
    "profile_gone": gettext_lazy("Choose another profile, or none: provider profile NAME."),
    "ca_order": gettext_lazy("See what the CA says. AutoSSL tries again by itself."),
    "rate_limited": gettext_lazy("AutoSSL goes on when the CA lets it. A second provider in the list helps."),
    "order_stuck": gettext_lazy("The CA is slow. AutoSSL asks it again by itself."),
    "order_open": gettext_lazy("The CA is slow. AutoSSL asks it again by itself."),
    "helper_gone": gettext_lazy("See “systemctl status autossl-helper”, and start it."),
    "nginx_not_running": gettext_lazy("Start the web server; what is staged is installed then."),
    "foreign_broken": gettext_lazy("Mend the file that is named here; what is staged is installed then."),
    "quarantined": gettext_lazy("See the run's log for what the web server says of the certificate."),
    "rolled_back": gettext_lazy("See the run's log for what the handshake showed, and from which address."),
    "attach_refused": gettext_lazy("See the run's log for the file, and make it one that root alone can change."),
    "internal": gettext_lazy("This is an error of the panel. The workers' log has it in full."),
    "worker_died": gettext_lazy("Three workers died at this site. The workers' log may tell of what."),
    "revoked": gettext_lazy("AutoSSL orders a new one. If the key was compromised, find out how."),
    "reduced_coverage": gettext_lazy("Mend these names, or exclude them. What works again is covered again by itself."),
}


def shown(name: str) -> str:
    """A domain name as people read it: its Unicode form, with the A-label where they differ."""
    readable = names.to_unicode(name)
    return name if readable == name else f"{clean(readable)} ({name})"


def clean(text: str, most: int = CAUSE_LENGTH) -> str:
    """One line of a stranger's text: nothing that breaks lines, hides or turns around, no longer than `most`."""
    kept = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[: most * 4])
    line = " ".join(kept.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def cause(matter: Matter, audience: Audience) -> str:
    """Why, in plain words; with what the CA or the helper said only for who may read the server's files."""
    if matter.code == "failures" and matter.data:
        return clean(_failures(matter.data))
    known = CAUSES.get(matter.code)
    text = str(known) if known is not None else log.reason_text(matter.code)
    said = log.spoken(str(matter.data.get("text") or ""))
    if said and (audience == Audience.ADMIN or matter.code not in OF_THE_SERVER):
        where = ""
        if audience == Audience.ADMIN and matter.data.get("file"):
            where = f" ({matter.data['file']}:{matter.data.get('line') or '?'})"
        text = f"{text}: {said}{where}"
    return clean(text)


def _failures(data: Mapping[str, Any]) -> str:
    """How many sites failed, by cause, with the first of each: the largest number first."""
    causes = []
    for one in data["causes"]:
        named = ", ".join(shown(site) for site in one["named"]) + (", …" if one["sites"] > len(one["named"]) else "")
        words = {"cause": log.reason_text(one["code"]), "n": one["sites"], "sites": named}
        causes.append(_("%(n)d × %(cause)s (%(sites)s)") % words)
    number = data["failing"]
    text = ngettext(
        "%(n)d site failed whose certificate still holds",
        "%(n)d sites failed whose certificates still hold",
        number,
    )
    return f"{text % {'n': number}}: {'; '.join(causes)}"


# Whom an advice is written for
READERS = {Audience.ADMIN: Reader.ROOT, Audience.RESELLER: Reader.RESELLER, Audience.USER: Reader.USER}


def fix(matter: Matter, audience: Audience) -> str:
    """What to do about it, with the facts filled in."""
    code = matter.code
    if audience != Audience.ADMIN and (code in OF_THE_SERVER or code in OF_THE_CA):
        return _("The administrator of this server has to mend this; there is nothing for you to do.")
    if code in FIXES:
        return str(FIXES[code])
    if advice.known(code):
        return clean(advice.advice(code, {**matter.data, "name": shown(matter.domain)}, READERS[audience]), FIX_LENGTH)
    return _("AutoSSL tries again by itself; the run's log says what it met.")
