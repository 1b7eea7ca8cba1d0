"""A server as it might be: resellers, users, sites in every state, runs past and live. For tests and for the eye."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from django.db.models import Model

from autossl_panel.autossl import last_checks, options, providers
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Beat,
    Certificate,
    Channel,
    Installation,
    Provider,
    ProviderState,
    Run,
)
from autossl_panel.hosting import users
from autossl_panel.hosting.models import Domain, FeatureList, HostingUser, Server, Setting, SiteState, VirtualHost
from autossl_panel.people import audit, factors
from autossl_panel.people.models import Role, Session, User
from tests.support.again import Again
from tests.web.scene_runs import AT_RISK, TITLE, installed, run_of, work

PASSWORD = "correct horse battery"

# name, owner, feature list, setting, states of the sites, last check: "check:…" where it made no job, else "work"
USERS: Sequence[tuple[str, str, str, str, str, str]] = (
    ("amberfield", "", "business", "feature-list", "ssssss", "work"),
    ("ateliermo", "", "starter", "feature-list", "s", "check:nothing_to_do"),
    ("bluefjord", "harborweb", "business", "on", "sssssssssssp", "check:nothing_to_do"),
    ("brandtlaw", "harborweb", "business", "feature-list", "uu", "work"),
    ("cedarworks", "", "business", "feature-list", "ssss", "check:nothing_to_do"),
    ("dockside", "harborweb", "business", "feature-list", "ssf", "check:foreign"),
    ("eastgate", "", "parked", "on", "ss", "check:nothing_to_do"),
    ("fennimore", "", "starter", "off", "o", "check:skipped"),
    ("greenmile", "brightpeak", "business", "feature-list", "sssssssss", "check:nothing_to_do"),
    ("hallsteadt", "brightpeak", "business", "feature-list", "sssssuu", "work"),
    ("ivorylane", "", "starter", "feature-list", "s", "check:nothing_to_do"),
    ("junipershop", "", "business", "feature-list", "ssssssss", "check:nothing_to_do"),
    ("lindner", "", "business", "feature-list", "sssp", "work"),
    ("northwind", "harborweb", "parked", "on", "s" * 17 + "u" * 14, "work"),
    ("oakandash", "", "starter", "feature-list", "ss", "check:nothing_to_do"),
    ("pixelforge", "harborweb", "business", "off", "ss", "check:skipped"),
    ("quarrybank", "", "business", "feature-list", "ssssss", "check:nothing_to_do"),
    ("thistle", "", "starter", "feature-list", "", ""),
)
STATES = {
    "s": SiteState.SECURED,
    "p": SiteState.PARTLY,
    "u": SiteState.UNSECURED,
    "f": SiteState.FOREIGN,
    "o": SiteState.OFF,
}
CHECKS = {"check:skipped": {"reason": "disabled", "number": 0}}
# Whose work only one of the runs for all finds: what is due, and what its CA wants renewed at any age
DUE, WANTED = "amberfield", "bluefjord"
DEFERRED = AT_RISK.removeprefix("www.")


@dataclass(slots=True)
class Scene:
    """What was made."""

    server: Server
    root: User
    harborweb: User
    brightpeak: User
    provider: Provider
    live: Run
    past: Run
    channel: Channel
    now: datetime


def person(username: str, role: str) -> User:
    made = User(username=username, role=role)
    made.set_password(PASSWORD)
    made.save()
    return made


def build(*, live: bool = True, now: datetime | None = None) -> Scene:
    """Fill an empty database."""
    now = now or datetime.now(UTC)
    server = Server.objects.create(name="web03.harbor-hosting.example", inventory_at=now - timedelta(minutes=1))
    Beat.objects.create(server=server, at=now)
    root, harborweb, brightpeak = (
        person("root", Role.ROOT),
        person("harborweb", Role.RESELLER),
        person("brightpeak", Role.RESELLER),
    )
    provider = _providers(server, now)
    row = options.current(server)
    row.resolvers, row.server_addresses = ["192.0.2.53", "2001:db8::53"], ["203.0.113.10", "2001:db8:1::10"]
    row.admin_addresses = ["certs@harbor-hosting.example"]
    row.save()
    owners = {"": None, "harborweb": harborweb, "brightpeak": brightpeak}
    lists = {name: FeatureList.objects.create(name=name, autossl=name != "parked") for name in _lists()}
    then = now - timedelta(hours=12)
    for name, owner, feature_list, setting, states, check in USERS:
        user = HostingUser.objects.create(
            server=server,
            name=name,
            owner=owners[owner],
            feature_list=lists[feature_list],
            autossl=Setting(setting),
            last_check_at=then if check else None,
            last_check={"event": check, "data": CHECKS.get(check, {"number": 1})} if check else None,
        )
        _sites(user, states, now, provider)
    past = run_of(server, None, then, provider, "schedule", ended=timedelta(minutes=4, seconds=6))
    work(past, _with_work(), then)
    installed(past)
    last_checks.note(past, then + timedelta(minutes=4, seconds=6), partial=False)
    _before(server, harborweb, provider, now)
    current = run_of(
        server, root, now - timedelta(seconds=108), provider, "panel", ended=None if live else timedelta(seconds=68)
    )
    work(current, _with_work(every=True) if live else [], now - timedelta(seconds=100), live=live)
    installed(current)
    channel = Channel.objects.create(
        server=server,
        kind="webhook",
        name="on call",
        target="https://hooks.harbor-hosting.example/in/5up3r53cr3t",
        secret="whsec_bm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IGxvbmc=",
        sent_at=now - timedelta(hours=2),
    )
    return Scene(server, root, harborweb, brightpeak, provider, current, past, channel, now)


def _with_work(*, every: bool = False) -> list[VirtualHost]:
    """What fails, what is due, and the one whose renewal is deferred; `every`: what its CA wants renewed now, too."""
    hosts = VirtualHost.objects.exclude(user__name="lindner") | VirtualHost.objects.filter(name=DEFERRED)
    names = [name for name, *_rest, check in USERS if check == "work"]
    found = hosts.filter(user__name__in=[*names, WANTED]).select_related("user").order_by("pk")
    if every:
        return list(found.exclude(user__name=DUE))
    return [one for one in found if one.state == SiteState.UNSECURED or one.user.name in (DUE, "lindner")]


def _before(server: Server, harborweb: User, provider: Provider, now: datetime) -> None:
    """Runs of the days before: one that a reseller asked for, one of what was due, and one that had nothing to do."""
    short = timedelta(seconds=8)
    unsecured = VirtualHost.objects.filter(state=SiteState.UNSECURED).select_related("user").order_by("pk")
    lindner = VirtualHost.objects.filter(name=DEFERRED).select_related("user")
    asked = run_of(server, harborweb, now - timedelta(hours=20), provider, "panel", ended=short, scope="user:northwind")
    work(asked, list(unsecured.filter(user__name="northwind")), asked.started_at)
    due = run_of(server, None, now - timedelta(hours=30), provider, "sweep", ended=short, scope="due")
    work(due, list(lindner), due.started_at)
    daily = run_of(server, None, now - timedelta(hours=36), provider, "schedule", ended=short)
    work(daily, [], daily.started_at, held={host.pk for host in (*unsecured, *lindner)})


class SceneAgain:
    """A scene that is made once in a process, and put in again for each further test that wants it."""

    def __init__(self, make: Callable[[], Scene]) -> None:
        self._make = make
        self._rows = Again(self._first)
        self._scene: Scene | None = None

    def _first(self) -> datetime:
        self._scene = self._make()
        return self._scene.now

    def put(self) -> Scene:
        """The scene of now, whose rows are this test's own."""
        now = self._rows.put()
        assert self._scene is not None
        values = {field.name: getattr(self._scene, field.name) for field in fields(self._scene)}
        found = {name: type(row).objects.get(pk=row.pk) for name, row in values.items() if isinstance(row, Model)}
        return Scene(**{**values, **found, "now": now})


ONCE = SceneAgain(build)


def at_rest(made: Scene) -> Scene:
    """The same when nothing is in a run's hands."""
    Run.objects.filter(pk=made.live.pk).update(ended_at=made.now)
    made.live.jobs.all().delete()
    return made


BROWSERS = (
    ("root", "2001:db8:77::4", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15"),
    ("harborweb", "198.51.100.9", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"),
    ("brightpeak", "203.0.113.77", "Mozilla/5.0 (Linux; Android 10; K) Chrome/140.0.0.0 Mobile Safari/537.36"),
)


def morning(made: Scene) -> None:
    """What people did lately: changes of every kind, who is signed in, root's passkey with its recovery codes."""
    now = made.now
    with audit.coming_from("command", "anna"):
        options.change(made.server, {"log_days": "60", "resolvers": "192.0.2.53, 192.0.2.54"}, by=None)
        users.set_feature_list("parked", True, by=None, now=now)
    with audit.coming_from("panel", "198.51.100.9"):
        named = HostingUser.objects.filter(name__in=("pixelforge", "dockside"))
        users.set_autossl(named, "on", by=made.harborweb, now=now)
        users.exclude(["www.northwind.example"], by=made.harborweb, now=now)
        audit.record(None, "person:sign_in_failed", "harborweb")
        audit.record(made.harborweb, "person:signed_in", "harborweb")
    with audit.coming_from("panel", "2001:db8:77::4"):
        users.set_owner(HostingUser.objects.get(name="amberfield"), made.brightpeak, by=made.root)
        wish = providers.Draft("Lab CA", "https://lab.example/acme/directory", eab_kid="kid-7", eab_hmac_key="c2VjcmV0")
        providers.draft(wish, by=made.root, ring=False)
        providers.disable(by=made.root)
        factors.add_passkey(
            made.root, "Blue key", {"clientExtensionResults": {"credProps": {"rk": True}}}, by=made.root
        )
        factors.add_passkey(made.root, "Old laptop", {}, by=made.root)
    providers.activate(made.provider)
    for n, (name, address, browser) in enumerate(BROWSERS):
        Session.objects.create(
            session_key=f"session-{n}",
            session_data="",
            person=User.objects.get(username=name),
            address=address,
            browser=browser,
            began_at=now - timedelta(hours=3 + 20 * n),
            seen_at=now - timedelta(minutes=7 * n + 1),
            expire_date=now + timedelta(days=10),
        )


def _lists() -> Sequence[str]:
    return ("business", "starter", "parked")


def _providers(server: Server, now: datetime) -> Provider:
    chosen = Provider.objects.create(
        name="letsencrypt",
        display_name=TITLE,
        directory_url="https://acme-v02.api.letsencrypt.org/directory",
        state=ProviderState.READY,
        terms_url="https://letsencrypt.org/documents/LE-SA-v1.5.pdf",
        profiles={"classic": "", "tlsserver": "", "shortlived": ""},
        renewal_info_url="https://acme-v02.api.letsencrypt.org/renewal-info",
        stated={"validity_days": 90, "wildcard": True, "note": "Free, no account needed beforehand."},
        active=True,
        checked_at=now - timedelta(hours=2),
        position=100,
    )
    Account.objects.create(
        provider=chosen,
        server=server,
        status=AccountStatus.VALID,
        url="https://acme-v02.api.letsencrypt.org/acme/acct/1834420671",
        contact="certs@harbor-hosting.example",
        terms_url=chosen.terms_url,
        terms_agreed_at=now - timedelta(days=90),
    )
    Provider.objects.create(
        name="google",
        display_name="Google Trust Services",
        directory_url="https://dv.acme-v02.api.pki.goog/directory",
        state=ProviderState.READY,
        eab_required=True,
        terms_url="https://pki.goog/GTS-SA.pdf",
        stated={"validity_days": 90, "eab": True, "note": "The EAB key serves once and within seven days."},
        checked_at=now - timedelta(hours=2),
        position=101,
    )
    Provider.objects.create(
        name="zerossl",
        display_name="ZeroSSL",
        directory_url="https://acme.zerossl.com/v2/DV90",
        state=ProviderState.NEW,
        stated={"validity_days": 90, "eab": True},
        position=102,
    )
    Provider.objects.create(
        name="Our own CA",
        directory_url="https://ca.harbor-hosting.example/acme/directory",
        state=ProviderState.REFUSED,
        private_ca=True,
        problem={
            "field": "directory_url",
            "code": "unreachable",
            "text": "ca.harbor-hosting.example does not answer: connection refused.",
        },
    )
    return chosen


def _sites(user: HostingUser, states: str, now: datetime, provider: Provider) -> None:
    domains: list[Domain] = []
    for n, letter in enumerate(states):
        name = (
            f"{user.name}.example" if n == 0 else f"{('shop', 'blog', 'camping', 'farm')[n % 4]}{n}.{user.name}.example"
        )
        state = STATES[letter]
        host = VirtualHost.objects.create(
            server=user.server,
            user=user,
            key=f"{name}-00000000",
            name=name,
            appeared_at=now - timedelta(days=90),
            state=state,
            names_wanted=2,
            names_covered={"s": 2, "f": 2, "p": 1}.get(letter, 0),
        )
        domains.append(Domain(virtual_host=host, name=name))
        domains.append(Domain(virtual_host=host, name=f"www.{name}", added=True, position=1))
        if letter in "spf":
            not_after = now + timedelta(days=4 if user.name == "lindner" and n == 0 else 60)
            certificate = Certificate.objects.create(
                fingerprint=f"{host.pk:064x}",
                serial=f"{host.pk:032x}",
                names=[name, f"www.{name}"],
                issuer="CN=R13,O=Let's Encrypt,C=US",
                not_before=not_after - timedelta(days=90),
                not_after=not_after,
                key_kind="ec",
                key_bits=256,
                pem="",
                ours=letter != "f",
                provider=provider if letter != "f" else None,
            )
            Installation.objects.create(
                virtual_host=host, certificate=certificate, since=now - timedelta(days=30), key_matches=True
            )
            VirtualHost.objects.filter(pk=host.pk).update(
                expires_at=not_after, key_type="p256" if certificate.ours else ""
            )
    Domain.objects.bulk_create(domains)
