"""Order and install nothing for a while."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel.autossl import options
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import servers


class Command(Base):
    help = "Pause AutoSSL on this server: nothing is ordered or installed until it is resumed; certificates stay served"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("switch", nargs="?", choices=["on", "off"], help="without: show how it is")

    def work(self, *, switch: str | None, **_: Any) -> int:
        server, now = servers.this(), timezone.now()
        if switch == "on":
            options.pause(server, by=None, now=now)
        elif switch == "off":
            options.resume(server, by=None, now=now)
        row = options.current(server)
        if row.paused_at is None:
            self.stdout.write("AutoSSL is not paused.")
        else:
            by = row.paused_by.username if row.paused_by else "the command line"
            self.stdout.write(f"AutoSSL is paused since {row.paused_at:%Y-%m-%d %H:%M} UTC by {by}.")
        return 0
