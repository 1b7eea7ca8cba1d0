"""What the Providers tab shows of each provider, read from rows by few questions. Nothing here writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, Func, OuterRef, QuerySet, Subquery
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel.autossl import census, drafts, log, offers, scoring
from autossl_panel.autossl.census import Census
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderChoice, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.scoring import Needs, Offer, Score
from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost

from . import provider_words

# What a preset notes of its CA (`ca.presets` knows no languages); a test holds the two together.
NOTES = (
    gettext_lazy("Free, no account needed beforehand."),
    gettext_lazy("For trials: browsers do not trust its certificates."),
    gettext_lazy("The EAB key serves once and within seven days. No internationalized names."),
    gettext_lazy("Orders may take minutes to hours."),
    gettext_lazy("One name and its www."),
    gettext_lazy("One name and its www; for P-256 and P-384 keys. Wildcards cost money."),
    gettext_lazy("One name and its www; for RSA keys. Wildcards cost money."),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A provider as the list shows it. `problem` belongs to `field`; what was typed is kept.

    `over`: sites that would lose names, being more than it takes; `private`: those that would, being not public.
    `users` have this provider whichever is in use. No `score`: a CA for trials, or one that nobody has reached.
    """

    provider: Provider
    account: Account | None
    chosen: bool = False
    field: str = ""
    problem: str = ""
    contact: str = ""
    agreed: bool = False
    only: bool = False
    eab_kid: str = ""
    offer: Offer | None = None
    score: Score | None = None
    users: int = 0

    @property
    def note(self) -> str:
        """What is worth knowing of the CA, in the language that is active."""
        text = str(self.provider.stated.get("note", ""))
        with translation.override(None):
            known = {str(one): one for one in NOTES}
        return str(known.get(text, text))

    @property
    def doing(self) -> str:
        """What a worker does with it now: checking, registering, roll, anew, agree, or nothing."""
        account = self.account
        if self.provider.state == ProviderState.CHECKING or drafts.pending(self.provider):
            return "checking"
        if account is None:
            return ""
        if account.wish is not None:
            return str(account.wish["do"])
        return "registering" if account.status == AccountStatus.REGISTERING else ""

    @property
    def busy(self) -> bool:
        return bool(self.doing)

    @property
    def registered(self) -> bool:
        return self.account is not None and bool(self.account.url)

    @property
    def terms_changed(self) -> bool:
        return self.registered and self.account is not None and self.account.terms_url != self.provider.terms_url

    @property
    def asks_eab(self) -> bool:
        return self.provider.eab_required and not self.registered

    @property
    def trial(self) -> bool:
        """Whether no browser trusts its certificates, as its preset says."""
        return bool(self.provider.stated.get("trial"))

    @property
    def over(self) -> int:
        return self.offer.over if self.offer is not None else 0

    @property
    def private(self) -> int:
        return self.offer.private if self.offer is not None else 0

    @property
    def down(self) -> bool:
        """Whether its CA fails, so that it is left alone for a while."""
        return self.offer is not None and self.offer.down

    @property
    def happened(self) -> str:
        """What came of asking its directory, where that was in vain; "" where it answered."""
        problem = self._unread
        return provider_words.happened(problem) if problem is not None else ""

    @property
    def to_do(self) -> str:
        """What a person can do about it."""
        problem = self._unread
        return provider_words.to_do(problem) if problem is not None else ""

    @property
    def _unread(self) -> Mapping[str, Any] | None:
        provider = self.provider
        if provider.state == ProviderState.REFUSED:
            return provider.problem or {}
        return provider.answer if provider.answer and provider.answer["ms"] is None else None

    @property
    def usable(self) -> bool:
        """Whether orders can be placed with it right now: what a fallback has to be."""
        account = self.account
        ready = self.provider.state == ProviderState.READY
        return ready and account is not None and account.status == AccountStatus.VALID and bool(account.url)


@dataclass(frozen=True, slots=True)
class Board:
    """All providers, and what this server asks of them."""

    rows: Sequence[Row]
    census: Census
    needs: Needs

    @property
    def current(self) -> Row | None:
        """The one that AutoSSL uses."""
        return next((row for row in self.rows if row.provider.active), None)

    @property
    def fallbacks(self) -> list[Row]:
        """Those that are asked where a site's own fails, in their order."""
        placed = [row for row in self.rows if row.provider.fallback is not None]
        return sorted(placed, key=lambda row: (row.provider.fallback, row.provider.name))

    @property
    def more_fallbacks(self) -> list[Row]:
        """Those that could be; the one in use is asked first anyway."""
        usable = (row for row in self.rows if row.usable and row.provider.fallback is None)
        return [row for row in usable if not row.provider.active]


def board(
    server: Server,
    now: datetime,
    typed: Mapping[str, Any],
    chosen: Provider | None = None,
    problem: ProviderProblem | None = None,
) -> Board:
    """Read the board; `chosen` is ticked, else the one in use, and a `problem` is its."""
    accounts = {account.provider_id: account for account in Account.objects.filter(server=server)}
    found = list(_providers(server))
    for provider in found:
        if provider.pk in accounts:
            accounts[provider.pk].provider = provider
    counted = census.count(server, now)
    needs = Needs(counted.sites, getattr(found[0], "wildcards", 0) if found else 0)
    only_private = 0
    if any(provider.private_ca for provider in found):
        # Users with a provider of their own do not follow the one that is chosen here.
        follow = {"user__provider_choice__isnull": True, "user__feature_list__provider_choice__isnull": True}
        only_private = census.only_private(VirtualHost.objects.filter(server=server, **follow))
    ticked = chosen or next((provider for provider in found if provider.active), None)
    rows = []
    for provider in found:
        account = accounts.get(provider.pk)
        field, text = _problem(provider, account, problem if provider == ticked else None)
        offer = offers.of(provider, account, counted, now, only_private=only_private)
        unknown = provider.stated.get("trial") or provider.state in (ProviderState.REFUSED, ProviderState.CHECKING)
        rows.append(
            Row(
                provider,
                account,
                provider == ticked,
                field,
                text,
                typed.get(f"contact-{provider.pk}", account.contact if account else ""),
                f"agree_terms-{provider.pk}" in typed,
                f"only-{provider.pk}" in typed,
                typed.get(f"eab_kid-{provider.pk}", provider.eab_kid),
                offer,
                None if unknown else scoring.score(offer, needs),
                getattr(provider, "own_users", 0) + getattr(provider, "list_users", 0),
            )
        )
    return Board(rows, counted, needs)


def row(provider: Provider, account: Account | None) -> Row:
    """One provider alone, for what is polled."""
    field, text = _problem(provider, account, None)
    return Row(provider, account, True, field, text)


def _providers(server: Server) -> QuerySet[Provider]:
    """Every provider, with how many users have it whichever is in use, and how many sites have names with a wildcard.

    The last is the same for each of them: asked here it costs no question of its own.
    """
    own = ProviderChoice.objects.filter(provider=OuterRef("pk"), user__gone_at__isnull=True)
    by_list = HostingUser.objects.filter(
        feature_list__provider_choice__provider=OuterRef("pk"), provider_choice__isnull=True, gone_at__isnull=True
    )
    there = VirtualHost.objects.filter(pk=OuterRef("virtual_host"), server=server, gone_at__isnull=True)
    wild = Domain.objects.filter(Exists(there), name__startswith="*.")
    if connection.vendor == "sqlite":
        # Its LIKE uses no index. Elsewhere the order of names is not that of their bytes.
        wild = wild.filter(name__gte="*.", name__lt="*/")
    return Provider.objects.defer("ca_bundle").annotate(
        own_users=_number(own), list_users=_number(by_list), wildcards=_number(wild, "virtual_host_id", distinct=True)
    )


def _number(rows: QuerySet[Any], column: str = "pk", *, distinct: bool = False) -> Subquery:
    """How many rows: a plain COUNT, which has no GROUP BY and so says 0 of none."""
    template = "%(function)s(DISTINCT %(expressions)s)" if distinct else "%(function)s(%(expressions)s)"
    output = Count("pk").output_field
    counted = Func(F(column), function="COUNT", template=template, output_field=output)
    return Subquery(rows.order_by().annotate(number=counted).values("number"))


def _problem(provider: Provider, account: Account | None, told: ProviderProblem | None) -> tuple[str, str]:
    """The field that is wrong and what is: just told, else what a worker found."""
    if told is not None:
        return told.field, told.text
    if provider.draft is not None and provider.draft["problem"] is not None:
        text = _("The change of its settings was refused, and what was set before is in force: %(text)s")
        return "draft", text % {"text": log.spoken(provider.draft["problem"]["text"])}
    # That of a valid account of the provider in use has a card of its own, with what can be done.
    told_here = account is not None and (
        account.status == AccountStatus.REFUSED or (account.status == AccountStatus.VALID and not provider.active)
    )
    for found in (
        account.problem if account is not None and told_here else None,
        provider.problem if provider.state == ProviderState.REFUSED else None,
    ):
        if found:
            return found["field"], log.spoken(found["text"])
    return "", ""
