"""The rows of a large panel in its hundredth day: written straight into the tables, for pages to be looked at.

10,000 users of 51 owners, five sites each, one in fifty with something to mend; a month of runs, and one that lives.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from django.db import connection

from autossl_panel.autossl import options, preview, previewing, runs
from autossl_panel.autossl.log import causes
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Beat,
    Certificate,
    Channel,
    DailyShare,
    Installation,
    Level,
    Outcome,
    Problem,
    Provider,
    ProviderState,
    Rehearsal,
    RehearsalLine,
    RehearsalSite,
    Verdict,
    Way,
)
from autossl_panel.autossl.notify import channels
from autossl_panel.helper.client import Client
from autossl_panel.helper.protocol import InventoryAnswer
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import (
    Domain,
    ExclusionPattern,
    FeatureList,
    HostingUser,
    Server,
    Setting,
    Severity,
    SiteState,
    VirtualHost,
)
from autossl_panel.people import factors, tokens
from autossl_panel.people.models import AuditEntry, Role, User
from autossl_panel.sandbox.crowd import crowd
from autossl_panel.sandbox.sites import Site
from bench import page_runs
from bench.bulk import saved, write
from bench.page_runs import facts_of

RESELLERS, REHEARSED = 50, 30
CODES = ("nxdomain", "elsewhere", "caa", "http_status", "connect_timeout", "ipv6_elsewhere")
SEVERITIES = {
    SiteState.UNSECURED: Severity.UNSECURED,
    SiteState.PARTLY: Severity.PARTLY,
    SiteState.FOREIGN: Severity.FOREIGN,
}
# What the failing ones wait for
WAITS = ("held_back", "rate_limited", "deferred", "order_open")
STATES = {0: SiteState.UNSECURED, 1: SiteState.PARTLY, 2: SiteState.FOREIGN}


def fill(users: int, each: int, jobs: int, now: datetime) -> None:
    """Fill an empty database; the live run has `jobs` jobs."""
    server = servers.this()
    Server.objects.filter(pk=server.pk).update(inventory_at=now)
    options.current(server)
    Beat.objects.create(server=server, at=now + timedelta(days=1))
    provider = _provider(server, now)
    hosted = _users(server, users, now)
    hosts = list(saved(_host(server, hosted[site.user], n, site, now) for n, site in enumerate(crowd(users, each))))
    _names(hosts, now)
    _certificates(hosts, provider, now)
    _problems(hosts, now)
    _shares(server, len(hosts), now)
    _patterns(server, hosted, now)
    page_runs.fill(server, provider, hosts, jobs, now)
    _audit(now)
    _tokens(now)
    _previews(server, now)
    _rehearsals(server, provider, now)
    if connection.vendor == "postgresql":
        # Its autovacuum would have done so long ago.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE" if connection.in_atomic_block else "VACUUM ANALYZE")


class _Unchanged:
    """A helper in whose configuration no file has changed."""

    def inventory(self, *, unless: str | None = None) -> InventoryAnswer:
        return InventoryAnswer("", True, (), (), (), None)


def _previews(server: Server, now: datetime) -> None:
    """What a run for all, for a reseller's users and for one user would do, worked out as a worker does it."""
    for scope in (runs.ALL, "owner:reseller00", "user:u00000"):
        made = preview.ask(scope, asked_by=None, server=server, ring=False)
        previewing.work_out(made.pk, cast(Client, _Unchanged()), now=now)


def _tokens(now: datetime) -> None:
    """Each person has one."""
    for person in User.objects.all():
        tokens.make(person, "monitoring", expires_at=now + timedelta(days=90), read_only=True, by=None, now=now)


def _rehearsals(server: Server, provider: Provider, now: datetime) -> None:
    """A month of rehearsals with one site each."""
    hosts = VirtualHost.objects.order_by("pk")[:REHEARSED]
    for day, host in enumerate(hosts):
        at = now - timedelta(days=day)
        made = Rehearsal.objects.create(
            server=server, provider=provider, directory_url=provider.directory_url, asked_at=at, ended_at=at
        )
        RehearsalSite.objects.create(
            rehearsal=made, virtual_host=host, position=0, outcome="issued", names=[host.name], not_after=now, links=2
        )
        data = {"issued": 1, "sites": 1}
        RehearsalLine.objects.create(
            rehearsal=made, seq=1, at=at, level=Level.SUCCESS, event="rehearsal:ended", data=data
        )


def _provider(server: Server, now: datetime) -> Provider:
    url = "https://ca.crowd.example/directory"
    for name, state in (("other", ProviderState.READY), ("new", ProviderState.CHECKING)):
        Provider.objects.create(name=name, directory_url=f"{url}/{name}", state=state)
    provider = Provider.objects.create(
        name="crowd", directory_url=url, state=ProviderState.READY, active=True, checked_at=now
    )
    Account.objects.create(provider=provider, server=server, status=AccountStatus.VALID, url=f"{url}/account/1")
    hook = Channel(server=server, kind=Way.WEBHOOK, name="on call", target="https://hooks.crowd.example/in")
    hook.save()
    channels.ask_test(hook, by=None, now=now)
    return provider


def _users(server: Server, number: int, now: datetime) -> dict[str, HostingUser]:
    person = User.objects.create(username="root", role=Role.ROOT)
    login = User.objects.create(username="u00000", role=Role.USER)
    resellers = [User(username=f"reseller{n:02d}", role=Role.RESELLER) for n in range(RESELLERS)]
    owners: list[User | None] = [*saved(resellers), *[None] * RESELLERS]
    lists = list(saved(FeatureList(name=name, autossl=name != "parked") for name in ("business", "starter", "parked")))
    made = [
        HostingUser(
            server=server,
            name=f"u{n:05d}",
            owner=owners[n % len(owners)],
            login=login if n == 0 else None,
            feature_list=lists[n % 3],
            autossl=list(Setting)[n % 7] if n % 7 < 3 else Setting.FEATURE_LIST,
            last_check_at=now - timedelta(minutes=n % 1440),
            last_check={"event": "check:nothing_to_do", "data": {"number": 1}},
        )
        for n in range(number)
    ]
    for one in (person, resellers[0]):
        _factors(one)
    return {user.name: user for user in saved(made)}


def _factors(person: User) -> None:
    secret = factors.new_secret()
    code = factors.hotp_value(secret, next(iter(factors.yield_hotp_counters_from_time())))
    factors.add_app(person, secret, f"{code:06}", by=None)
    factors.add_passkey(person, "Laptop", {}, by=None)


def _host(server: Server, user: HostingUser, n: int, site: Site, now: datetime) -> VirtualHost:
    state = STATES.get(n % 100, SiteState.SECURED)
    failing = state in (SiteState.UNSECURED, SiteState.PARTLY)
    name = site.names[0]
    code = CODES[n // 100 % len(CODES)]
    waits = WAITS[n // 100 % len(WAITS)]
    held = failing and waits == "rate_limited"
    expires_at: datetime | None = now + timedelta(days=89 - n % 60)
    if state == SiteState.UNSECURED:
        # Every second one never had a certificate, the others let theirs expire.
        expires_at = now - timedelta(days=n % 90 + 1) if n % 200 == 0 else None
    return VirtualHost(
        server=server,
        user=user,
        key=f"{name}-{n:08x}",
        name=name,
        docroot=f"/home/{user.name}/{name}",
        appeared_at=now - timedelta(days=100),
        attached=True,
        tls=state != SiteState.UNSECURED,
        state=state,
        names_wanted=2,
        names_covered={SiteState.UNSECURED: 0, SiteState.PARTLY: 1}.get(state, 2),
        next_at=now + timedelta(minutes=n % 80_000),
        next_reason=waits if failing else "renew",
        held_until=now + timedelta(hours=1) if held else None,
        held_reason=waits if held else "",
        problem={"code": code, "domain": name, "data": facts_of(code)} if failing else None,
        severity=SEVERITIES.get(state, Severity.SECURED),
        expires_at=expires_at,
        problems_seen=f"{n:032x}" if failing else "",
    )


def _names(hosts: list[VirtualHost], now: datetime) -> None:
    domains = saved(
        Domain(virtual_host=host, name=name, added=bool(place), position=place)
        for host in hosts
        for place, name in enumerate((host.name, f"www.{host.name}"))
    )
    write(_verdict(domain, now) for domain in domains)


def _verdict(domain: Domain, now: datetime) -> Verdict:
    problem = domain.virtual_host.problem
    if problem is None or domain.added:
        return Verdict(domain=domain, at=now, outcome=Outcome.PASS, last_passed_at=now)
    return Verdict(domain=domain, at=now, outcome=Outcome.FAIL, code=problem["code"], data=problem["data"])


def _certificates(hosts: list[VirtualHost], provider: Provider, now: datetime) -> None:
    certified = [(host, host.expires_at) for host in hosts if host.expires_at is not None]
    found = saved(
        Certificate(
            fingerprint=f"{host.pk:064x}",
            serial=f"{host.pk:036x}",
            names=[host.name, f"www.{host.name}"],
            issuer="CN=Crowd,O=Crowd,C=US",
            not_before=expires_at - timedelta(days=90),
            not_after=expires_at,
            key_kind="ec",
            key_bits=256,
            pem="x" * 2000,
            ours=host.state != SiteState.FOREIGN,
            provider=provider if host.state != SiteState.FOREIGN else None,
        )
        for host, expires_at in certified
    )
    write(
        Installation(virtual_host=host, certificate=certificate, since=certificate.not_before, key_matches=True)
        for (host, _at), certificate in zip(certified, found, strict=True)
    )


def _problems(hosts: list[VirtualHost], now: datetime) -> None:
    """A row for each name that fails: the main name of a site in fifty."""
    domains = Domain.objects.filter(virtual_host__problem__isnull=False, position=0).order_by()
    by_host = dict(domains.values_list("virtual_host", "pk"))
    write(
        Problem(
            virtual_host=host,
            user_id=host.user_id,
            domain_id=by_host[host.pk],
            name=host.name,
            code=host.problem["code"],
            cause=causes.key(host.problem["code"], {"name": host.name, **host.problem["data"]}),
            covered=False,
            expires_at=host.expires_at,
            since=now - timedelta(hours=host.pk % 200),
            data={"name": host.name, **host.problem["data"]},
        )
        for host in hosts
        if host.problem is not None
    )


def _patterns(server: Server, hosted: dict[str, HostingUser], now: datetime) -> None:
    """Names left out by patterns: some for all, some of a reseller, some of each tenth user."""
    reseller = User.objects.filter(role=Role.RESELLER).order_by("pk").first()
    rows = [ExclusionPattern(server=server, pattern=f"*.dev{n}.example", at=now) for n in range(5)]
    rows += [ExclusionPattern(server=server, owner=reseller, pattern=f"intern{n}.*", at=now) for n in range(5)]
    rows += [ExclusionPattern(server=server, user=user, pattern="staging.*", at=now) for user in hosted.values()][::10]
    ExclusionPattern.objects.bulk_create(rows, batch_size=1000)


def _shares(server: Server, sites: int, now: datetime) -> None:
    write(
        DailyShare(
            server=server,
            day=(now - timedelta(days=day)).date(),
            wanted=2 * sites,
            covered=2 * sites - day,
            sites=sites,
            secured=sites - day,
        )
        for day in range(100)
    )


def _audit(now: datetime) -> None:
    write(
        AuditEntry(
            at=now - timedelta(minutes=n),
            person_name="root",
            source="panel",
            event="user:autossl_set",
            subject=f"u{n:05d}",
            before={"autossl": "on"},
            after={"autossl": "off"},
        )
        for n in range(5000)
    )
