"""Feature lists: named defaults that hosting users follow."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction
from django.utils import timezone

from autossl_panel.autossl import choices
from autossl_panel.autossl.management.base import DEFAULT, provider_named, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import users
from autossl_panel.hosting.models import FeatureList


class Command(Base):
    help = "Make a feature list, or change what it says of AutoSSL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=["on", "off"])
        set_.add_argument("--provider", metavar="NAME", help="for its users' sites; “default”: the provider in use")

    def work(self, *, name: str, autossl: str | None, provider: str | None, **_: Any) -> int:
        if autossl is None and provider is None:
            usage("Nothing to set: give --autossl or --provider.")
        now = timezone.now()
        chosen = provider_named(provider) if provider not in (None, DEFAULT) else None
        row = FeatureList.objects.filter(name=name.strip()).first()
        if row is None and autossl is None:
            usage(f"There is no feature list “{name}”. Make one with --autossl on or off.")
        with transaction.atomic():
            if autossl is not None:
                row = users.set_feature_list(name, autossl == "on", by=None, now=now)
            assert row is not None
            if provider is not None:
                choices.choose_for_feature_list(row, chosen, by=None, now=now)
        said = "" if provider is None else f", provider {provider}"
        self.stdout.write(f"{row.name}: AutoSSL {'on' if row.autossl else 'off'}{said}")
        return 0
