"""What saving options would cost, in numbers, before anything is saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import forecasting
from autossl_panel.autossl.census import Census
from autossl_panel.autossl.models import NotifyLevel, Run
from autossl_panel.hosting.models import Domain, Server
from autossl_panel.people.models import AuditEntry

from . import foreign
from .marked import fill
from .question import Choice, Option, Point
from .templatetags.panel import moment

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """The points of a question, by what causes them, and what has to be chosen beside yes."""

    points: Mapping[str, Point]
    choice: Choice | None = None

    @property
    def mark(self) -> str:
        """What was asked, as the answer carries it: another change asks anew."""
        return ",".join(sorted(self.points))


def cost(server: Server, before: Values, values: Values, census: Census, now: datetime) -> Cost:
    """What these values, all of them valid, would cost beside those of before."""
    changed = {name for name, value in values.items() if value != before[name]}
    points: dict[str, Point] = {}
    for name, say in POINTS.items():
        if name in changed and (point := say(server, values, now)) is not None:
            points[name] = point
    choice = None
    if {"key_type", "reissue"} & changed:
        others = census.others(values["key_type"])
        if others and "key_type" in changed:
            points[f"key_type:{values['key_type']}"] = _other_keys(others)
            choice = _reissue(server, values["key_type"], others, now)
        elif others and values["reissue"] == "yes":
            points["reissue"] = _anew(server, values["key_type"], others, now)
    return Cost(points, choice)


def _foreign(server: Server, values: Values, now: datetime) -> Point | None:
    found = foreign.count(server, now) if values["replace_foreign"] == "yes" else foreign.Foreign()
    if not found.concerned:
        return None
    text = ngettext(
        "%(n)d certificate from elsewhere is replaced at the next check.",
        "%(n)d certificates from elsewhere are replaced at the next check.",
        found.concerned,
    )
    rest = _("They are defective or about to expire.")
    if found.companies:
        rest = ngettext(
            "%(n)d of them names a company (EV, OV); its successor proves only the domain (DV).",
            "%(n)d of them name a company (EV, OV); their successors prove only the domain (DV).",
            found.companies,
        ) % {"n": found.companies}
    return Point(text % {"n": found.concerned}, rest, "foreign", "is-foreign")


def _www(server: Server, values: Values, _now: datetime) -> Point | None:
    if values["serve_www"] == "yes":
        return None
    there = Domain.objects.filter(virtual_host__server=server, virtual_host__gone_at__isnull=True)
    wild = there.filter(name__startswith="*.")
    # A wildcard among a site's names serves its www. whatever is set here.
    wildcards: dict[int, list[str]] = {}
    for host, name in wild.values_list("virtual_host_id", "name"):
        wildcards.setdefault(host, []).append(name[1:])
    added = there.filter(added=True)
    beside = added.filter(virtual_host__in=wild.values("virtual_host")).values_list("virtual_host_id", "name")
    served = sum(1 for host, name in beside if name.endswith(tuple(wildcards.get(host, ()))))
    n = added.count() - served
    if n <= 0:
        return None
    text = ngettext(
        "%(n)d name with www. is not asked for any more.", "%(n)d names with www. are not asked for any more.", n
    )
    return Point(text % {"n": n}, _("What a certificate covers today is lost at its next renewal."))


def _logs(server: Server, values: Values, now: datetime) -> Point | None:
    before = now - timedelta(days=int(values["log_days"]))
    n = Run.objects.filter(server=server, ended_at__lt=before).count()
    if not n:
        return None
    text = ngettext("%(n)d run is removed with its log.", "%(n)d runs are removed with their logs.", n) % {"n": n}
    return Point(text, _("It cannot be undone."), "off")


def _trail(_server: Server, values: Values, now: datetime) -> Point | None:
    n = AuditEntry.objects.filter(at__lt=now - timedelta(days=int(values["audit_days"]))).count()
    if not n:
        return None
    text = ngettext("%(n)d entry of the audit trail is removed.", "%(n)d entries of the audit trail are removed.", n)
    return Point(text % {"n": n}, _("It cannot be undone."), "off")


def _nobody_told(_server: Server, values: Values, _now: datetime) -> Point | None:
    if values["notify_admin"] != NotifyLevel.NONE:
        return None
    return Point(_("The administrator is told nothing,"), _("not even that a certificate expires or the CA fails."))


POINTS = {
    "replace_foreign": _foreign,
    "serve_www": _www,
    "log_days": _logs,
    "audit_days": _trail,
    "notify_admin": _nobody_told,
}


def _other_keys(others: int) -> Point:
    text = ngettext("%(n)d certificate has another key type.", "%(n)d certificates have another key type.", others)
    return Point(text % {"n": others}, "", "key", "")


def _reissue(server: Server, key_type: str, others: int, now: datetime) -> Choice:
    anew = ngettext("Re-issue it now", "Re-issue all %(n)d now", others) % {"n": others}
    return Choice(
        "reissue",
        _("What shall become of them?"),
        [
            Option("", _("Keep each until it is renewed anyway")),
            Option("on", anew, _after(server, key_type, now)),
        ],
    )


def _anew(server: Server, key_type: str, others: int, now: datetime) -> Point:
    text = ngettext("%(n)d certificate is issued anew.", "%(n)d certificates are issued anew.", others) % {"n": others}
    return Point(text, _after(server, key_type, now), "again")


def _after(server: Server, key_type: str, now: datetime) -> str:
    """When they come, and the last of them."""
    said = _("After everything that is due, within the CA’s limits.")
    until = forecasting.reissue(server, key_type, now).until
    if until is None:
        return said
    return format_html("{} {}", said, fill(_("The last one not before %(at)s."), at=moment(until)))
