"""Permits as rows: what is spent, given back and refused. Each row of rules §5."""

from __future__ import annotations

from datetime import timedelta

import pytest

from autossl_panel import ca
from autossl_panel.autossl import ledger, limits
from autossl_panel.autossl.ledger import Asked, Kind, OrderKind, Purpose
from autossl_panel.autossl.limits import Permit, Wait, stamps
from autossl_panel.autossl.models import Bucket, Provider
from autossl_panel.people.models import AuditEntry, User
from tests.autossl.limits_rows import (
    LETS_ENCRYPT,
    NOW,
    PAUSED,
    again,
    hear,
    names_of,
    new_account,
    rate,
    row,
    take,
    used,
)

pytestmark = pytest.mark.django_db

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=number) for number in (1, 60, 3600, 86400))


# --- what an order asks and spends -----------------------------------------------------------------------------------


def test_a_new_order_spends_the_account_each_domain_the_set_and_sets_a_failure_of_each_name_aside(account):
    assert isinstance(take(account, "a.com", "www.a.com", "b.org"), Permit)
    rows = sorted(Bucket.objects.values_list("owner", "kind", "subject", "used"))
    mine, everybodys = f"a:{account.pk}", limits.rows.shared_owner(account.provider)
    assert [row[:2] for row in rows if row[1] == "set"] == [(everybodys, "set")]
    assert [row for row in rows if row[1] != "set"] == [
        (mine, "failures", "a.com", 1),
        (mine, "failures", "b.org", 1),
        (mine, "failures", "www.a.com", 1),
        (mine, "orders", "", 1),
        (everybodys, "domain", "a.com", 1),
        (everybodys, "domain", "b.org", 1),
    ]


def test_no_more_than_four_fifths_of_what_an_account_may_order(account):
    Provider.objects.update(limits=[row("orders", 30, 3 * 3600)])
    account = again(account)
    granted = [take(account, f"s{number}.com") for number in range(25)]
    assert all(isinstance(answer, Permit) for answer in granted[:24])
    wait = granted[24]
    assert isinstance(wait, Wait)
    assert (wait.kind, wait.used, wait.allowed) == (Kind.ORDERS, 24, 24)
    assert wait.until == NOW + 3 * HOUR + 2 * MINUTE
    assert isinstance(take(account, "later.com", now=wait.until - SECOND), Wait)
    assert isinstance(take(account, "later.com", now=wait.until), Permit)


def test_of_one_domain_forty_certificates_in_a_week_whichever_account_orders(account, server):
    other = new_account(account.provider)
    for number in range(40):
        who = (account, other)[number % 2]
        assert isinstance(take(who, f"s{number}.shop.co.uk"), Permit)
    wait = take(other, "one.more.shop.co.uk")
    assert isinstance(wait, Wait)
    assert (wait.kind, wait.subject, wait.label, wait.used) == (Kind.DOMAIN, "shop.co.uk", "shop.co.uk", 40)
    assert isinstance(take(other, "another-shop.co.uk"), Permit)
    assert isinstance(take(account, "a.github.io", "b.github.io"), Permit)
    assert Bucket.objects.filter(kind="domain", subject__endswith="github.io").count() == 2, "registered apart"


def test_two_providers_with_one_directory_are_one_ca(account):
    twin = Provider.objects.create(
        name="twin", directory_url=account.provider.directory_url, limits=LETS_ENCRYPT, max_names=1
    )
    other = new_account(twin)
    for number in range(40):
        assert isinstance(take(account, f"s{number}.shop.com"), Permit)
    assert isinstance(take(other, "x.shop.com"), Wait)


def test_the_same_names_four_times_in_a_week_in_any_order(account):
    for number in range(4):
        names = ("a.com", "www.a.com") if number % 2 else ("www.a.com", "a.com")
        permit = take(account, *names)
        limits.settle(account, permit, now=NOW, issued=True)
    wait = take(account, "a.com", "www.a.com")
    assert isinstance(wait, Wait)
    assert (wait.kind, wait.label) == (Kind.SET, "a.com, www.a.com")
    assert isinstance(take(account, "a.com"), Permit), "other names are another set"


def test_a_renewal_of_the_same_names_is_free_of_the_accounts_and_the_domains_limits(account):
    for number in range(50):
        permit = take(account, f"s{number}.shop.com", kind=OrderKind.SAME_SET)
        assert isinstance(permit, Permit)
    assert used(account) == {
        "orders": 0, "domain": 0, "set": 1, "failures": 1, "consecutive": 0, "requests": 0, "registrations": 0
    }  # fmt: skip


def test_a_replacing_order_is_free_of_all_and_its_certificate_counts_for_the_next(account):
    for number in range(6):
        permit = take(account, "a.com", kind=OrderKind.ARI, now=NOW + number * HOUR)
        assert isinstance(permit, Permit), number
        limits.settle(account, permit, now=NOW + number * HOUR, issued=True)
    assert used(account, NOW + 6 * HOUR)["set"] == 6
    assert isinstance(take(account, "a.com", kind=OrderKind.SAME_SET, now=NOW + 6 * HOUR), Wait)


def test_with_other_names_a_replacing_order_counts_for_the_domain_too(account):
    assert isinstance(take(account, "a.com", "new.a.com", kind=OrderKind.ARI_CHANGED), Permit)
    assert (used(account)["domain"], used(account)["orders"]) == (1, 0)


@pytest.mark.parametrize(
    ("purpose", "granted"),
    [(Purpose.URGENT, 40), (Purpose.ORDINARY, 36), (Purpose.EXTEND, 30), (Purpose.REISSUE, 20)],
)
def test_what_can_wait_leaves_a_part_to_what_cannot(account, purpose, granted):
    for number in range(granted):
        assert isinstance(take(account, f"s{number}.shop.com", purpose=purpose), Permit)
    assert isinstance(take(account, "one-more.shop.com", purpose=purpose), Wait)
    if granted < 40:
        assert isinstance(take(account, "urgent.shop.com"), Permit)


def test_all_or_nothing(account):
    for _ in range(4):
        take(account, "a.com")
    before = list(Bucket.objects.order_by("pk").values_list("kind", "subject", "used"))
    assert isinstance(take(account, "a.com"), Wait)
    assert list(Bucket.objects.order_by("pk").values_list("kind", "subject", "used")) == before


def test_ten_accounts_from_an_address_in_three_hours(account):
    wish = ledger.registration()
    for _ in range(8):
        assert isinstance(limits.take(account, wish, now=NOW), Permit)
    wait = limits.take(account, wish, now=NOW)
    assert isinstance(wait, Wait)
    assert wait.kind == Kind.REGISTRATIONS


def test_where_nothing_is_limited_nothing_is_written(account):
    Provider.objects.update(limits=None)
    permit = take(again(account), "a.com")
    assert permit == Permit(None)
    assert isinstance(permit, Permit)
    assert permit.as_json() is None
    assert not Bucket.objects.exists()
    assert not stamps.path_of(account).exists()
    limits.settle(account, permit, now=NOW, issued=True)
    limits.give_back(account, permit)
    assert limits.keep(account, permit, now=NOW + DAY) == permit
    assert limits.usage(again(account), now=NOW).limits == ()


def test_where_nothing_is_limited_nothing_is_looked_up_twice_in_a_second(account, django_assert_num_queries):
    Provider.objects.update(limits=None)
    row = again(account)
    take(row, "a.com")
    with django_assert_num_queries(0):
        for _ in range(50):
            take(row, "a.com")
    hear(row, rate("Slow down"), "a.com")
    assert isinstance(take(row, "a.com"), Wait), "what this process hears counts at once"


# --- what became of it -----------------------------------------------------------------------------------------------


def test_failures_of_a_name_five_an_hour_and_proven_names_give_theirs_back(account):
    for number in range(4):
        permit = take(account, "a.com", f"s{number}.org")
        limits.settle(account, permit, now=NOW, proven=[f"s{number}.org"], failed=["a.com"])
    assert names_of("failures") == {"a.com": 4}
    wait = take(account, "a.com", "new.org")
    assert isinstance(wait, Wait)
    assert (wait.kind, wait.subject, wait.used, wait.allowed) == (Kind.FAILURES, "a.com", 4, 4)
    assert isinstance(take(account, "new.org"), Permit)
    assert wait.until is not None
    assert isinstance(take(account, "a.com", "new.org", now=wait.until), Permit)


def test_what_nobody_knows_the_end_of_stays_spent(account):
    for _ in range(4):
        take(account, "a.com")
    later = NOW + HOUR + 30 * MINUTE
    assert isinstance(take(account, "a.com", now=NOW + HOUR), Wait)
    assert isinstance(take(account, "a.com", kind=OrderKind.ARI, now=later), Permit)
    assert Bucket.objects.get(kind="failures").in_a_row == 4, "and every one may have been a failure"


def test_a_name_that_never_succeeds_waits_for_a_person_before_the_ca_pauses_it(account):
    Bucket.objects.create(owner=f"a:{account.pk}", kind="failures", subject="a.com", in_a_row=921)
    for kind in OrderKind:
        wait = take(account, "a.com", "b.com", kind=kind)
        assert isinstance(wait, Wait)
        assert (wait.until, wait.kind, wait.subject, wait.used) == (None, Kind.CONSECUTIVE, "a.com", 921)
    assert limits.unpause(account, "a.com", by=None)
    assert isinstance(take(account, "a.com"), Permit)


def test_a_success_ends_a_row_of_failures(account):
    Bucket.objects.create(owner=f"a:{account.pk}", kind="failures", subject="a.com", in_a_row=900)
    permit = take(account, "a.com")
    limits.settle(account, permit, now=NOW, issued=True)
    assert Bucket.objects.get(kind="failures").in_a_row == 0


def test_a_permit_survives_its_process(account, make_user, make_site):
    permit = take(account, "a.com", "www.a.com")
    read = Permit.of(permit.as_json(), ["a.com", "www.a.com"])
    assert read == permit
    limits.settle(account, read, now=NOW, issued=True)
    assert names_of("failures") == {}
    assert Permit.of(None, ["a.com"]) == Permit(None)


def test_an_order_that_lies_about_is_counted_from_when_it_goes_on(account):
    permit = take(account, "a.com")
    assert limits.keep(account, permit, now=NOW + MINUTE) is permit, "still fresh: nothing is written"
    later = NOW + 6 * DAY
    kept = limits.keep(account, permit, now=later)
    assert isinstance(kept, Permit)
    for number in range(3):
        take(account, "a.com", now=later + number * HOUR)
    assert isinstance(take(account, "a.com", now=NOW + 8 * DAY), Wait), "four of them still count"
    limits.settle(account, kept, now=later, issued=True)
    assert isinstance(take(account, "a.com", now=later + 7 * DAY + 20 * MINUTE), Permit)


def test_an_order_forgotten_meanwhile_may_have_to_wait_to_go_on(account):
    permit = take(account, "a.com")
    later = NOW + 8 * DAY
    for number in range(4):
        given = take(account, "a.com", now=later + number * MINUTE)
        limits.settle(account, given, now=later, issued=True)
    wait = limits.keep(account, permit, now=later + HOUR)
    assert isinstance(wait, Wait)
    assert wait.kind == Kind.SET


def test_a_request_that_was_never_sent_gives_all_of_it_back(account):
    permit = take(account, "a.com", "www.a.com")
    limits.give_back(account, permit)
    assert set(Bucket.objects.values_list("used", flat=True)) == {0}


def test_time_does_not_run_back(account):
    take(account, "a.com", now=NOW)
    take(account, "b.com", now=NOW - DAY)
    row = Bucket.objects.get(kind="orders")
    assert row.mark == NOW.timestamp()
    assert row.entries[-1][0] >= NOW.timestamp()


# --- refusals --------------------------------------------------------------------------------------------------------


def test_retry_after_wins_and_stops_just_its_scope(account):
    problem = rate('too many certificates (50) already issued for "a.com"', retry_after=NOW + 2 * HOUR)
    [heard] = hear(account, problem, "x.a.com", "b.org")
    assert (heard.kind, heard.subject, heard.until) == (Kind.DOMAIN, "a.com", NOW + 2 * HOUR)
    wait = take(account, "y.a.com")
    assert isinstance(wait, Wait)
    assert (wait.until, wait.used, wait.detail) == (NOW + 2 * HOUR, 0, problem.detail)
    assert isinstance(take(account, "b.org"), Permit)
    assert isinstance(take(account, "y.a.com", kind=OrderKind.SAME_SET), Permit), "free of that limit"
    [refused] = limits.usage(account, now=NOW).refused
    assert (refused.kind, refused.label, refused.until) == (Kind.DOMAIN, "a.com", NOW + 2 * HOUR)
    assert isinstance(take(account, "y.a.com", now=NOW + 2 * HOUR), Permit)


def test_of_two_refusals_the_longer_one_holds(account):
    hear(account, rate("too many new orders", retry_after=NOW + 2 * HOUR), "a.com")
    hear(account, rate("too many new orders", retry_after=NOW + HOUR), "a.com")
    wait = take(account, "b.com")
    assert isinstance(wait, Wait)
    assert wait.until == NOW + 2 * HOUR
    assert isinstance(take(account, "b.com", kind=OrderKind.ARI), Permit)


def test_a_refusal_without_words_stops_all_orders_of_the_account_for_an_hour(account):
    other = new_account(account.provider)
    [heard] = hear(account, rate("429 Too many of them"), "a.com")
    assert (heard.kind, heard.until) == (Kind.ACCOUNT, NOW + HOUR)
    for kind in OrderKind:
        assert isinstance(take(account, "z.com", kind=kind), Wait)
    assert isinstance(take(other, "z.com"), Permit)


def test_a_refusal_of_requests_stops_all_of_the_provider(account):
    other = new_account(account.provider)
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="about:blank", detail="busy", retry_after=NOW + MINUTE)
    [heard] = limits.heard(account.provider, busy, Asked.OTHER, now=NOW)
    assert (heard.kind, heard.until) == (Kind.REQUESTS, NOW + MINUTE)
    assert isinstance(take(other, "z.com", kind=OrderKind.ARI), Wait)
    assert isinstance(limits.take(other, ledger.registration(), now=NOW), Wait)
    assert isinstance(take(other, "z.com", now=NOW + MINUTE), Permit)


def test_a_refusal_heard_while_another_order_finds_out_stands_when_that_one_is_taken(account):
    hear(account, rate("too many new orders", retry_after=NOW + HOUR), "a.com")
    first = take(account, "a.com", now=NOW + HOUR)
    assert isinstance(first, Permit)
    hear(account, rate("too many new orders", retry_after=NOW + 4 * HOUR), "b.com")
    limits.taken(account, first)
    wait = take(account, "c.com", now=NOW + HOUR + SECOND)
    assert isinstance(wait, Wait)
    assert wait.until == NOW + 4 * HOUR
    second = take(account, "c.com", now=NOW + 4 * HOUR)
    assert isinstance(second, Permit)
    assert isinstance(take(account, "d.com", now=NOW + 4 * HOUR), Wait), "it has not been answered yet"
    limits.taken(account, second)
    assert isinstance(take(account, "d.com", now=NOW + 4 * HOUR), Permit)
    assert not Bucket.objects.filter(blocked_until__isnull=False).exists()


def test_an_order_that_finds_out_lifts_a_stop_of_all_requests_only_where_that_was_what_it_found_out(account):
    owner = limits.rows.shared_owner(account.provider)
    hear(account, rate("too many new orders", retry_after=NOW + HOUR), "a.com")
    first = take(account, "a.com", now=NOW + HOUR)
    assert isinstance(first, Permit)
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="about:blank", detail="busy", retry_after=NOW + 3 * HOUR)
    limits.heard(account.provider, busy, Asked.OTHER, now=NOW + HOUR)
    limits.taken(account, first)
    assert limits.stops.left(owner) > 0
    wait = take(account, "b.com", now=NOW + HOUR + SECOND)
    assert isinstance(wait, Wait)
    assert wait.kind == Kind.REQUESTS
    second = take(account, "b.com", now=NOW + 2 * HOUR, probe=True)
    assert isinstance(second, Permit)
    limits.taken(account, second)
    assert limits.stops.left(owner) == 0
    assert isinstance(take(account, "c.com", now=NOW + 2 * HOUR), Permit)


def test_a_refusal_holds_where_the_panel_knows_of_no_limits(account):
    Provider.objects.update(limits=None)
    hear(again(account), rate('too many failed authorizations (5) for "a.com"'), "a.com")
    assert isinstance(take(again(account), "a.com"), Wait)
    assert isinstance(take(again(account), "b.com"), Permit)


def test_a_clock_that_is_behind_the_cas_does_not_shorten_a_refusal(account):
    problem = rate("too many new orders", retry_after=NOW + HOUR)
    [heard] = hear(account, problem, "a.com", skew=timedelta(minutes=4))
    assert heard.until == NOW + HOUR + 4 * MINUTE
    [heard] = hear(account, rate("service busy", retry_after=NOW + HOUR), "a.com", skew=timedelta(minutes=-4))
    assert heard.until == NOW + HOUR


def test_a_paused_name_stops_until_a_person_has_acted(account, root: User):
    [heard] = hear(account, rate(PAUSED, retry_after=NOW + HOUR), "a.com", "b.com")
    assert (heard.kind, heard.subject, heard.until) == (Kind.CONSECUTIVE, "a.com", None)
    wait = take(account, "a.com", kind=OrderKind.ARI, now=NOW + 900 * DAY)
    assert isinstance(wait, Wait)
    assert (wait.until, wait.url) == (None, "https://portal.example/sfe/v1/unpause?jwt=abc.def")
    assert isinstance(take(account, "b.com"), Permit)
    [paused] = limits.paused(account)
    assert (paused.subject, paused.until, paused.url) == ("a.com", None, wait.url)
    assert limits.unpause(account, "a.com", by=root)
    assert not limits.unpause(account, "a.com", by=root)
    assert isinstance(take(account, "a.com"), Permit)
    assert limits.paused(account) == []
    [entry] = AuditEntry.objects.filter(event="limits:unpaused")
    assert (entry.person, entry.subject) == (root, "a.com")


def test_what_is_no_refusal_for_a_time_is_not_kept(account):
    problem = ca.CaProblem(ca.ProblemKind.DNS, type="urn:ietf:params:acme:error:dns", detail="NXDOMAIN")
    assert hear(account, problem, "a.com") == ()
    assert not Bucket.objects.exists()
