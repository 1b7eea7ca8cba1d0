"""What AutoSSL does for one hosting user."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel.autossl import choices
from autossl_panel.autossl.management.base import DEFAULT, hosting_user, provider_named, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import servers, users
from autossl_panel.hosting.models import HostingUser, Setting
from autossl_panel.people.models import User


class Command(Base):
    help = "Set a hosting user's AutoSSL, suspension, owner or provider, or where its notifications go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=Setting.values)
        set_.add_argument("--suspended", choices=["yes", "no"])
        set_.add_argument("--owner", metavar="PERSON", help="a reseller's login, or root")
        provider = verbs.add_parser("set-provider", help="the provider of this user's sites")
        provider.add_argument("name", metavar="NAME")
        provider.add_argument("provider", metavar="PROVIDER", help="“default”: the one of its feature list, or in use")

        email = verbs.add_parser("email", help="where notifications for the user go")
        email.add_argument("name", metavar="NAME")
        email.add_argument("address", metavar="ADDRESS", help='an e-mail address, or "" for none')

    def work(self, *, verb: str, name: str, **given: Any) -> int:
        if verb == "set-provider":
            return self._set_provider(name, given["provider"])
        if verb == "email":
            return self._set_email(name, given["address"])
        return self._set(name, given["autossl"], given["suspended"], given["owner"])

    def _set_email(self, name: str, address: str) -> int:
        row = hosting_user(servers.this(), name)
        users.set_email(row, address, by=None)
        self.stdout.write(f"{row.name}: notifications go to {row.email or 'nobody'}")
        return 0

    def _set_provider(self, name: str, provider: str) -> int:
        row = hosting_user(servers.this(), name)
        chosen = None if provider == DEFAULT else provider_named(provider)
        choices.choose_for_user(row, chosen, by=None, now=timezone.now())
        self.stdout.write(f"{row.name}: provider {provider}")
        return 0

    def _set(self, name: str, autossl: str | None, suspended: str | None, owner: str | None) -> int:
        if autossl is None and suspended is None and owner is None:
            usage("Nothing to set: give --autossl, --suspended or --owner.")
        row = hosting_user(servers.this(), name)
        person = None
        if owner is not None:
            person = User.objects.filter(username=owner).first()
            if person is None and owner != "root":
                usage(f"There is no person “{owner}”. Add one with: person add {owner} --role reseller")
        now = timezone.now()
        if owner is not None:
            users.set_owner(row, person, by=None)
        if autossl is not None:
            users.set_autossl(HostingUser.objects.filter(pk=row.pk), autossl, by=None, now=now)
        if suspended is not None:
            users.set_suspended(row, suspended == "yes", by=None, now=now)
        row = hosting_user(row.server, name)
        state = "on" if row.enabled else "off"
        self.stdout.write(
            f"{row.name}: AutoSSL {state} ({row.autossl}), {'suspended' if row.suspended else 'not suspended'}, "
            f"owner {row.owner.username if row.owner else 'root'}"
        )
        return 0
