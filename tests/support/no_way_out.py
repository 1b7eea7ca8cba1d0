"""A test begun anew in a network namespace of its own, which has loopback and no route to anywhere: what the kernel of
a host without a way out says is heard there. Nothing of the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.pictures.network import bring_up

_INSIDE = "AUTOSSL_TEST_NO_WAY_OUT"


def is_inside() -> bool:
    """Whether this process is in such a namespace; its loopback is up then."""
    if _INSIDE not in os.environ:
        return False
    bring_up("lo", "127.0.0.1", "255.0.0.0")
    return True


def passes_inside(test: pytest.Item) -> bool:
    """Run the same test inside, and fail where it does; False where the machine lets nobody make a namespace."""
    unshare = shutil.which("unshare")
    words = [unshare or "", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if unshare is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        return False
    command = [*words, sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", test.nodeid]
    done = subprocess.run(
        command, cwd=test.config.rootpath, env={**os.environ, _INSIDE: "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout
    return True
