"""Functions that read: problems, what waits, the schedule, providers; own users only."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import schedule
from autossl_panel.autossl.models import Account, Job, JobState, Options, Order, OrderStatus, Problem, Provider
from autossl_panel.hosting import ownership
from autossl_panel.hosting.models import Domain, HostingUser, VirtualHost

PROBLEMS = "/json-api/get_autossl_problems_for_"
PENDING = "/json-api/get_autossl_pending_queue"
SCHEDULE = "/json-api/get_autossl_check_schedule"
PROVIDERS = "/json-api/get_autossl_providers"
FOREIGN = {"user": {"username": "lindner"}, "domain": {"domain": "lindner.example"}}
MISSING = {"user": {"username": "nosuch"}, "domain": {"domain": "nosuch.example"}}


def named(rows: list[dict[str, object]]) -> list[object]:
    return [row["domain"] for row in rows]


# --- problems ---------------------------------------------------------------------------------------------------------


def test_problems_of_a_user(root, reseller, troubled):
    data = root.get(f"{PROBLEMS}user", username="northwind").data
    rows = data["problems_by_domain"]
    wrong = Problem.objects.filter(user__name="northwind", quiet=False)
    assert named(rows) == sorted(wrong.values_list("name", flat=True))
    assert len(rows) > 10
    assert "198.51.100.7" in rows[0]["problem"], "where the name leads is in the words"
    assert rows[0]["time"].startswith(f"{wrong.order_by('name')[0].since:%Y-%m-%dT%H:%M}")
    assert rows[0]["log"] == f"{troubled.live.started_at:%Y-%m-%dT%H:%M:%SZ}"
    assert reseller.get(f"{PROBLEMS}user", username="northwind").data == data
    assert root.get(f"{PROBLEMS}user", username="thistle").data == {"problems_by_domain": []}


def test_problems_of_a_name(root, troubled):
    name = Problem.objects.filter(user__name="brandtlaw", quiet=False).order_by("name")[0].name
    (row,) = root.get(f"{PROBLEMS}domain", domain=f" {name.upper()}. ").data["problems_by_domain"]
    assert row["domain"] == name
    assert "CAA" in row["problem"]
    assert root.get(f"{PROBLEMS}domain", domain="cedarworks.example").data == {"problems_by_domain": []}


def test_a_name_in_unicode(root, troubled):
    host = VirtualHost.objects.order_by("pk")[0]
    Domain.objects.create(virtual_host=host, name="xn--mller-kva.example")
    assert root.get(f"{PROBLEMS}domain", domain="müller.example").ok
    answer = root.get(f"{PROBLEMS}domain", domain="no_name")
    assert answer.reason.startswith("domain: ")
    assert not answer.ok


def test_what_is_left_out_quietly_is_no_problem(root, troubled):
    quiet = Problem.objects.filter(quiet=True)[0]
    assert quiet.name not in named(root.get(f"{PROBLEMS}user", username=quiet.user.name).data["problems_by_domain"])


def test_what_names_files_of_others_is_roots_alone(root, reseller, troubled):
    host = VirtualHost.objects.filter(user__name="northwind").order_by("pk")[0]
    told = {"file": "/etc/nginx/secret.conf", "line": 3, "text": "unknown directive in secret.conf"}
    Problem.objects.create(
        virtual_host=host,
        user=host.user,
        name=host.name,
        code="foreign_broken",
        cause="x",
        since=troubled.now,
        data=told,
    )
    both = [str(one.get(f"{PROBLEMS}user", username="northwind").data) for one in (root, reseller)]
    assert ["secret.conf" in text for text in both] == [True, False]


def test_a_login_reads_its_own_problems(user, troubled):
    rows = user.get("/execute/SSL/get_autossl_problems").data
    assert named(rows) == sorted(
        Problem.objects.filter(user__name="lindner", quiet=False).values_list("name", flat=True)
    )
    assert rows
    assert set(rows[0]) == {"domain", "problem", "time"}


# --- what waits -------------------------------------------------------------------------------------------------------


def test_the_queue_is_the_pending_pages(root, troubled):
    rows = root.get(PENDING).data["pending_certificates"]
    orders = Order.objects.filter(closed_at__isnull=True)
    with_order = {row["order_item_id"] for row in rows} - {None}
    assert with_order <= {str(order.pk) for order in orders}
    assert len(rows) > 5
    assert {row["waits_for"] for row in rows} >= {"limit", "retry"}


def test_an_order_at_the_ca_stands_with_each_of_its_names(root, idle):
    host = VirtualHost.objects.get(name="lindner.example")
    order = Order.objects.create(
        ident="o" * 32,
        virtual_host=host,
        provider=idle.provider,
        account=Account.objects.get(provider=idle.provider),
        names=["lindner.example", "www.lindner.example"],
        reason="due",
        key_type="p256",
        created_at=idle.now,
        status=OrderStatus.PROCESSING,
        retry_at=idle.now + timedelta(minutes=3),
    )
    VirtualHost.objects.filter(pk=host.pk).update(next_at=idle.now, next_reason="order_open")
    entry = {
        "order_item_id": str(order.pk),
        "request_time": f"{idle.now:%Y-%m-%dT%H:%M:%SZ}",
        "user": "lindner",
        "virtual_host": "lindner.example",
        "waits_for": "ca",
    }
    rows = root.get(f"{PENDING}_for_user", username="lindner").data["pending_certificates"]
    mine = [row for row in rows if row["virtual_host"] == "lindner.example"]
    until = f"{idle.now:%Y-%m-%dT%H:%M:%SZ}"
    assert mine == [{"domain": name, **entry, "until": until} for name in order.names]
    Job.objects.create(
        run=idle.past, server=idle.server, virtual_host=host, user=host.user, action="renew", reason="due",
        job_class=4, queued_at=idle.now, state=JobState.STAGED, order=order,
    )  # fmt: skip
    Domain.objects.get_or_create(virtual_host=host, name="www.lindner.example")
    (row,) = root.get(f"{PENDING}_for_domain", domain="www.lindner.example").data["pending_certificates"]
    assert (row["domain"], row["waits_for"], row["until"]) == (
        "www.lindner.example",
        "server",
        f"{order.retry_at:%Y-%m-%dT%H:%M:%SZ}",
    )


def test_without_an_order_there_is_none_to_name(root, user, idle):
    VirtualHost.objects.filter(name="lindner.example").update(next_at=idle.now, next_reason="rate_limited")
    (row,) = root.get(f"{PENDING}_for_domain", domain="lindner.example").data["pending_certificates"]
    assert (row["order_item_id"], row["request_time"], row["waits_for"]) == (None, None, "limit")
    assert row in user.get("/execute/SSL/get_autossl_pending_queue").data


# --- whose ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PROBLEMS, f"{PENDING}_for_"])
@pytest.mark.parametrize("kind", ["user", "domain"])
def test_a_foreign_one_is_answered_as_one_that_is_not_there(path, kind, root, reseller, troubled):
    assert root.get(f"{path}{kind}", **FOREIGN[kind]).ok
    foreign, missing = (reseller.get(f"{path}{kind}", **sent) for sent in (FOREIGN[kind], MISSING[kind]))
    assert not foreign.ok
    assert (foreign.status, foreign.reason) == (missing.status, missing.reason)
    ownership.set_owner(HostingUser.objects.get(name="northwind"), troubled.brightpeak, by=None)
    sent = {"username": "northwind"} if kind == "user" else {"domain": "northwind.example"}
    assert reseller.get(f"{path}{kind}", **sent).reason == missing.reason


def test_a_reseller_waits_for_own_sites_only(reseller, troubled):
    owned = set(HostingUser.objects.filter(owner=troubled.harborweb).values_list("name", flat=True))
    rows = reseller.get(PENDING).data["pending_certificates"]
    assert rows
    assert {row["user"] for row in rows} <= owned


def test_few_questions_however_many(root, troubled):
    root.get(SCHEDULE)
    for path, sent in (
        (PENDING, {}),
        (f"{PENDING}_for_user", {"username": "northwind"}),
        (f"{PROBLEMS}user", {"username": "northwind"}),
        (f"{PROBLEMS}domain", {"domain": "northwind.example"}),
        (PROVIDERS, {}),
        (SCHEDULE, {}),
    ):
        with CaptureQueriesContext(connection) as asked:
            assert root.get(path, **sent).ok
        assert len(asked) <= 15, path


# --- the schedule and the providers -----------------------------------------------------------------------------------


def test_the_schedule(root, reseller, scene):
    Options.objects.filter(server=scene.server).update(daily_at=time(3, 47), daily_done_on=scene.now.date())
    tomorrow = scene.now.date() + timedelta(days=1)
    expected = {"cron": ["47", "3", "*", "*", "*"], "next_time": f"{tomorrow}T03:47:00Z"}
    assert root.get(SCHEDULE).data == reseller.get(SCHEDULE).data == expected


@pytest.mark.parametrize(
    ("done_on", "hour", "day"),
    [(None, 2, 2), (None, 5, 1), (1, 2, 2), (1, 5, 2), (31, 2, 1), (31, 5, 1)],
)
def test_when_the_next_check_is(done_on, hour, day):
    """On 1 March at four: never ran, ran today, ran yesterday (it is late then, and about to begin)."""
    now = datetime(2027, 3, 1, 4, tzinfo=UTC)
    done = {None: None, 1: now.date(), 31: now.date() - timedelta(days=1)}[done_on]
    row = Options(daily_at=time(hour), daily_done_on=done)
    assert schedule.next_check(row, now) == datetime(2027, 3, day, hour, tzinfo=UTC)


def test_the_providers(root, reseller, scene):
    limits = [{"kind": "domain", "number": 50, "seconds": 604800}, {"kind": "orders", "number": 300, "seconds": 10800}]
    stated = {"redirects": 10, "validity_days": 90, "wildcard": True}
    Provider.objects.filter(pk=scene.provider.pk).update(
        limits=limits, stated=stated, terms_url="https://ca.example/tos"
    )
    account = {
        "measured": {"seconds": 4.6, "issued": 9},
        "terms_url": "https://ca.example/tos",
        "url": "https://ca.example/a/1",
    }
    Account.objects.filter(provider=scene.provider).update(**account)
    rows = {row["module_name"]: row for row in root.get(PROVIDERS).data["payload"]}
    assert set(rows) == set(Provider.objects.values_list("name", flat=True))
    assert [name for name, row in rows.items() if row["enabled"]] == ["letsencrypt"]
    row = rows["letsencrypt"]
    assert (row["x_account_id"], row["x_terms_of_service_accepted"]) == ("https://ca.example/a/1", 1)
    assert row["specs"] == {
        "AVERAGE_DELIVERY_TIME": 5,
        "DCV_METHODS": ["http"],
        "DELIVERY_METHOD": "api",
        "HTTP_DCV_MAX_REDIRECTS": 10,
        "MAX_DOMAINS_PER_CERTIFICATE": scene.provider.max_names,
        "RATE_LIMIT_CERTIFICATES_PER_REGISTERED_DOMAIN_PER_WEEK": 50,
        "SUPPORTS_ANCESTOR_DCV": 0,
        "SUPPORTS_WILDCARD": 0,
        "VALIDITY_PERIOD": 90 * 86400,
    }
    Provider.objects.filter(pk=scene.provider.pk).update(terms_url="https://ca.example/tos-2")
    rows = {row["module_name"]: row for row in root.get(PROVIDERS).data["payload"]}
    assert rows["letsencrypt"]["x_terms_of_service_accepted"] == 0
    assert reseller.get(PROVIDERS).reason == "get_autossl_providers is not for a reseller."


def test_no_secret_of_a_provider_is_told(root, scene):
    Provider.objects.filter(pk=scene.provider.pk).update(eab_kid="kid-17", eab_hmac_key="c2VjcmV0LWhtYWMta2V5")
    text = str(root.get(PROVIDERS).body)
    assert "c2VjcmV0" not in text
    assert "kid-17" not in text
