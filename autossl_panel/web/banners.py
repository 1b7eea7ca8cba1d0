"""What stands above every page while something holds AutoSSL up: no provider, a pause, a failing provider, trouble."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Q, QuerySet
from django.shortcuts import resolve_url
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import census, log, offers, providers
from autossl_panel.autossl.models import Account, AccountStatus, Options, Provider, ProviderState
from autossl_panel.hosting.models import Server
from autossl_panel.people.models import User

from . import provider_words, words
from .marked import fill
from .templatetags.panel import day

# Of a stranger's text
LONGEST = 240


@dataclass(frozen=True, slots=True)
class Banner:
    """A fact with what follows from it, since when, and where to do something about it."""

    fact: str
    rest: str
    since: datetime | None = None
    url: str = ""
    label: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Banners:
    """All of them: that it is disabled or paused is everybody's to read, the others are root's."""

    paused: Options | None
    troubles: Sequence[Banner] = ()
    disabled: Banner | None = None


def of(person: User, server: Server, account: Account | None, row: Options | None, now: datetime) -> Banners:
    """What a person is told above a page; `account` is that of the provider in use, with its provider.

    Root also hears of those that only users, feature lists or the fallback order have; where the server's row says
    that none of these is in trouble, they are not asked for.
    """
    paused = row if row is not None and row.paused_at is not None else None
    disabled = _disabled(person, server, now) if account is None else None
    if not person.is_root:
        return Banners(paused, disabled=disabled)
    others = others_in_trouble(server) if getattr(server, "others_in_trouble", True) else ()
    accounts = [*([account] if account is not None else ()), *others]
    of_providers = [banner for one in accounts for banner in _of_provider(one, now)]
    return Banners(paused, [*of_providers, *(_of_server(one) for one in server.trouble)], disabled)


def of_plain(row: Options | None) -> Banners:
    """What everybody is told on pages that are not about AutoSSL: a pause, which they may have come to end."""
    return Banners(row if row is not None and row.paused_at is not None else None)


def _disabled(person: User, server: Server, now: datetime) -> Banner:
    """That no provider is in use. Root reads what lapses: one question over an index, asked only while it is so."""
    fact, rest = _("AutoSSL is disabled on this server."), _("Nothing is ordered or renewed.")
    if not person.is_root:
        whom = _("Your host can change this.") if person.is_login else _("Root can change this.")
        return Banner(fact, f"{rest} {whom}")
    lapse = census.count(server, now).lapse
    if lapse.certificates and lapse.first is not None:
        lost = ngettext(
            "%(n)s certificate will lapse, on %(day)s.",
            "%(n)s certificates will lapse, the first on %(day)s.",
            lapse.certificates,
        )
        more = fill(lost, n=words.number(lapse.certificates), day=day(lapse.first))
        rest = format_html("{} {}", rest, more)
    return Banner(fact, rest, None, resolve_url("providers"), _("Choose a provider"))


def others_in_trouble(server: Server | OuterRef) -> QuerySet[Account]:
    """The accounts of which there may be something to say, of providers that are in use beside the active one."""
    mine = Account.objects.select_related("provider").filter(server=server, provider__in=providers.in_use())
    # Its `ms` is null where the directory was asked in vain
    unread = Q(provider__state=ProviderState.REFUSED) | Q(provider__answer__ms=None)
    in_trouble = mine.filter(Q(problem__isnull=False) | Q(down_until__isnull=False) | unread)
    return in_trouble.filter(provider__active=False).order_by("provider__name")


def _of_provider(account: Account, now: datetime) -> list[Banner]:
    """Trouble with a provider that certificates are ordered from: it fails, refuses the account, or wants a person to
    act.
    """
    name, url = str(account.provider), resolve_url("providers")
    if not account.provider.active:
        url = f"{url}?choose={account.provider_id}"
    if offers.is_down(account, now):
        text = _said(account.down_problem or {})
        others = _("Meanwhile orders go to the fallback providers; where there are none, sites wait.")
        rest = f"{text} {others}".strip()
        return [
            Banner(_("%(name)s fails.") % {"name": name}, rest, account.down_since, url, _("See the provider"), True)
        ]
    unread = _unread(account.provider)
    if unread is not None:
        rest = " ".join((_said(unread), provider_words.to_do(unread)))
        at = datetime.fromisoformat(unread["at"]) if unread.get("at") else account.provider.checked_at
        fact = _("%(name)s: its directory could not be read.") % {"name": name}
        return [Banner(fact, rest, at, url, _("See the provider"), True)]
    problem = account.problem
    if problem is None or account.status == AccountStatus.REGISTERING:
        return []
    text = _said(problem)
    if account.status == AccountStatus.REFUSED:
        fact = _("%(name)s refuses this server’s account.") % {"name": name}
        return [Banner(fact, " ".join((text, _("Its orders wait."))), None, url, _("See the account"), True)]
    if problem.get("field") == "agree_terms":
        fact = _("%(name)s changed its terms of service.") % {"name": name}
        return [Banner(fact, _("Until you agree, it may refuse orders."), None, url, _("Read and agree"))]
    fact = _("%(name)s has something against this server’s account.") % {"name": name}
    return [Banner(fact, text, None, url, _("See the account"), problem.get("field") != "contact")]


def _unread(provider: Provider) -> Mapping[str, Any] | None:
    """What came of asking the provider's directory last, where that was in vain: known before any order fails."""
    if provider.state == ProviderState.REFUSED:
        return provider.problem
    answer: Mapping[str, Any] | None = provider.answer
    return answer if answer is not None and answer.get("ms") is None else None


def _said(problem: Mapping[str, object]) -> str:
    """A stranger's words, as a sentence that another one may follow."""
    text = log.spoken(str(problem.get("text", "")).strip())[:LONGEST]
    return f"{text}." if text and text[-1] not in ".!?…" else text


def _of_server(trouble: Mapping[str, object]) -> Banner:
    """What the last run found wrong with this machine itself."""
    code, names = str(trouble["code"]), int(str(trouble.get("names") or 0))
    rest = log.problem_told({"code": code, "data": trouble.get("data")})
    rest = rest[:1].upper() + rest[1:]
    if names:
        held = ngettext("%(n)d name could not be judged.", "%(n)d names could not be judged.", names)
        rest = f"{held % {'n': names}} {rest}"
    fact = _("Trouble of this server: %(what)s.") % {"what": log.reason_text(code)}
    return Banner(fact, rest, datetime.fromisoformat(str(trouble["since"])), bad=True)
