"""A disk that fails: full for a moment or for good, in the middle of an activation. Told as `disk`, nothing is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from autossl_panel.helper import files
from autossl_panel.helper.client import Activation, Client, HelperProblem
from autossl_panel.helper.nginx import Nginx
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer


class FullDisk:
    """Stands for `os` where files are written: from the n-th fsync on, `count` of them fail."""

    def __init__(self, first: int, count: int) -> None:
        self.first, self.last, self.calls = first, first + count, 0

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)

    def fsync(self, descriptor: int) -> None:
        self.calls += 1
        if self.first <= self.calls < self.last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")
        os.fsync(descriptor)


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch, disk: FullDisk) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(files, "os", disk)
        yield


def _activate(helper: Client, activation: Activation) -> str:
    try:
        return helper.activate([activation])[activation.order].code
    except HelperProblem as problem:
        return f"{problem.code}: {problem.text}"


@pytest.mark.parametrize("count", [1, 1000], ids=["once", "from-then-on"])
def test_full_disk_in_an_activation(web: Web, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    issuer = Issuer()
    web.put("a.example.com")
    web.start()
    nginx = Nginx(web.nginx.binary, web.nginx.conf)
    with helper_for(web.settings) as helper:
        (key,) = [site.key for site in helper.inventory().sites]
        assert helper.attach([key])[key].ok
        before = web.files()
        fingerprint = helper.stage("o1", issuer.issue(helper.gen_csr("o1", key, ["a.example.com"], "p256"))).fingerprint
        failed = 0
        for first in range(1, 60, 2):
            disk = FullDisk(first, count)
            with full(monkeypatch, disk):
                told = _activate(helper, Activation("o1", key))
            assert told in ("activated", "disk: the disk: No space left on device")
            failed += told != "activated"
            assert nginx.test() is None
            assert helper.inventory().problem is None
            assert helper.activate([Activation("o1", key)])["o1"].ok
            assert web.comes("a.example.com", fingerprint)
            assert helper.rollback(["o1"])["o1"].ok
            assert {path: text for path, text in web.files().items() if "sites-available" in path} == {
                path: text for path, text in before.items() if "sites-available" in path
            }
            assert helper.status().staged == {"o1": key}
            if disk.calls < first:
                break
        assert failed > 2
        assert disk.calls < first
