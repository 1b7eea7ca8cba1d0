"""Another Pebble beside a box's own, with roots of its own, that sees the same names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autossl_panel.sandbox.addresses import free_port
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.pebble import Pebble, PebbleOptions
from autossl_panel.sandbox.processes import Processes


@contextmanager
def second_ca(box: Box, folder: Path) -> Iterator[Pebble]:
    """Started, and ended with the block."""
    processes = Processes()
    try:
        pebble = Pebble(
            processes,
            folder,
            address=box.address,
            port=free_port(box.address, 14200),
            management_port=free_port(box.address, 15200),
            resolver=box.resolver,
            http_port=box.http_port,
            https_port=box.https_port,
            options=PebbleOptions(),
        )
        pebble.wait()
        yield pebble
    finally:
        processes.stop()
