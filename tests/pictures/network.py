"""A network namespace with the addresses that documents may name (RFC 5737), so that pictures show no loopback.

Nothing of the machine is changed, and nothing leaves it: the namespace has no way out.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

from autossl_panel.sandbox.addresses import Stand

OURS, OTHERS = "203.0.113.10", "198.51.100.7"
STAND = Stand(OURS, OTHERS, "203.0.113.20", "203.0.113.30")
_INSIDE = "AUTOSSL_PICTURES_INSIDE"
# ioctl numbers and flags of Linux' sockios.h and if.h
_SET_ADDRESS, _SET_MASK, _SET_FLAGS, _UP_AND_RUNNING = 0x8916, 0x891C, 0x8914, 0x41


def enter(module: str, arguments: list[str]) -> Stand | None:
    """Begin `module` anew in a namespace of its own; inside, the addresses to stand on.

    None where the machine lets nobody make one: the pictures then show loopback addresses and high ports.
    """
    if _INSIDE in os.environ:
        bring_up("lo", "127.0.0.1", "255.0.0.0")
        bring_up("lo:0", OURS, "255.255.255.0")
        bring_up("lo:1", OTHERS, "255.255.255.0")
        return STAND
    unshare = shutil.which("unshare")
    words = [unshare or "", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if unshare is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        return None
    again = [*words, sys.executable, "-m", module, *arguments]
    os.execve(unshare, again, {**os.environ, _INSIDE: "1"})


def bring_up(name: str, address: str, mask: str) -> None:
    """An address on the loopback interface, with all its network."""
    with socket.socket() as anything:
        for number, value in ((_SET_ADDRESS, address), (_SET_MASK, mask)):
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(anything, number, struct.pack("16s16s", name.encode(), packed))
        fcntl.ioctl(anything, _SET_FLAGS, struct.pack("16sh14x", name.encode(), _UP_AND_RUNNING))
