"""`make demo ONCE=1` as a script sees it: exit status, the last line, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


def test_demo_once(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    ran = subprocess.run(
        [sys.executable, "manage.py", "demo", "--once", "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "AUTOSSL_STATE_DIR": str(tmp_path / "unused")},
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
