"""What a CA says, or what is the matter with one, and what to change: a writer for each code."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from .facts import Facts, Words, again, sentences
from .facts import text as fact
from .words import LIMITS


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
    what = _("The CA's terms of service have changed, and it takes no order until they are agreed to.")
    return _told(data, what, _("Read and agree on the tab Providers, or with: provider use NAME --agree-tos."))


def _ca_account(data: Facts, _words: Words) -> str:
    what = _("The CA does not take orders of this account.")
    return _told(data, what, _("Register again on the tab Providers, or choose another provider."))


def _ca_eab(data: Facts, _words: Words) -> str:
    what = _("The CA does not take the external account binding.")
    return _told(data, what, _("Get a fresh key id and HMAC key from the CA and register again."))


def _rate_limited(data: Facts, _words: Words) -> str:
    who, said = fact(data, "provider") or _("The CA"), fact(data, "text").rstrip(".")
    limit = str(LIMITS.get(fact(data, "limit"), "")) % {"label": fact(data, "label") or "?"}
    if said:
        what = _("%(who)s refuses it for a while: %(said)s.") % {"who": who, "said": said}
    elif limit:
        what = _("%(who)s limits %(limit)s; %(used)s of the %(allowed)s that this server uses up are used.") % {
            "who": who,
            "limit": limit,
            "used": data.get("used"),
            "allowed": data.get("allowed"),
        }
    else:
        what = _("%(who)s takes no more for a while.") % {"who": who}
    fix = _("The site goes on by itself when its turn comes; another fallback provider would make that sooner.")
    return sentences(what, fix)


def _providers_down(data: Facts, _words: Words) -> str:
    what = _("No provider that this site may be ordered from works now.")
    fix = _("It is tried again by itself; another fallback provider would have been asked in its place.")
    return _told(data, what, fix)


def _ledger(data: Facts, _words: Words) -> str:
    what = _("What is asked of the CA is counted in a file that cannot be written, so nothing is asked.")
    return _told(data, what, _("Make room on its disk, or give the file back to the worker's user."))


WRITERS: dict[str, Callable[[Facts, Words], str]] = {
    "ca_refused": _ca_refused,
    "ca_paused": _ca_paused,
    "ca_terms": _ca_terms,
    "ca_account": _ca_account,
    "ca_eab": _ca_eab,
    "rate_limited": _rate_limited,
    "providers_down": _providers_down,
    "ledger": _ledger,
}
