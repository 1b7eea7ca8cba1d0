"""Names that their hosting users wish no certificate for."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel import names as domain_names
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import users
from autossl_panel.hosting.models import Exclusion


class Command(Base):
    help = "Exclude names from AutoSSL, include them again, or list what is excluded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in (("add", "exclude names"), ("remove", "include names again")):
            verbs.add_parser(verb, help=text).add_argument("names", nargs="+", metavar="NAME")
        verbs.add_parser("list", help="what is excluded").add_argument("names", nargs="*", metavar="NAME")

    def work(self, *, verb: str, names: list[str], **_: Any) -> int:
        now = timezone.now()
        if verb == "add":
            done = users.exclude(names, by=None, now=now)
        elif verb == "remove":
            done = users.include(names, by=None, now=now)
        else:
            rows = Exclusion.objects.select_related("user").order_by("name")
            wanted = {domain_names.normalize(name) for name in names}
            for row in rows:
                if not wanted or row.name in wanted:
                    self.stdout.write(f"{domain_names.to_unicode(row.name)}  {row.user.name}")
            return 0
        for name in done:
            self.stdout.write(f"{domain_names.to_unicode(name)}: {'excluded' if verb == 'add' else 'included again'}")
        return 0
