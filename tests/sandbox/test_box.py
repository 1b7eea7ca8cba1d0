"""The box serves its sites, answers DNS, issues nothing by itself, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.processes import SandboxProblem, find_program
from autossl_panel.sandbox.sites import Kind, Points, Site
from tests.support.patience import SECONDS, within

ONE = Site("anna", ("one.example", "www.one.example"), dns={"www.one.example": Points.NOWHERE})


def fetch(box: Box, name: str, address: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://{address or box.address}:{box.http_port}/", headers={"Host": name})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def addresses(box: Box, name: str) -> list[str]:
    address, port = box.resolver.split(":")
    answer = dns.query.udp(dns.message.make_query(name, "A"), address, port=int(port), timeout=SECONDS)
    assert answer.rcode() == dns.rcode.NOERROR
    return [item.to_text() for records in answer.answer for item in records]


def listening(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until_gone(address: str, ports: list[int]) -> bool:
    return within(lambda: not any(listening(address, port) for port in ports))


def test_sites_dns_and_ca_of_a_box() -> None:
    with Box(sites=[ONE]) as box:
        assert fetch(box, "one.example") == (200, "<!doctype html><title>one.example</title><h1>one.example</h1>\n")
        assert fetch(box, "one.example", box.elsewhere)[0] == 404
        assert addresses(box, "one.example") == [box.address]
        assert addresses(box, "www.one.example") == []
        assert addresses(box, "never-set.example") == []
        box.set_dns("one.example", a=[box.elsewhere, box.silent])
        assert sorted(addresses(box, "one.example")) == sorted([box.elsewhere, box.silent])
        assert not listening(box.silent, box.http_port)
        assert box.issued() == {}
        assert b"BEGIN CERTIFICATE" in box.pebble.root_pem()
        ports = [box.http_port, box.pebble.port, box.dns.port]
        assert all(listening(box.address, port) for port in ports)
    assert not any(listening(box.address, port) for port in ports)
    assert not box.folder.exists()


def test_a_site_comes_and_goes(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        path = box.add_site(Site("bruno", ("two.example",), kind=Kind.PROXY))
        assert path.parent.name == "sites-available"
        assert fetch(box, "two.example") == (200, "The application answers.\n")
        box.remove_site("two.example")
        assert path.exists()
        assert addresses(box, "two.example") == []
    assert (tmp_path / "box").exists()


def test_two_boxes_stand_side_by_side() -> None:
    with Box() as one, Box() as two:
        assert one.address != two.address
        assert one.directory_url != two.directory_url


def test_everything_ends_when_the_holder_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from autossl_panel.sandbox.box import Box;"
        "b = Box(Path(sys.argv[1]));"
        "print(b.address, b.http_port, b.pebble.port, b.dns.port, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        address, *ports = holder.stdout.readline().split()
        numbers = [int(port) for port in ports]
        assert all(listening(address, port) for port in numbers)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert wait_until_gone(address, numbers)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(SandboxProblem, match=r"no-such-program is not installed.*apt-get install something"):
        find_program("no-such-program", "something")


def test_a_program_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    (tmp_path / "nginx" / "sites-enabled").mkdir(parents=True)
    (tmp_path / "nginx" / "sites-enabled" / "bad.conf").write_text("server { listen nowhere:80; }\n")
    with pytest.raises(SandboxProblem, match=r"host not found in \"nowhere:80\""):
        Box(tmp_path)
