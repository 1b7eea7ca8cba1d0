"""From the JSON of a message to what people read: subject, plain text, HTML, and the few lines that a chat takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from ..log.render import scope_text
from ..models import Kind
from .kinds import NATURES, Audience
from .texts import WORDS, clean, shown

SUBJECT_LENGTH = 150
BRIEF_LENGTH = 1500

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A site, or whatever it is about, in a digest."""

    name: str
    user: str
    sentence: str
    cause: str
    fix: str
    again: str
    facts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Group:
    """Sites that share a kind and a cause."""

    cause: str
    fix: str
    count: str
    sites: Sequence[Site]
    more: str


@dataclass(frozen=True, slots=True)
class Section:
    """All of one kind."""

    title: str
    severity: str
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class View:
    """A digest as the templates show it."""

    subject: str
    server: str
    intro: str
    sections: Sequence[Section]
    more: str
    url: str
    link: str
    why: str


def subject(payload: Payload) -> str:
    """One line: the worst matter and how many others."""
    place = f"[{clean(payload['server'], 60)}]"
    if payload["type"] == "test":
        return " ".join((place, _("AutoSSL: a test message")))
    groups = payload["groups"]
    if not groups:
        return f"{place} AutoSSL"
    worst = groups[0]
    number = payload["counts"][worst["kind"]]
    notice = worst["notices"][0]
    known = WORDS[Kind(worst["kind"])]
    words = str(known.one if number == 1 else known.many) % {
        "n": number,
        "site": shown(notice["site"]),
        "cause": worst["cause"] or notice["cause"],
    }
    others = sum(payload["counts"].values()) - number
    if others:
        words += ngettext(", and %(n)d other matter", ", and %(n)d other matters", others) % {"n": others}
    return clean(f"{place} {words}", SUBJECT_LENGTH)


def text(payload: Payload) -> str:
    """The digest in plain text."""
    return render_to_string("mail/digest.txt", {"view": _view(payload)})


def html(payload: Payload) -> str:
    """The digest in HTML that loads nothing."""
    return render_to_string("mail/digest.html", {"view": _view(payload)})


def brief(payload: Payload) -> str:
    """What a chat shows: a line for each cause, as many as fit, and the link."""
    view = _view(payload)
    lines = [view.intro] if view.intro else []
    for section in view.sections:
        for group in section.groups:
            names = ", ".join(site.name for site in group.sites[:3])
            count = f" ({group.count})" if group.count else ""
            lines.append(f"{section.title}: {names}{count}. {group.cause}".rstrip(" ."))
    kept: list[str] = []
    while lines and sum(map(len, kept)) + len(lines[0]) < BRIEF_LENGTH:
        kept.append(lines.pop(0))
    return "\n".join([*kept, *(["…"] if lines else []), view.url])


def _view(payload: Payload) -> View:
    sections: list[Section] = []
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for group in payload["groups"]:
        by_kind.setdefault(group["kind"], []).append(group)
    for kind, groups in by_kind.items():
        title = str(WORDS[Kind(kind)].title)
        sections.append(Section(title, groups[0]["severity"], [_group(group) for group in groups]))
    hidden = payload["more_groups"]
    return View(
        subject=subject(payload),
        server=clean(payload["server"], 60),
        intro=_intro(payload),
        sections=sections,
        more=ngettext("%(n)d further cause", "%(n)d further causes", hidden) % {"n": hidden} if hidden else "",
        url=payload["url"],
        link=_("The run and its log") if payload["run"] else _("Open the panel"),
        why=WHY[payload["audience"]](),
    )


def _intro(payload: Payload) -> str:
    """What it is about: a run with its numbers, or nothing in particular."""
    if payload["type"] == "test":
        return _("This is a test. Notifications of AutoSSL on this server come this way.")
    run = payload["run"]
    if run is None:
        return ""
    what = _("Run for %(scope)s, ended %(at)s.") % {"scope": scope_text(run["scope"]), "at": _moment(run["ended"])}
    outcomes = ", ".join(f"{number} {name}" for name, number in run["outcomes"].items())
    return f"{what} {outcomes}." if outcomes else what


def _group(group: Mapping[str, Any]) -> Group:
    number, more = group["sites"], group["more"]
    of_sites = NATURES[Kind(group["kind"])].users
    return Group(
        cause=_sentence(group["cause"]),
        fix=group["fix"],
        count=ngettext("%(n)d site", "%(n)d sites", number) % {"n": number} if number > 1 and of_sites else "",
        sites=[_site(notice, Kind(group["kind"])) for notice in group["notices"]],
        more=ngettext("and %(n)d more", "and %(n)d more", more) % {"n": more} if more else "",
    )


def _site(notice: Mapping[str, Any], kind: Kind) -> Site:
    names = ", ".join(shown(name) for name in notice["names"])
    if notice["more_names"]:
        names += _(" and %(n)d more") % {"n": notice["more_names"]}
    values = {
        "names": names or shown(notice["site"]),
        "until": _moment(notice["until"]),
        "expires": _moment(notice["expires"]),
    }
    return Site(
        name=shown(notice["site"]),
        user=notice["user"],
        sentence=str(WORDS[kind].sentence) % values,
        cause=_sentence(notice["cause"]),
        fix=notice["fix"],
        again={"half": _("Told again: half of the time is over."), "tenth": _("Told again: a tenth is left.")}.get(
            notice["again"] or "", ""
        ),
        facts=_facts(notice, kind),
    )


def _facts(notice: Mapping[str, Any], kind: Kind) -> list[str]:
    """When it is tried again, when it expires, who waits for it."""
    facts = []
    if notice["waiting"]:
        facts.append(_("Sites that wait for it: %(n)d") % {"n": notice["waiting"]})
    again = notice["until"] if kind == Kind.PROVIDER else notice["next_try"]
    if again:
        facts.append(_("Next try: %(at)s") % {"at": _moment(again)})
    elif kind in TRIED:
        facts.append(_("Next try: with the daily check"))
    if notice["expires"] and kind not in (Kind.EXPIRED, Kind.EXPIRING):  # their sentence says it
        facts.append(_("Certificate expires: %(at)s") % {"at": _moment(notice["expires"])})
    return facts


# Where something is tried again
TRIED = frozenset(
    {Kind.DEFERRED, Kind.UNCOVERED, Kind.UNSECURED, Kind.EXPIRING, Kind.EXPIRED, Kind.INSTALL, Kind.REDUCED}
)
WHY = {
    Audience.ADMIN: lambda: _("You get this as administrator of this server; what is sent is set on the Options tab."),
    Audience.RESELLER: lambda: _("You get this as the reseller of these users, who have no address of their own here."),
    Audience.USER: lambda: _("You get this because these are your sites. The administrator of this server can end it."),
}


def _sentence(text: str) -> str:
    """With a capital letter; what begins with a name stays as it is."""
    return text[:1].upper() + text[1:]


def _moment(text: str | None) -> str:
    """Wed 2 Dec 2026, 03:12 UTC."""
    if not text:
        return "–"
    at = datetime.fromisoformat(text)
    day = formats.date_format(at, pgettext("date format", "D j M Y"))
    return f"{day}, {at:%H:%M} UTC"
