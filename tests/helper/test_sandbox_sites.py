"""Every site of the sandbox through the helper alone: attach, stage, activate, confirm, detach to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper.client import Activation
from autossl_panel.helper.settings import Settings
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES
from tests.helper.conftest import helper_for
from tests.helper.issuer import Issuer
from tests.support.patience import within


def _files(box: Box) -> dict[str, bytes]:
    folder = box.nginx_conf.parent
    return {str(path): path.read_bytes() for path in [box.nginx_conf, *sorted(folder.glob("sites-available/*"))]}


def _shows(target: tuple[str, int], name: str, fingerprint: str) -> bool:
    def now() -> bool:
        facts = pki.handshake(*target, name).facts
        return facts is not None and facts.fingerprint == fingerprint

    return within(now)


@pytest.fixture
def settings(box: Box, folder: Path) -> Settings:
    return Settings(
        folder=folder / "helper",
        socket=folder / "helper.sock",
        nginx_binary=box.nginx_bin,
        nginx_conf=box.nginx_conf,
        http_port=box.http_port,
        https_port=box.https_port,
    )


def test_every_case_is_attached_activated_and_given_back(box: Box, settings: Settings) -> None:
    for case in CASES:
        box.add_site(case.site)
    before = _files(box)
    issuer = Issuer()
    with helper_for(settings) as helper:
        sites = [site for site in helper.inventory().sites if not site.name.startswith("*")]
        assert len(sites) >= len(CASES)
        assert {result.code for result in helper.attach([site.key for site in sites]).values()} == {"attached"}
        wishes, prints = [], {}
        for number, site in enumerate(helper.inventory().sites):
            order = f"o{number}"
            names = [name for name in site.names if not name.startswith("*")][:50]
            chain = issuer.issue(helper.gen_csr(order, site.key, names, "p256"))
            facts = helper.stage(order, chain)
            old = site.certificate
            expect = pki.read_chain(old.pem.encode()).fingerprint if old else None
            wishes.append(Activation(order, site.key, expect))
            prints[order] = (site.name, facts.fingerprint)
        results = helper.activate(wishes, server_addresses=[box.address])
        assert {order: result.text for order, result in results.items() if not result.ok} == {}
        for order, (name, fingerprint) in prints.items():
            (target,) = results[order].targets
            assert _shows(target, name, fingerprint), name
        assert all(result.ok for result in helper.confirm(list(results)).values())
        assert all(result.ok for result in helper.detach().values())
    assert _files(box) == before
