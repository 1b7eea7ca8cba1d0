"""Running nginx: the test, finding its master, the reload; and ports that another program holds."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from autossl_panel.helper.nginx import Nginx, taken_by_others
from autossl_panel.helper.protocol import HelperProblem
from tests.helper.conftest import Web
from tests.support.patience import within


@pytest.fixture
def nginx(web: Web) -> Nginx:
    return Nginx(web.nginx.binary, web.nginx.conf)


def test_good_configuration_passes(nginx: Nginx) -> None:
    assert nginx.test() is None


def test_complaint_is_passed_on(nginx: Nginx, web: Web) -> None:
    path = web.nginx.put_site("bad", "server { nonsense; }\n")
    complaint = nginx.test()
    assert complaint is not None
    assert f"{path.parent.parent}/sites-enabled/bad.conf:1" in complaint


def test_missing_program_is_told(web: Web) -> None:
    with pytest.raises(HelperProblem) as refused:
        Nginx("no-such-nginx", web.nginx.conf).test()
    assert refused.value.code == "nginx_missing"
    assert "no-such-nginx" in refused.value.text


def test_master_is_found_while_it_runs(nginx: Nginx, web: Web) -> None:
    assert nginx.master() is None
    assert not nginx.reload()
    web.start()
    assert web.nginx.process is not None
    assert nginx.master() == web.nginx.process.pid
    before = web.nginx.process.children()
    assert nginx.reload()
    assert within(lambda: web.nginx.process is not None and not before & web.nginx.process.children())
    web.nginx.stop()
    assert nginx.master() is None


def test_stale_pid_file_is_not_believed(nginx: Nginx) -> None:
    nginx.pid_file().write_text(f"{os.getpid()}\n")
    assert nginx.master() is None
    nginx.pid_file().write_text("")
    assert nginx.master() is None


def test_pid_file_as_compiled_in(nginx: Nginx, folder: Path) -> None:
    conf = folder / "bare.conf"
    conf.write_text("# pid /wrong;\nevents {}\n")
    assert Nginx(nginx.binary, conf).pid_file().is_absolute()
    conf.write_text('pid "/here/nginx.pid";\nevents {}\n')
    assert Nginx(nginx.binary, conf).pid_file() == Path("/here/nginx.pid")


def test_port_of_another_program_is_taken(nginx: Nginx, web: Web) -> None:
    web.start()
    master = nginx.master()
    assert master is not None
    own = nginx.sockets(master)
    here = {(web.address, web.http_port), (web.address, web.https_port)}
    assert taken_by_others(here, own) == []
    with socket.create_server((web.address, web.https_port)):
        (taken,) = taken_by_others(here, own)
        assert (taken.address, taken.port) == (web.address, web.https_port)
        assert f"pid {os.getpid()}" in taken.holder
        assert taken_by_others({("0.0.0.0", web.https_port)}, own) != []
        assert taken_by_others({("127.0.0.1", web.https_port), ("::", web.https_port)}, own) == []
    assert taken_by_others(here, own) == []
    assert nginx.sockets(2**22 + 1) == set()


def test_listener_on_every_address_is_in_the_way(web: Web) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        assert [one.port for one in taken_by_others({(web.address, port)}, ())] == [port]
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        other.listen()
        port = other.getsockname()[1]
        assert [one.port for one in taken_by_others({("::1", port)}, ())] == [port]
