"""The socket: who may speak, what is refused, what a lost connection means; and no private key in any answer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autossl_panel.helper import protocol, verbs
from autossl_panel.helper.client import Client, HelperGone, HelperProblem
from autossl_panel.helper.server import AlreadyRunning, Server
from autossl_panel.helper.settings import Settings, from_command_line
from tests.helper.conftest import Web, helper_for
from tests.helper.issuer import Issuer
from tests.support.patience import SECONDS

KEY = "example.com-0a1b2c3d"


def _raw(settings: Settings, line: bytes) -> dict[str, dict[str, str]]:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        caller.connect(str(settings.socket))
        # A refusal may come, and the helper hang up, before all of it is sent.
        with contextlib.suppress(BrokenPipeError):
            caller.sendall(line)
            caller.shutdown(socket.SHUT_WR)
        with caller.makefile("rb") as stream:
            answer: dict[str, dict[str, str]] = json.loads(stream.readline())
    return answer


def _request(verb: object, arguments: object) -> bytes:
    return json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"\x00\xff garbage\n", "bad_request"),
        (b"[" * 100_000 + b"\n", "bad_request"),
        (b"[]\n", "bad_request"),
        (b'{"verb": "status"}\n', "bad_request"),
        (_request("shutdown", {}), "unknown_verb"),
        (_request(["status"], {}), "unknown_verb"),
        (_request("status", {"path": "/etc/shadow"}), "bad_argument"),
        (_request("status", []), "bad_argument"),
        (_request("challenge_put", {"token": "../../etc/passwd-and-more", "body": "0" * 64}), "bad_argument"),
        (_request("challenge_put", {"token": "a" * 20, "body": "<script>" * 8}), "bad_argument"),
        (_request("challenge_put", {"token": "a" * 20 + "\n", "body": "0" * 64}), "bad_argument"),
        (_request("challenge_put", {"token": "short", "body": "0" * 64}), "bad_argument"),
        (_request("gen_csr", {"order": "../x", "key": KEY, "names": ["a.de"], "key_type": "p256"}), "bad_argument"),
        (
            _request("gen_csr", {"order": "x", "key": "../a-0a1b2c3d", "names": ["a.de"], "key_type": "p256"}),
            "bad_argument",
        ),
        (_request("gen_csr", {"order": "x", "key": KEY, "names": ["a b"], "key_type": "p256"}), "bad_argument"),
        (_request("gen_csr", {"order": "x", "key": KEY, "names": [], "key_type": "p256"}), "bad_argument"),
        (_request("gen_csr", {"order": "x", "key": KEY, "names": ["a.de"], "key_type": "rsa1024"}), "bad_argument"),
        (_request("stage", {"order": "x", "chain": "A" * (verbs.CHAIN_LIMIT + 1)}), "bad_argument"),
        (_request("activate", {"orders": [{"order": "x"}], "server_addresses": []}), "bad_argument"),
        (_request("attach", {"keys": ["x;rm -rf"], "extra_names": {}, "server_addresses": []}), "bad_argument"),
        (_request("attach", {"keys": [KEY], "extra_names": {}, "server_addresses": ["localhost"]}), "bad_argument"),
        (_request("register_thumbprint", {"thumbprint": "x"}), "bad_argument"),
        (b"no end of line", "too_large"),
    ],
)
def test_refused_with_a_code(server: Server, settings: Settings, line: bytes, code: str) -> None:
    assert _raw(settings, line)["error"]["code"] == code


def test_endless_request_is_cut_off(server: Server, settings: Settings) -> None:
    assert _raw(settings, b"x" * (protocol.MAX_REQUEST + 1))["error"]["code"] == "too_large"


def test_connection_survives_a_refusal(client: Client) -> None:
    with pytest.raises(HelperProblem):
        client.challenge_put("bad", "bad")
    assert client.status().pid == os.getpid()


def test_other_users_are_refused(server: Server, settings: Settings) -> None:
    server._allowed.clear()
    assert _raw(settings, _request("status", {}))["error"]["code"] == "not_allowed"


def test_socket_is_for_its_owner_only(server: Server, settings: Settings) -> None:
    assert stat.S_IMODE(settings.socket.stat().st_mode) == 0o600


def test_one_helper_a_folder(server: Server, settings: Settings) -> None:
    with pytest.raises(AlreadyRunning):
        Server(settings)


def test_no_helper_is_told(settings: Settings) -> None:
    with Client(settings.socket) as client, pytest.raises(HelperGone):
        client.status()


def test_answer_with_a_private_key_is_not_sent(server: Server, client: Client, settings: Settings) -> None:
    order = settings.folder / "quarantine" / "order-1"
    order.mkdir()
    (order / "why").write_text("nginx said: -----BEGIN PRIVATE KEY-----\nsecret")
    with pytest.raises(HelperProblem) as refused:
        client.status()
    assert refused.value.code == "internal"
    assert "secret" not in str(refused.value)


def test_socket_path_that_is_too_long_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        from_command_line(["--socket", "/" + "x" * 120], {})
    assert ended.value.code == 2
    assert "107" in capsys.readouterr().err


class Process:
    """A helper of its own process; ended by pid."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        chosen = self.settings
        command = [sys.executable, "-m", "autossl_panel.helper"]
        command += ["--helper-dir", str(chosen.folder), "--socket", str(chosen.socket)]
        command += ["--nginx-bin", chosen.nginx_binary, "--nginx-conf", str(chosen.nginx_conf)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with Client(self.settings.socket) as client:
                    client.status()
                return
            except HelperGone:
                time.sleep(0.02)
        raise AssertionError("the helper did not start")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def test_killed_helper_comes_back_under_the_same_client(settings: Settings) -> None:
    process = Process(settings)
    try:
        with Client(settings.socket) as client:
            csr = client.gen_csr("order-1", KEY, ("example.com",), "p256")
            process.end(signal.SIGKILL)
            with pytest.raises(HelperGone):
                client.gen_csr("order-1", KEY, ("example.com",), "p256")
            process.start()
            assert client.gen_csr("order-1", KEY, ("example.com",), "p256") == csr
    finally:
        assert process.end(signal.SIGTERM) == 0
    assert not settings.socket.exists()


def test_restarted_helper_is_found_by_a_kept_connection(settings: Settings) -> None:
    process = Process(settings)
    try:
        with Client(settings.socket) as client:
            first = client.status().pid
            process.end(signal.SIGKILL)
            process.start()
            assert client.status().pid != first
    finally:
        process.end(signal.SIGTERM)


def test_second_process_says_why_it_does_not_start(server: Server, settings: Settings) -> None:
    command = [sys.executable, "-m", "autossl_panel.helper", "--helper-dir", str(settings.folder)]
    command += ["--socket", str(settings.socket)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.returncode == 3
    assert "Another helper" in result.stderr


def test_folder_that_cannot_be_made_is_told(folder: Path) -> None:
    (folder / "file").write_text("")
    command = [sys.executable, "-m", "autossl_panel.helper", "--helper-dir", str(folder / "file" / "helper")]
    command += ["--socket", str(folder / "helper.sock")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert result.returncode == 1
    assert re.search(r"file.*Not a directory", result.stderr)


def _all_lines(settings: Settings, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(30)
        caller.connect(str(settings.socket))
        # A refusal may come, and the helper hang up, before all of it is sent.
        with contextlib.suppress(BrokenPipeError):
            caller.sendall(line)
            caller.shutdown(socket.SHUT_WR)
        with caller.makefile("rb") as stream:
            return stream.read()


def test_no_answer_of_any_verb_holds_a_private_key(web: Web) -> None:
    issuer = Issuer()
    chain, bought = issuer.pair("b.example.com")
    path = web.nginx.folder / "b.pem"
    path.write_bytes(bought + chain)
    web.put("a.example.com")
    web.nginx.put_site("b.example.com", web.tls_block("b.example.com", path, path))
    web.start()
    with helper_for(web.settings) as helper:
        keys = {site.name: site.key for site in helper.inventory().sites}
        key = keys["a.example.com"]
        issued = issuer.issue(helper.gen_csr("o1", key, ["a.example.com"], "p256")).decode()
        activation: dict[str, object] = {"order": "o1", "key": key, "expect_fingerprint": None, "extra_names": []}
        csr: dict[str, object] = {"order": "o1", "key": key, "names": ["a.example.com"], "key_type": "p256"}
        requests: list[tuple[str, dict[str, object]]] = [
            ("inventory", {"unless": None}),
            ("attach", {"keys": list(keys.values()), "extra_names": {}, "server_addresses": []}),
            ("gen_csr", csr),
            ("register_thumbprint", {"thumbprint": "x" * 43}),
            ("challenge_put", {"token": "t" * 20, "body": "t" * 20 + "." + "x" * 43}),
            ("challenge_del", {"tokens": ["t" * 20]}),
            ("stage", {"order": "o1", "chain": issued}),
            ("activate", {"orders": [activation], "server_addresses": []}),
            ("status", {}),
            ("rollback", {"orders": ["o1"]}),
            ("activate", {"orders": [activation], "server_addresses": []}),
            ("confirm", {"orders": ["o1"]}),
            ("inventory", {"unless": None}),
            ("prune", {"keep_orders": []}),
            ("detach", {"keys": None}),
        ]
        assert {verb for verb, _arguments in requests} == set(verbs.VERBS)
        answers = [_all_lines(web.settings, _request(verb, arguments)) for verb, arguments in requests]
        stored = web.settings.folder / "versions" / key
        secrets = [bought, *(one.read_bytes() for one in stored.glob("*/privkey.pem"))]
    assert len(secrets) == 2
    bodies = [b"".join(secret.splitlines()[1:-1]) for secret in secrets]
    for answer in answers:
        assert b'"error"' not in answer
        assert b"PRIVATE" not in answer
        assert not any(body[8:40] in answer.replace(b"\\n", b"") for body in bodies)
