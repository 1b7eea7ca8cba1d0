"""Read the web server's configuration and bring the rows in step."""

from typing import Any

from django.utils import timezone

from autossl_panel.autossl import foreground, inventory
from autossl_panel.autossl.management.base import FAILED, plural
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import servers


class Command(Base):
    help = "Read the web server's configuration: which sites there are, with which names, and whose they are."

    def work(self, **_: Any) -> int:
        server = servers.this()
        with foreground.helper() as helper:
            changes = inventory.refresh(server, helper, now=timezone.now())
        if changes.problem is not None:
            where = f"{changes.problem['file']}:{changes.problem['line']}: " if changes.problem["file"] else ""
            self.stderr.write(f"{where}{changes.problem['text']}")
            self.stderr.write("Nothing was changed: the sites are as they were.")
            return FAILED
        if changes.unchanged:
            self.stdout.write(f"No configuration file changed since {server.inventory_at:%Y-%m-%d %H:%M:%S} UTC.")
            return 0
        for told in changes.told:
            self.stdout.write(f"{told['name']}: {told['text']} ({told['file']}:{told['line']})")
        self.stdout.write(
            f"{plural(changes.sites, 'site')} of {plural(changes.users, 'user')}: {len(changes.appeared)} new, "
            f"{len(changes.changed)} changed, {len(changes.gone)} gone."
        )
        return 0
