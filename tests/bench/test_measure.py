"""What the kernel says of real processes."""

from __future__ import annotations

import os
import subprocess
import sys

from bench import measure

HUNGRY = """
import sys
held = bytearray(60_000_000)
held = None
for number in range(3_000_000):
    pass
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_peak_and_cpu_of_a_process_and_its_place_in_the_tree() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        # The memory is given back by now; the peak stays.
        assert 60 < measure.peak_mb(child.pid) < 120
        assert 0.02 < measure.cpu_seconds([child.pid]) < 10
        assert child.pid in measure.tree(os.getpid())
        assert measure.tree(child.pid) == [child.pid]
        assert measure.parent(child.pid) == os.getpid()
        assert measure.command(child.pid)[:2] == [sys.executable, "-c"]
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    assert measure.peak_mb(child.pid) == 0
    assert measure.cpu_seconds([child.pid]) == 0
    assert measure.command(child.pid) == []


def test_the_machine_in_one_line() -> None:
    line = measure.machine()
    assert "\n" not in line
    assert "GB" in line
    assert "Python 3." in line
