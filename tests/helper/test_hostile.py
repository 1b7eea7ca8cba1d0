"""What an admin, another program or a careless CA does beside us: found in review, one test each, on a real nginx."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper import files, verbs
from autossl_panel.helper.changer import Attempt, Changer, Fault, Item
from autossl_panel.helper.client import Activation, Client, HelperProblem
from autossl_panel.helper.journal import Changes, FileChange
from autossl_panel.helper.nginx import Nginx
from autossl_panel.helper.server import Server
from autossl_panel.helper.settings import Settings
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def caller(web: Web) -> Iterator[Client]:
    """A helper for a running nginx with three plain sites."""
    web.put("a.example.com", "b.example.com", "c.example.com")
    web.start()
    with helper_for(web.settings) as connected:
        yield connected


def keys(helper: Client) -> dict[str, str]:
    return {site.name: site.key for site in helper.inventory().sites}


def staged(helper: Client, issuer: Issuer, order: str, key: str, *names: str) -> str:
    return helper.stage(order, issuer.issue(helper.gen_csr(order, key, names, "p256"))).fingerprint


def test_bytes_that_are_no_utf_8_do_not_hide_the_other_sites(settings: Settings) -> None:
    settings.nginx_conf.write_bytes(
        b"events {}\nhttp { server { server_name a.example; root /home/m\xfcller; }\n"
        b"server { server_name b.example m\xfcller.example; } }\n"
    )
    with helper_for(settings) as helper:
        answer = helper.inventory()
    assert [site.name for site in answer.sites] == ["a.example", "b.example"]
    assert next(iter(answer.sites)).docroot == "/home/m?ller"
    assert [one.reason for one in answer.skipped] == ["not_ascii"]


def test_files_of_others_hold_up_no_site_and_cost_no_halving(
    web: Web, caller: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = keys(caller)
    for name in ("b.example.com", "c.example.com"):
        (web.nginx.folder / "sites-available" / f"{name}.conf").chmod(0o666)
    attempts = []
    attempt = Changer.attempt

    def counted(self: Changer, items: Sequence[Item], addresses: Sequence[str]) -> Attempt | Fault:
        attempts.append(len(items))
        return attempt(self, items, addresses)

    monkeypatch.setattr(Changer, "attempt", counted)
    results = caller.attach(list(found.values()))
    assert [results[key].ok for key in found.values()] == [True, False, False]
    for name in ("b.example.com", "c.example.com"):
        assert results[found[name]].file.endswith(f"/{name}.conf")
        assert name in results[found[name]].text
    assert attempts == [3, 1]


def test_a_file_that_even_root_may_not_write_is_told_and_holds_up_nobody(
    web: Web, caller: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = keys(caller)
    real = files.write_new

    def immutable(path: Path, content: bytes, mode: int, *, durable: bool = True) -> None:
        # The kernel says so of a file with chattr +i, whose rename or draft fails.
        if b"b.example.com" in content and path.parent.name == "sites-available":
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        real(path, content, mode, durable=durable)

    monkeypatch.setattr(files, "write_new", immutable)
    results = caller.attach(list(found.values()))
    assert [results[key].ok for key in found.values()] == [True, False, True]
    assert results[found["b.example.com"]].file.endswith("/b.example.com.conf")
    assert Nginx(web.nginx.binary, web.nginx.conf).test() is None


def test_a_change_that_cannot_be_taken_back_does_not_block_the_helper(folder: Path) -> None:
    mine, theirs = folder / "mine", folder / "theirs"
    for path in (mine, theirs):
        path.write_bytes(b"new")
    theirs.chmod(0o666)
    changes = Changes((), [FileChange(one, b"old", b"new", ours=False) for one in (mine, theirs)])
    assert changes.undo() == [theirs]
    assert mine.read_bytes() == b"old"


def test_no_certificate_is_put_aside_for_a_fault_that_an_admin_makes_meanwhile(
    web: Web, caller: Client, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = keys(caller)
    orders = [Activation(f"o{n}", key) for n, key in enumerate(found.values())]
    for one, name in zip(orders, found, strict=True):
        staged(caller, issuer, one.order, one.key, name)
    attempt = Changer.attempt
    calls = []

    def broken_meanwhile(self: Changer, items: Sequence[Item], addresses: Sequence[str]) -> Attempt | Fault:
        calls.append(1)
        if len(calls) == 1:
            # Something is wrong with one of them; while it is looked for, the admin breaks a file.
            return Fault("test", "one of them")
        (web.nginx.folder / "sites-available" / "default.conf").write_text("server { nonsense; }\n")
        return attempt(self, items, addresses)

    monkeypatch.setattr(Changer, "attempt", broken_meanwhile)
    results = caller.activate(orders)
    assert {one.code for one in results.values()} == {"foreign_broken"}
    assert caller.status().quarantined == {}
    assert set(caller.status().staged) == {one.order for one in orders}


def test_another_programs_socket_for_both_families_is_seen(web: Web, issuer: Issuer) -> None:
    web.put("a.example.com")
    web.start()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        other.bind(("::", 0))
        other.listen()
        # A port that no other test of this machine has on any address.
        with helper_for(replace(web.settings, https_port=other.getsockname()[1])) as caller:
            key = keys(caller)["a.example.com"]
            staged(caller, issuer, "o1", key, "a.example.com")
            result = caller.activate([Activation("o1", key)])["o1"]
            assert (result.ok, result.code) == (False, "port_taken")
            other.close()
            assert caller.activate([Activation("o1", key)])["o1"].ok


def test_another_programs_socket_for_ipv6_alone_is_no_matter(web: Web, issuer: Issuer) -> None:
    web.put("a.example.com")
    web.start()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        other.listen()
        with helper_for(replace(web.settings, https_port=other.getsockname()[1])) as caller:
            key = keys(caller)["a.example.com"]
            staged(caller, issuer, "o1", key, "a.example.com")
            assert caller.activate([Activation("o1", key)])["o1"].ok


def _bought(web: Web, issuer: Issuer, name: str, key_name: str) -> tuple[Path, str]:
    chain, key = issuer.pair(name)
    path = web.nginx.folder / f"{key_name}.pem"
    path.write_bytes(chain)
    path.with_suffix(".key").write_bytes(key)
    return path, pki.read_chain(chain).fingerprint


def test_a_certificate_put_beside_ours_is_served_and_stays(web: Web, issuer: Issuer) -> None:
    old, old_print = _bought(web, issuer, "b.example.com", "old")
    new, new_print = _bought(web, issuer, "b.example.com", "new")
    file = web.nginx.put_site("b.example.com", web.tls_block("b.example.com", old, old.with_suffix(".key")))
    web.start()
    with helper_for(web.settings) as caller:
        key = keys(caller)["b.example.com"]
        ours = staged(caller, issuer, "o1", key, "b.example.com")
        assert caller.activate([Activation("o1", key, old_print)])["o1"].ok
        assert web.comes("b.example.com", ours)
        caller.confirm(["o1"])
        # The admin buys one and puts it into the block, below lines that are commented out.
        lines = f"ssl_certificate {new}; ssl_certificate_key {new.with_suffix('.key')}; return 200 secure;"
        file.write_text(file.read_text().replace("return 200 secure;", lines))
        staged(caller, issuer, "o2", key, "b.example.com")
        assert caller.activate([Activation("o2", key, ours)])["o2"].code == "changed_meanwhile"
        assert caller.attach([key], extra_names={key: ["www.b.example.com"]})[key].ok
        assert lines in file.read_text()
        (site,) = [one for one in caller.inventory().sites if one.key == key]
        assert site.certificate is not None
        assert (site.certificate.path, site.certificate.ours) == (str(new), False)
        assert web.comes("b.example.com", new_print)
        assert "fullchain" not in (web.settings.folder / "snippets" / f"{key}.conf").read_text()
        caller.detach()
        assert web.comes("b.example.com", new_print)


def test_a_bad_certificate_put_beside_ours_does_not_drive_ours_out(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    ours = staged(caller, issuer, "o1", key, "a.example.com")
    assert caller.activate([Activation("o1", key)])["o1"].ok
    assert web.comes("a.example.com", ours)
    other, _print = _bought(web, issuer, "other.example.com", "other")
    file = web.nginx.folder / "sites-available" / "a.example.com.conf"
    lines = f"ssl_certificate {other}; ssl_certificate_key {other.with_suffix('.key')}; location"
    file.write_text(file.read_text().replace("location", lines))
    caller.inventory()
    caller.attach([key])
    assert "fullchain" in (web.settings.folder / "snippets" / f"{key}.conf").read_text()


def test_two_certificates_of_the_same_serial_are_two(settings: Settings, issuer: Issuer) -> None:
    key = "a.example-00000000"
    with Server(settings) as server:
        store = server.service.store
        folders = set()
        for number, maker in enumerate((issuer, Issuer("Another"))):
            csr = store.gen_csr(f"o{number}", key, ("a.example",), "p256").encode()
            store.stage(f"o{number}", maker.issue(csr, serial=7))
            version = store.version(f"o{number}")
            folders.add(version.target)
            assert (store.live / version.target / "fullchain.pem").read_bytes() == (
                store.staged / f"o{number}" / "fullchain.pem"
            ).read_bytes()
            assert store.version(f"o{number}") == version
    assert len(folders) == 2


def test_an_edit_between_look_and_rename_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "site.conf"
    path.write_bytes(b"old")
    listed = os.listxattr

    def edited(*given: object, **options: object) -> list[str]:
        path.write_bytes(b"the admin's")
        return listed(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "listxattr", edited)
    with pytest.raises(files.ChangedMeanwhile):
        files.replace_like(path, b"ours", b"old")
    assert path.read_bytes() == b"the admin's"
    assert [one.name for one in folder.iterdir()] == ["site.conf"]


def test_a_folder_made_for_the_socket_lets_the_worker_through(settings: Settings) -> None:
    before = os.umask(0o077)
    try:
        with Server(settings):
            assert settings.socket.parent.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_keys_are_not_kept_in_a_folder_that_callers_could_exchange(settings: Settings) -> None:
    settings.folder.parent.chmod(0o777)
    with pytest.raises(PermissionError, match="written by everybody"):
        Server(replace(settings, allow_uids=(12345,)))
    assert not settings.folder.exists()
    settings.folder.parent.chmod(0o755)
    with Server(replace(settings, allow_uids=(12345,))):
        assert settings.folder.exists()


def test_a_site_that_is_gone_leaves_nothing_to_be_settled(web: Web, caller: Client, issuer: Issuer) -> None:
    found = keys(caller)
    orders = [Activation(f"o{n}", found[name]) for n, name in enumerate(("a.example.com", "b.example.com"))]
    for one, name in zip(orders, found, strict=False):
        staged(caller, issuer, one.order, one.key, name)
    assert all(result.ok for result in caller.activate(orders).values())
    web.nginx.remove_site("a.example.com")
    results = caller.rollback(["o0", "o1"])
    assert {order: result.code for order, result in results.items()} == {"o0": "not_active", "o1": "rolled_back"}
    assert all(result.ok for result in results.values())
    assert caller.status().unconfirmed == {}


@pytest.mark.parametrize("address", ["fe80::1%1]:443 ssl; include /tmp/x; #", "fe80::1%eth0", "fe80::1%}\n"])
def test_an_address_carries_no_text_into_a_configuration(address: str) -> None:
    with pytest.raises(HelperProblem, match="server_addresses"):
        verbs.arguments("attach", {"keys": [], "extra_names": {}, "server_addresses": [address]})
