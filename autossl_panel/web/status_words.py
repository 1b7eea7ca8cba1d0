"""What SSL/TLS Status says of a name, in the words of its owner, who has no hand on the server."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel import names as domain_names
from autossl_panel.autossl import log
from autossl_panel.autossl.domains import Installed, Name, NameState, Site
from autossl_panel.autossl.log import readers
from autossl_panel.people.models import User

from .templatetags.panel import day, moment

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

# What the owner of a site can do about a problem that is mended on the server; the rest is as it is for everybody
FOR_OWNERS: Mapping[str, "_StrPromise"] = {
    "foreign_defective": gettext_lazy(
        "Renew the certificate where it comes from, or ask your host to let AutoSSL replace it."
    ),
    "foreign_expiring": gettext_lazy(
        "Renew the certificate where it comes from, or ask your host to let AutoSSL replace it."
    ),
    "over_limit": gettext_lazy(
        "The CA takes no more names in one certificate. Exclude names that nobody visits, or ask your host."
    ),
    "unknown": gettext_lazy("The check could not be made from this server. Your host can look into it."),
    **dict.fromkeys(
        ("ca_unreachable", "ca_server", "order_stuck"),
        gettext_lazy("Nothing is wrong with the site. AutoSSL tries again by itself."),
    ),
    **dict.fromkeys(
        ("ca_order", "ca_account", "ca_terms", "ca_eab"),
        gettext_lazy("AutoSSL tries again by itself. Your host can look into it."),
    ),
    "clock": gettext_lazy("This server’s clock is wrong. Your host sets it right."),
    "loop": gettext_lazy("The last certificate did not mend it. Your host can look into it."),
    "no_names": gettext_lazy("The site has no name that a CA could certify. Your host can give it one."),
    "all_excluded": gettext_lazy("Include a name again, and it is asked for within a minute."),
    "www_not_served": gettext_lazy("The site does not answer for this name. Your host can let it."),
    "wildcard_unsupported": gettext_lazy(
        "A CA proves a wildcard by a DNS record only. Your host can list the names one by one."
    ),
}
# Problems of the whole site that pass by themselves
PASSING = frozenset({"ca_unreachable", "ca_server", "order_stuck", "rate_limited", "helper_gone"})
# Why a site is not tried at once; other reasons only say what it is looked at for, “held back” only that it waits
WAITS = PASSING | {"order_open", "dcv_all_failed", "dcv_would_reduce", "clock", "loop"}
MINUTE = timedelta(minutes=1)
DEFECTS: Mapping[str, "_StrPromise"] = {
    "revoked": gettext_lazy("The certificate is revoked"),
    "expired": gettext_lazy("The certificate has expired"),
    "mismatch": gettext_lazy("The certificate does not match its key"),
    "weak": gettext_lazy("The certificate is weak"),
    "chain": gettext_lazy("The certificate’s chain is broken"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What stands beside a name: the fact, a line below it, and what to do."""

    fact: str
    note: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and when. `disabled`: no provider is in use, so that nothing is ordered for anybody."""

    person: User
    now: datetime
    disabled: bool = False


def of(name: Name, site: Site, reader: Reader) -> Told:
    """What to say of a name."""
    return SAY[name.state](name, site, reader)


def cause(problem: Mapping[str, Any]) -> str:
    """What is wrong, as a sentence. What a CA or the web server said is left out: it may name files of others."""
    text = log.cause_text(str(problem["code"]), problem.get("data") or {})
    return f"{text[:1].upper()}{text[1:]}."


def fix(problem: Mapping[str, Any], person: User) -> str:
    """What to do about a problem, by who reads it."""
    code = str(problem["code"])
    if _for_owner(problem, person):
        return str(FOR_OWNERS[code])
    if log.known(code):
        return log.problem_advice(problem, readers.of(person))
    if code in PASSING or not person.is_login:
        return _("AutoSSL tries again by itself.")
    return _("AutoSSL tries again by itself. Your host can look into it.")


def _for_owner(problem: Mapping[str, Any], person: User) -> bool:
    return person.is_login and problem["code"] in FOR_OWNERS


def issuer(text: str) -> str:
    """Who signed a certificate: the organisation of its issuer, else its common name (RFC 4514)."""
    parts = dict(reversed([part.partition("=")[::2] for part in re.split(r"(?<!\\),", text)]))
    found = parts.get("O") or parts.get("CN") or text
    return re.sub(r"\\(.)", r"\1", found)


def is_due(site: Site, now: datetime) -> bool:
    """Whether the next look at a site is a matter of a minute."""
    return site.next_at is not None and site.next_reason != "paused" and site.next_at <= now + MINUTE


def next_step(site: Site, now: datetime, *, disabled: bool = False) -> str:
    """What AutoSSL does next with a site, and when."""
    if disabled:
        return _("AutoSSL is disabled on this server, so that nothing renews it.")
    at, reason = site.next_at, site.next_reason
    if reason == "paused":
        return _("Waits until AutoSSL is resumed.")
    if at is None:
        return _("Looked at with every daily check.")
    if is_due(site, now):
        return _("Looked at within a minute.")
    if reason == "renew":
        return format_html(_("Renews by itself on {day}."), day=day(at))
    if reason == "deferred":
        return format_html(_("Renewal waits until {day}, because a name fails that it would lose."), day=day(at))
    if reason in WAITS:
        return format_html(_("Next try {at}: {why}."), at=moment(at), why=log.reason_text(reason))
    return format_html(_("Looked at again {at}."), at=moment(at))


def _until(installed: Installed) -> str:
    return format_html(_("{issuer}, until {day}"), issuer=issuer(installed.issuer), day=day(installed.not_after))


def _secured(name: Name, site: Site, reader: Reader) -> Told:
    assert site.installed is not None
    note = cause(name.problem) if name.problem else next_step(site, reader.now, disabled=reader.disabled)
    return Told(_until(site.installed), note)


def _at_risk(name: Name, site: Site, reader: Reader) -> Told:
    assert site.installed is not None
    fact = format_html(_("Covered until {day}, renewal is in doubt"), day=day(site.installed.not_after))
    return _wrong(fact, name, reader)


def _unsecured(name: Name, site: Site, reader: Reader) -> Told:
    if name.reason == "no_provider":
        return Told(_not_covered(name, site), _("AutoSSL is disabled on this server, so that nothing is ordered."))
    if name.problem is None and site.problem is None:
        return Told(_not_covered(name, site), _("AutoSSL leaves the site’s own certificate alone."))
    return _wrong(_not_covered(name, site), name, reader)


def _wrong(fact: str, name: Name, reader: Reader) -> Told:
    """With what is wrong with this very name; what is wrong with the whole site stands above its names."""
    if name.problem is None:
        return Told(fact)
    text = fix(name.problem, reader.person)
    # Advice that was written for everybody begins with what was seen.
    whole = log.known(str(name.problem["code"])) and not _for_owner(name.problem, reader.person)
    return Told(fact, "" if whole else cause(name.problem), text)


def _not_covered(name: Name, site: Site) -> str:
    """What a visitor of an unsecured name meets."""
    installed = site.installed
    if installed is None:
        return _("No certificate")
    if installed.defects and domain_names.covers(installed.names, name.name):
        if installed.defects[0] == "expired":
            return format_html(_("The certificate expired on {day}"), day=day(installed.not_after))
        return str(DEFECTS[installed.defects[0]])
    if installed.self_signed:
        return _("A self-signed certificate, which no visitor trusts")
    return _("The site’s certificate does not name it")


def _waiting(name: Name, site: Site, reader: Reader) -> Told:
    return Told(_not_covered(name, site), next_step(site, reader.now))


def _foreign(name: Name, site: Site, reader: Reader) -> Told:
    assert site.installed is not None
    return Told(_until(site.installed), _("A certificate from elsewhere. AutoSSL leaves it alone."))


def _left_out(name: Name, site: Site, reader: Reader) -> Told:
    assert name.problem is not None
    if name.added:
        return Told(cause(name.problem), _("The panel adds this name where it works. Nothing is missing without it."))
    return Told(cause(name.problem), fix(name.problem, reader.person))


def _excluded(name: Name, site: Site, reader: Reader) -> Told:
    note = _("No certificate is asked for.")
    if name.covered and site.installed is not None:
        note = format_html(
            _("The installed certificate names it until it is renewed or expires on {day}."),
            day=day(site.installed.not_after),
        )
    return Told(_excluded_by(name, site, reader.person), note)


def _excluded_by(name: Name, site: Site, person: User) -> str:
    if name.exclusion is None:
        base = name.name.removeprefix("www.")
        if name.added and any(one.name == base and one.exclusion for one in site.names):
            return _("Excluded together with %(name)s") % {"name": domain_names.to_unicode(base)}
        pattern = name.excluded_by.pattern if name.excluded_by else "?"
        if person.is_login:
            return _("Excluded by your host’s pattern %(pattern)s") % {"pattern": pattern}
        return _("Excluded by the pattern %(pattern)s") % {"pattern": pattern}
    at, by = day(name.exclusion.at), name.exclusion.by
    if by is not None and by.pk == person.pk:
        return format_html(_("Excluded by you on {day}"), day=at)
    if by is None:
        return format_html(_("Excluded on {day}"), day=at)
    who = _("your host") if person.is_login else by.username
    return format_html(_("Excluded by {who} on {day}"), who=who, day=at)


def _off(name: Name, site: Site, reader: Reader) -> Told:
    if name.covered and site.installed is not None:
        return Told(_until(site.installed), _("Then it is gone: nothing renews it."))
    return Told(_not_covered(name, site), _("Nothing is ordered."))


SAY: Mapping[NameState, Callable[[Name, Site, Reader], Told]] = {
    NameState.SECURED: _secured,
    NameState.AT_RISK: _at_risk,
    NameState.UNSECURED: _unsecured,
    NameState.WAITING: _waiting,
    NameState.FOREIGN: _foreign,
    NameState.LEFT_OUT: _left_out,
    NameState.EXCLUDED: _excluded,
    NameState.OFF: _off,
}
