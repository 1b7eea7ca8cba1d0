"""What the sites of a server are decided with beside their own facts, read once for many sites: the options with each
provider, who has which provider, the fallbacks, the exclusion patterns.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.db.models import Q

from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.models import HostingUser, Server

from . import options as option_rows
from .facts import PolicyOptions, ProviderFacts
from .models import Account, AccountStatus, Options, ProviderChoice, ProviderState
from .policy import Candidate, ProviderHealth

# What an account that was refused waits for, by its problem's code; anything else is the account's own
STOPS = {"terms": "ca_terms", "eab": "ca_eab"}
# Users that are named one by one in a question to the database
FEW = 500


@dataclass(frozen=True, slots=True)
class Policies:
    """The options that the sites of one server are decided with; sites with the same provider share one object."""

    default: PolicyOptions
    by_user: Mapping[int, PolicyOptions] = field(default_factory=dict)
    by_list: Mapping[int, PolicyOptions] = field(default_factory=dict)
    by_provider: Mapping[str, PolicyOptions] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    health: Mapping[str, ProviderHealth] = field(default_factory=dict)
    patterns: exclusion_patterns.Patterns = field(default_factory=exclusion_patterns.Patterns)
    accounts: Mapping[int, Account] = field(default_factory=dict)

    @property
    def provider(self) -> ProviderFacts | None:
        """The active provider; None where AutoSSL is disabled for all."""
        return self.default.provider

    def of(self, user_id: int, feature_list_id: int) -> PolicyOptions:
        """The options of a hosting user's sites: its own choice, else its feature list's, else the active provider."""
        return self.by_user.get(user_id) or self.by_list.get(feature_list_id) or self.default

    def at(self, provider: str) -> PolicyOptions:
        """The options with another provider, for a site that its own cannot serve. Raises KeyError."""
        return self.by_provider[provider]

    def only(self, options: PolicyOptions) -> "Policies":
        """These policies as if every site had these options."""
        return replace(self, default=options, by_user={}, by_list={})

    def faring(self, provider: str, health: ProviderHealth) -> "Policies":
        """These policies with what was just found out of a provider."""
        return replace(self, health={**self.health, provider: health})

    def candidates(self, own: PolicyOptions) -> tuple[Candidate, ...]:
        """The provider of these options, then the fallbacks in their order: what `policy.choose` chooses from."""
        if own.provider is None:
            return ()
        first = own.provider.name
        names = dict.fromkeys((first, *self.fallbacks))
        return tuple(
            Candidate(options.provider, self.health.get(name, ProviderHealth()))
            for name in names
            if (options := own if name == first else self.by_provider.get(name)) and options.provider is not None
        )


def read(server: Server, users: Collection[int] | None = None) -> Policies:
    """The policies of a server as its rows say now: four short queries, however many sites there are.

    `users`: the hosting users that they are for, where not for all: nobody else's choice of a provider is read.
    """
    choices = ProviderChoice.objects.filter(_of(users)).values_list("user", "feature_list", "provider")
    return _assemble(option_rows.current(server), accounts_of(server), choices, exclusion_patterns.load(server))


def _of(users: Collection[int] | None) -> Q:
    """The choices of feature lists, and of these hosting users; of very many, those between them are not worth a word
    each.
    """
    if users is None:
        return Q()
    own = Q(user__in=users) if len(users) <= FEW else Q(user__gte=min(users), user__lte=max(users))
    return own | Q(feature_list__isnull=False)


def for_user(user: HostingUser, accounts: Sequence[Account]) -> Policies:
    """The policies as far as one hosting user is concerned, whose server has these `accounts`.

    One query, where options and choices of a provider were fetched with the user.
    """
    row = getattr(user.server, "options", None) or option_rows.current(user.server)
    choices: list[tuple[int | None, int | None, int]] = []
    if own := getattr(user, "provider_choice", None):
        choices.append((user.pk, None, own.provider_id))
    if of_list := getattr(user.feature_list, "provider_choice", None):
        choices.append((None, user.feature_list_id, of_list.provider_id))
    return _assemble(row, accounts, choices, exclusion_patterns.load(user.server))


def accounts_of(server: Server) -> list[Account]:
    """The registered accounts of a server with their providers."""
    return list(Account.objects.select_related("provider").filter(server=server).exclude(url=""))


def _assemble(
    row: Options,
    accounts: Sequence[Account],
    choices: Iterable[tuple[int | None, int | None, int]],
    patterns: exclusion_patterns.Patterns,
) -> Policies:
    active = next((account for account in accounts if account.provider.active), None)
    default = PolicyOptions(
        provider=None,
        replace_foreign=row.replace_foreign,
        key_type=row.key_type,
        reissue_confirmed=row.reissue,
        # This host has one clock: the CA that is asked all the time tells how it goes.
        clock_offset=timedelta(seconds=active.provider.clock_offset if active is not None else 0),
        paused=row.paused_at is not None,
    )
    if active is None:
        # Disabled is disabled, whoever chose a provider for whom.
        return Policies(default, patterns=patterns)
    options = {account.provider_id: replace(default, provider=facts_of(account)) for account in accounts}
    by_user: dict[int, PolicyOptions] = {}
    by_list: dict[int, PolicyOptions] = {}
    for user_id, list_id, provider_id in choices:
        # A chosen provider that has lost its account here leaves its sites to the next choice.
        if provider_id in options:
            if user_id is not None:
                by_user[user_id] = options[provider_id]
            elif list_id is not None:
                by_list[list_id] = options[provider_id]
    ready = [
        account.provider
        for account in accounts
        if account.status == AccountStatus.VALID and account.provider.state == ProviderState.READY
    ]
    return Policies(
        options[active.provider_id],
        by_user,
        by_list,
        {account.provider.name: options[account.provider_id] for account in accounts},
        tuple(
            provider.name
            for provider in sorted(ready, key=lambda one: one.fallback or 0)
            if provider.fallback is not None
        ),
        {account.provider.name: health_of(account) for account in accounts},
        patterns,
        {account.pk: account for account in accounts},
    )


def facts_of(account: Account) -> ProviderFacts:
    """A provider's row, with its account on a server, as decisions see it."""
    row = account.provider
    days = row.stated.get("validity_days")
    lifetime = timedelta(days=days) if days else None
    if row.issued_lifetime:
        lifetime = timedelta(seconds=row.issued_lifetime)
    return ProviderFacts(
        name=row.name,
        max_names=row.max_names,
        wildcard=bool(row.stated.get("wildcard", False)),
        renew_fraction=row.renew_fraction,
        private_ca=row.private_ca,
        profile=row.profile,
        lifetime=lifetime,
        caa_identities=tuple(row.caa_identities),
        row=row.pk,
        account=account.pk,
        title=str(row),
    )


def health_of(account: Account) -> ProviderHealth:
    """How an account fares."""
    stopped = ""
    if account.status == AccountStatus.REFUSED:
        stopped = STOPS.get((account.problem or {}).get("code", ""), "ca_account")
    return ProviderHealth(account.faults, account.down_since, account.down_until, stopped)
