"""Limits of a CA: how much of them is used, what it has refused, and what a person says that it allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import COUNTED, Kind
from autossl_panel.autossl.limits import LimitProblem, Refused, Usage, changing
from autossl_panel.autossl.models import Account, Provider

from . import access, messages, shell
from .comparing import window
from .fields import Field

# On the tab; the others stand there only where they are half used
FIRST = (Kind.ORDERS, Kind.DOMAIN, Kind.FAILURES)
NEARLY = 0.75
KINDS = {
    Kind.ORDERS: gettext_lazy("New orders"),
    Kind.DOMAIN: gettext_lazy("Certificates of one registered domain"),
    Kind.SET: gettext_lazy("Certificates of the same names"),
    Kind.FAILURES: gettext_lazy("Failed proofs of one name"),
    Kind.CONSECUTIVE: gettext_lazy("Failed proofs of one name in a row"),
    Kind.REQUESTS: gettext_lazy("Requests"),
    Kind.REGISTRATIONS: gettext_lazy("New accounts"),
    Kind.ACCOUNT: gettext_lazy("Orders of the account"),
}
EXPLAINED = {
    Kind.ORDERS: gettext_lazy("Of the account. Renewals of the same names are free of it."),
    Kind.DOMAIN: gettext_lazy("Of all accounts at this CA. Renewals of the same names are free of it."),
    Kind.SET: gettext_lazy("Of exactly the same names, whoever orders."),
    Kind.FAILURES: gettext_lazy("Of one name and account."),
    Kind.CONSECUTIVE: gettext_lazy("A plain number: then the CA pauses the name until a person acts."),
    Kind.REQUESTS: gettext_lazy("Of every sort, of all accounts here."),
    Kind.REGISTRATIONS: gettext_lazy("Of this server’s address."),
}


@dataclass(frozen=True, slots=True)
class Meter:
    """One limit as a bar: `used` of `published`, with a mark at `allowed`."""

    kind: Kind
    title: str
    used: int
    allowed: int
    published: int
    frees_at: datetime | None
    of_many: str

    @property
    def fill(self) -> str:
        """The colour of the bar: blue, amber from three quarters of what is used at most, red at its end."""
        if self.used >= self.allowed:
            return "bad"
        return "warn" if self.used >= NEARLY * self.allowed else "run"

    @property
    def bar(self) -> int:
        return min(self.used, self.published)

    @property
    def left(self) -> int:
        return max(0, self.allowed - self.used)

    @property
    def tick(self) -> str:
        """How wide the mark is, in units of the bar, so that it looks alike in each."""
        return f"{self.published / 220:.2f}"

    @property
    def orders(self) -> bool:
        return self.kind is Kind.ORDERS

    @property
    def in_a_row(self) -> bool:
        return self.kind is Kind.CONSECUTIVE


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the CA refused all the same; of a paused name a person can say that it is mended."""

    title: str
    refused: Refused
    paused: bool


@dataclass(frozen=True, slots=True)
class Card:
    """How an account stands. `lost` permits (None: any number) were given that this database does not know."""

    meters: Sequence[Meter]
    hidden: int
    refusals: Sequence[Refusal]
    spent_at: datetime | None
    lost: int | None


def card(account: Account, now: datetime, *, whole: bool = False) -> Card:
    """The card of an account; `whole`: every limit, else those that people ask for and those that are half used."""
    report = limits.usage(account, now=now + timedelta(seconds=account.provider.clock_offset))
    meters = [_meter(one) for one in report.limits]
    shown = [one for one in meters if whole or one.kind in FIRST or one.used * 2 >= one.allowed]
    refusals = [
        Refusal(_title(one.kind, one.label, 0), one, one.kind is Kind.CONSECUTIVE and one.until is None)
        for one in report.refused
    ]
    return Card(shown, len(meters) - len(shown), refusals, report.spent_at, report.lost)


def _meter(one: Usage) -> Meter:
    many = ""
    if one.kind is Kind.DOMAIN and one.subjects > 1:
        many = _("the fullest of %(n)d registered domains") % {"n": one.subjects}
    elif one.kind in (Kind.FAILURES, Kind.CONSECUTIVE) and one.used:
        many = one.label
        if one.subjects > 1:
            many = _("%(name)s, the fullest of %(n)d names") % {"name": one.label, "n": one.subjects}
    label = one.label if one.kind in (Kind.DOMAIN, Kind.SET) and one.used else ""
    return Meter(
        one.kind, _title(one.kind, label, one.seconds), one.used, one.allowed, one.published, one.frees_at, many
    )


def _title(kind: Kind, label: str, seconds: int) -> str:
    """“New orders, 3 hours”, “northwind-cycles.example, 7 days”."""
    text = label or str(KINDS[kind])
    return f"{text}, {window(seconds)}" if seconds else text


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def page(request: access.PanelRequest, pk: int) -> HttpResponse:
    """All limits of a CA with their use; a post says what it allows this server, or that its own figures hold again."""
    provider = get_object_or_404(Provider, pk=pk)
    values = changing.texts(provider)
    if request.method != "POST":
        return _page(request, provider, values, None)
    if "reset" in request.POST:
        changing.reset(provider, by=request.user)
        messages.ok(request, _("The limits are those that the CA publishes again."))
        return redirect("provider-limits", pk)
    # What was left out or left alone stays as it is and is not judged: no limit is lifted by what nobody typed.
    typed = {kind: request.POST.get(kind, text).strip() for kind, text in values.items()}
    changed = {kind: text for kind, text in typed.items() if text != values[kind]}
    if not changed:
        messages.info(request, _("Nothing changes: it is set so already."))
        return redirect("provider-limits", pk)
    try:
        changing.change(provider, changed, by=request.user)
    except LimitProblem as problem:
        return _page(request, provider, typed, problem)
    messages.ok(request, _("The limits are saved. They hold from the next order on."))
    return redirect("provider-limits", pk)


@dataclass(frozen=True, slots=True)
class Line:
    """A kind in the form: what it is called and means, and its field."""

    label: str
    explained: str
    field: Field


def _page(
    request: access.PanelRequest, provider: Provider, values: Mapping[str, str], problem: LimitProblem | None
) -> HttpResponse:
    server = shell.counted_server(request)
    account = Account.objects.select_related("provider").filter(provider=provider, server=server).first()
    lines = []
    for kind in COUNTED:
        here = problem is not None and problem.field == kind
        text = " ".join((problem.text, _("Nothing was saved."))) if problem is not None and here else ""
        lines.append(Line(str(KINDS[kind]), str(EXPLAINED[kind]), Field(str(kind), values[kind], text, here)))
    context = {
        "provider": provider,
        "lines": lines,
        "card": card(account, access.now(), whole=True) if account is not None else None,
        "own": provider.limits is not None,
        "published": bool(provider.stated.get("limits")),
    }
    return shell.page(request, "provider_limits.html", "providers", context)


@require_POST
@access.root
def unpause(request: access.PanelRequest, pk: int) -> HttpResponse:
    """A person says that a name which the CA has paused is mended there."""
    account = get_object_or_404(Account.objects.select_related("provider"), provider=pk, server=access.server(request))
    name = request.POST.get("name", "").strip().lower()
    if limits.unpause(account, name, by=request.user):
        messages.ok(request, _("“%(name)s” may be ordered again. Check its user to try at once.") % {"name": name})
    else:
        messages.info(request, _("“%(name)s” is not paused.") % {"name": name})
    return redirect("provider-limits", pk)
