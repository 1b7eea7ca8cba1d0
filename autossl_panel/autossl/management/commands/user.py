"""What AutoSSL does for one hosting user, whose it is, and who signs in for it."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction
from django.utils import timezone

from autossl_panel.autossl import choices
from autossl_panel.autossl.management.base import DEFAULT, hosting_user, provider_named, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.hosting import editing, servers, users
from autossl_panel.hosting.models import FeatureList, HostingUser, Setting
from autossl_panel.people.models import User

NONE = "none"
SETTABLE = ("autossl", "suspended", "owner", "login", "feature_list", "email")


class Command(Base):
    help = "Set a hosting user's AutoSSL, suspension, owner, login, feature list, provider or e-mail address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        set_ = verbs.add_parser("set")
        set_.add_argument("name", metavar="NAME")
        set_.add_argument("--autossl", choices=Setting.values)
        set_.add_argument("--suspended", choices=["yes", "no"])
        set_.add_argument("--owner", metavar="PERSON", help="a reseller's login, or root")
        set_.add_argument("--login", metavar="PERSON", help="who sees its sites, a person with the role user; or none")
        set_.add_argument("--feature-list", metavar="LIST", help="whose defaults it follows")
        set_.add_argument("--email", metavar="ADDRESS", help='where notifications go; "" for nowhere')

        provider = verbs.add_parser("set-provider", help="the provider of this user's sites")
        provider.add_argument("name", metavar="NAME")
        provider.add_argument("provider", metavar="PROVIDER", help="“default”: the one of its feature list, or in use")
        email = verbs.add_parser("email", help="where notifications for the user go")
        email.add_argument("name", metavar="NAME")
        email.add_argument("address", metavar="ADDRESS", help='an e-mail address, or "" for none')

    def work(self, *, verb: str, name: str, **options: Any) -> int:
        if verb == "set-provider":
            return self._set_provider(name, options["provider"])
        if verb == "email":
            return self._set_email(name, options["address"])
        return self._set(name, options)

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

    def _set(self, name: str, options: dict[str, Any]) -> int:
        given = {key: options[key] for key in SETTABLE if options[key] is not None}
        if not given:
            usage("Nothing to set: give --autossl, --suspended, --owner, --login, --feature-list or --email.")
        row = hosting_user(servers.this(), name)
        wish, now = _wish(row, given), timezone.now()
        with transaction.atomic():
            if "autossl" in given:
                users.set_autossl(HostingUser.objects.filter(pk=row.pk), given["autossl"], by=None, now=now)
            editing.change(row, wish, by=None, now=now)
        row = hosting_user(row.server, name)
        more = [f"login {row.login.username}" if row.login else "", f"e-mail {row.email}" if row.email else ""]
        state = "on" if row.enabled else "off"
        self.stdout.write(
            f"{row.name}: AutoSSL {state} ({row.autossl}), {'suspended' if row.suspended else 'not suspended'}, "
            + ", ".join(filter(None, [f"owner {row.owner.username if row.owner else 'root'}", *more]))
        )
        return 0


def _wish(row: HostingUser, given: dict[str, str]) -> editing.Wish:
    """What the user is, with what was given in its place; what does not exist is wrong usage."""
    owner, login, feature_list = row.owner, row.login, row.feature_list
    if "owner" in given:
        owner = User.objects.filter(username=given["owner"]).first()
        if owner is None and given["owner"] != "root":
            usage(f"There is no person “{given['owner']}”. Add one with: person add {given['owner']} --role reseller")
    if "login" in given:
        login = User.objects.filter(username=given["login"]).first() if given["login"] != NONE else None
        if login is None and given["login"] != NONE:
            usage(f"There is no person “{given['login']}”. Add one with: person add {given['login']} --role user")
    if "feature_list" in given:
        found = FeatureList.objects.filter(name=given["feature_list"]).first()
        if found is None:
            usage(
                f"There is no feature list “{given['feature_list']}”. Make it with: feature-list set NAME --autossl on"
            )
        feature_list = found
    suspended = given["suspended"] == "yes" if "suspended" in given else row.suspended
    return editing.Wish(owner, login, feature_list, given.get("email", row.email), suspended)
