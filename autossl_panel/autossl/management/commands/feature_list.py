"""Feature lists: named defaults that hosting users follow."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from autossl_panel.autossl import choices
from autossl_panel.autossl.management.base import DEFAULT, plural, provider_named, table, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import feature_lists
from autossl_panel.hosting.models import FeatureList, Setting


class Command(Base):
    help = "Make a feature list, change what it says of AutoSSL or its provider, rename or remove one, or list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set", help="make a list, or change what it says")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=["on", "off"])
        set_.add_argument("--provider", metavar="NAME", help="for its users' sites; “default”: the provider in use")
        rename = verbs.add_parser("rename", help="give a list another name")
        rename.add_argument("name", metavar="NAME")
        rename.add_argument("new", metavar="NEW")
        remove = verbs.add_parser("remove", help="remove a list")
        remove.add_argument("name", metavar="NAME")
        remove.add_argument("--move-to", metavar="LIST", help="the list that its users get")
        verbs.add_parser("list", help="the lists, with how many users have and follow them")

    def work(self, *, verb: str, name: str = "", **options: Any) -> int:
        now = timezone.now()
        if verb == "list":
            self._list()
        elif verb == "set":
            self._set(name, options["autossl"], options["provider"])
        elif verb == "rename":
            row = _known(name)
            feature_lists.rename(row, options["new"], by=None)
            self.stdout.write(f"{name}: is called {row.name} now")
        else:
            target = _known(options["move_to"]) if options["move_to"] else None
            moved = feature_lists.remove(_known(name), move_to=target, by=None, now=now)
            more = f", {plural(moved, 'user')} moved to {target.name}" if target and moved else ""
            self.stdout.write(f"{name}: removed{more}")
        return 0

    def _set(self, name: str, autossl: str | None, provider: str | None) -> None:
        if autossl is None and provider is None:
            usage("Nothing to set: give --autossl or --provider.")
        now = timezone.now()
        chosen = provider_named(provider) if provider not in (None, DEFAULT) else None
        row = FeatureList.objects.filter(name=name.strip()).first()
        if row is None and autossl is None:
            usage(f"There is no feature list “{name}”. Make one with --autossl on or off.")
        with transaction.atomic():
            if autossl is not None:
                row = feature_lists.set_feature_list(name, autossl == "on", by=None, now=now)
            assert row is not None
            if provider is not None:
                choices.choose_for_feature_list(row, chosen, by=None, now=now)
        said = "" if provider is None else f", provider {provider}"
        self.stdout.write(f"{row.name}: AutoSSL {'on' if row.autossl else 'off'}{said}")

    def _list(self) -> None:
        follows = Q(users__autossl=Setting.FEATURE_LIST)
        rows = FeatureList.objects.annotate(all=Count("users"), follow=Count("users", filter=follows)).order_by("name")
        table(
            self.stdout,
            ("NAME", "AUTOSSL", "USERS", "FOLLOW"),
            [(row.name, "on" if row.autossl else "off", row.all, row.follow) for row in rows],
        )


def _known(name: str) -> FeatureList:
    found = FeatureList.objects.filter(name=name).first()
    if found is None:
        usage(f"There is no feature list “{name}”. See: feature-list list")
    return found
