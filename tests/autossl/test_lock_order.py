"""Who writes many sites at once meets others who do, in whatever order theirs come: nobody dies of a deadlock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from autossl_panel.autossl import holds, install, inventory, jobs, runs, survey
from autossl_panel.autossl.models import Certificate, Job, JobOutcome, Order, Provider, Run, Verdict
from autossl_panel.helper.protocol import SiteFacts
from autossl_panel.hosting import exclusion_patterns, users
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost
from tests.autossl.surveys import Reads
from tests.support.meanwhile import meanwhile, pausing_after

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
HOSTS = 'UPDATE "hosting_virtualhost"'


@pytest.fixture
def endings(server: Server, provider: Any, make_user: Any, make_site: Any) -> list[jobs.Ending]:
    """The end of two jobs, the newer site's first."""
    run = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    Run.objects.filter(pk=run.pk).update(surveyed_at=NOW)
    user = make_user("amber")
    for name in ("a.com", "b.com"):
        host = make_site(user, name)
        VirtualHost.objects.filter(pk=host.pk).update(attempts=2, retry_at=NOW, next_at=NOW)
        Job.objects.create(
            run=run, server=server, virtual_host=host, user=user, action="new", reason="missing", job_class=1,
            queued_at=NOW,
        )  # fmt: skip
    claimed = jobs.claim(server, jobs.claims.leases.new_holder(), 9)
    assert [one.job.virtual_host.name for one in claimed] == ["a.com", "b.com"]
    return [jobs.Ending(one, one.job, JobOutcome.SECURED, "missing") for one in reversed(claimed)]


def clear(_now: datetime) -> None:
    """What “Run for all” begins with."""
    holds.clear(VirtualHost.objects.all(), Verdict.objects.all(), NOW, by=None)


def switch_off(now: datetime) -> None:
    users.set_autossl(HostingUser.objects.all(), "off", by=None, now=now)


def suspend(now: datetime) -> None:
    for user in HostingUser.objects.order_by("-pk"):
        users.set_suspended(user, False, by=None, now=now)


def exclude(now: datetime) -> None:
    level = exclusion_patterns.Level(Server.objects.get())
    exclusion_patterns.add_pattern("*.com", level, by=None, now=now)


def in_a_transaction(work: Callable[[datetime], None]) -> None:
    with transaction.atomic():
        work(NOW)


@pytest.mark.parametrize("other", [clear, switch_off, suspend, exclude])
def test_jobs_end_while_all_sites_are_written(server, endings, other: Callable[[datetime], None]):
    ended, done = meanwhile(
        pausing_after(HOSTS, lambda: jobs.finish(server, endings, now=NOW)), lambda: in_a_transaction(other)
    )
    assert not isinstance(done, Exception), done
    assert isinstance(ended, list), ended
    assert len(ended) == 2


@pytest.mark.parametrize("other", [clear, switch_off, suspend, exclude])
def test_a_run_looks_at_sites_while_all_are_written(server, provider, make_user, make_site, other):
    for name in ("amber", "birch"):
        make_site(make_user(name), f"{name}.com", f"www.{name}.com", next_at=NOW)
    # Nothing to do for either: both are told in the midst of the survey
    HostingUser.objects.update(suspended=True)
    run = runs.start(runs.ALL, by=None, asked_from="schedule", server=server)

    def look() -> Any:
        survey.survey(run, Reads())  # type: ignore[arg-type]
        return Run.objects.get(pk=run.pk)

    surveyed, done = meanwhile(pausing_after(HOSTS, look), lambda: in_a_transaction(other))
    assert not isinstance(done, Exception), done
    assert isinstance(surveyed, Run), surveyed
    assert surveyed.surveyed_at is not None


@pytest.fixture
def configured(server: Server) -> list[SiteFacts]:
    """Two sites as they were read: our store has a pair for the older one, and its lines are wiped by now; the newer
    has moved.
    """

    def site(name: str, **fields: Any) -> SiteFacts:
        found: dict[str, Any] = {
            "key": f"{name}-00000001", "name": name, "names": (name,), "docroot": "/home/amber/www",
            "owner_login": "amber", "listens": (), "tls": False, "file": "/etc/nginx/sites-enabled/a", "line": 3,
            "attached": False, "redirects_only": False, "live_serial": "", "certificate": None,
        }  # fmt: skip
        return SiteFacts(**{**found, **fields})

    inventory.refresh(server, Reads([site("a.com"), site("b.com")]), now=NOW)  # type: ignore[arg-type]
    return [site("a.com", live_serial="0a"), site("b.com", docroot="/home/amber/other")]


@pytest.mark.parametrize("other", [clear, switch_off])
def test_a_configuration_is_read_while_all_sites_are_written(server, provider, configured, other):
    def read() -> Any:
        return inventory.refresh(server, Reads(configured), now=NOW)  # type: ignore[arg-type]

    found, done = meanwhile(pausing_after(HOSTS, read), lambda: in_a_transaction(other))
    assert not isinstance(done, Exception), done
    assert isinstance(found, inventory.Changes), found
    assert found.changed == ("b.com",)
    assert VirtualHost.objects.get(name="a.com").stored_pair == "detached"


@pytest.mark.parametrize("other", [clear, switch_off])
def test_installations_are_noted_while_all_sites_are_written(server, endings, other):
    orders = [_order(one.job.virtual_host) for one in endings]

    def note() -> Any:
        found = [install.Installed(one, True, False, install.SERVED) for one in orders]
        return jobs.finish(server, endings, now=NOW, also=lambda: install.record(found, NOW))

    ended, done = meanwhile(pausing_after(HOSTS, note), lambda: in_a_transaction(other))
    assert not isinstance(done, Exception), done
    assert isinstance(ended, list), ended
    assert len(ended) == 2


def test_a_run_ends_while_the_configuration_is_read(server, endings):
    """What was wrong with the server is over, and the user has no site any more: both write both."""
    trouble = {"code": "clock", "since": NOW.isoformat(), "names": 0, "data": {}}
    Server.objects.update(trouble=[trouble])

    def end() -> Any:
        return jobs.finish(server, endings, now=NOW)

    users_written = 'UPDATE "hosting_hostinguser"'
    ended, found = meanwhile(
        pausing_after(users_written, end), lambda: inventory.refresh(Server.objects.get(), Reads([]), now=NOW)
    )
    assert not isinstance(found, Exception), found
    assert isinstance(ended, list), ended
    assert Server.objects.get().trouble == []
    assert HostingUser.objects.get().gone_at is not None


def _order(host: VirtualHost) -> Order:
    provider = Provider.objects.get()
    certificate = Certificate.objects.create(
        fingerprint=f"{host.pk:064x}", serial=f"{host.pk:x}", names=[host.name], issuer="CN=test", not_before=NOW,
        not_after=NOW + timedelta(days=90), key_kind="ec", key_bits=256, ours=True, pem="",
    )  # fmt: skip
    return Order.objects.create(
        ident=f"o-{host.pk}", virtual_host=host, provider=provider, account=provider.accounts.get(), names=[host.name],
        reason="missing", key_type="p256", created_at=NOW, status="valid", certificate=certificate, staged_at=NOW,
    )  # fmt: skip
