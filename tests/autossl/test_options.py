"""Options: what is taken, what is refused and how it is told."""

from datetime import time, timedelta

import pytest

from autossl_panel.autossl import options, sites
from autossl_panel.autossl.models import Options
from autossl_panel.hosting.models import SiteState
from autossl_panel.people.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        (
            "resolvers",
            "192.0.2.53, 127.0.0.1:8053,[2001:db8::1]:5353",
            ["192.0.2.53", "127.0.0.1:8053", "[2001:db8::1]:5353"],
        ),
        ("resolvers", "", []),
        ("server_addresses", "203.0.113.10 2001:DB8::10", ["203.0.113.10", "2001:db8::10"]),
        ("replace_foreign", "yes", True),
        ("replace_foreign", "off", False),
        ("key_type", "rsa4096", "rsa4096"),
        ("reissue", "yes", True),
        ("daily_at", "03:12", time(3, 12)),
        ("log_days", "7", 7),
        ("reload_gap", "0", 0),
        ("serve_www", False, False),
        ("notify_user", "none", "none"),
        ("notify_admin", "ALL", "all"),
        ("admin_addresses", "", []),
        (
            "admin_addresses",
            "Admin@Example.org, b@bücher.example\nadmin@example.ORG",
            ["Admin@example.org", "b@xn--bcher-kva.example"],
        ),
    ],
)
def test_a_good_value_is_kept(server, field, typed, kept):
    options.change(server, {field: typed}, by=None)
    assert getattr(Options.objects.get(server=server), field) == kept


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("resolvers", "dns.example", "“dns.example” is not a resolver"),
        ("resolvers", "192.0.2.1:99999", "not a resolver"),
        ("server_addresses", "203.0.113.300", "the last number is above 255"),
        ("server_addresses", "here", "“here” is not an IP address"),
        ("replace_foreign", "perhaps", "neither yes nor no"),
        ("key_type", "dsa", "p256, p384, rsa2048, rsa4096"),
        ("reissue", "soon", "neither yes nor no"),
        ("daily_at", "25:00", "not a time of day"),
        ("log_days", "0", "days from 1 to 3650"),
        ("reload_gap", "-1", "seconds from 0 to 3600"),
        ("notify_user", "loud", "all, warnings, failures, none"),
        ("admin_addresses", "a@example.org, root", "“root” is not an e-mail address"),
        ("admin_addresses", "a@b@example.org,", "not an e-mail address"),
        ("admin_addresses", "jürgen@example.org", "letters without accents"),
        ("admin_addresses", "a@-.example", "not an e-mail address"),
        ("admin_addresses", f"{'a' * 250}@example.org", "longer than 254"),
        ("admin_addresses", ",".join(f"a{n}@example.org" for n in range(21)), "21 addresses are too many"),
        ("colour", "blue", "There is no option “colour”"),
    ],
)
def test_a_bad_value_names_the_field_and_saves_nothing(server, field, typed, says):
    before = options.texts(options.current(server))
    with pytest.raises(options.OptionProblem) as raised:
        options.change(server, {"log_days": "9", field: typed}, by=None)
    assert raised.value.field == field
    assert says in raised.value.text
    assert options.texts(options.current(server)) == before


def test_allowing_replacement_has_foreign_sites_looked_at_at_once(server, make_user, make_site):
    user = make_user("amber")
    foreign = make_site(user, "one.example", state=SiteState.FOREIGN)
    secured = make_site(user, "two.example", state=SiteState.SECURED)
    options.change(server, {"replace_foreign": "yes"}, by=None)
    foreign.refresh_from_db()
    secured.refresh_from_db()
    assert foreign.next_reason == "changed"
    assert foreign.next_at is not None
    assert secured.next_at is None


def test_another_key_type_ends_an_earlier_confirmation_of_the_reissue(server):
    assert options.change(server, {"key_type": "p384", "reissue": "yes"}, by=None).reissue
    assert options.change(server, {"key_type": "p384", "log_days": "9"}, by=None).reissue
    row = options.change(server, {"key_type": "rsa2048"}, by=None)
    assert not row.reissue
    assert not Options.objects.get().reissue
    assert not options.change(server, {"key_type": "p256", "reissue": "no"}, by=None).reissue


def test_a_change_is_recorded_with_what_differs(server, root):
    options.change(server, {"key_type": "p384", "log_days": "30"}, by=root)
    options.change(server, {"log_days": "30"}, by=root)
    entry = AuditEntry.objects.get()
    assert (entry.event, entry.person, entry.before, entry.after) == (
        "options:changed", root, {"key_type": "p256"}, {"key_type": "p384"},
    )  # fmt: skip


def test_pausing_and_going_on(server, root, make_user, make_site, now):
    user = make_user("amber")
    held = make_site(user, "held.example", next_reason="paused")
    other = make_site(user, "other.example", next_reason="renew")
    assert options.pause(server, by=root, now=now)
    assert not options.pause(server, by=None, now=now + timedelta(hours=1))
    row = options.current(server)
    assert (row.paused_at, row.paused_by) == (now, root)
    assert sites.policy_options(server).default.paused
    later = now + timedelta(days=2)
    assert options.resume(server, by=root, now=later)
    assert not options.resume(server, by=root, now=later)
    assert options.current(server).paused_at is None
    held.refresh_from_db()
    other.refresh_from_db()
    assert (held.next_at, other.next_at) == (later, None)
    assert [entry.event for entry in AuditEntry.objects.order_by("pk")] == ["autossl:paused", "autossl:resumed"]


def test_what_texts_gives_change_takes(server):
    texts = options.texts(options.current(server))
    assert options.texts(options.change(server, texts, by=None)) == texts
