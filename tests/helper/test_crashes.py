"""SIGKILL to the helper before each step of an activation: the next start settles it, nothing is lost, all is valid."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper.client import Activation, Client, HelperGone
from autossl_panel.helper.files import TEMPORARY
from autossl_panel.helper.nginx import Nginx
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer
from tests.support.patience import SECONDS

MOST_STEPS = 200


@contextmanager
def dying_helper(web: Web, step: int, flag: Path) -> Iterator[Client]:
    """A helper that dies before its `step`-th step once `flag` exists."""
    chosen = web.settings
    command = [sys.executable, "-m", "tests.helper.killed", str(step), str(flag)]
    command += ["--helper-dir", str(chosen.folder), "--socket", str(chosen.socket)]
    command += ["--nginx-bin", chosen.nginx_binary, "--nginx-conf", str(chosen.nginx_conf)]
    command += ["--http-port", str(chosen.http_port), "--https-port", str(chosen.https_port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with Client(chosen.socket) as client:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    client.status()
                    break
                except HelperGone:
                    time.sleep(0.02)
            yield client
    finally:
        process.kill()
        process.wait()


class Ground:
    """A plain site and one with a bought certificate, each with a certificate of ours that waits."""

    def __init__(self, web: Web, issuer: Issuer) -> None:
        self.web = web
        chain, key = issuer.pair("b.example.com")
        self.bought = pki.read_chain(chain).fingerprint
        path = web.nginx.folder / "b.pem"
        path.write_bytes(chain)
        path.with_suffix(".key").write_bytes(key)
        web.put("a.example.com")
        web.nginx.put_site("b.example.com", web.tls_block("b.example.com", path, path.with_suffix(".key")))
        web.start()
        with helper_for(web.settings) as helper:
            keys = {site.name: site.key for site in helper.inventory().sites}
            self.a, self.b = keys["a.example.com"], keys["b.example.com"]
            helper.attach([self.a, self.b])
            self.new_a = self._stage(helper, issuer, "oa", self.a, "a.example.com")
            self.new_b = self._stage(helper, issuer, "ob", self.b, "b.example.com")
        self.orders = [Activation("oa", self.a), Activation("ob", self.b, self.bought)]
        self.nginx = Nginx(web.nginx.binary, web.nginx.conf)
        self.before = self.sites()
        # The only TLS block answers for everybody, as the admin wrote it.
        self.old_a = web.served("a.example.com")

    @staticmethod
    def _stage(helper: Client, issuer: Issuer, order: str, key: str, name: str) -> str:
        return helper.stage(order, issuer.issue(helper.gen_csr(order, key, [name], "p256"))).fingerprint

    def sites(self) -> dict[str, bytes]:
        return {path: text for path, text in self.web.files().items() if not path.endswith("nginx.conf")}

    def must_be_sound(self) -> None:
        """A cold start would work now, and each site shows what it did before or its new certificate."""
        assert self.nginx.test() is None
        assert self.web.served("b.example.com") in (self.bought, self.new_b)
        assert self.web.served("a.example.com") in (None, self.old_a, self.new_a)

    def must_be_settled(self) -> None:
        """No journal and no draft is left of a process that died."""
        left = [path for path in self.web.settings.folder.rglob("*") if path.name.startswith((TEMPORARY, "journal"))]
        left += [path for path in self.web.nginx.folder.rglob(f"{TEMPORARY}*")]
        assert left == []


@pytest.fixture
def ground(web: Web) -> Ground:
    return Ground(web, Issuer())


def _die_in(ground: Ground, step: int, act: str) -> bool:
    """Whether the helper died in this act before it was done; the act is repeated by a sound helper either way."""
    flag = ground.web.nginx.folder / "flag"
    died = False
    with dying_helper(ground.web, step, flag) as helper:
        flag.touch()
        try:
            if act == "activate":
                helper.activate(ground.orders)
            else:
                helper.rollback(["oa", "ob"])
        except HelperGone:
            died = True
    flag.unlink()
    return died


def _steps(quick: int) -> Iterator[int]:
    """Every `quick`-th step."""
    yield from range(1, MOST_STEPS, quick)


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_before_any_step_of_activate_and_rollback(ground: Ground, stride: int) -> None:
    died_once = {"activate": False, "rollback": False}
    for step in _steps(stride):
        died = _die_in(ground, step, "activate")
        died_once["activate"] |= died
        ground.must_be_sound()
        with helper_for(ground.web.settings) as helper:
            ground.must_be_settled()
            ground.must_be_sound()
            assert all(result.ok for result in helper.activate(ground.orders).values())
            assert ground.web.comes("a.example.com", ground.new_a)
            assert ground.web.comes("b.example.com", ground.new_b)
            assert set(helper.status().unconfirmed) == {"oa", "ob"}
        back = _die_in(ground, step, "rollback")
        died_once["rollback"] |= back
        ground.must_be_sound()
        with helper_for(ground.web.settings) as helper:
            ground.must_be_settled()
            assert all(result.ok for result in helper.rollback(["oa", "ob"]).values())
            assert ground.web.comes("a.example.com", ground.old_a)
            assert ground.web.comes("b.example.com", ground.bought)
            assert set(helper.status().staged) == {"oa", "ob"}
        assert ground.sites() == ground.before
        if not died and not back:
            break
    assert died_once == {"activate": True, "rollback": True}
    assert step < MOST_STEPS - stride


def test_helper_that_dies_while_settling_settles_the_next_time(ground: Ground) -> None:
    flag = ground.web.nginx.folder / "flag"
    for step in (2, 5, 9):
        assert _die_in(ground, 18, "activate")
        flag.touch()
        with dying_helper(ground.web, step, flag):
            pass
        flag.unlink()
        with helper_for(ground.web.settings) as helper:
            ground.must_be_settled()
            ground.must_be_sound()
            helper.rollback(list(helper.status().unconfirmed))
            assert ground.web.comes("a.example.com", ground.old_a)
    assert ground.sites() == ground.before
