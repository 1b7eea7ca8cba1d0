"""Let AutoSSL replace a site's certificate of somebody else's once it is no good."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel import names
from autossl_panel.autossl import takeover
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import usage
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import VirtualHost


class Command(Base):
    help = "Let AutoSSL replace a site's certificate from elsewhere, once that is defective or about to expire."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("site", metavar="SITE", help="the site's first name")
        parser.add_argument("switch", choices=["on", "off"])

    def work(self, *, site: str, switch: str, **_: Any) -> int:
        try:
            name = names.normalize(site)
        except names.NameProblem as problem:
            usage(f"SITE: {problem.text}")
        row = VirtualHost.objects.filter(server=servers.this(), name=name, gone_at__isnull=True).first()
        if row is None:
            usage(f"There is no site “{site}”. A site goes by its first name; run discover if it is new.")
        takeover.set_takeover(row, switch == "on", by=None, now=timezone.now())
        self.stdout.write(f"{names.to_unicode(name)}: AutoSSL takes over: {'yes' if row.takeover else 'no'}")
        return 0
