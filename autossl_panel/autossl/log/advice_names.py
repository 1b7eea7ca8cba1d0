"""What is wrong with a name that could not be proved, and what to change: a writer for each code of the preflight."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from .facts import Facts, Words, again, away, sentences, url
from .facts import text as fact


def _nxdomain(_data: Facts, words: Words) -> str:
    if words["alias"] and words["zone"]:
        text = _(
            "%(name)s is an alias (CNAME) of %(alias)s, which does not exist. Create %(alias)s in the DNS zone "
            "%(zone)s, or point the alias elsewhere."
        )
    elif words["alias"]:
        text = _(
            "%(name)s is an alias (CNAME) of %(alias)s, which does not exist. Create %(alias)s in its DNS zone, or "
            "point the alias elsewhere."
        )
    elif words["zone"]:
        text = _(
            "%(name)s does not exist in DNS. Create an A record for it in the DNS zone %(zone)s, or exclude the name."
        )
    else:
        text = _("%(name)s does not exist in DNS. Create an A record for it in its DNS zone, or exclude the name.")
    return text % words


def _no_address(_data: Facts, words: Words) -> str:
    if words["alias"] and words["zone"]:
        text = _(
            "%(name)s (an alias of %(alias)s) has no address in DNS. Create an A record for %(alias)s in the DNS "
            "zone %(zone)s."
        )
    elif words["alias"]:
        text = _(
            "%(name)s (an alias of %(alias)s) has no address in DNS. Create an A record for %(alias)s in its DNS zone."
        )
    elif words["zone"]:
        text = _("%(name)s has no address in DNS. Create an A record for it in the DNS zone %(zone)s.")
    else:
        text = _("%(name)s has no address in DNS. Create an A record for it in its DNS zone.")
    return text % words


def _said(words: Words) -> str:
    return _("The resolver says: %(detail)s.") % words if words["detail"] else ""


def _dns_timeout(_data: Facts, words: Words) -> str:
    return sentences(
        _("The nameservers did not answer in time when asked for %(asked)s.") % words,
        _said(words),
        _("Check that the nameservers of its zone are up and reachable."),
    )


def _dns_servfail(_data: Facts, words: Words) -> str:
    return sentences(
        _("The nameservers gave no usable answer (SERVFAIL) when asked for %(asked)s.") % words,
        _said(words),
        _("Check the delegation at the registrar and that its nameservers serve the zone."),
    )


def _dnssec(_data: Facts, words: Words) -> str:
    return sentences(
        _("The DNSSEC signatures of %(asked)s are broken.") % words,
        _said(words),
        _("Sign the zone again, or correct or remove the DS record at the registrar."),
    )


def _elsewhere(data: Facts, words: Words) -> str:
    if words["cdn"]:
        text = _(
            "%(name)s is behind %(cdn)s%(at)s, and the file was not found there%(answered)s. Let %(cdn)s pass "
            "/.well-known/acme-challenge/ to this server over HTTP."
        )
        return text % words
    strangers = away(data)
    write = _several_away if len(strangers) > 1 else _one_away if strangers else _away_unknown
    return write(bool(words["to"])) % words


def _away_unknown(to_known: bool) -> str:
    if to_known:
        return _(
            "%(name)s points to another server, and the file was not found there%(answered)s. Change its %(record)s "
            "record to %(to)s."
        )
    return _(
        "%(name)s points to another server, and the file was not found there%(answered)s. Point its %(record)s record "
        "to this server."
    )


def _one_away(to_known: bool) -> str:
    if to_known:
        return _(
            "%(name)s points to %(away)s, which is not this server, and the file was not found there%(answered)s. "
            "Change its %(record)s record from %(away)s to %(to)s."
        )
    return _(
        "%(name)s has the %(record)s record %(away)s, which is not this server, and the file was not found "
        "there%(answered)s. Remove that record, or point it to this server."
    )


def _several_away(to_known: bool) -> str:
    if to_known:
        return _(
            "%(name)s points to %(away)s, which are not this server, and the file was not found there%(answered)s. "
            "Replace these records by one that points to %(to)s."
        )
    return _(
        "%(name)s points to %(away)s, which are not this server, and the file was not found there%(answered)s. Remove "
        "these records, or point them to this server."
    )


def _ipv6_elsewhere(data: Facts, words: Words) -> str:
    if not words["address"] and data.get("ours"):
        text = _(
            "%(name)s works over IPv4, but not over IPv6: its AAAA record points to this server, which does not give "
            "the file%(answered)s. Let the web server listen for this site on that address too, or remove the AAAA "
            "record."
        )
    elif not words["address"]:
        text = _(
            "%(name)s works over IPv4, but its AAAA record leads elsewhere%(answered)s. Remove the AAAA record, or "
            "point it to this server's IPv6 address."
        )
    elif data.get("ours"):
        text = _(
            "%(name)s works over IPv4, but not over IPv6: %(address)s is this server and does not give the "
            "file%(answered)s. Let the web server listen for this site on %(address)s too, or remove the AAAA record."
        )
    else:
        text = _(
            "%(name)s works over IPv4, but its AAAA record %(address)s leads elsewhere%(answered)s. Remove the AAAA "
            "record, or point it to this server's IPv6 address."
        )
    return text % words


def _http_status(_data: Facts, words: Words) -> str:
    fixes = {
        "401": _("Exempt /.well-known/acme-challenge/ from the password."),
        "403": _("Exempt /.well-known/acme-challenge/ from access and firewall rules."),
        "404": _("Let /.well-known/acme-challenge/ reach this server's own web server, without rewriting."),
    }
    fix = fixes.get(words["status"]) or _("Look into the site's error log: something in front of the file fails.")
    return sentences(_("%(answerer)s answered %(status)s for %(url)s.") % words, fix)


def _wrong_body(_data: Facts, words: Words) -> str:
    text = _(
        "%(answerer)s answered with another page for %(url)s. Exempt /.well-known/acme-challenge/ from rewriting, "
        "caching and maintenance pages."
    )
    return text % words


def _connect_refused(_data: Facts, words: Words) -> str:
    texts = {
        "closed": _("%(hop)s took the connection and closed it without an answer for %(url)s."),
        "not_http": _("%(hop)s does not speak HTTP for %(url)s."),
        "unreachable": _("%(hop)s cannot be reached for %(url)s."),
    }
    text = texts.get(words["reason"]) or _("%(hop)s refuses connections for %(url)s.")
    return sentences(text % words, _("Open the port in the firewall, and see that a web server listens there."))


def _connect_timeout(data: Facts, words: Words) -> str:
    if words["reason"] == "answer":
        text = _(
            "%(hop)s took the connection but did not answer in time for %(url)s. Look at what is in front of the "
            "site, and at its load."
        )
    elif url(data):
        text = _("%(hop)s does not answer on the port of %(url)s. Open the port in the firewall.")
    else:
        text = _("%(hop)s does not answer at all. Open port 80 in the firewall.")
    return text % words


def _redirect_loop(data: Facts, words: Words) -> str:
    if url(data):
        what = _("The redirects of %(name)s do not end; the last one led to %(url)s.")
    else:
        what = _("The redirects of %(name)s do not end.")
    return sentences(what % words, _exempt_from_redirects())


def _exempt_from_redirects() -> str:
    return _("Exempt /.well-known/acme-challenge/ from redirects.")


def _redirect_refused(data: Facts, words: Words) -> str:
    # A sentence begins with it
    words = {**words, "url": url(data) or words["name"]}
    texts = {
        "scheme": _("%(url)s redirects to something other than http or https."),
        "address": _("%(url)s redirects to a bare address instead of a name."),
        "private_address": _("%(url)s redirects to a name with a non-public address."),
        "bad_url": _("%(url)s redirects to an address that is not valid."),
        "": _("%(url)s redirects to a place that a CA cannot follow."),
    }
    text = texts.get(words["reason"]) or _("%(url)s redirects to a place that a CA cannot follow (%(reason)s).")
    return sentences(text % words, _exempt_from_redirects())


def _caa(data: Facts, words: Words) -> str:
    identities = data.get("identities")
    zone = words["zone"] or _("the domain")
    if not (isinstance(identities, list) and identities):
        text = _(
            "The CAA records of %(zone)s do not let this CA issue. Add a record there that names the CA, as its "
            "documentation says."
        )
        return text % {"zone": zone}
    text = _('The CAA records of %(zone)s do not let this CA issue. Add at %(zone)s: CAA 0 issue "%(identity)s".')
    return text % {"zone": zone, "identity": str(identities[0])}


def _private_address(_data: Facts, words: Words) -> str:
    if words["address"]:
        what = _("%(name)s has the address %(address)s, which cannot be reached from the internet.")
    else:
        what = _("%(name)s has an address that cannot be reached from the internet.")
    return sentences(
        what % words,
        _("Publish %(to)s instead.") % words if words["to"] else _("Publish this server's public address instead."),
    )


def _unknown(data: Facts, words: Words) -> str:
    reason = words["reason"]
    if reason == "resolver" or reason.startswith("resolver:"):
        detail = words["detail"] or reason.partition(": ")[2] or _("no DNS resolver answers")
        return _("The check could not be made: %(detail)s. Check the resolvers in the options.") % {"detail": detail}
    if reason == "no_route":
        family = "IPv6" if fact(data, "record") == "AAAA" else "IPv4"
        if words["address"]:
            text = _("%(name)s has the address %(address)s, but this server has no %(family)s connection to test it.")
        else:
            text = _("%(name)s has an %(family)s address, but this server has no %(family)s connection to test it.")
        return text % {**words, "family": family}
    if reason == "own_address_timeout":
        own = fact(data, "hop_address") or fact(data, "address")
        if own:
            what = _("This server does not reach its own address %(own)s.") % {"own": own}
        else:
            what = _("This server does not reach its own address.")
        return sentences(what, _("Check its firewall, and whether its router lets it reach itself."))
    if reason == "stopped":
        return _("The check was stopped.")
    if reason:
        return sentences(_("The check could not be made on this server (%(reason)s).") % words, again())
    return sentences(_("The check could not be made on this server."), again())


WRITERS: dict[str, Callable[[Facts, Words], str]] = {
    "nxdomain": _nxdomain,
    "no_address": _no_address,
    "dns_timeout": _dns_timeout,
    "dns_servfail": _dns_servfail,
    "dnssec": _dnssec,
    "elsewhere": _elsewhere,
    "ipv6_elsewhere": _ipv6_elsewhere,
    "http_status": _http_status,
    "wrong_body": _wrong_body,
    "connect_refused": _connect_refused,
    "connect_timeout": _connect_timeout,
    "redirect_loop": _redirect_loop,
    "redirect_refused": _redirect_refused,
    "caa": _caa,
    "private_address": _private_address,
    "unknown": _unknown,
}
