"""`make demo ONCE=1` as a script sees it: exit status, the last line, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from autossl_panel.sandbox.cases import CASES

ROOT = Path(__file__).resolve().parents[2]


def processes_naming(text: str) -> list[str]:
    """Command lines of running processes that contain this text, or whose environment does."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if (text in words or text in environment) and int(folder.name) != os.getpid():
            found.append(words)
    return found


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "manage.py", "demo", "--folder", str(folder), *words]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "AUTOSSL_STATE_DIR": str(tmp_path / "unused")}


def test_demo_once(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    ran = subprocess.run(
        command(folder, "--once"),
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-4000:]
    lines = ran.stdout.splitlines()
    result = json.loads(lines[-1])
    assert result.pop("seconds") > 0
    assert result == {
        "virtual_hosts": len(CASES),
        "secured": sum(case.end.state == "secured" for case in CASES),
        "served": sum(case.end.served for case in CASES),
        "as_expected": True,
    }
    assert "Every site ended as expected." in lines
    assert processes_naming(str(folder)) == []


def visit(suggestion: str) -> str:
    """What the suggested curl command does, by this process's own means: a page over TLS, verified by the CA's root."""
    found = re.search(r"--cacert (\S+) --connect-to ::([0-9.]+): https://([^:]+):([0-9]+)/", suggestion)
    assert found is not None, suggestion
    root, address, name, port = found.groups()
    context = ssl.create_default_context(cafile=root)
    with (
        socket.create_connection((address, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        return b"".join(iter(lambda: tls.recv(4096), b"")).decode()


@pytest.mark.slow
def test_demo_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    said: list[str] = []
    with subprocess.Popen(
        command(folder),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                said.append(line.rstrip())
                if line.startswith("Ctrl-C"):
                    break
            assert demo.poll() is None, said
            url = next(line for line in said if line.startswith("The panel: ")).removeprefix("The panel: ")
            with urllib.request.urlopen(url, timeout=20) as page:
                assert page.status == 200
            logins = [line for line in said if re.fullmatch(r"  (root|reseller|user): \w+, password \S{12}", line)]
            assert len(logins) == 3
            assert "<h1>alpenblick.example</h1>" in visit(next(line for line in said if line.startswith("A site: ")))
            demo.send_signal(signal.SIGINT)
            said += demo.stdout.read().splitlines()
            assert demo.wait(60) == 0
        finally:
            # Where an assertion failed above: its own processes end with it.
            demo.kill()
    assert said[-1] == "Stopping."
    assert processes_naming(str(folder)) == []
