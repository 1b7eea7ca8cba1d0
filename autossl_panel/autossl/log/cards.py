"""A cause in words: the head of its card, what was seen, what to do about it.

Facts of strangers were cut and cleaned before; they are escaped where they are shown.
"""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from autossl_panel.names import to_unicode

from .advice import advice, known
from .causes import KIND_OF, Facts, kind, many, one, zone
from .facts import away, day, listed, record
from .facts import text as text_of
from .readers import Reader
from .spoken import spoken
from .words import REASONS

# A text with places for facts, translated when it is shown; chosen by the facts where they differ in kind
Template = Any
Choice = Template | Callable[[Facts], Template]


class _Values(dict[str, Any]):
    """Facts for a sentence; what is not known shows as “?”."""

    def __missing__(self, name: str) -> str:
        return "?"


def _fill(template: Template, facts: Facts, n: int) -> str:
    found = _Values((name, one(facts, name)) for name in facts if facts[name] not in (None, "", []))
    found |= {
        "n": n,
        "zone": to_unicode(zone(facts)) or "?",
        "ca": next(iter(many(facts, "identities")), _("the CA")),
        "hop": _hop(facts) or "?",
        "away": listed(away(facts)),
        "to": text_of(facts, "to"),
        "here": listed(many(facts, "to")),
        "record": record(facts),
    }
    return str(template % found)


def _hop(facts: Facts) -> str:
    """Who did not answer as it should; "" where that is not known."""
    return one(facts, "hop_address") or one(facts, "address")


def _chosen(choice: Choice, facts: Facts) -> Template:
    return choice(facts) if callable(choice) else choice


def title(code: str, facts: Facts, n: int) -> str:
    """What is wrong, with how many names, as the head of a card."""
    choice = _TITLES.get(code)
    if choice is None:
        text = str(REASONS.get(code, code))
        return text[:1].upper() + text[1:]
    return _fill(_chosen(choice, facts), facts, n)


def _title_http(facts: Facts) -> Template:
    status = one(facts, "status")
    if status in ("401", "403"):
        return gettext_lazy("The challenge file is refused with %(status)s")
    if status == "404":
        return gettext_lazy("The challenge file is not found")
    if not status:
        return gettext_lazy("The challenge file is answered with an error")
    return gettext_lazy("The challenge file is answered with %(status)s")


def _title_unknown(facts: Facts) -> Template:
    reason = one(facts, "reason")
    if reason.startswith("resolver"):
        return gettext_lazy("The DNS resolvers of this server do not answer")
    if reason == "no_route" and facts.get("record") == "AAAA":
        return gettext_lazy("This server has no connection for IPv6")
    if reason == "no_route":
        return gettext_lazy("This server has no connection for IPv4")
    if reason == "own_address_timeout":
        return gettext_lazy("This server does not reach its own address")
    return gettext_lazy("The check could not be made on this server")


def _title_elsewhere(facts: Facts) -> Template:
    if facts.get("cdn"):
        return gettext_lazy("%(cdn)s does not pass the challenge on")
    return ngettext_lazy("%(n)d name points to another server", "%(n)d names point to another server", "n")


def _title_ipv6(facts: Facts) -> Template:
    if facts.get("ours"):
        return gettext_lazy("This server does not answer over IPv6")
    return gettext_lazy("IPv6 points elsewhere, IPv4 is right")


def _title_private(facts: Facts) -> Template:
    if facts.get("address"):
        return gettext_lazy("%(address)s cannot be reached from the internet")
    return gettext_lazy("The address cannot be reached from the internet")


def _title_defective(facts: Facts) -> Template:
    if many(facts, "defects")[:1] == ["expired"]:
        return ngettext_lazy(
            "%(n)d certificate from elsewhere has expired", "%(n)d certificates from elsewhere have expired", "n"
        )
    return ngettext_lazy(
        "%(n)d certificate from elsewhere is defective", "%(n)d certificates from elsewhere are defective", "n"
    )


_TITLES: dict[str, Choice] = {
    "elsewhere": _title_elsewhere,
    "ipv6_elsewhere": _title_ipv6,
    "http_status": _title_http,
    "unknown": _title_unknown,
    "foreign_defective": _title_defective,
    "foreign_expiring": ngettext_lazy(
        "%(n)d certificate from elsewhere is about to expire",
        "%(n)d certificates from elsewhere are about to expire",
        "n",
    ),
    "wrong_body": gettext_lazy("Another page is served in the challenge’s place"),
    "connect_refused": gettext_lazy("Port 80 refuses connections"),
    "connect_timeout": gettext_lazy("Port 80 does not answer"),
    "redirect_loop": gettext_lazy("Redirects in a circle"),
    "redirect_refused": gettext_lazy("Redirects to where a CA does not follow"),
    "caa": gettext_lazy("CAA forbids %(ca)s"),
    "nxdomain": ngettext_lazy("%(n)d name does not exist in DNS", "%(n)d names do not exist in DNS", "n"),
    "no_address": ngettext_lazy("%(n)d name has no address in DNS", "%(n)d names have no address in DNS", "n"),
    "dns_timeout": gettext_lazy("The nameservers of %(zone)s do not answer"),
    "dns_servfail": gettext_lazy("The nameservers of %(zone)s give no usable answer"),
    "dnssec": gettext_lazy("The DNSSEC signatures of %(zone)s are broken"),
    "private_address": _title_private,
}


def detail(code: str, facts: Facts, n: int) -> str:
    """The line below the head: the facts that all share, else which names."""
    first = to_unicode(one(facts, "name"))
    which = _fill(gettext_lazy("%(first)s and %(n)d more"), {"first": first}, n - 1) if n > 1 else first
    if code == "elsewhere" and not facts.get("cdn"):
        lines: list[Template] = []
        if away(facts):
            lines.append(ngettext_lazy("It resolves to %(away)s.", "They resolve to %(away)s.", "n"))
        if facts.get("to"):
            lines.append(gettext_lazy("This server is %(here)s."))
        return " ".join(_fill(line, facts, n) for line in lines) or which
    template: Template = "%(which)s"
    if code == "ipv6_elsewhere" and facts.get("address"):
        template = gettext_lazy("AAAA %(address)s on %(which)s")
    elif code in ("http_status", "wrong_body") and facts.get("server"):
        template = gettext_lazy("%(server)s in front of %(which)s")
    elif code in ("connect_refused", "connect_timeout") and _hop(facts):
        template = gettext_lazy("%(hop)s, %(which)s")
    return _fill(template, {**facts, "which": which}, n)


def seen(code: str, facts: Facts) -> str:
    """What preflight, the CA or the web server showed, without advice; "" where the head says it all."""
    if code == "caa":
        at, records = one(facts, "zone"), one(facts, "records")
        return _fill(gettext_lazy("%(records)s, at %(at)s"), {**facts, "at": at}, 1) if at and records else records
    if KIND_OF.get(code) == "web" or code in ("elsewhere", "ipv6_elsewhere"):
        return _answered(facts)
    if code == "no_address":
        return _("no A or AAAA record")
    if code == "foreign_expiring":
        end = day(one(facts, "not_after"))
        return _("expires on %(day)s") % {"day": end} if end else ""
    return spoken(one(facts, "detail") or one(facts, "text"))


def _answered(facts: Facts) -> str:
    if not _hop(facts):
        return ""
    if not facts.get("status") or not facts.get("address"):
        return _fill(gettext_lazy("%(hop)s does not give the file"), facts, 1)
    if one(facts, "status") == "200":
        template = gettext_lazy("%(address)s answers with another page")
    else:
        template = gettext_lazy("%(address)s answers %(status)s, the challenge file is not there")
    said = _fill(template, facts, 1)
    return said + (_fill(gettext_lazy(" (%(server)s)"), facts, 1) if facts.get("server") else "")


def todo(code: str, facts: Facts, n: int, reader: Reader = Reader.ANYBODY) -> str:
    """What to do, in at most three sentences: for this very name, or for all `n` that share the cause."""
    if n > 1 and code in _TOGETHER:
        for_reader = _TAKE_OVER_OF.get(reader) if code in _FOREIGN else None
        text = _fill(for_reader or _chosen(_TOGETHER[code], facts), facts, n)
        more = "" if code in _SAYS_ALL else _("The panel looks again by itself and finishes the rest.")
        return f"{text} {more}".rstrip()
    if known(code):
        return advice(code, facts, reader)
    template = _OURS.get(code)
    if template is None and kind(code) == "ca":
        template = gettext_lazy(
            "AutoSSL tries again by itself. The tab Providers says whether the CA asks for something."
        )
    return _fill(template or gettext_lazy("AutoSSL tries again by itself. The log says what happened."), facts, n)


def _move(facts: Facts) -> Template:
    if facts.get("cdn"):
        return gettext_lazy("Let %(cdn)s pass /.well-known/acme-challenge/ to this server over HTTP for each name.")
    strangers = len(away(facts))
    if strangers > 1:
        return _move_several(facts)
    if facts.get("to"):
        if strangers:
            return gettext_lazy("Change the %(record)s record of each name from %(away)s to %(to)s.")
        return gettext_lazy("Change the %(record)s record of each name to %(to)s.")
    if strangers:
        return gettext_lazy("Remove the %(record)s record %(away)s of each name, or point it to this server.")
    return gettext_lazy("Point the %(record)s record of each name to this server.")


def _move_several(facts: Facts) -> Template:
    if facts.get("to"):
        return gettext_lazy("Replace the records %(away)s of each name by one that points to %(to)s.")
    return gettext_lazy("Remove the records %(away)s of each name, or point them to this server.")


def _path(facts: Facts) -> Template:
    rules = {
        "401": gettext_lazy("Exempt /.well-known/acme-challenge/ from the password on each of these sites."),
        "403": gettext_lazy("Exempt /.well-known/acme-challenge/ from access and firewall rules on these sites."),
        "404": gettext_lazy("Let /.well-known/acme-challenge/ reach this server’s own web server, without rewriting."),
    }
    other = gettext_lazy("Look into the error logs of these sites: something in front of the file fails.")
    return rules.get(one(facts, "status"), other)


def _ipv6(facts: Facts) -> Template:
    if facts.get("ours") and facts.get("address"):
        return gettext_lazy("Let the web server listen on %(address)s for these sites too.")
    if facts.get("ours"):
        return gettext_lazy("Let the web server listen on this server’s IPv6 address for these sites too.")
    return gettext_lazy("Remove the AAAA record of each name, or point it to this server’s IPv6 address.")


_TAKE_OVER = gettext_lazy(
    "Renew them where they come from, or let AutoSSL take over: each on its own page, or all on the tab Options."
)
# Who has no Options, or no page of a site either
_TAKE_OVER_OF = {
    Reader.RESELLER: gettext_lazy("Renew them where they come from, or let AutoSSL take over: each on its own page."),
    Reader.USER: gettext_lazy(
        "Renew them where they come from, or ask whoever runs this server to let AutoSSL take over these sites."
    ),
}
_FOREIGN = frozenset({"foreign_defective", "foreign_expiring"})
_NO_REDIRECT = gettext_lazy("Exempt /.well-known/acme-challenge/ from redirects on each of these sites.")


def _open(facts: Facts) -> Template:
    if _hop(facts):
        return gettext_lazy("Open the port at %(hop)s in the firewall, and see that a web server listens there.")
    return gettext_lazy("Open the port in the firewall, and see that a web server listens there.")


def _unblock(facts: Facts) -> Template:
    if _hop(facts):
        return gettext_lazy("Open the port at %(hop)s in the firewall, and look at what is in front of it.")
    return gettext_lazy("Open the port in the firewall, and look at what is in front of the sites.")


# What one does for many names at once
_TOGETHER: dict[str, Choice] = {
    "elsewhere": _move,
    "ipv6_elsewhere": _ipv6,
    "http_status": _path,
    "wrong_body": gettext_lazy(
        "Exempt /.well-known/acme-challenge/ from rewriting, caching and maintenance pages on each of these sites."
    ),
    "connect_refused": _open,
    "connect_timeout": _unblock,
    "nxdomain": gettext_lazy("Create the record of each name in its zone, or exclude the names."),
    "no_address": gettext_lazy("Create an address record for each name in its zone."),
    "caa": gettext_lazy("Add one record beside those in each zone; what stands there may stay."),
    "private_address": gettext_lazy("Publish this server’s public address for each of these names."),
    "redirect_loop": _NO_REDIRECT,
    "redirect_refused": _NO_REDIRECT,
    "foreign_defective": _TAKE_OVER,
    "foreign_expiring": _TAKE_OVER,
    "over_limit": gettext_lazy(
        "The provider takes no more names in one certificate. Give some names of each site a server block of their "
        "own, exclude names, or choose a provider that takes more."
    ),
}
_SAYS_ALL = _FOREIGN | {"over_limit"}
# What is this server's, the panel's or the CA's trouble: who acts, and what happens then
_OURS: dict[str, Template] = {
    "helper_gone": gettext_lazy(
        "Start the helper (autossl-panel serve, or its service). What waits goes on by itself."
    ),
    "nginx_not_running": gettext_lazy("Start the web server. What is staged is installed by itself."),
    "foreign_broken": gettext_lazy(
        "The web server’s configuration has a mistake that is not this site’s, so nothing is loaded. Mend it; "
        "what is staged is installed by itself."
    ),
    "attach_refused": gettext_lazy(
        "The panel may not edit the file of this site. Give the file and its folders to root alone, then recheck."
    ),
    "quarantined": gettext_lazy(
        "The web server refuses this certificate, which is put aside. The next order makes another."
    ),
    "rolled_back": gettext_lazy(
        "Handshakes did not show the new certificate, so the old one was put back. See what else listens on this "
        "site’s addresses."
    ),
    "worker_died": gettext_lazy(
        "Three workers died at this site. Recheck it; if it happens again, report it with the log."
    ),
    "internal": gettext_lazy(
        "This is an error of the panel itself. Report it with the log; AutoSSL tries again by itself."
    ),
    "ca_terms": gettext_lazy("Read the CA’s new terms on the tab Providers and agree to them."),
    "ca_eab": gettext_lazy("Enter a fresh EAB key on the tab Providers and register again."),
    "ca_account": gettext_lazy("Register the account again on the tab Providers."),
}
