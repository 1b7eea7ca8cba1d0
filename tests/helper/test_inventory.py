"""The inventory through the socket: sites of a real configuration with the public facts of their certificates."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper import inventory
from autossl_panel.helper.client import Client
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def _pair(web: Web, issuer: Issuer, name: str, *, one_file: bool = False) -> tuple[Path, bytes]:
    chain, key = issuer.pair(name)
    path = web.nginx.folder / f"{name}.pem"
    path.write_bytes(key + chain if one_file else chain)
    path.with_suffix(".key").write_bytes(key)
    return path, chain


def test_sites_with_names_owner_and_place(web: Web, helper: Client) -> None:
    docroot = web.nginx.folder / "www"
    docroot.mkdir()
    web.put("one.example.com", extra=f"server_name www.one.example.com; root {docroot};")
    answer = helper.inventory()
    (site,) = [site for site in answer.sites if site.name == "one.example.com"]
    assert site.names == ("one.example.com", "www.one.example.com")
    assert site.key.startswith("one.example.com-")
    assert site.docroot == str(docroot)
    assert site.owner_login == pwd.getpwuid(os.geteuid()).pw_name
    assert Path(site.file).name == "one.example.com.conf"
    assert (site.tls, site.attached, site.certificate, site.live_serial) == (False, False, None, "")
    assert [(listen.address, listen.port) for listen in site.listens] == [(web.address, web.http_port)]
    assert answer.problem is None


@pytest.mark.parametrize("one_file", [False, True])
def test_certificate_is_told_in_public_only(web: Web, helper: Client, issuer: Issuer, one_file: bool) -> None:
    path, chain = _pair(web, issuer, "shop.example.com", one_file=one_file)
    key_path = path if one_file else path.with_suffix(".key")
    web.nginx.put_site("shop", web.tls_block("shop.example.com", path, key_path))
    (site,) = [site for site in helper.inventory().sites if site.name == "shop.example.com"]
    assert site.certificate is not None
    assert "PRIVATE" not in site.certificate.pem
    assert pki.read_chain(site.certificate.pem.encode()) == pki.read_chain(chain)
    assert (site.certificate.path, site.certificate.ours, site.certificate.key_matches) == (str(path), False, True)


def test_key_of_another_certificate_is_noticed(web: Web, helper: Client, issuer: Issuer) -> None:
    path, _chain = _pair(web, issuer, "a.example.com")
    other, _chain = _pair(web, issuer, "b.example.com")
    web.nginx.put_site("a", web.tls_block("a.example.com", path, other.with_suffix(".key")))
    web.nginx.put_site("b", web.tls_block("b.example.com", other, web.nginx.folder / "missing.key"))
    found = {site.name: site.certificate for site in helper.inventory().sites}
    assert found["a.example.com"] is not None
    assert found["a.example.com"].key_matches is False
    assert found["b.example.com"] is not None
    assert found["b.example.com"].key_matches is None


def test_unchanged_until_a_file_changes(web: Web, issuer: Issuer) -> None:
    path, _chain = _pair(web, issuer, "a.example.com")
    web.nginx.put_site("a", web.tls_block("a.example.com", path, path.with_suffix(".key")))
    with helper_for(web.settings) as helper:
        first = helper.inventory()
        assert helper.inventory(unless=first.hash).unchanged
        assert not helper.inventory(unless="0" * 64).unchanged
    with helper_for(web.settings) as helper:
        again = helper.inventory(unless=first.hash)
        assert (again.unchanged, again.sites) == (True, ())
        web.put("b.example.com")
        second = helper.inventory(unless=first.hash)
        assert "b.example.com" in [site.name for site in second.sites]
        chain, key = issuer.pair("a.example.com")
        path.write_bytes(chain)
        path.with_suffix(".key").write_bytes(key)
        third = helper.inventory(unless=second.hash)
        (site,) = [site for site in third.sites if site.name == "a.example.com"]
        assert site.certificate is not None
        assert site.certificate.pem.encode().strip() == chain.strip()


def test_broken_configuration_is_told_with_file_and_line(web: Web, helper: Client) -> None:
    good = helper.inventory()
    path = web.nginx.put_site("broken", "server {\n    listen 80;\n")
    broken = helper.inventory(unless=good.hash)
    assert broken.problem is not None
    assert Path(broken.problem.file).name == path.name
    assert broken.sites == ()
    web.nginx.remove_site("broken")
    assert helper.inventory(unless=good.hash).problem is None


def test_many_sites_come_in_many_lines(web: Web, helper: Client) -> None:
    count = 3 * inventory.CHUNK + 1
    blocks = [web.block("", f"server_name n{number}.example.com; return 200 x;") for number in range(count)]
    web.nginx.put_site("many", "".join(blocks))
    answer = helper.inventory()
    assert len([site for site in answer.sites if site.name.startswith("n")]) == count
    assert helper.inventory(unless=answer.hash).unchanged


def test_pipe_in_the_place_of_a_certificate_holds_nobody_up(web: Web, helper: Client) -> None:
    pipe = web.nginx.folder / "pipe.pem"
    os.mkfifo(pipe)
    web.nginx.put_site("a", web.tls_block("a.example.com", pipe, pipe))
    (site,) = [site for site in helper.inventory().sites if site.name == "a.example.com"]
    assert site.certificate is None
