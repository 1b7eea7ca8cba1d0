"""Previews asked for, worked out by whom lives, looked at by whom may, forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from autossl_panel.autossl import leases, options, preview, preview_told, previewing, runs
from autossl_panel.autossl.models import (
    Preview,
    PreviewAction,
    PreviewSite,
    Provider,
)
from autossl_panel.hosting.models import Domain, HostingUser, Server
from autossl_panel.people.models import Role, User
from tests.autossl.preview.world import ask, previewed, rows_of, verdict
from tests.autossl.surveys import Reads

pytestmark = pytest.mark.django_db


def test_who_asks_again_gets_the_one_at_work_or_the_fresh_one(server, provider, now):
    first = ask(server, now)
    assert ask(server, now + timedelta(seconds=5)) == first
    assert OrmQ.objects.count() == 1, "the bell is rung once"
    previewing.work_out(first.pk, Reads(), now=now)
    assert ask(server, now + timedelta(seconds=30)) == first
    assert ask(server, now + timedelta(seconds=30), "user:amber") != first
    assert ask(server, now + timedelta(minutes=2)) != first


@pytest.mark.parametrize("what", ["option", "run"])
def test_what_changed_meanwhile_makes_it_stale(what, server, provider, root, now):
    first = ask(server, now, ring=False)
    previewing.work_out(first.pk, Reads(), now=now)
    if what == "option":
        options.change(server, {"key_type": "p384"}, by=root)
    else:
        runs.start(runs.ALL, by=None, asked_from="schedule", now=now + timedelta(seconds=1))
    assert ask(server, now + timedelta(seconds=2), ring=False) != first


def test_one_without_a_provider_is_never_fresh(server, now):
    first = ask(server, now, ring=False)
    previewing.work_out(first.pk, Reads(), now=now)
    assert ask(server, now + timedelta(seconds=1), ring=False) != first


def test_a_lost_task_is_rung_for_again_and_the_third_dead_worker_ends_it(server, provider, now):
    first = ask(server, now)
    OrmQ.objects.all().delete()
    assert not preview.ring_where_needed(server, now + timedelta(seconds=5)), "it may only be late"
    assert preview.ring_where_needed(server, now + timedelta(seconds=21))
    assert not preview.ring_where_needed(server, now + timedelta(seconds=25)), "rung a moment ago"
    assert preview.ring_where_needed(server, now - timedelta(hours=8)), "by a clock that was set back since"
    assert not preview.ring_where_needed(server, now - timedelta(hours=8))
    assert leases.take(preview.lease(first), "somebody", 30)
    assert not preview.ring_where_needed(server, now + timedelta(seconds=60)), "somebody is at it"
    previewing.work_out(first.pk, Reads())
    assert Preview.objects.get(pk=first.pk).ended_at is None, "and nobody else takes it up"
    leases.release(preview.lease(first), "somebody")
    Preview.objects.filter(pk=first.pk).update(attempts=preview.MOST_ATTEMPTS)
    previewing.work_out(first.pk, Reads())
    first.refresh_from_db()
    assert (first.problem["code"], first.ended_at is not None) == ("worker_died", True)


def test_a_worker_that_is_told_to_stop_leaves_it_to_the_next(provider, make_user, make_site):
    make_site(make_user("amber"), "new.example")
    found = previewed(stop=lambda: True)
    assert found.ended_at is None
    assert not preview.sites(found, None).exists(), "nobody sees half of one"
    previewing.work_out(found.pk, Reads())
    found.refresh_from_db()
    assert (found.counts, found.attempts, found.done) == ({"order": 1}, 2, 1)


def test_an_error_of_ours_ends_it_and_is_told(provider, make_user, make_site, monkeypatch):
    make_site(make_user("amber"), "new.example")

    class Broken(Reads):
        def inventory(self, *, unless=None):
            raise RuntimeError("a wall fell down")

    made = preview.ask(runs.ALL, asked_by=None, server=Server.objects.get(), ring=False)
    previewing.work_out(made.pk, Broken())
    made.refresh_from_db()
    assert made.problem == {"code": "internal", "text": "RuntimeError: a wall fell down"}


def test_old_ones_are_forgotten(server, provider, make_user, make_site, now):
    make_site(make_user("amber"), "new.example")
    first = previewed()
    Preview.objects.filter(pk=first.pk).update(ended_at=now - timedelta(minutes=5), asked_at=now - timedelta(minutes=5))
    other = previewed(runs.user_scope("amber"))
    second = previewed()
    assert set(Preview.objects.values_list("pk", flat=True)) == {other.pk, second.pk}
    assert set(PreviewSite.objects.values_list("preview", flat=True)) == {other.pk, second.pk}
    preview.forget(server, now + timedelta(days=2))
    assert not Preview.objects.exists()


def test_who_may_see_which(server, provider, root, make_user, make_site):
    reseller = User.objects.create(username="harborweb", role=Role.RESELLER)
    login = User.objects.create(username="amber", role=Role.USER)
    amber = make_user("amber", owner=reseller, login=login)
    birch = make_user("birch")
    make_site(amber, "mine.example")
    make_site(birch, "other.example")
    everybodys = previewed()
    own = previewed(runs.owner_scope(reseller))
    one = previewed(runs.user_scope("amber"))
    foreign = previewed(runs.user_scope("birch"))
    assert set(preview.visible(root)) == {everybodys, own, one, foreign}
    assert set(preview.visible(reseller)) == {own, one}
    assert not preview.visible(login).exists()
    assert preview.sites(own, reseller).count() == 1
    HostingUser.objects.filter(pk=amber.pk).update(owner=None)
    assert not preview.sites(own, reseller).exists(), "whose users they are now counts"
    assert preview.scope_of(reseller, server, user="amber") is None
    assert preview.scope_of(reseller, server) == "owner:harborweb"
    assert preview.scope_of(reseller, server, owner="somebody") is None
    assert preview.scope_of(root, server) == "*"
    assert preview.scope_of(root, server, user="birch") == "user:birch"
    assert preview.scope_of(root, server, owner="nobody") is None


def test_as_data(provider, make_user, make_site):
    make_site(make_user("amber"), "new.example", "www.new.example")
    found = previewed()
    data = preview_told.as_data(found, preview.sites(found, None).select_related("user"))
    assert (data["scope"], data["orders"], data["counts"]["order"]) == ("*", 1, 1)
    (site,) = data["sites"]
    assert (site["virtual_host"], site["user"], site["action"], site["provider"]) == (
        "new.example", "amber", "order", "pebble",
    )  # fmt: skip
    assert site["names"]["added"] == ["new.example", "www.new.example"]


def test_what_stays_says_what_it_lacks_and_an_expired_certificate_covers_nothing(
    provider, make_user, make_site, make_installed, now
):
    Provider.objects.filter(pk=provider.pk).update(max_names=1)
    user = make_user("amber")
    full = make_site(user, "full.example", "blog.full.example")
    make_installed(full, "full.example")
    Domain.objects.create(virtual_host=full, name="www.full.example", added=True, position=2)
    verdict(full, "www.full.example", "nxdomain", at=now - timedelta(hours=2))
    make_installed(make_site(user, "bought.example"), "bought.example", days_left=-3, ours=False)
    rows = rows_of(previewed())
    assert (rows["full.example"].action, preview_told.covered(rows["full.example"])) == (PreviewAction.KEEP, (1, 2))
    why = preview_told.why(rows["full.example"])
    assert "blog.full.example: more names than the provider takes in one certificate" in why
    assert preview_told.covered(rows["bought.example"]) == (0, 1)
