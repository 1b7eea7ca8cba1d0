"""Rehearsals as rows: where a provider's CA lets one rehearse, what is asked for, what is kept. What needs the network
is in `rehearsing`, done by a worker.

The staging directory has a row among the providers like any other CA, so that its account, key, terms and limits are
its own; that row is registered with only, never used for this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.names import NameProblem, normalize
from autossl_panel.people import audit
from autossl_panel.people.models import User

from . import directory_urls, leases, log, providers
from .log.render import Line
from .models import (
    Account,
    AccountStatus,
    Level,
    Provider,
    ProviderState,
    Rehearsal,
    RehearsalLine,
    RehearsalSite,
)
from .providers import Draft, ProviderProblem

# Sites of one rehearsal: what a worker gets through while others wait for it
MOST = 10
LATE = timedelta(seconds=10)
RING_EVERY = timedelta(seconds=20)
WORK = "autossl_panel.autossl.tasks.rehearse"


# --- where ------------------------------------------------------------------------------------------------------------


def directory_of(provider: Provider) -> str:
    """The staging directory of a provider's CA: what an admin set, else what its preset knows; "" without any."""
    return provider.staging_url or str(provider.stated.get("staging", ""))


def set_directory(provider: Provider, url: str, *, by: User | None) -> None:
    """Say where this provider's CA lets one rehearse; "" for what its preset knows. Raises ProviderProblem."""
    if url:
        Draft("staging", url).check()
        if directory_urls.same(url, provider.directory_url) or _is_ordered_from(url):
            text = _("This is the directory that certificates are ordered from, not one to rehearse at.")
            raise ProviderProblem("directory_url", text)
    with transaction.atomic():
        before = provider.staging_url
        Provider.objects.filter(pk=provider.pk).update(staging_url=url)
        if url != before:
            audit.record(
                by,
                "provider:staging_set",
                provider.name,
                before={"staging_url": before},
                after={"staging_url": url},
            )
    provider.staging_url = url


def _is_ordered_from(url: str) -> bool:
    """Whether certificates for sites come from there, under whatever name."""
    used = Q(pk__in=providers.in_use()) | Q(orders__isnull=False)
    found = Provider.objects.filter(used).distinct().values_list("directory_url", flat=True)
    return any(directory_urls.same(url, one) for one in found)


def staging(provider: Provider) -> Provider | None:
    """The row of its staging directory; None where nobody asked for that to be read."""
    url = directory_of(provider)
    return Provider.objects.filter(directory_url=url).order_by("pk").first() if url else None


def read_directory(provider: Provider, *, by: User | None, ring: bool = True) -> Provider:
    """Have a worker read the staging directory, for its terms; a row is made for it where there is none.

    Raises ProviderProblem where none is known.
    """
    url = directory_of(provider)
    if not url:
        text = _("Where “%(name)s” lets one rehearse is not known.")
        raise ProviderProblem("directory_url", text % {"name": provider})
    known = staging(provider)
    if known is not None and ring:
        providers.check_again(known, by=by)
        return known
    wish = Draft(
        known.name if known is not None else _free_name(provider),
        url,
        ca_bundle=provider.ca_bundle,
        private_ca=provider.private_ca,
        max_names=provider.max_names,
    )
    return providers.draft(wish, by=by, ring=ring)


def _free_name(provider: Provider) -> str:
    base = f"{provider.name[:54]}-staging"
    taken = set(Provider.objects.filter(name__startswith=base).values_list("name", flat=True))
    return next(name for n in range(1, len(taken) + 2) if (name := base if n == 1 else f"{base}{n}") not in taken)


def account_of(row: Provider, server: Server) -> Account | None:
    """The account at a staging directory."""
    return Account.objects.select_related("provider").filter(provider=row, server=server).first()


def is_agreed(row: Provider, account: Account | None) -> bool:
    """Whether there is nothing left to agree to before orders are placed there."""
    if account is None or account.status != AccountStatus.VALID or not account.url:
        return False
    return not row.terms_url or (account.terms_agreed_at is not None and account.terms_url == row.terms_url)


# --- asked for --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for: one site by its name, or a number of them; and what registering there takes."""

    site: str = ""
    number: int = 1
    agree_terms: bool = False
    contact: str = ""


def ask(
    provider: Provider, server: Server, wish: Wish, *, by: User | None, now: datetime, ring: bool = True
) -> Rehearsal:
    """Rehearse with this provider; lands on the one that is at work. Raises ProviderProblem.

    The account at the staging directory is registered first where it is not, with the consent that `wish` gives.
    """
    at_work = Rehearsal.objects.filter(server=server, ended_at__isnull=True).first()
    if at_work is not None:
        return at_work
    row = staging(provider)
    if row is None or row.state != ProviderState.READY:
        text = _("The staging directory of “%(name)s” has not been read yet.")
        raise ProviderProblem("provider", text % {"name": provider}, "not_ready")
    hosts = _sites(server, wish)
    account = account_of(row, server)
    with transaction.atomic():
        if not is_agreed(row, account):
            account = providers.ask_to_use(
                row, server, agree_terms=wish.agree_terms, contact=wish.contact, by=by, ring=False, use=row.active
            )
        fresh = Rehearsal(
            server=server,
            provider=provider,
            account=account,
            directory_url=row.directory_url,
            asked_by=by,
            asked_at=now,
            rung_at=now,
        )
        Rehearsal.objects.bulk_create([fresh], ignore_conflicts=True)
        made = Rehearsal.objects.get(server=server, ended_at__isnull=True)
        if made.asked_at == now and not made.sites.exists():
            RehearsalSite.objects.bulk_create(
                RehearsalSite(rehearsal=made, virtual_host=host, position=place) for place, host in enumerate(hosts)
            )
            names = [host.name for host in hosts]
            audit.record(by, "rehearsal:started", provider.name, after={"rehearsal": made.pk, "sites": names})
            if ring:
                async_task(WORK, made.pk)
    return made


def _sites(server: Server, wish: Wish) -> Sequence[VirtualHost]:
    """Which sites: the one that is named, else such as nothing is known to be wrong with, of different users first."""
    here = VirtualHost.objects.filter(server=server, gone_at__isnull=True)
    if wish.site:
        try:
            name = normalize(wish.site)
        except NameProblem as problem:
            raise ProviderProblem("site", problem.text) from problem
        found = here.filter(Q(name=name) | Q(domains__name=name)).distinct().order_by("pk")
        if not found:
            raise ProviderProblem("site", _("There is no site “%(name)s”.") % {"name": wish.site})
        return list(found[:1])
    if not 1 <= wish.number <= MOST:
        text = _("%(n)d is not a number of sites from 1 to %(most)d.")
        raise ProviderProblem("number", text % {"n": wish.number, "most": MOST})
    sound = Case(When(problem__isnull=True, then=Value(0)), default=Value(1), output_field=IntegerField())
    on = here.exclude(state=SiteState.OFF).exclude(hosting_users.off())
    ordered = list(on.annotate(sound=sound).order_by("sound", "severity", "pk")[: MOST * MOST])
    if not ordered:
        raise ProviderProblem("site", _("There is no site that AutoSSL is on for."))
    firsts: dict[int, VirtualHost] = {}
    for host in ordered:
        firsts.setdefault(host.user_id, host)
    rest = [host for host in ordered if firsts[host.user_id] != host]
    return [*firsts.values(), *rest][: wish.number]


# --- read -------------------------------------------------------------------------------------------------------------


def past(server: Server) -> QuerySet[Rehearsal]:
    """The rehearsals of a server, the newest first."""
    return Rehearsal.objects.select_related("provider", "asked_by").filter(server=server)


def lines(found: Rehearsal) -> list[Line]:
    """Its log, ready to be shown."""
    return [
        Line(
            row.at,
            Level(row.level),
            row.depth,
            log.render(row.event, row.data).rstrip(),
            row.event,
            row.data,
            None,
            None,
            row.seq,
        )
        for row in RehearsalLine.objects.filter(rehearsal=found)
    ]


# --- looked after -----------------------------------------------------------------------------------------------------


def lease(found: Rehearsal) -> str:
    """The name of the right to work at a rehearsal."""
    return f"rehearsal:{found.pk}"


def ring_where_needed(server: Server, now: datetime) -> bool:
    """Ring again for a rehearsal that nobody is at; the task may have been lost with its worker."""
    # What is ahead of now was before a clock was set back: how long is not known.
    late = Q(asked_at__lt=now - LATE) | Q(asked_at__gt=now)
    found = Rehearsal.objects.filter(late, server=server, ended_at__isnull=True).first()
    if found is None or leases.held(lease(found)):
        return False
    waits = Q(rung_at__isnull=True) | Q(rung_at__lt=now - RING_EVERY) | Q(rung_at__gt=now)
    if not Rehearsal.objects.filter(waits, pk=found.pk).update(rung_at=now):
        return False
    async_task(WORK, found.pk)
    return True


def forget(server: Server, before: datetime) -> None:
    """Remove what ended before then."""
    Rehearsal.objects.filter(server=server, ended_at__lt=before).delete()
