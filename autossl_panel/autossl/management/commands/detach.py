"""Take everything of the panel's out of the web server's configuration."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction
from django.utils import timezone

from autossl_panel.autossl import foreground, inventory
from autossl_panel.autossl.management.base import FAILED, plural, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.names import sought
from autossl_panel.people import audit


class Command(Base):
    help = (
        "Take the panel's lines out of the web server's configuration, of all sites or of one: the files are then as "
        "if it had never been there. Certificates stay on disk."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="one site; without it, all")

    def work(self, *, name: str | None, **_: Any) -> int:
        server = servers.this()
        keys = None
        if name is not None:
            keys = list(VirtualHost.objects.filter(server=server, name=sought(name)).values_list("key", flat=True))
            if not keys:
                usage(f"There is no site “{name}”. See autossl_status for what there is.")
        hosts = VirtualHost.objects.filter(server=server)
        # First of all: what is found detached without this, another tool has done, and is mended within a minute.
        with transaction.atomic():
            (hosts if keys is None else hosts.filter(key__in=keys)).update(attached=False)
            audit.record(None, "site:detached", name or "", after=None if name else {"sites": hosts.count()})
        with foreground.helper() as helper:
            results = helper.detach(keys)
            inventory.refresh(server, helper, now=timezone.now())
        bad = {key: result for key, result in results.items() if not result.ok}
        for key, result in sorted(bad.items()):
            where = f" ({result.file}:{result.line})" if result.file else ""
            self.stderr.write(f"{key}: {result.text}{where}")
        done = [key for key in results if key not in bad]
        self.stdout.write(f"{plural(len(done), 'site')} detached.")
        if done and foreground.workers_alive(server):
            self.stderr.write("The panel is running: its next check attaches them again, unless you stop it first.")
        return FAILED if bad else 0
