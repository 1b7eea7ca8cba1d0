"""What the scene lacks for SSL/TLS Status and People: a login with names in every state, addresses, a suspension."""

from dataclasses import dataclass
from datetime import timedelta

from autossl_panel.autossl.models import Certificate, Installation, Outcome, Verdict
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Severity, SiteState, VirtualHost
from autossl_panel.people.models import Role, User
from tests.web.scene import Scene, person

FACTS = {"address": "198.51.100.7", "status": 403, "server": "openresty"}


@dataclass(slots=True)
class Own:
    """Who was made: the login of lindner, and one that is for nobody yet."""

    login: User
    other: User
    user: HostingUser


def build(scene: Scene) -> Own:
    """Give lindner a login, and one name of each kind."""
    login, other = person("lindner", Role.USER), person("nobody", Role.USER)
    User.objects.filter(pk=scene.harborweb.pk).update(email="office@harborweb.example", last_login=scene.now)
    user = HostingUser.objects.get(name="lindner")
    user.login, user.email = login, "baker@lindner.example"
    user.save()
    HostingUser.objects.filter(name="fennimore").update(suspended=True)
    _names(scene, user, login)
    return Own(login, other, user)


def _names(scene: Scene, user: HostingUser, login: User) -> None:
    main = VirtualHost.objects.get(user=user, name="lindner.example")
    main.next_at, main.next_reason = scene.now + timedelta(days=1), "deferred"
    main.save()
    add(main, "mail.lindner.example", "elsewhere")
    intern = Domain.objects.create(virtual_host=main, name="intern.lindner.example", position=9)
    Exclusion.objects.create(user=user, name=intern.name, by=login, at=scene.now - timedelta(days=19))
    certificate = main.installations.get(until=None).certificate
    certificate.names = [*certificate.names, "mail.lindner.example"]
    certificate.save()
    for host in user.virtual_hosts.exclude(pk=main.pk):
        host.next_at, host.next_reason = scene.now + timedelta(days=30), "renew"
        host.save()
    bought = {"state": SiteState.FOREIGN, "severity": Severity.FOREIGN, "names_covered": 1}
    foreign = site(user, "pay.lindner.example", **bought, expires_at=scene.now + timedelta(days=220))
    _certificate(scene, foreign, "CN=Sectigo RSA DV,O=Sectigo Limited,C=GB", days=220)
    bare = site(user, "shop.lindner.example")
    verdict(bare.domains.get(), "nxdomain")
    site(user, "new.lindner.example", next_at=scene.now + timedelta(seconds=40), next_reason="missing")
    local = site(user, "printer.local")
    Domain.objects.filter(virtual_host=local).update(unfit="not_public")


def site(user: HostingUser, name: str, **fields: object) -> VirtualHost:
    """A site with one name, and no certificate."""
    values = {"appeared_at": user.server.inventory_at, "state": SiteState.UNSECURED, "names_wanted": 1} | fields
    host = VirtualHost.objects.create(server=user.server, user=user, key=f"{name}-00000000", name=name, **values)
    Domain.objects.create(virtual_host=host, name=name)
    return host


def add(host: VirtualHost, name: str, code: str = "") -> Domain:
    """Another name of a site, which fails with `code`."""
    domain = Domain.objects.create(virtual_host=host, name=name, position=host.domains.count())
    if code:
        verdict(domain, code)
    return domain


def verdict(domain: Domain, code: str, outcome: str = Outcome.FAIL) -> Verdict:
    """What DCV found for a name."""
    facts = {**FACTS, "zone": domain.name.partition(".")[2], "from": "198.51.100.7", "to": "203.0.113.10"}
    return Verdict.objects.create(
        domain=domain, at=domain.virtual_host.appeared_at, outcome=outcome, code=code, data=facts
    )


def _certificate(scene: Scene, host: VirtualHost, issuer: str, *, days: int) -> None:
    certificate = Certificate.objects.create(
        fingerprint=f"{host.pk:064x}",
        serial=f"{host.pk:032x}",
        names=[host.name],
        issuer=issuer,
        not_before=scene.now - timedelta(days=90),
        not_after=scene.now + timedelta(days=days),
        key_kind="rsa",
        key_bits=2048,
        pem="",
    )
    Installation.objects.create(virtual_host=host, certificate=certificate, since=scene.now, key_matches=True)
