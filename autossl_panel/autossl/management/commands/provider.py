"""Providers on the command line: added after their directory answered, used after registration."""

from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from autossl_panel.autossl import choices, drafts, limits, profiles, providers, registration, renewing
from autossl_panel.autossl.limits import changing
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import failed, plural, provider_named, table, usage
from autossl_panel.autossl.management.limits import show_limits
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderState
from autossl_panel.hosting import servers


class Command(Base):
    help = "Add a CA by its ACME directory, use one, or list what there is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="probe a directory and add it")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--directory", required=True, metavar="URL")
        add.add_argument("--ca-bundle", metavar="FILE", help="certificates that the directory's own is checked against")
        add.add_argument("--private-ca", action="store_true", help="lifts the rules for public names and addresses")
        add.add_argument("--eab-kid", default="", metavar="K")
        add.add_argument("--eab-hmac-key", default="", metavar="H")
        add.add_argument("--max-names", type=int, default=100, metavar="N", help="names in one certificate")
        use = verbs.add_parser("use", help="register with a provider and use it from now on")
        use.add_argument("name", metavar="NAME")
        use.add_argument("--agree-tos", action="store_true", help="agree to its terms of service")
        use.add_argument(
            "--contact", default="", metavar="MAIL", help="the account's address, if the CA shall have one"
        )
        use.add_argument(
            "--register-only", action="store_true", help="for fallbacks and single users: the one in use stays"
        )
        profile = verbs.add_parser("profile", help="order certificates of a profile that its directory offers")
        profile.add_argument("name", metavar="NAME")
        profile.add_argument("profile", metavar="PROFILE", nargs="?", help="none: what the CA gives by itself")
        renew = verbs.add_parser("renew", help="when its certificates are renewed")
        renew.add_argument("name", metavar="NAME")
        renew.add_argument(
            "percent", metavar="PERCENT", nargs="?", help="of the lifetime left, 10 to 90; none: a third"
        )
        roll = verbs.add_parser("roll-key", help="give the account another key; orders and certificates stay")
        roll.add_argument("name", metavar="NAME")
        anew = verbs.add_parser("register-anew", help="a new account with a new key, where the old one is lost")
        anew.add_argument("name", metavar="NAME")
        anew.add_argument("--agree-tos", action="store_true", help="agree to its terms of service")
        anew.add_argument("--eab-kid", default="", metavar="K")
        anew.add_argument("--eab-hmac-key", default="", metavar="H")
        limits = verbs.add_parser("limits", help="what a CA allows, and how much of it is used")
        limits.add_argument("name", metavar="NAME")
        limits.add_argument(
            "--set", dest="values", nargs="+", default=[], metavar="KIND=LIMIT",
            help="what this CA allows you: orders=300/3h, consecutive=1152, domain=none",
        )  # fmt: skip
        limits.add_argument("--reset", action="store_true", help="go by what the CA publishes again")
        limits.add_argument(
            "--start-spent", action="store_true", help="this machine was set back or copied, disk and all"
        )
        limits.add_argument("--unpause", metavar="DOMAIN", help="a paused name is mended at the CA")
        fallback = verbs.add_parser("fallback", help="which providers are asked, in order, where a site's own fails")
        fallback.add_argument("names", nargs="*", metavar="NAME", help="without any: show the order")
        fallback.add_argument("--none", action="store_true", help="no other provider is asked")
        verbs.add_parser("list", help="all providers")

    def work(self, *, verb: str, **options: Any) -> int:
        registration.seed()
        if verb == "add":
            return self._add(**options)
        if verb == "use":
            return self._use(**options)
        if verb == "profile":
            return self._profile(**options)
        if verb == "renew":
            return self._renew(**options)
        if verb == "roll-key":
            return self._roll_key(**options)
        if verb == "register-anew":
            return self._register_anew(**options)
        if verb == "limits":
            return self._limits(**options)
        if verb == "fallback":
            return self._fallback(**options)
        return self._list()

    def _add(self, *, name: str, directory: str, ca_bundle: str | None, **options: Any) -> int:
        bundle = ""
        if ca_bundle:
            try:
                bundle = Path(ca_bundle).read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not a text of certificates in PEM form"
                usage(f"--ca-bundle {ca_bundle}: {reason}")
        before = Provider.objects.filter(name=name).first()
        wish = providers.Draft(
            name=name,
            directory_url=directory,
            ca_bundle=bundle,
            private_ca=options["private_ca"],
            eab_kid=options["eab_kid"],
            eab_hmac_key=options["eab_hmac_key"],
            max_names=options["max_names"],
        )
        provider = registration.probe(providers.draft(wish, by=None, ring=False))
        problem = drafts.problem(provider)
        if problem is not None:
            providers.take_back(provider, before, by=None)
            failed(f"{directory}: {_text(problem)}")
        self.stdout.write(f"{provider.name}: ready{self._notes(provider)}")
        return 0

    @staticmethod
    def _notes(provider: Provider) -> str:
        notes = []
        if provider.terms_url:
            notes.append(f"terms of service {provider.terms_url}")
        if provider.eab_required:
            notes.append("needs external account binding")
        return "".join(f", {note}" for note in notes)

    def _use(self, *, name: str, agree_tos: bool, contact: str, register_only: bool, **_: Any) -> int:
        provider = provider_named(name)
        if provider.state != ProviderState.READY and registration.probe(provider).state != ProviderState.READY:
            failed(f"{provider.directory_url}: {_text(provider.problem)}")
        account = providers.ask_to_use(
            provider,
            servers.this(),
            agree_terms=agree_tos,
            contact=contact,
            by=None,
            ring=False,
            use=provider.active or not register_only,
        )
        account = registration.register(account)
        if account.status != AccountStatus.VALID:
            failed(f"{provider.name}: {_text(account.problem)}")
        then = "in use from now on" if account.use_then else "at hand for fallbacks and for users of their own choice"
        self.stdout.write(f"{provider.name}: registered as {account.url}, {then}")
        return 0

    def _profile(self, *, name: str, profile: str | None, **_: Any) -> int:
        provider = provider_named(name)
        # The list that counts is the CA's present one.
        if registration.probe(provider).state != ProviderState.READY:
            failed(f"{provider.directory_url}: {_text(provider.problem)}")
        limit = profiles.names_of_profile(provider, profile or "")
        over = profiles.sites_over(limit) if limit is not None else 0
        row = profiles.set_profile(provider, profile or "", by=None)
        self.stdout.write(f"{row.name}: {f'profile {profile}' if profile else 'no profile'}, {row.max_names} names")
        if over:
            sites = plural(over, "site")
            self.stderr.write(f"{sites} with more than {limit} names will lose some at the next renewal.")
        return 0

    def _renew(self, *, name: str, percent: str | None, **_: Any) -> int:
        row = renewing.set_percent(provider_named(name), percent or "", by=None, now=timezone.now())
        left = renewing.percent(row)
        when = (
            f"{left} % of their life are"
            if left is not None
            else "a third of their life is (half of lives under ten days)"
        )
        self.stdout.write(f"{row.name}: certificates are renewed when {when} left; where the CA says when (ARI), then")
        return 0

    def _roll_key(self, *, name: str, **_: Any) -> int:
        provider = provider_named(name)
        account = providers.ask_to_roll(provider, servers.this(), by=None, ring=False)
        self._carry_out(account)
        if account.problem and account.problem["code"] == "roll":
            failed(f"{provider.name}: {account.problem['text']}")
        self.stdout.write(f"{provider.name}: {account.url} has another key")
        return 0

    def _register_anew(self, *, name: str, agree_tos: bool, eab_kid: str, eab_hmac_key: str, **_: Any) -> int:
        provider = provider_named(name)
        if eab_kid or eab_hmac_key:
            providers.bind(provider, eab_kid, eab_hmac_key, by=None)
        account = providers.ask_to_register_anew(provider, servers.this(), agree_terms=agree_tos, by=None, ring=False)
        self._carry_out(account)
        if account.status != AccountStatus.VALID:
            failed(f"{provider.name}: {_text(account.problem)}")
        self.stdout.write(f"{provider.name}: registered anew as {account.url}")
        return 0

    def _carry_out(self, account: Account) -> None:
        """Do what was asked for, in the foreground."""
        if not registration.carry_out(account):
            failed("Orders are in hand with this account's key. It is done as soon as they have ended.")

    def _limits(self, *, name: str, values: list[str], reset: bool, unpause: str | None, **options: Any) -> int:
        provider = provider_named(name)
        if reset and values:
            usage("--set and --reset do not go together.")
        if reset:
            changing.reset(provider, by=None)
        elif values:
            changing.change(provider, dict(_pair(value) for value in values), by=None)
        account = Account.objects.select_related("provider").filter(provider=provider, server=servers.this()).first()
        if options["start_spent"]:
            if account is None:
                usage(f"{provider.name}: there is no account yet.")
            limits.start_spent(account, now=timezone.now() + timedelta(seconds=provider.clock_offset), by=None)
            account.refresh_from_db()
        if unpause and (account is None or not limits.unpause(account, unpause.strip().lower(), by=None)):
            usage(f"“{unpause}” is not paused at {provider.name}.")
        show_limits(self.stdout, provider, account)
        return 0

    def _fallback(self, *, names: list[str], none: bool, **_: Any) -> int:
        if names and none:
            usage("Give names or --none.")
        if names or none:
            choices.set_fallbacks([provider_named(name) for name in names], by=None)
        order = [provider.name for provider in choices.fallbacks()]
        self.stdout.write(f"Where a site's own provider fails: {', '.join(order) or 'no other is asked'}")
        return 0

    def _list(self) -> int:
        accounts = {account.provider_id: account for account in Account.objects.filter(server=servers.this())}
        table(
            self.stdout,
            ("", "NAME", "STATE", "NAMES", "PROFILE", "ACCOUNT", "FALLBACK", "DIRECTORY"),
            [
                (
                    "*" if provider.active else "",
                    provider.name,
                    provider.state,
                    provider.max_names,
                    provider.profile or "-",
                    accounts[provider.pk].status if provider.pk in accounts else "-",
                    provider.fallback or "-",
                    provider.directory_url,
                )
                for provider in Provider.objects.all()
            ],
        )
        return 0


def _pair(value: str) -> tuple[str, str]:
    kind, equals, limit = value.partition("=")
    if not equals:
        usage(f"--set {value}: write it like orders=300/3h.")
    return kind.strip(), limit


def _text(problem: dict[str, str] | None) -> str:
    return problem["text"] if problem else "refused"
