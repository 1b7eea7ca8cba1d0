"""The pending queue where it is long: read in chunks, whole, each site once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from autossl_panel.api import pending
from autossl_panel.autossl.models import Account, Job, JobState, Order
from autossl_panel.hosting.models import HostingUser, VirtualHost
from tests.web.scene import Scene

QUEUE = "/json-api/get_autossl_pending_queue"
AT_WORK, LIMITED = 2100, 1300


@pytest.fixture
def long_queue(idle: Scene) -> Scene:
    """More than two thousand sites wait for the reload, each with an order of two names; others for a limit."""
    user = HostingUser.objects.get(name="lindner")
    # Those at work have a moment of before, too
    hosts = VirtualHost.objects.bulk_create(
        VirtualHost(
            server=idle.server,
            user=user,
            key=f"n{n:04}",
            name=f"n{n:04}.example",
            appeared_at=idle.now,
            next_at=idle.now + timedelta(seconds=n),
            next_reason="rate_limited",
        )
        for n in range(AT_WORK + LIMITED)
    )
    account = Account.objects.get(provider=idle.provider)
    orders = Order.objects.bulk_create(
        Order(
            ident=f"{n:032}",
            virtual_host=host,
            provider=idle.provider,
            account=account,
            names=[host.name, f"www.{host.name}"],
            reason="due",
            key_type="p256",
            created_at=idle.now,
        )
        for n, host in enumerate(hosts[:AT_WORK])
    )
    Job.objects.bulk_create(
        Job(
            run=idle.past, server=idle.server, virtual_host=order.virtual_host, user=user, action="renew", reason="due",
            job_class=4, queued_at=idle.now, state=JobState.STAGED, order=order,
        )
        for order in orders
    )  # fmt: skip
    return idle


def test_a_long_one_is_whole_each_site_once_and_questions_grow_by_chunk(root, user, long_queue):
    with CaptureQueriesContext(connection) as asked:
        rows = root.get(QUEUE).data["pending_certificates"]
    mine = [row for row in rows if row["virtual_host"].startswith("n")]
    named = [(row["domain"], row["waits_for"]) for row in mine]
    first = [(f"{www}n{n:04}.example", "server") for n in range(AT_WORK) for www in ("", "www.")]
    assert named == first + [(f"n{n:04}.example", "limit") for n in range(AT_WORK, AT_WORK + LIMITED)]
    assert all((row["order_item_id"] is None) == (row["waits_for"] == "limit") for row in mine)
    chunks = (AT_WORK + LIMITED) // pending.CHUNK + 1
    assert chunks > 3
    assert len(asked) <= 12 + chunks
    own = user.get("/execute/SSL/get_autossl_pending_queue").data
    assert own == [row for row in rows if row["user"] == "lindner"]


def test_it_is_sent_in_pieces(root, scene):
    response = Client().get(QUEUE, {"api.version": 1}, headers=root.header)
    assert response.streaming


def test_an_empty_one_is_an_empty_list(root, idle):
    VirtualHost.objects.update(next_at=None)
    assert root.get(QUEUE).data == {"pending_certificates": []}
