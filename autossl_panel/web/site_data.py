"""What a site's own page says: its names one by one, its certificate with the proof, and its history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel import pki
from autossl_panel.autossl import log, policies, policy
from autossl_panel.autossl.models import Certificate, Installation, Job, JobOutcome, JobState, Order, Problem
from autossl_panel.autossl.problem_facts import TOLD_TO_ROOT
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Ended
from autossl_panel.hosting.models import Domain, HostingUser, VirtualHost
from autossl_panel.names import covers, to_unicode

from . import certificate_words, revoking_words, words

# Of a site's history; the log has the rest
MOST = 12
# A handshake has to show the certificate so many times in a row
IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the site: whether its certificate secures it, and why not."""

    name: str
    sign: str
    css: str
    why: str
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the site, with the run that did it."""

    at: datetime
    sign: str
    css: str
    text: str
    run_id: int | None
    # One of ours that came with it, was replaced since, and is still good for whoever has its key
    earlier: Certificate | None = None

    @property
    def revocation(self) -> revoking_words.Revocation | None:
        """What became of a wish to have the earlier certificate revoked."""
        return revoking_words.of(self.earlier)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A series of handshakes that showed the certificate in use."""

    at: datetime | None
    where: str
    signature: str


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that the page shows; `current` is what is installed now."""

    host: VirtualHost
    current: Installation | None
    names: Sequence[Name]
    chain: Sequence[str]
    evidence: Sequence[Evidence]
    history: Sequence[Event]
    profile: str
    # What is wrong and what to change, and the cause's key, where there is anything
    advice: str
    cause: str
    # The live one, if any
    job: Job | None

    @property
    def certificate(self) -> Certificate | None:
        return self.current.certificate if self.current else None

    @property
    def covered(self) -> int:
        return sum(1 for name in self.names if name.sign in ("ok", "warn"))

    @property
    def wanted(self) -> int:
        return self.host.names_wanted


def detail(host: VirtualHost, now: datetime, *, whole: bool) -> Detail:
    """Read it all; `host` comes with its user and server. `whole`: with what is told to root alone."""
    installed = list(
        Installation.objects.filter(virtual_host=host).select_related("certificate").order_by("-since", "-pk")[:MOST]
    )
    orders = list(Order.objects.filter(virtual_host=host).order_by("-created_at")[: 2 * MOST])
    current = next((one for one in installed if one.until is None), None)
    certificate = current.certificate if current else None
    order = next((one for one in orders if certificate and one.certificate_id == certificate.pk), None)
    told = Q(outcome__in=(JobOutcome.FAILED, JobOutcome.DEFERRED, JobOutcome.SECURED))
    jobs = list(Job.objects.filter(told | ~Q(state=JobState.ENDED), virtual_host=host).order_by("-pk")[: 2 * MOST])
    problems = list(host.problems.all())
    return Detail(
        host=host,
        current=current,
        names=_names(host, certificate, problems),
        chain=_chain(certificate),
        evidence=_evidence(current),
        history=_history(installed, orders, [job for job in jobs if job.state == JobState.ENDED], now),
        profile=(certificate.profile if certificate else "") or (order.profile if order else ""),
        advice=_advice(host, whole),
        cause=_cause(host, problems),
        job=next((job for job in jobs if job.state != JobState.ENDED), None),
    )


def _advice(host: VirtualHost, whole: bool) -> str:
    problem = host.problem
    if problem is None or problem["code"] == "all_excluded":
        return ""
    if host.takeover and problem["code"] in policy.FOREIGN_WORSE:
        return words.taken_over()
    data = {key: value for key, value in (problem["data"] or {}).items() if whole or key not in TOLD_TO_ROOT}
    return log.problem_told({**problem, "data": data}, log.Reader.ROOT if whole else log.Reader.RESELLER)


def _cause(host: VirtualHost, problems: Sequence[Problem]) -> str:
    """The card under Problems that the site's own problem is told on."""
    told = host.problem or {}
    mine = [one for one in problems if one.code == told.get("code")]
    return next((one.cause for one in mine if one.name == told.get("domain")), mine[0].cause if mine else "")


def _names(host: VirtualHost, certificate: Certificate | None, wrong: Sequence[Problem]) -> list[Name]:
    found = list(Domain.objects.filter(virtual_host=host).order_by("position", "pk"))
    problems = {one.domain_id: one for one in wrong}
    ended = exclusion_patterns.ended_for(host.user)
    secures = certificate is not None and host.names_covered > 0
    certified = certificate.names if certificate is not None and secures else ()
    fit = _fit_for_a_private_ca(host.user, found)
    # What ails the whole site, which is of no name (None), keeps each of its names from being secured.
    return [
        _name(domain, covers(certified, domain.name), problems.get(domain.pk), problems.get(None), ended, fit)
        for domain in found
    ]


def _fit_for_a_private_ca(user: HostingUser, found: Sequence[Domain]) -> str:
    """The code of what makes a name unfit elsewhere, not here: the user's provider is a private CA, or there is none.

    Which names a CA takes is its own to say: without a provider none is called unfit for being private.
    """
    if not any(domain.unfit == policy.PUBLIC_ONLY for domain in found):
        return ""
    decided = policies.for_user(user, policies.accounts_of(user.server)).of(user.pk, user.feature_list_id)
    return policy.PUBLIC_ONLY if decided.provider is None or decided.provider.private_ca else ""


def _name(
    domain: Domain, covered: bool, problem: Problem | None, of_site: Problem | None, ended: Ended, fit: str
) -> Name:
    shown = to_unicode(domain.name)
    why = _first_up(_words(problem)) if problem else ""
    if covered and problem:
        return Name(shown, "warn", "is-warn", _("At risk: %(why)s") % {"why": _words(problem)}, problem)
    if covered:
        return Name(shown, "ok", "is-ok", "", None)
    unwished = _ended(domain, ended)
    if unwished:
        return Name(shown, "off", "dim", unwished, None)
    if domain.unfit and domain.unfit != fit:
        return Name(shown, "off", "dim", _first_up(log.reason_text(domain.unfit)), None)
    if problem is not None and problem.quiet:
        return Name(shown, "off", "dim", _("Left out quietly: %(why)s") % {"why": _words(problem)}, problem)
    if problem is None and of_site is not None and not of_site.quiet:
        return Name(shown, "bad", "is-bad", _first_up(_words(of_site)), of_site)
    return Name(shown, "bad", "is-bad", why or _("Not covered yet"), problem)


def _words(problem: Problem) -> str:
    return log.cause_text(problem.code, problem.data)


def _ended(domain: Domain, ended: Ended) -> str:
    """By which pattern or wish nobody asks for it; "" where it is wished for."""
    if ended.by_name(domain.name, added=domain.added):
        return _("Excluded")
    pattern = ended.by_pattern(domain.name, added=domain.added)
    return _("Excluded by the pattern %(pattern)s") % {"pattern": pattern} if pattern else ""


def _chain(certificate: Certificate | None) -> Sequence[str]:
    if certificate is None or not certificate.pem:
        return ()
    try:
        return pki.signers(certificate.pem.encode())
    except pki.PairProblem:
        # What somebody else put there may be anything; its facts were read when it was met.
        return ()


def _evidence(current: Installation | None) -> list[Evidence]:
    """The series that showed the certificate which is in use."""
    if current is None:
        return []
    return [
        Evidence(parse_datetime(str(one.get("at", ""))), _where(one), str(one.get("signature", "")).upper())
        for one in current.evidence
        if one.get("serial") == current.certificate.serial
    ]


def _where(one: Mapping[str, Any]) -> str:
    address = str(one.get("address", "?"))
    return f"[{address}]:{one.get('port')}" if ":" in address else f"{address}:{one.get('port')}"


def _history(
    installed: Sequence[Installation], orders: Sequence[Order], jobs: Sequence[Job], now: datetime
) -> list[Event]:
    runs = {job.order_id: job.run_id for job in reversed(jobs) if job.order_id and job.outcome == JobOutcome.SECURED}
    of_certificate = {order.certificate_id: order for order in orders if order.certificate_id}
    events = [event for event in map(_given_up, orders) if event is not None]
    told = {one.certificate_id for one in installed if one.until is None}
    for place, one in enumerate(installed):
        before = installed[place + 1] if place + 1 < len(installed) else None
        after = installed[place - 1] if place else None
        order = of_certificate.get(one.certificate_id)
        run = runs.get(order.pk) if order else None
        certificate = one.certificate
        earlier = certificate.ours and certificate.not_after > now and certificate.pk not in told
        told.add(certificate.pk)
        text = _appeared(one, before, order)
        events.append(Event(one.since, *_sign(one), text, run, certificate if earlier else None))
        if one.until is not None and (after is None or after.since > one.until):
            events.append(Event(one.until, "off", "dim", _("no certificate is configured from then on"), None))
    events += [_of_job(job) for job in jobs if job.outcome != JobOutcome.SECURED and job.ended_at]
    return sorted(events, key=lambda event: event.at, reverse=True)[:MOST]


def _sign(one: Installation) -> tuple[str, str]:
    return ("ok", "is-ok") if one.certificate.ours else ("foreign", "is-foreign")


def _appeared(one: Installation, before: Installation | None, order: Order | None) -> str:
    """What put a certificate there."""
    if not one.certificate.ours:
        return _("%(issuer)s, put there by somebody else") % {"issuer": certificate_words.issuer(one.certificate)}
    if before is not None and before.certificate_id == one.certificate_id:
        return _("installed again")
    if before is None or not before.certificate.ours:
        return _("first certificate") if before is None else _("taken over by AutoSSL")
    return _renewed(one, before, order.reason if order else "")


def _renewed(one: Installation, before: Installation, reason: str) -> str:
    added = [name for name in one.certificate.names if name not in before.certificate.names]
    if added:
        more = ngettext("%(first)s", "%(first)s and %(n)d more", len(added))
        names = more % {"first": to_unicode(added[0]), "n": len(added) - 1}
        return _("extended by %(names)s") % {"names": names}
    if reason in ("due", "ari", ""):
        return _("renewed")
    return _("renewed: %(reason)s") % {"reason": log.reason_text(reason)}


def _given_up(order: Order) -> Event | None:
    words = {
        "given_up": _("order given up"),
        "refused": _("the certificate was not what was ordered"),
        "rolled_back": _("put back as it was: handshakes did not show the new certificate"),
        "quarantined": _("the web server refused the certificate"),
    }
    text = words.get(order.closed_as)
    if text is None or order.closed_at is None:
        return None
    return Event(order.closed_at, "bad", "is-bad", text, None)


def _of_job(job: Job) -> Event:
    why = log.reason_text(job.problem["code"] if job.problem else job.outcome_reason or job.reason)
    assert job.ended_at is not None
    if job.outcome == JobOutcome.DEFERRED:
        text = _("renewal deferred, because a covered name fails")
        if job.problem:
            text += f": {why}"
        return Event(job.ended_at, "clock", "is-warn", text, job.run_id)
    return Event(job.ended_at, "bad", "is-bad", _("failed: %(why)s") % {"why": why}, job.run_id)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
