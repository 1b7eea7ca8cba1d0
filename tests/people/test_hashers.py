"""Passwords are hashed by Argon2, in memory that the web process can spare."""

from __future__ import annotations

import re
import subprocess
import sys

from autossl_panel import settings
from autossl_panel.people.hashers import Argon2


def test_a_password_costs_at_least_what_owasp_asks_and_at_most_50_mb() -> None:
    hasher = Argon2()
    encoded = hasher.encode("correct horse battery", hasher.salt())
    found = re.search(r"^argon2\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$", encoded)
    assert found
    assert int(found[1]) * 1024 < 50e6
    assert int(found[1]) >= 46 * 1024
    assert int(found[2]) >= 1
    assert hasher.verify("correct horse battery", encoded)
    assert not hasher.verify("wrong horse battery", encoded)


def test_it_is_the_one_in_use() -> None:
    assert settings.PASSWORD_HASHERS == ["autossl_panel.people.hashers.Argon2"]


CROWD = """
import re, threading
from django.conf import settings
settings.configure()
from autossl_panel.people.hashers import Argon2
hasher = Argon2()
encoded = hasher.encode("correct horse battery", hasher.salt())
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = peak()
threads = [threading.Thread(target=hasher.verify, args=("wrong", encoded)) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(before, peak())
"""


def test_a_crowd_at_the_gate_takes_the_memory_of_one() -> None:
    """Else whoever posts eight wrong passwords at once has the web process grow by hundreds of megabytes."""
    done = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, check=True, timeout=120)
    before, after = (float(word) for word in done.stdout.split())
    assert after < before + 46, "MiB"
