"""What AutoSSL does for one hosting user."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import hosting_user, usage
from autossl_panel.hosting import servers, users
from autossl_panel.hosting.models import HostingUser, Setting
from autossl_panel.people.models import User


class Command(Base):
    help = "Set a hosting user's AutoSSL, suspension or owner, or where its notifications go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=Setting.values)
        set_.add_argument("--suspended", choices=["yes", "no"])
        set_.add_argument("--owner", metavar="PERSON", help="a reseller's login, or root")
        email = verbs.add_parser("email", help="where notifications for the user go")
        email.add_argument("name", metavar="NAME")
        email.add_argument("address", metavar="ADDRESS", help='an e-mail address, or "" for none')

    def work(self, *, verb: str, name: str, **options: Any) -> int:
        if verb == "set":
            return self._set(name=name, **options)
        row = hosting_user(servers.this(), name)
        users.set_email(row, options["address"], by=None)
        self.stdout.write(f"{row.name}: notifications go to {row.email or 'nobody'}")
        return 0

    def _set(self, *, name: str, autossl: str | None, suspended: str | None, owner: str | None, **_: Any) -> int:
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
