"""Rows keep step with the configuration: appear, change, vanish, come back; and whose a site is."""

import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autossl_panel.autossl import installed, inventory
from autossl_panel.autossl.models import Certificate, Installation
from autossl_panel.helper.protocol import InstalledCertificate, InventoryAnswer, Listen, Remark, SiteFacts
from autossl_panel.hosting.models import Domain, HostingUser, SiteState, VirtualHost
from autossl_panel.webservers import nginx
from tests.test_pki import make as make_certificate

pytestmark = pytest.mark.django_db


def site(name, *more, docroot="/home/amber/www", **fields):
    defaults = {
        "key": f"{name}-00000001",
        "name": name,
        "names": (name, *more),
        "docroot": docroot,
        "owner_login": "www-data",
        "listens": (Listen("*", 80, False, False),),
        "tls": False,
        "file": "/etc/nginx/sites-enabled/a",
        "line": 3,
        "attached": False,
        "redirects_only": False,
        "live_serial": "",
        "certificate": None,
    }
    return SiteFacts(**{**defaults, **fields})


class Helper:
    def __init__(self, *sites, skipped=()):
        self.sites, self.skipped = sites, skipped

    def inventory(self, *, unless=None):
        return InventoryAnswer("h", False, self.sites, self.skipped, (), None)


def refresh(server, now, *sites, **fields):
    return inventory.refresh(server, Helper(*sites, **fields), now=now)


def test_a_site_appears_with_its_names_and_wished_www(server, now):
    changes = refresh(server, now, site("a.example", "b.example", "www.b.example"))
    assert changes.appeared == ("a.example",)
    names = Domain.objects.order_by("position").values_list("name", "added")
    assert list(names) == [
        ("a.example", False),
        ("www.a.example", True),
        ("b.example", False),
        ("www.b.example", False),
    ]
    assert VirtualHost.objects.get().next_at == now


def test_a_www_that_another_site_names_is_not_wished_twice(server, now):
    refresh(server, now, site("a.example"), site("www.a.example"))
    assert set(Domain.objects.values_list("name", "added")) == {("a.example", False), ("www.a.example", False)}


def test_what_did_not_change_is_not_written(server, now):
    refresh(server, now, site("a.example"))
    VirtualHost.objects.update(next_at=None)
    changes = refresh(server, now + timedelta(hours=1), site("a.example"))
    assert (changes.appeared, changes.changed, changes.gone) == ((), (), ())
    assert VirtualHost.objects.get().next_at is None


def test_a_name_that_stays_keeps_its_row(server, now):
    refresh(server, now, site("a.example", "b.example"))
    kept = Domain.objects.get(name="b.example").pk
    changes = refresh(server, now, site("a.example", "c.example", "b.example"))
    assert changes.changed == ("a.example",)
    assert Domain.objects.get(name="b.example").pk == kept
    assert Domain.objects.get(name="b.example").position == 4


def test_a_site_that_vanishes_is_kept_as_gone_and_comes_back(server, now):
    refresh(server, now, site("a.example"))
    changes = refresh(server, now + timedelta(hours=1))
    assert changes.gone == ("a.example",)
    host = VirtualHost.objects.get()
    assert (host.state, host.gone_at) == (SiteState.GONE, now + timedelta(hours=1))
    assert HostingUser.objects.get().gone_at is not None
    refresh(server, now + timedelta(hours=2), site("a.example"))
    host.refresh_from_db()
    assert (host.gone_at, host.next_at) == (None, now + timedelta(hours=2))
    assert HostingUser.objects.get().gone_at is None


def test_an_existing_certificate_is_recorded_and_replaced_ones_are_history(server, now):
    chain, other = (make_certificate("a.example").pem for _ in range(2))

    def with_certificate(pem):
        found = InstalledCertificate(pem.decode(), "/etc/ssl/a.pem", ours=False, key_matches=True, live_serial="")
        return site("a.example", tls=True, certificate=found)

    refresh(server, now, with_certificate(chain))
    refresh(server, now, with_certificate(chain))
    assert Installation.objects.count() == 1
    refresh(server, now, with_certificate(other))
    assert Certificate.objects.count() == 2
    assert Installation.objects.filter(until__isnull=True).count() == 1
    refresh(server, now, site("a.example"))
    assert Installation.objects.filter(until__isnull=True).count() == 0


def test_a_pair_in_store_that_the_configuration_lost_is_detached(server, now):
    refresh(server, now, site("a.example", live_serial="0a"))
    assert VirtualHost.objects.get().stored_pair == "detached"
    chain = make_certificate("a.example", issuer=make_certificate(common_name="CA")).pem
    foreign = InstalledCertificate(chain.decode(), "/etc/ssl/a.pem", ours=False, key_matches=True, live_serial="")
    refresh(server, now, site("a.example", live_serial="0a", certificate=foreign))
    assert VirtualHost.objects.get().stored_pair == ""


def test_who_is_locked_beforehand_is_who_is_written_for_what_is_installed(server, now):
    chain, other = (make_certificate("a.example").pem for _ in range(2))

    def with_certificate(pem, **fields):
        found = InstalledCertificate(pem.decode(), "/etc/ssl/a.pem", ours=False, key_matches=True, live_serial="")
        return site("a.example", tls=True, certificate=found, **fields)

    refresh(server, now, with_certificate(chain), site("b.example"))
    ids = dict(VirtualHost.objects.values_list("key", "pk"))
    host = ids["a.example-00000001"]
    plain = site("b.example")
    assert installed.otherwise([with_certificate(chain), plain, site("new.example")], ids) == set()
    assert installed.otherwise([with_certificate(other), plain], ids) == {host}
    assert installed.otherwise([with_certificate(chain, live_serial="0a"), plain], ids) == {host}, "it is self-signed"
    assert installed.otherwise([site("a.example"), plain], ids) == {host}
    assert installed.otherwise([with_certificate(b"no certificate"), plain], ids) == {host}


@pytest.mark.parametrize(
    ("found", "mapped", "user"),
    [
        (site("a.example", docroot="/home/amber/www"), {}, ("amber", False)),
        (site("a.example", docroot="/home/amber/../birch/www"), {}, ("birch", False)),
        (site("a.example", docroot="/srv/www"), {}, ("www-data", False)),
        (site("a.example", docroot="/srv/www", owner_login=""), {}, ("a.example", True)),
        (site("a.example", docroot=None, owner_login=""), {}, ("a.example", True)),
        (site("a.example"), {"a.example": "cedar"}, ("cedar", False)),
        (site("x.example", docroot="/srv/shop/www"), {"/srv/shop": "cedar"}, ("cedar", False)),
    ],
)
def test_whose_a_site_is(found, mapped, user):
    assert inventory.Owners(Path("/home"), mapped).of(found) == user


def test_a_user_named_after_the_site_is_told(server, now):
    changes = refresh(server, now, site("a.example", docroot="/srv/x", owner_login=""))
    assert [told["name"] for told in changes.told] == ["a.example"]
    assert HostingUser.objects.get().name == "a.example"


def test_what_was_left_aside_is_told(server, now):
    changes = refresh(server, now, skipped=(Remark("~^x", "a regular expression", "/etc/nginx/a", 4),))
    assert changes.told[0]["text"] == "a regular expression"
    server.refresh_from_db()
    assert server.inventory_told[0]["line"] == 4


def test_the_user_map_names_its_bad_line(tmp_path):
    path = tmp_path / "map"
    path.write_text("a.example amber  # note\n\nb.example\n")
    with pytest.raises(inventory.UserMapProblem, match=r"map:3: a line is “SITE USER”"):
        inventory.read_user_map(str(path))
    path.write_text("A.example amber\n/srv/shop/ cedar\n")
    assert inventory.read_user_map(str(path)) == {"a.example": "amber", "/srv/shop": "cedar"}


def test_a_moved_site_changes_hands(server, now):
    found = site("a.example")
    refresh(server, now, found)
    refresh(server, now, replace(found, docroot="/home/birch/www"))
    assert VirtualHost.objects.get().user.name == "birch"
    assert HostingUser.objects.get(name="amber").gone_at is not None


def test_our_own_edits_are_no_news(server, now):
    """Attaching moves lines and adds listeners: the row follows, and nothing becomes due."""
    refresh(server, now, site("a.example"))
    VirtualHost.objects.update(next_at=None)
    listens = (Listen("*", 80, False, False), Listen("*", 443, True, False))
    later = now + timedelta(hours=1)
    changes = refresh(server, later, site("a.example", line=9, listens=listens, attached=True, tls=True))
    host = VirtualHost.objects.get()
    assert changes.changed == ()
    assert (host.line, host.attached, host.tls, host.next_at) == (9, True, True, None)


def test_a_site_stands_as_it_is_from_its_discovery_on(server, now):
    """No run is needed to say that a bought certificate is foreign; what is due stays due."""
    chain = make_certificate("a.example", issuer=make_certificate(common_name="CA")).pem
    bought = InstalledCertificate(chain.decode(), "/etc/ssl/a.pem", ours=False, key_matches=True, live_serial="")
    refresh(server, now, site("a.example", tls=True, certificate=bought))
    host = VirtualHost.objects.get()
    assert (host.state, host.next_at, host.next_reason) == (SiteState.FOREIGN, now, "changed")


def test_what_was_installed_while_the_helper_was_reading_stays_installed(server, now, make_installed):
    refresh(server, now, site("a.example"))
    host = VirtualHost.objects.get()
    make_installed(host, "a.example")
    Installation.objects.update(since=now + timedelta(seconds=2))
    # Asked a second before it went live, read into rows after that: ending it would have it ordered again.
    refresh(server, now + timedelta(seconds=1), site("a.example"))
    assert Installation.objects.get(until__isnull=True).certificate.names == ["a.example"]
    refresh(server, now + timedelta(seconds=3), site("a.example"))
    assert not Installation.objects.filter(until__isnull=True).exists()


@pytest.mark.parametrize("text", [None, "one two three\n", "\udcff"], ids=["missing", "bad line", "not UTF-8"])
def test_a_user_map_that_cannot_be_read_is_told_and_leaves_the_rows_as_they_are(server, now, settings, tmp_path, text):
    refresh(server, now, site("a.example"))
    path = tmp_path / "users"
    settings.AUTOSSL_USER_MAP = str(path)
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    changes = refresh(server, now, site("b.example"))
    assert changes.problem is not None
    assert str(path) in str(changes.problem["text"])
    assert [host.name for host in VirtualHost.objects.filter(gone_at__isnull=True)] == ["a.example"]


def test_whatever_stands_in_a_configuration_fits_into_rows(server, now):
    """One odd site must not keep all others from being read; PostgreSQL holds columns to their length."""
    long, deep = "a" * 60 + ".", "/d" * 600
    main = (long * 5)[:242] + ".example"
    odd = site(
        main,
        long * 5 + "example",
        key=nginx.key_of(main),
        docroot=f"/home/{'u' * 100}/\udcff{deep}",
        file=f"/etc/nginx/\udcff{deep}",
    )
    changes = refresh(
        server, now, odd, site("a.example"), skipped=(Remark("~\udcff", "regex", "/etc/\udcff", 1, "\udcff"),)
    )
    assert changes.sites == 2
    server.refresh_from_db()
    json.dumps([server.inventory_told, changes.told], ensure_ascii=False).encode()
    for row in [*VirtualHost.objects.all(), *Domain.objects.all(), *HostingUser.objects.all()]:
        for field in row._meta.concrete_fields:
            value = field.value_from_object(row)
            if isinstance(value, str):
                value.encode()
                assert field.max_length is None or len(value) <= field.max_length, field.name
    host = VirtualHost.objects.get(key=odd.key)
    assert (host.name, [domain.name for domain in host.domains.all()]) == (main, [main])


def test_lines_of_ours_that_another_tool_wiped_make_the_site_due_at_once(server, now, make_installed):
    refresh(server, now, site("a.example", attached=True), site("b.example", attached=True))
    VirtualHost.objects.update(next_at=None, state=SiteState.SECURED, attached=True)
    for host in VirtualHost.objects.all():
        make_installed(host, host.name)
    Installation.objects.update(since=now - timedelta(hours=1))
    # What `detach` takes out, it notes in the rows first.
    VirtualHost.objects.filter(name="b.example").update(attached=False)
    refresh(server, now, site("a.example", live_serial="1"), site("b.example", live_serial="2"))
    wiped, detached = VirtualHost.objects.order_by("name")
    assert (wiped.next_at, wiped.stored_pair) == (now, "detached")
    assert (detached.next_at, detached.stored_pair) == (None, "detached")
    assert (wiped.state, detached.state) == (SiteState.UNSECURED, SiteState.UNSECURED)


def test_many_sites_are_what_few_are(server, now, monkeypatch):
    """What one chunk says of another: a www. that a later site names, a user whose sites are apart."""
    monkeypatch.setattr(inventory, "CHUNK", 2)
    found = [site(f"{n}.example", docroot=f"/home/{'amber' if n % 2 else 'birch'}/www") for n in range(5)]
    changes = refresh(server, now, *found, site("www.0.example"))
    assert (changes.sites, changes.users, len(changes.appeared)) == (6, 2, 6)
    assert not Domain.objects.filter(name="www.0.example", added=True).exists()
    assert Domain.objects.filter(added=True).count() == 4
    assert HostingUser.objects.get(name="amber").virtual_hosts.count() == 3
    VirtualHost.objects.update(next_at=None)
    later = now + timedelta(hours=1)
    changes = refresh(
        server, later, found[0], replace(found[1], names=("1.example", "x.1.example")), *found[3:], site("new.example")
    )
    assert (changes.appeared, set(changes.changed)) == (("new.example",), {"0.example", "1.example"})
    assert set(changes.gone) == {"2.example", "www.0.example"}
    assert Domain.objects.get(name="www.0.example", virtual_host__name="0.example").added
    due = VirtualHost.objects.filter(next_at=later).values_list("name", flat=True)
    assert set(due) == {"0.example", "1.example", "new.example"}


class Many:
    """So many sites that they had better not be in memory all at once, made as they are looked at."""

    def __init__(self, number):
        self.number, self.looks = number, 0

    def inventory(self, *, unless=None):
        return InventoryAnswer("h", False, self, (), (), None)

    def __iter__(self):
        self.looks += 1
        for n in range(self.number):
            pem = f"{n}" + 50_000 * "x"
            found = InstalledCertificate(pem, "/etc/ssl/a.pem", ours=False, key_matches=None, live_serial="")
            yield site(f"s{n}.example", certificate=found)


def test_a_reading_holds_a_few_sites_at_a_time(server, now, monkeypatch):
    monkeypatch.setattr(inventory, "CHUNK", 50)
    helper = Many(1000)
    tracemalloc.start()
    try:
        inventory.refresh(server, helper, now=now)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert VirtualHost.objects.count() == helper.number
    assert helper.looks > 1
    assert peak < 15_000_000 < helper.number * 50_000 / 3
