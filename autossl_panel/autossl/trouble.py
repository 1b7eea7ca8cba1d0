"""What is wrong with this server itself, on its row and in the run that met it: told once, not once a site."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, Max, OuterRef, Q
from django.db.models.fields.json import KT

from autossl_panel.hosting.models import Server, SiteState, VirtualHost

from . import log
from .models import Account, Outcome, Run, Verdict
from .policy.needs import CLOCK_TOLERANCE
from .policy.trouble import (
    ALIKE,
    ALIKE_USERS,
    BEGAN_WITHIN,
    LATELY,
    RECENTLY,
    Seen,
    ServerTrouble,
    suspend_reductions,
    troubles,
)


def look(server: Server, now: datetime) -> tuple[ServerTrouble, ...]:
    """What the latest verdicts and the CA's clock say of this server."""
    return troubles(_seen(server, now), clock_offset(server), _users(server))


def reductions_suspended(server: Server, now: datetime) -> bool:
    """Whether many of the server's users' names fail alike by their latest verdicts, whoever found them: then no
    failure may cost coverage."""
    return suspend_reductions(_seen(server, now), _users(server))


def clock_offset(server: Server) -> timedelta:
    """How far the CA in use was ahead of this host's clock when it was last heard."""
    account = Account.objects.select_related("provider").filter(server=server, provider__active=True).first()
    return timedelta(seconds=account.provider.clock_offset if account is not None else 0)


def _seen(server: Server, now: datetime) -> Iterable[Seen]:
    rows = Verdict.objects.filter(
        at__gt=now - LATELY, domain__virtual_host__server=server, domain__virtual_host__gone_at__isnull=True
    )
    rows = rows.annotate(
        before=ExpressionWrapper(
            Q(last_passed_at__isnull=False)
            & (Q(first_failed_at__isnull=True) | Q(first_failed_at__gt=now - BEGAN_WITHIN)),
            BooleanField(),
        ),
        recent=ExpressionWrapper(Q(at__gt=now - RECENTLY), BooleanField()),
        reason=KT("data__reason"),
        record=KT("data__record"),
    ).order_by()
    grouped = list(
        rows.values_list("outcome", "code", "reason", "record", "before", "recent").annotate(
            names=Count("pk"), address=Max(KT("data__address"))
        )
    )
    failing = sum(row[6] for row in grouped if row[0] == Outcome.FAIL and row[4])
    users: dict[tuple[str, bool], set[int]] = {}
    if failing >= ALIKE:
        whose = rows.filter(outcome=Outcome.FAIL, before=True)
        for code, recent, user in whose.values_list("code", "recent", "domain__virtual_host__user_id").distinct():
            users.setdefault((code, bool(recent)), set()).add(user)
    for outcome, code, reason, kind, before, recent, number, address in grouped:
        seen = Seen(outcome, code, number, reason or "", kind or "", address or "", bool(before), bool(recent))
        if seen.passed_before and outcome == Outcome.FAIL:
            seen = replace(seen, users=frozenset(users.get((code, seen.recent), ())))
        yield seen


def _users(server: Server) -> int:
    """How many hosting users have names here that AutoSSL asks for, counted up to what matters."""
    hosts = VirtualHost.objects.filter(server=server, gone_at__isnull=True).exclude(state=SiteState.OFF)
    asked = Verdict.objects.filter(domain__virtual_host=OuterRef("pk"), last_passed_at__isnull=False)
    return len(hosts.filter(Exists(asked)).order_by().values_list("user_id").distinct()[:ALIKE_USERS])


def record(run: Run, now: datetime) -> tuple[ServerTrouble, ...]:
    """At the end of a run: write what is wrong with its server to the server's row, with since when, and to the run as
    lines; returns it. A run that asked for no name has nothing new to say, unless something was wrong already.
    """
    server = run.server
    if not server.trouble and not run.jobs.exists() and abs(clock_offset(server)) <= CLOCK_TOLERANCE:
        return ()
    found = look(server, now)
    before = {(one["code"], one["data"].get("family", "")): one["since"] for one in server.trouble}
    rows = [
        {
            "code": one.code,
            "since": before.get(one.key, now.isoformat()),
            "names": one.names,
            "data": dict(one.data),
        }
        for one in found
    ]
    if rows != server.trouble:
        Server.objects.filter(pk=server.pk).update(trouble=rows)
        server.trouble = rows
    writer = log.for_run(run.pk)
    for one in found:
        writer.warn("run:trouble", reason=one.code, server=server.name, names=one.names, found=dict(one.data))
    return found
