"""Whose sites have which provider: the choice of a hosting user or feature list, the fallbacks, how each fares."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from autossl_panel.hosting import servers
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import FeatureList, HostingUser, Server, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from . import policies, policy
from .models import Account, AccountStatus, Provider, ProviderChoice, ProviderState
from .providers import ProviderProblem


def choose_for_user(user: HostingUser, provider: Provider | None, *, by: User | None, now: datetime) -> None:
    """Have this provider for a hosting user's sites, or (None) the one of its feature list or the active one again.

    Its sites are due. Raises ProviderProblem for a provider without a valid account on the user's server.
    """
    if provider is not None:
        _check(provider, user.server)
    with transaction.atomic():
        if _choose({"user": user}, provider):
            hosting_users.make_due(VirtualHost.objects.filter(user=user), now)
            _record(by, "user:provider_set", user.name, provider)


def choose_for_feature_list(
    feature_list: FeatureList, provider: Provider | None, *, by: User | None, now: datetime
) -> None:
    """Have this provider for the sites of a feature list's users, but of those that have one of their own.

    None: the active one again. Their sites are due. Raises ProviderProblem as `choose_for_user` does.
    """
    if provider is not None:
        _check(provider, servers.this())
    with transaction.atomic():
        if _choose({"feature_list": feature_list}, provider):
            users = HostingUser.objects.filter(feature_list=feature_list, provider_choice__isnull=True)
            hosting_users.make_due(VirtualHost.objects.filter(user__in=users), now)
            _record(by, "feature_list:provider_set", feature_list.name, provider)


def own(one: HostingUser | FeatureList) -> Provider | None:
    """The provider that was chosen for a hosting user or feature list itself."""
    choice: ProviderChoice | None = getattr(one, "provider_choice", None)
    return choice.provider if choice is not None else None


def _choose(whose: dict[str, Any], provider: Provider | None) -> bool:
    """Write the choice; False where it was this one already."""
    rows = ProviderChoice.objects.filter(**whose)
    if provider is None:
        return bool(rows.delete()[0])
    if rows.filter(provider=provider).exists():
        return False
    ProviderChoice.objects.update_or_create(**whose, defaults={"provider": provider})
    return True


def _record(by: User | None, event: str, subject: str, provider: Provider | None) -> None:
    audit.record(by, event, subject, after={"provider": provider.name if provider is not None else None})


def _check(provider: Provider, server: Server) -> None:
    """Raise ProviderProblem unless orders can be placed with it on `server` right now."""
    if provider.state != ProviderState.READY:
        raise ProviderProblem(
            "provider",
            _("“%(name)s” is not ready: its directory has not answered yet.") % {"name": provider},
            "not_ready",
        )
    if not _account(provider, server).exists():
        raise ProviderProblem(
            "provider",
            _("There is no account with “%(name)s” on %(server)s yet. Register with it first.")
            % {"name": provider, "server": server.name},
            "not_registered",
        )


def _account(provider: Provider, server: Server) -> Any:
    return Account.objects.filter(provider=provider, server=server, status=AccountStatus.VALID).exclude(url="")


def set_fallbacks(providers: Sequence[Provider], *, by: User | None, server: Server | None = None) -> None:
    """Ask these providers, in this order, where a site's own fails; an empty list: none.

    Raises ProviderProblem for one that is named twice, is not ready or has no valid account on `server` (this one).
    """
    server = server or servers.this()
    for place, provider in enumerate(providers):
        if provider in providers[:place]:
            raise ProviderProblem("fallback", _("“%(name)s” is named twice.") % {"name": provider}, "twice")
        _check(provider, server)
    with transaction.atomic():
        before = fallbacks()
        Provider.objects.exclude(fallback__isnull=True).update(fallback=None)
        for place, provider in enumerate(providers, 1):
            Provider.objects.filter(pk=provider.pk).update(fallback=place)
        after = [provider.name for provider in providers]
        audit.record(
            by,
            "provider:fallbacks_set",
            server.name,
            before={"fallbacks": [provider.name for provider in before]},
            after={"fallbacks": after},
        )


def fallbacks() -> list[Provider]:
    """The providers that are asked where a site's own fails, in their order."""
    return list(Provider.objects.filter(fallback__isnull=False).order_by("fallback", "name"))


def record_fault(account: Account, problem: dict[str, Any], *, now: datetime) -> policy.ProviderHealth:
    """The CA failed once more on its own side: from the third time in a row it is left alone for a while."""
    return _fare(account, lambda health: policy.fault(health, now), problem)


def record_recovery(account: Account, *, at: datetime, now: datetime) -> policy.ProviderHealth:
    """The CA did its work `at` that moment: its faults are forgotten, unless they are younger."""
    return _fare(account, lambda health: policy.recovered(health, at, now), None)


def try_now(account: Account, *, by: User | None, now: datetime) -> bool:
    """Have a provider that is left alone because of faults tried at once: one order shows whether it works again.

    Sites that wait for any provider are due. False where it is not left alone.
    """
    with transaction.atomic():
        row = Account.objects.select_for_update(of=("self",)).select_related("provider").get(pk=account.pk)
        until = row.down_until
        if until is None or until <= now:
            return False
        Account.objects.filter(pk=row.pk).update(down_until=now)
        waiting = VirtualHost.objects.filter(server_id=row.server_id, held_reason="providers_down")
        waiting.update(held_until=None, held_reason="", held_provider="", next_at=now, next_reason="changed")
        hosting_users.make_due(VirtualHost.objects.filter(server_id=row.server_id, next_reason="providers_down"), now)
        audit.record(by, "provider:tried", row.provider.name, before={"left_alone_until": until.isoformat()})
    return True


def _fare(account: Account, change: Any, problem: dict[str, Any] | None) -> policy.ProviderHealth:
    with transaction.atomic():
        # With the row locked: workers that meet the same fault count it one after the other.
        row = Account.objects.select_for_update().get(pk=account.pk)
        before = policies.health_of(row)
        after: policy.ProviderHealth = change(before)
        if after != before:
            Account.objects.filter(pk=row.pk).update(
                faults=after.faults,
                down_since=after.down_since,
                down_until=after.down_until,
                down_problem=problem if after.down_until is not None else None,
            )
    return after
