"""Which provider one hosting user or feature list has, whichever is in use: chosen here, by root, with its price."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl import census, choices
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import FeatureList, HostingUser, SiteState, VirtualHost
from autossl_panel.people.models import User

from . import access, messages, people_frame
from .people import NOTHING

SECURED = (SiteState.SECURED, SiteState.PARTLY)


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider that can be chosen; `over` of the sites are secured for more names than it takes, `private` of them
    have names that it does not certify, because they are not public."""

    provider: Provider
    over: int
    wild: int
    private: int
    down: bool
    chosen: bool

    @property
    def trial(self) -> bool:
        """Whether no browser trusts its certificates, as its preset says."""
        return bool(self.provider.stated.get("trial"))


@dataclass(frozen=True, slots=True)
class Whose:
    """Whom a provider is chosen for: `sites` follow it, `own` is what it is now, `other` what holds without."""

    kind: str
    pk: int
    name: str
    sites: QuerySet[VirtualHost]
    own: Provider | None
    other: Provider | None
    back: str
    choose: Callable[[Provider | None, User, datetime], None]


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def of_user(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The provider of one hosting user; a post chooses it."""
    rows = visible.users(request.user).select_related(
        "provider_choice__provider", "feature_list__provider_choice__provider", "server"
    )
    user = get_object_or_404(rows, pk=pk)
    by_list = choices.own(user.feature_list)

    def choose(provider: Provider | None, by: User, now: datetime) -> None:
        choices.choose_for_user(user, provider, by=by, now=now)

    sites = VirtualHost.objects.filter(user=user, gone_at__isnull=True)
    back = resolve_url("people-user", pk)
    whose = Whose("user", pk, user.name, sites, choices.own(user), by_list or _active(), back, choose)
    context = {"hosting_user": user, "by_list": by_list}
    return _answer(request, whose, people_frame.USERS, context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def of_list(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The provider of a feature list's users, but of those that have one of their own; a post chooses it."""
    row = get_object_or_404(FeatureList.objects.select_related("provider_choice__provider"), pk=pk)

    def choose(provider: Provider | None, by: User, now: datetime) -> None:
        choices.choose_for_feature_list(row, provider, by=by, now=now)

    users = HostingUser.objects.filter(feature_list=row, provider_choice__isnull=True, gone_at__isnull=True)
    sites = VirtualHost.objects.filter(user__in=users, gone_at__isnull=True)
    back = resolve_url("feature-list", pk)
    whose = Whose("list", pk, row.name, sites, choices.own(row), _active(), back, choose)
    own = HostingUser.objects.filter(feature_list=row, provider_choice__isnull=False, gone_at__isnull=True)
    context = {"feature_list": row, "users": users.count(), "own_users": own.count()}
    return _answer(request, whose, people_frame.LISTS, context)


def _active() -> Provider | None:
    return Provider.objects.filter(active=True).first()


def _answer(request: access.PanelRequest, whose: Whose, tab: str, context: Mapping[str, object]) -> HttpResponse:
    problem = ""
    wanted = str(whose.own.pk) if whose.own is not None else ""
    if request.method == "POST":
        wanted = request.POST.get("provider", "")
        try:
            provider = _wanted(wanted)
            whose.choose(provider, request.user, access.now())
        except ProviderProblem as refused:
            problem = f"{refused.text} {NOTHING}"
        else:
            _tell(request, whose, provider)
            return redirect(whose.back)
    sites = whose.sites.count()
    known = {"whose": whose, "offers": _offers(request, whose, wanted), "sites": sites, "problem": problem}
    return people_frame.page(request, "own_provider.html", tab, {**context, **known, "wanted": wanted})


def _wanted(text: str) -> Provider | None:
    """The provider that was chosen; None: none of its own. Raises ProviderProblem."""
    if not text:
        return None
    found = Provider.objects.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None
    if found is None:
        raise ProviderProblem("provider", _("There is no such provider any more."), "unknown")
    return found


def _tell(request: access.PanelRequest, whose: Whose, provider: Provider | None) -> None:
    """Say what was chosen, and offer to undo it."""
    if provider == whose.own:
        messages.info(request, _("Nothing changes: it is set so already."))
        return
    before, after = whose.own.pk if whose.own else None, provider.pk if provider else None
    people_frame.offer_undo(
        request, _said(whose, provider), "provider", [whose.kind, whose.pk, before, after], page=whose.back
    )


def _said(whose: Whose, provider: Provider | None) -> str:
    if provider is not None:
        text = _("“%(name)s” has %(provider)s from the next orders on.")
    elif whose.other is not None:
        text = _("“%(name)s” has no provider of its own any more: %(provider)s issues its next certificates.")
    else:
        text = _("“%(name)s” has no provider of its own any more. None is in use.")
    return text % {"name": whose.name, "provider": provider or whose.other}


def _offers(request: access.PanelRequest, whose: Whose, wanted: str) -> Sequence[Offer]:
    """Every provider that orders can be placed with here, and the one that is chosen, whatever became of it."""
    server, now = access.server(request), access.now()
    ready = Account.objects.filter(server=server, status=AccountStatus.VALID).exclude(url="")
    down = set(ready.filter(down_until__gt=now).values_list("provider", flat=True))
    usable = Q(state=ProviderState.READY, pk__in=ready.values("provider"))
    if whose.own is not None:
        usable |= Q(pk=whose.own.pk)
    found = list(Provider.objects.defer("ca_bundle").filter(usable).order_by("pk"))
    over = Count("pk", filter=Q(state__in=SECURED))
    covered = dict(whose.sites.order_by().values_list("names_covered").annotate(n=over))
    wild = whose.sites.filter(domains__name__startswith="*.").distinct().count()
    private = census.only_private(whose.sites) if any(provider.private_ca for provider in found) else 0
    return [
        Offer(
            provider,
            sum(n for names, n in covered.items() if names > provider.max_names),
            wild if provider.stated.get("wildcard") is False else 0,
            0 if provider.private_ca else private,
            provider.pk in down,
            str(provider.pk) == wanted,
        )
        for provider in found
    ]
