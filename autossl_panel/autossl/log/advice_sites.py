"""What is wrong with a site, its certificate, the CA or this server, and what to change: a writer for each code."""

import shlex
from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .facts import Facts, Words, again, sentences
from .facts import text as fact
from .readers import Reader
from .titles import title
from .words import LIMITS


def _let_replace(words: Words) -> str:
    texts = {
        Reader.ROOT: _(
            "Renew it where it comes from, or have AutoSSL replace it: “Let AutoSSL take over” on the site's page, or "
            "for all such sites “Foreign certificates” on the Options tab."
        ),
        Reader.RESELLER: _(
            "Renew it where it comes from, or have AutoSSL replace it: “Let AutoSSL take over” on the site's page."
        ),
        Reader.USER: _(
            "Renew it where it comes from, or ask whoever runs this server to let AutoSSL take over this site."
        ),
    }
    return texts.get(Reader(words["reader"])) or _(
        "Renew it where it comes from, or have AutoSSL replace it: whoever runs this server lets it take over this "
        "site, on the site's page under Certificates, or all such sites, on the Options tab."
    )


def _foreign_defective(data: Facts, words: Words) -> str:
    defects = data.get("defects")
    defect = str(defects[0]) if isinstance(defects, list | tuple) and defects else ""
    if defect == "expired" and words["day"]:
        text = _("%(name)s has a certificate from elsewhere, which expired on %(day)s.")
    else:
        texts = {
            "expired": _("%(name)s has a certificate from elsewhere, which has expired."),
            "revoked": _("%(name)s has a certificate from elsewhere, which is revoked."),
            "weak": _("%(name)s has a certificate from elsewhere, which has a weak key or signature."),
            "chain": _("%(name)s has a certificate from elsewhere, which has a broken chain."),
            "mismatch": _(
                "%(name)s has a certificate from elsewhere, which does not cover the name or does not match its key."
            ),
        }
        text = texts.get(defect) or _("%(name)s has a certificate from elsewhere, which is defective.")
    return sentences(text % words, _let_replace(words))


def _foreign_expiring(_data: Facts, words: Words) -> str:
    if words["day"]:
        text = _("%(name)s has a certificate from elsewhere, which expires on %(day)s.")
    else:
        text = _("%(name)s has a certificate from elsewhere, which expires soon.")
    return sentences(text % words, _let_replace(words))


def _ca_refused(data: Facts, words: Words) -> str:
    fixes = {
        "dns": _("Check the name's DNS records as seen from outside."),
        "caa": _("Check the CAA records of the domain."),
        "connection": _("Check that the site answers on port 80 from everywhere: CAs connect from several places."),
        "unauthorized": _("Check that nothing in front of the site answers other visitors differently."),
        "rejectedIdentifier": _("The CA does not issue for this name; exclude it or choose another provider."),
        "rateLimited": _("The CA limits how often it is asked."),
    }
    kind = (fact(data, "type") or fact(data, "kind")).rpartition(":")[2]
    said = (fact(data, "detail") or fact(data, "text")).rstrip(".")
    if said:
        text = _("The CA refused %(name)s: %(said)s.") % {**words, "said": said}
    else:
        text = _("The CA refused %(name)s.") % words
    return sentences(text, fixes.get(kind) or again())


def _over_limit(data: Facts, words: Words) -> str:
    limit = fact(data, "limit")
    if limit.isdecimal():
        what = ngettext(
            "%(name)s does not fit: the provider takes %(limit)s name in one certificate.",
            "%(name)s does not fit: the provider takes %(limit)s names in one certificate.",
            int(limit),
        )
    else:
        what = _("%(name)s does not fit: the provider takes no more names in one certificate.")
    fix = _(
        "Give some of the site's names a server block of their own, exclude names, or choose a provider that takes "
        "more."
    )
    return sentences(what % {**words, "limit": limit}, fix)


def _clock(_data: Facts, _words: Words) -> str:
    return _(
        "This server's clock is more than five minutes off the CA's, so no expiry can be judged. Set it right (NTP)."
    )


def _loop(_data: Facts, words: Words) -> str:
    text = _(
        "The last certificate of %(name)s did not mend what it was ordered for, so none is ordered again. See which "
        "certificate the web server gives for it, then check its user."
    )
    return text % words


def _wildcard(_data: Facts, words: Words) -> str:
    return _("%(name)s is a wildcard: a CA proves it by a DNS record only. List the names one by one.") % words


def _no_names(_data: Facts, words: Words) -> str:
    return _("%(name)s has no name that a CA could certify. Give its server block a public server_name.") % words


def _pattern(data: Facts, words: Words) -> str:
    """“the server's pattern *.dev.example”, or nothing."""
    texts = {
        "owner": _("the owner's pattern %(pattern)s"),
        "feature_list": _("the feature list's pattern %(pattern)s"),
        "user": _("the user's pattern %(pattern)s"),
    }
    text = texts.get(fact(data, "level")) or _("the server's pattern %(pattern)s")
    return text % words if words["pattern"] else ""


def _excluded(data: Facts, words: Words) -> str:
    what = _pattern(data, words)
    if what:
        return _("%(name)s is excluded from AutoSSL by %(what)s.") % {**words, "what": what}
    return _("%(name)s is excluded from AutoSSL.") % words


def _all_excluded(data: Facts, words: Words) -> str:
    what = _pattern(data, words)
    if what:
        text = _(
            "Every name of %(name)s is excluded, by %(what)s. “exclude list” shows it, and “exclude remove --pattern” "
            "takes it away."
        )
        return text % {**words, "what": what}
    return _("Every name of %(name)s is excluded. Include one again with: exclude remove NAME.") % words


def _no_route(data: Facts, _words: Words) -> str:
    text = _(
        "This server has no %(family)s connection, so names with %(family)s addresses cannot be judged and none is "
        "given up. Give it %(family)s, or remove those addresses from DNS where nothing answers there."
    )
    return text % {"family": fact(data, "family") or "IPv6"}


def _own_address(data: Facts, _words: Words) -> str:
    text = _(
        "This server does not reach its own address %(address)s, so names that point there cannot be judged. Check "
        "its firewall, and whether its router lets it reach itself."
    )
    return text % {"address": fact(data, "address") or _("(see the log)")}


def _failing_alike(_data: Facts, _words: Words) -> str:
    return _(
        "Many names that passed before now fail in the same way, so the cause is more likely this server, its "
        "firewall or its resolvers than each of them. No name is given up for it while certificates last. Look at one "
        "of them: the log says what was seen."
    )


def _resolver_dead(_data: Facts, _words: Words) -> str:
    return _(
        "None of the DNS resolvers answers this server, so names cannot be judged and none is given up. Check the "
        "resolvers in the options, and that this server reaches them: on port 53, where no other is set."
    )


def _local_fault(_data: Facts, _words: Words) -> str:
    return _("This server could not open connections of its own: see its limits of open files and ports, and its log.")


def _told(data: Facts, what: str, fix: str) -> str:
    """What happened, the CA's own words where there are any, and the fix."""
    said = fact(data, "text").rstrip(".")
    return sentences(f"{what.removesuffix('.')}: {said}." if said else what, fix)


def _ca_paused(data: Facts, words: Words) -> str:
    what = _("The CA has paused %(name)s, because it failed too often.") % words
    link = fact(data, "link")
    if link:
        fix = _("Follow the CA's link to end that (%(link)s), then check the site's user again.") % {"link": link}
    else:
        fix = _("Follow the CA's link to end that, then check the site's user again.")
    return _told(data, what, fix)


def _ca_terms(data: Facts, _words: Words) -> str:
    who, name = title(data), fact(data, "provider")
    words = {"who": who, "name": shlex.quote(name) if name else "NAME"}
    what = _("The CA's terms of service have changed, and it takes no order until they are agreed to.")
    if who:
        what = _("%(who)s has changed its terms of service, and takes no order until they are agreed to.") % words
    fix = _("Read and agree on the tab Providers, or with: provider use %(name)s --agree-tos --register-only.")
    return _told(data, what, fix % words)


def _ca_account(data: Facts, _words: Words) -> str:
    who = title(data)
    what = _("%(who)s does not take orders of this account.") % {"who": who or _("The CA")}
    return _told(data, what, _("“Refresh the registration” on the tab Providers, or choose another provider."))


def _ca_eab(data: Facts, _words: Words) -> str:
    who = title(data)
    what = _("%(who)s does not take the external account binding.") % {"who": who or _("The CA")}
    return _told(data, what, _("Get a fresh key id and HMAC key from the CA and register again."))


def _rate_limited(data: Facts, _words: Words) -> str:
    words = {
        "who": title(data) or _("The CA"),
        "limit": str(LIMITS.get(fact(data, "limit"), "")) % {"label": fact(data, "label") or "?"},
        "used": fact(data, "used") or "?",
        "allowed": fact(data, "allowed") or "?",
        "said": fact(data, "text").rstrip("."),
    }
    if words["said"]:
        what = _("%(who)s refuses it for a while: %(said)s.")
    elif words["limit"]:
        what = _("%(who)s limits %(limit)s; this server has used %(used)s of the %(allowed)s that it takes at most.")
    else:
        what = _("%(who)s takes no more for a while.")
    rest = _("The site goes on by itself when its turn comes; another fallback provider would make that sooner.")
    return sentences(what % words, rest)


def _providers_down(data: Facts, _words: Words) -> str:
    what = _("No provider that this site may be ordered from works now.")
    return _told(
        data, what, _("It is tried again by itself; another fallback provider would have been asked in its place.")
    )


def _reaches(data: Facts, text: str) -> str:
    """A sentence about the CA, by its provider's title where it is known."""
    return text % {"who": title(data) or _("The CA")}


def _sound() -> str:
    """That there is nothing to mend at the site."""
    return _("Nothing is wrong with the site.")


def _ca_unreachable(data: Facts, _words: Words) -> str:
    what = _reaches(data, _("%(who)s cannot be reached from this server."))
    return _told(data, what, sentences(again(), _("If it lasts, check this server's DNS and firewall.")))


def _ca_server(data: Facts, _words: Words) -> str:
    what = _reaches(data, _("%(who)s had an error of its own."))
    return _told(data, what, sentences(_sound(), again()))


def _order_stuck(data: Facts, _words: Words) -> str:
    what = _reaches(data, _("%(who)s did not finish the order in time."))
    return _told(data, what, sentences(_sound(), again()))


def _ca_order(data: Facts, _words: Words) -> str:
    what = _reaches(data, _("%(who)s refused the order."))
    return _told(data, what, sentences(_("See what it says."), again()))


def _ledger(data: Facts, _words: Words) -> str:
    what = _("What is asked of the CA is counted in a file that cannot be written, so nothing is asked.")
    return _told(data, what, _("Make room on its disk, or give the file back to the worker's user."))


WRITERS: dict[str, Callable[[Facts, Words], str]] = {
    "ca_refused": _ca_refused,
    "ca_paused": _ca_paused,
    "ca_unreachable": _ca_unreachable,
    "ca_server": _ca_server,
    "ca_order": _ca_order,
    "order_stuck": _order_stuck,
    "rate_limited": _rate_limited,
    "providers_down": _providers_down,
    "ledger": _ledger,
    "ca_terms": _ca_terms,
    "ca_account": _ca_account,
    "ca_eab": _ca_eab,
    "wildcard_unsupported": _wildcard,
    "not_public": lambda _data, words: _("%(name)s is not a public name, so no public CA issues for it.") % words,
    "bad_name": lambda _data, words: _("%(name)s is not a valid host name.") % words,
    "excluded": _excluded,
    "www_not_served": lambda _data, words: _("%(name)s does not reach this site. Add it to the site's names.") % words,
    "over_limit": _over_limit,
    "foreign_defective": _foreign_defective,
    "foreign_expiring": _foreign_expiring,
    "clock": _clock,
    "resolver_dead": _resolver_dead,
    "no_route": _no_route,
    "own_address": _own_address,
    "local_fault": _local_fault,
    "failing_alike": _failing_alike,
    "loop": _loop,
    "no_names": _no_names,
    "all_excluded": _all_excluded,
}
