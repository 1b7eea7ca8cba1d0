"""Attach, activate, confirm, roll back, detach on a real nginx; and no certificate is lost to anybody's fault."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper.client import Activation, Client, HelperProblem
from autossl_panel.helper.protocol import Result
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer
from tests.support.patience import within

TOKEN = "t0ken_-" * 4
BODY = "0f" * 32
CHALLENGE = f"/.well-known/acme-challenge/{TOKEN}"


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
    """Stage a certificate for a site; returns its fingerprint."""
    return helper.stage(order, issuer.issue(helper.gen_csr(order, key, names, "p256"))).fingerprint


def test_attached_site_answers_challenges(web: Web, caller: Client) -> None:
    before = web.files()
    key = keys(caller)["a.example.com"]
    caller.challenge_put(TOKEN, BODY)
    assert web.get("a.example.com", CHALLENGE)[1] != BODY
    assert caller.attach([key]) == {key: Result(True, "attached")}
    assert within_get(web, "a.example.com", BODY)
    assert web.get("a.example.com", "/")[1] == "a.example.com"
    assert web.get("b.example.com", CHALLENGE)[1] != BODY
    assert {site.name for site in caller.inventory().sites if site.attached} == {"a.example.com"}
    assert caller.attach([key])[key].ok
    assert caller.detach()[key] == Result(True, "detached")
    assert web.files() == before


def within_get(web: Web, name: str, body: str) -> bool:
    return within(lambda: web.get(name, CHALLENGE)[1] == body)


def test_activated_certificate_is_served_and_confirmed(web: Web, caller: Client, issuer: Issuer) -> None:
    before = web.files()
    key = keys(caller)["a.example.com"]
    caller.attach([key])
    fingerprint = staged(caller, issuer, "o1", key, "a.example.com")
    result = caller.activate([Activation("o1", key)])["o1"]
    assert (result.ok, result.code, result.targets) == (True, "activated", ((web.address, web.https_port),))
    assert web.comes("a.example.com", fingerprint)
    assert web.served("b.example.com") is None
    assert caller.status().unconfirmed == {"o1": key}
    (site,) = [site for site in caller.inventory().sites if site.key == key]
    assert site.certificate is not None
    assert site.certificate.ours
    assert site.certificate.key_matches is True
    assert site.certificate.live_serial == caller.status().live[key]
    assert caller.activate([Activation("o1", key)])["o1"] == result
    assert caller.confirm(["o1"])["o1"].ok
    status = caller.status()
    assert (status.unconfirmed, status.staged) == ({}, {})
    assert caller.activate([Activation("o1", key, fingerprint)])["o1"].ok
    assert caller.rollback(["o1"])["o1"].code == "not_active"
    caller.detach()
    assert web.files() == before
    assert web.comes("a.example.com", None)


def test_renewal_rolls_back_to_the_one_before(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    first = staged(caller, issuer, "o1", key, "a.example.com")
    assert caller.activate([Activation("o1", key)])["o1"].ok
    caller.confirm(["o1"])
    second = staged(caller, issuer, "o2", key, "a.example.com")
    assert caller.activate([Activation("o2", key, first)])["o2"].ok
    assert web.comes("a.example.com", second)
    assert caller.rollback(["o2"])["o2"].ok
    assert web.comes("a.example.com", first)
    status = caller.status()
    assert (status.unconfirmed, status.staged) == ({}, {"o2": key})
    assert caller.activate([Activation("o2", key, first)])["o2"].ok
    assert web.comes("a.example.com", second)


def test_first_certificate_rolls_back_to_plain(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    caller.attach([key])
    site = web.nginx.folder / "sites-available" / "a.example.com.conf"
    attached = site.read_bytes()
    fingerprint = staged(caller, issuer, "o1", key, "a.example.com")
    caller.activate([Activation("o1", key)])
    assert web.comes("a.example.com", fingerprint)
    assert caller.rollback(["o1"])["o1"].ok
    assert web.comes("a.example.com", None)
    assert site.read_bytes() == attached
    assert web.get("a.example.com", "/")[1] == "a.example.com"


def test_anothers_certificate_that_came_meanwhile_stays(web: Web, issuer: Issuer) -> None:
    chain, key_pem = issuer.pair("shop.example.com")
    path = web.nginx.folder / "shop.pem"
    path.write_bytes(chain)
    path.with_suffix(".key").write_bytes(key_pem)
    web.nginx.put_site("shop", web.tls_block("shop.example.com", path, path.with_suffix(".key")))
    web.start()
    before = web.files()
    with helper_for(web.settings) as helper:
        key = keys(helper)["shop.example.com"]
        ours = staged(helper, issuer, "o1", key, "shop.example.com")
        theirs = pki.read_chain(chain).fingerprint
        for expected in (None, "0" * 64):
            result = helper.activate([Activation("o1", key, expected)])["o1"]
            assert (result.ok, result.code, result.file) == (False, "changed_meanwhile", str(path))
        assert web.files() == before
        assert helper.status().staged == {"o1": key}
        assert helper.activate([Activation("o1", key, theirs)])["o1"].ok
        assert web.comes("shop.example.com", ours)
        assert helper.rollback(["o1"])["o1"].ok
        assert web.comes("shop.example.com", theirs)
        assert helper.detach()[key].ok
        assert web.files() == before


def test_foreign_fault_keeps_all_staged_and_is_told(web: Web, caller: Client, issuer: Issuer) -> None:
    found = keys(caller)
    caller.attach([found["a.example.com"], found["b.example.com"]])
    for order, name in (("o1", "a.example.com"), ("o2", "b.example.com")):
        staged(caller, issuer, order, found[name], name)
    path = web.nginx.put_site("bad", "server {\n    server_name bad.example.com;\n    nonsense on;\n}\n")
    before = web.files()
    activations = [Activation("o1", found["a.example.com"]), Activation("o2", found["b.example.com"])]
    for result in caller.activate(activations).values():
        assert (result.ok, result.code, Path(result.file).name, result.line) == (False, "foreign_broken", path.name, 3)
    assert web.files() == before
    assert set(caller.status().staged) == {"o1", "o2"}
    assert caller.status().unconfirmed == {}
    web.nginx.remove_site("bad")
    assert all(result.ok for result in caller.activate(activations).values())


def test_faulty_site_is_found_by_halving_and_quarantined(web: Web, issuer: Issuer) -> None:
    # nginx looks at a cipher list only where there is a certificate: this block breaks by getting one.
    names = [f"n{number}.example.com" for number in range(7)]
    web.put(*names)
    web.put("bad.example.com", extra="ssl_ciphers NO-SUCH-CIPHER;")
    web.start()
    with helper_for(web.settings) as helper:
        found = keys(helper)
        names.insert(3, "bad.example.com")
        orders = {name: f"o-{name.partition('.')[0]}" for name in names}
        prints = {name: staged(helper, issuer, orders[name], found[name], name) for name in names}
        results = helper.activate([Activation(orders[name], found[name]) for name in names])
        bad = results.pop("o-bad")
        assert (bad.ok, bad.code) == (False, "quarantined")
        assert "cipher" in bad.text
        assert all(result.ok for result in results.values())
        assert web.comes("n6.example.com", prints["n6.example.com"])
        assert list(helper.status().quarantined) == ["o-bad"]
        assert helper.activate([Activation("o-bad", found["bad.example.com"])])["o-bad"].code == "quarantined"


def test_taken_port_is_told_with_its_holder(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    staged(caller, issuer, "o1", key, "a.example.com")
    before = web.files()
    with socket.create_server((web.address, web.https_port)):
        result = caller.activate([Activation("o1", key)])["o1"]
    assert (result.ok, result.code) == (False, "port_taken")
    assert f"port {web.https_port}" in result.text
    assert "pid" in result.text
    assert web.files() == before
    assert caller.activate([Activation("o1", key)])["o1"].ok


def test_nginx_that_does_not_run(web: Web, issuer: Issuer) -> None:
    web.put("a.example.com")
    with helper_for(web.settings) as helper:
        key = keys(helper)["a.example.com"]
        assert helper.attach([key])[key].code == "nginx_not_running"
        assert [site.name for site in helper.inventory().sites if site.attached] == ["a.example.com"]
        staged(helper, issuer, "o1", key, "a.example.com")
        result = helper.activate([Activation("o1", key)])["o1"]
        assert (result.ok, result.code) == (False, "nginx_not_running")
        assert helper.status().staged == {"o1": key}
        web.start()
        assert helper.activate([Activation("o1", key)])["o1"].ok


def test_without_the_program_of_nginx(web: Web, issuer: Issuer) -> None:
    web.put("a.example.com")
    before = web.files()
    with helper_for(replace(web.settings, nginx_binary="/nowhere/nginx")) as helper:
        key = keys(helper)["a.example.com"]
        staged(helper, issuer, "o1", key, "a.example.com")
        with pytest.raises(HelperProblem) as refused:
            helper.attach([key])
        assert refused.value.code == "nginx_missing"
        with pytest.raises(HelperProblem) as refused:
            helper.activate([Activation("o1", key)])
        assert refused.value.code == "nginx_missing"
        assert helper.status().staged == {"o1": key}
    assert web.files() == before


def test_order_of_another_site_is_refused(caller: Client, issuer: Issuer) -> None:
    found = keys(caller)
    staged(caller, issuer, "o1", found["a.example.com"], "a.example.com")
    results = caller.activate(
        [
            Activation("o1", found["b.example.com"]),
            Activation("o2", found["c.example.com"]),
            Activation("o3", "gone-00000000"),
        ]
    )
    assert {order: result.code for order, result in results.items()} == {
        "o1": "refused",
        "o2": "unknown_order",
        "o3": "no_such_site",
    }
    assert caller.confirm(["o1"])["o1"].code == "not_active"
    assert set(caller.status().staged) == {"o1"}


def test_a_file_that_nginx_misses_is_told_with_the_line_that_names_it(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    caller.attach([key])
    staged(caller, issuer, "o1", key, "a.example.com")
    text = "server {\n    server_name bad.example.com;\n    listen 127.0.0.1:4433 ssl;\n    ssl_certificate gone.pem;\n"
    path = web.nginx.put_site("bad", text + "    ssl_certificate_key gone.key;\n}\n")
    result = caller.activate([Activation("o1", key)])["o1"]
    assert (result.code, Path(result.file).name, result.line) == ("foreign_broken", path.name, 4)
    assert "gone.pem" in result.text


def test_admins_edit_is_kept_through_roll_back(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    staged(caller, issuer, "o1", key, "a.example.com")
    caller.activate([Activation("o1", key)])
    path = web.nginx.folder / "sites-available" / "a.example.com.conf"
    path.write_bytes(path.read_bytes() + b"# the admin was here\n")
    assert caller.rollback(["o1"])["o1"].ok
    assert caller.detach()[key].ok
    assert path.read_bytes().endswith(b"# the admin was here\n")
    assert b"autossl" not in path.read_bytes().lower()


def test_file_that_others_may_write_is_refused(web: Web, caller: Client) -> None:
    found = keys(caller)
    path = web.nginx.folder / "sites-available" / "a.example.com.conf"
    path.chmod(0o666)
    results = caller.attach([found["a.example.com"], found["b.example.com"]])
    assert results[found["a.example.com"]].code == "refused"
    assert results[found["a.example.com"]].file == str(path)
    assert results[found["b.example.com"]].ok


def test_links_and_modes_stay(web: Web, caller: Client) -> None:
    key = keys(caller)["a.example.com"]
    link = web.nginx.folder / "sites-enabled" / "a.example.com.conf"
    target = link.resolve()
    target.chmod(0o640)
    assert caller.attach([key])[key].ok
    assert link.is_symlink()
    assert link.resolve() == target
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in target.parent.iterdir() if path.name.startswith(".")) == []


def test_store_does_not_wait_for_the_web_server(web: Web) -> None:
    slow = web.nginx.folder / "slow" / "nginx"
    slow.parent.mkdir()
    asked, goes_on = slow.with_name("asked"), slow.with_name("goes-on")
    waits = f"touch {asked}\nwhile [ ! -e {goes_on} ]; do sleep 0.05; done"
    slow.write_text(f'#!/bin/sh\n{waits}\nexec {web.nginx.binary} "$@"\n')
    slow.chmod(0o755)
    goes_on.touch()
    web.put("a.example.com")
    web.start()
    with helper_for(replace(web.settings, nginx_binary=str(slow))) as helper:
        found = keys(helper)
        results: dict[str, Result] = {}
        thread = threading.Thread(target=lambda: results.update(helper.attach(list(found.values()))))
        goes_on.unlink()
        asked.unlink()
        thread.start()
        try:
            assert within(asked.exists)
            for number in range(10):
                helper.gen_csr(f"o{number}", found["a.example.com"], ("a.example.com",), "p256")
                helper.challenge_put(TOKEN, BODY)
            assert thread.is_alive(), "the web server has not answered yet"
        finally:
            goes_on.touch()
            thread.join()
        assert all(result.ok for result in results.values())


def test_expired_pair_is_not_activated(web: Web, caller: Client, issuer: Issuer) -> None:
    key = keys(caller)["a.example.com"]
    csr = caller.gen_csr("o1", key, ("a.example.com",), "p256")
    caller.stage("o1", issuer.issue(csr))
    # It was staged while it was valid, and waited for so long.
    chain = web.settings.folder / "staged" / "o1" / "fullchain.pem"
    assert chain.exists()
    chain.write_bytes(issuer.issue(csr, life=timedelta(seconds=-1)))
    result = caller.activate([Activation("o1", key)])["o1"]
    assert (result.ok, result.code) == (False, "pair_dates")
    assert "valid" in result.text


def test_block_beside_a_redirecting_one_keeps_in_step(web: Web, issuer: Issuer) -> None:
    docroots = [web.nginx.folder / name for name in ("one", "two")]
    for docroot in docroots:
        docroot.mkdir(mode=0o755)
        (docroot / "index.html").write_text(docroot.name)
    redirect = "server_name r.example.com; root {}; return 301 https://$host$request_uri;"
    web.nginx.put_site("r", web.block("", redirect.format(docroots[0])))
    web.start()
    with helper_for(web.settings) as helper:
        key = keys(helper)["r.example.com"]
        fingerprint = staged(helper, issuer, "o1", key, "r.example.com")
        assert helper.activate([Activation("o1", key)])["o1"].ok
        assert web.comes("r.example.com", fingerprint)
        helper.confirm(["o1"])
        http_conf = web.settings.folder / "http.conf"
        assert str(docroots[0]) in http_conf.read_text()
        web.nginx.put_site("r", (web.nginx.folder / "sites-available/r.conf").read_text().replace("/one;", "/two;"))
        assert not helper.inventory().problem
        assert str(docroots[1]) in http_conf.read_text()
        assert str(docroots[0]) not in http_conf.read_text()
        assert web.comes("r.example.com", fingerprint)
        assert helper.detach()[key].ok
        assert not http_conf.exists()


def test_extra_name_is_served_from_the_attach_on(web: Web, caller: Client) -> None:
    key = keys(caller)["a.example.com"]
    caller.challenge_put(TOKEN, BODY)
    results = caller.attach([key], extra_names={key: ["www.a.example.com"]})
    assert results[key].ok
    assert within_get(web, "www.a.example.com", BODY)
    assert within(lambda: all(web.get("www.a.example.com", "/")[1] == "a.example.com" for _time in range(5)))
    assert caller.attach([key])[key].ok
    assert within(lambda: all(web.get("www.a.example.com", "/")[1] == "a.example.com" for _time in range(5)))
    assert caller.attach([key], extra_names={key: []})[key].ok
    assert within(lambda: web.get("www.a.example.com", "/")[0] == 404)
