"""The scene with what DCV and the CA left behind: a problem of each kind, sites that wait, a history."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from autossl_panel.autossl import standing
from autossl_panel.autossl.models import (
    Certificate,
    DailyShare,
    Installation,
    Job,
    JobState,
    Level,
    LogLine,
    Order,
    OrderStatus,
    Outcome,
    Phase,
    Verdict,
)
from autossl_panel.hosting.models import Domain, Setting, SiteState, VirtualHost

from .scene import Scene, SceneAgain, build
from .scene_runs import AT_RISK, HERE, SILENT, TROUBLES, run_of, trouble_of, work


def add(scene: Scene) -> Scene:
    """Fill it in, the way the workers would have."""
    now = scene.now
    scene.server.options.server_addresses = [HERE, "2001:db8:1::10"]
    scene.server.options.save()
    _public()
    _certificates(now)
    for user in TROUBLES:
        _fail(user, now)
    _fail_covered(now)
    _quiet("cedarworks", now)
    stand(scene)
    _shares(scene)
    _wait(scene)
    _histories(scene)
    return scene


ONCE = SceneAgain(lambda: add(build()))


def stand(scene: Scene) -> None:
    """Have every site say how it stands."""
    standing.record(scene.server, list(VirtualHost.objects.values_list("pk", flat=True)), scene.now)


def _public() -> None:
    """Reserved names are nobody's to certify; here they stand for names that are."""
    Domain.objects.update(unfit="")


def _certificates(now: datetime) -> None:
    """Ends all over the quarter, but of what was issued today; a partly covered site covers its main name alone."""
    old = Installation.objects.filter(since__lt=now - timedelta(days=1)).order_by("pk")
    for n, one in enumerate(old.select_related("certificate", "virtual_host__user")):
        certificate = one.certificate
        days = 31 + (n * 7) % 58
        if one.virtual_host.user.name == "lindner":
            days = 6 if one.virtual_host.name == "lindner.example" else 40
        if not certificate.ours:
            certificate.issuer, certificate.key_kind, certificate.key_bits = (
                "CN=Sectigo RSA OV,O=Sectigo Limited",
                "rsa",
                2048,
            )
            days = 25
        certificate.not_after = now + timedelta(days=days)
        certificate.not_before = certificate.not_after - timedelta(days=90)
        certificate.save()
    partly = Installation.objects.get(virtual_host__state="partly", virtual_host__user__name="bluefjord")
    Certificate.objects.filter(pk=partly.certificate_id).update(names=[partly.virtual_host.name])
    Domain.objects.filter(virtual_host=partly.virtual_host).update(added=False)
    juniper = Installation.objects.get(virtual_host__name="junipershop.example")
    juniper.evidence = [
        {
            "at": (now - timedelta(days=30)).isoformat(timespec="seconds"),
            "address": HERE,
            "port": 443,
            "serial": juniper.certificate.serial,
            "signature": "ecdsa",
        }
    ]
    juniper.save()
    certificate = juniper.certificate
    certificate.pem = chain(*certificate.names)
    certificate.ari_start, certificate.ari_end = now + timedelta(days=20), now + timedelta(days=22)
    certificate.renewal_at, certificate.profile = now + timedelta(days=21), "classic"
    certificate.save()


def chain(*names: str) -> str:
    """A leaf for `names` and what signed it, as PEM: E8, which ISRG Root X1 has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    at = datetime(2026, 11, 1, tzinfo=UTC)

    def sign(subject: str, issuer: str) -> str:
        called = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
        builder = x509.CertificateBuilder(called[1], called[0], key.public_key(), 4711, at, at + timedelta(days=90))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    return sign(names[0], "E8") + sign("E8", "ISRG Root X1")


def _verdict(domain: Domain, code: str, data: dict[str, object], now: datetime, days: int) -> Verdict:
    return Verdict(
        domain=domain,
        at=now - timedelta(minutes=20),
        outcome=Outcome.FAIL,
        code=code,
        data={"name": domain.name, **data},
        first_failed_at=now - timedelta(days=days, hours=2),
        last_failed_at=now - timedelta(minutes=20),
        retry_at=now + timedelta(minutes=40),
        attempts=4,
    )


def _fail(user: str, now: datetime) -> None:
    domains = Domain.objects.filter(virtual_host__user__name=user, virtual_host__state__in=["unsecured", "partly"])
    rows = []
    for n, domain in enumerate(domains.order_by("virtual_host", "position")):
        if domain.virtual_host.state == "partly" and domain.position == 0:
            continue
        code, facts = trouble_of(user, domain.virtual_host_id, domain.name)
        rows.append(_verdict(domain, code, facts, now, days=n % 5))
    Verdict.objects.bulk_create(rows)


def _fail_covered(now: datetime) -> None:
    """A name that is covered and fails: the renewal waits for it."""
    domain = Domain.objects.get(name=AT_RISK)
    Domain.objects.filter(pk=domain.pk).update(added=False)
    code, facts = SILENT
    _verdict(domain, code, facts, now, days=9).save()


def _quiet(user: str, now: datetime) -> None:
    """An added www. that is not covered and has no DNS record."""
    domain = Domain.objects.get(name=f"www.{user}.example")
    installed = Installation.objects.get(virtual_host=domain.virtual_host)
    Certificate.objects.filter(pk=installed.certificate_id).update(names=[f"{user}.example"])
    _verdict(domain, "nxdomain", {}, now, days=20).save()


def _wait(scene: Scene) -> None:
    """Sites that wait: a deferral, a limit, a retry, and the CA."""
    now = scene.now
    held = VirtualHost.objects.filter(user__name="lindner", name="lindner.example")
    held.update(next_at=now + timedelta(hours=3), next_reason="deferred", attempts=3)
    limited = VirtualHost.objects.filter(user__name="brandtlaw", name="brandtlaw.example")
    limit = now + timedelta(hours=2)
    limited.update(next_at=limit, next_reason="rate_limited", held_until=limit, held_reason="rate_limited", attempts=1)
    retry = VirtualHost.objects.filter(user__name__in=["northwind", "hallsteadt"], state="unsecured")
    retry.update(next_at=now + timedelta(minutes=40), next_reason="held_back", retry_at=now + timedelta(minutes=40))
    retry.update(attempts=4)
    renewing = VirtualHost.objects.filter(state="secured").exclude(next_reason="deferred")
    for host in renewing.exclude(next_at__lte=now):
        VirtualHost.objects.filter(pk=host.pk, expires_at__isnull=False).update(
            next_at=host.expires_at - timedelta(days=30), next_reason="renew"
        )
    order = _order(VirtualHost.objects.get(name="amberfield.example"), scene, None, now, OrderStatus.PROCESSING)
    job = Job.objects.filter(run=scene.live, state=JobState.RUNNING, phase=Phase.ORDER).first()
    if job is not None:
        Order.objects.filter(pk=order.pk).update(virtual_host=job.virtual_host_id)
        Job.objects.filter(pk=job.pk).update(order=order, attempt=1)


def _order(
    host: VirtualHost, scene: Scene, certificate: Certificate | None, at: datetime, status: str, reason: str = "due"
) -> Order:
    closed = status == OrderStatus.VALID
    return Order.objects.create(
        ident=f"o{host.pk}-{at:%m%d%H%M%S}",
        virtual_host=host,
        provider=scene.provider,
        account=scene.provider.accounts.get(),
        names=certificate.names if certificate else [host.name],
        reason=reason,
        key_type="p256",
        created_at=at,
        status=status,
        certificate=certificate,
        closed_at=at if closed else None,
        closed_as="installed" if closed else "",
    )


def _histories(scene: Scene) -> None:
    """Three certificates of one site, each from a run; a deferral of another."""
    host = VirtualHost.objects.get(name="junipershop.example")
    now, names = scene.now, [host.name, f"www.{host.name}"]
    current = Installation.objects.get(virtual_host=host)
    order = _order(host, scene, current.certificate, current.since, OrderStatus.VALID)
    end = timedelta(seconds=8)
    run = run_of(scene.server, None, current.since - end, scene.provider, "sweep", ended=end, scope="due")
    work(run, [host], run.started_at)
    run.jobs.update(order=order)
    for days, reason, covered in ((75, "coverage", names), (120, "missing", [host.name])):
        since, until = now - timedelta(days=days), now - timedelta(days=30 if days == 75 else 75)
        certificate = Certificate.objects.create(
            fingerprint=f"a{days:063x}",
            serial=f"4a17c09e352b844{days:x}",
            names=covered,
            issuer=current.certificate.issuer,
            not_before=since,
            not_after=since + timedelta(days=90),
            key_kind="ec",
            key_bits=256,
            pem="",
            ours=True,
            provider=scene.provider,
        )
        Installation.objects.create(virtual_host=host, certificate=certificate, since=since, until=until)
        _order(host, scene, certificate, since, OrderStatus.VALID, reason)
    lindner = VirtualHost.objects.get(name="lindner.example")
    quiet = {"site": lindner.name, "reason": "held_back", "until": "2026-12-02 03:12 UTC"}
    last = LogLine.objects.filter(run=scene.past, job__isnull=True).order_by("-seq").values_list("seq", flat=True)[0]
    LogLine.objects.create(
        run=scene.past, user=lindner.user, seq=last + 1, at=scene.past.started_at, level=Level.OUT, depth=2,
        event="site:waits", data=quiet,
    )  # fmt: skip


def _shares(scene: Scene) -> None:
    """How it grew, up to what is secured today."""
    sites = VirtualHost.objects.exclude(state=SiteState.OFF).exclude(user__autossl=Setting.OFF)
    all_, now = sites.count(), sites.filter(state=SiteState.SECURED).count()
    for days in range(60):
        secured = now - (59 - days) // 3 - (6 if 20 < days < 26 else 0)
        DailyShare.objects.create(
            server=scene.server,
            day=(scene.now - timedelta(days=59 - days)).date(),
            wanted=2 * all_,
            covered=2 * secured,
            sites=all_,
            secured=secured,
        )
