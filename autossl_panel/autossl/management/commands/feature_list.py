"""Feature lists: named defaults that hosting users follow."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import users


class Command(Base):
    help = "Make a feature list, or change what it says of AutoSSL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=["on", "off"], required=True)

    def work(self, *, name: str, autossl: str, **_: Any) -> int:
        row = users.set_feature_list(name, autossl == "on", by=None, now=timezone.now())
        self.stdout.write(f"{row.name}: AutoSSL {'on' if row.autossl else 'off'}")
        return 0
