"""Where notifications go, on the Options tab: e-mail, channels, tests that a worker sends, what was not delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import F, Func, IntegerField, Q, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from autossl_panel.autossl import options as option_rows
from autossl_panel.autossl.models import Channel, Message, MessageState, NotifyLevel, Options, Way
from autossl_panel.autossl.notify import channels as heart
from autossl_panel.autossl.notify import extras
from autossl_panel.autossl.notify.channels import ChannelProblem, Undelivered, Wish
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server

from . import access, messages, shell
from .fields import Field

FIELDS = ("name", "kind", "target", "secret", "level", "enabled", "private")
# Of what was not delivered, so many are shown
SHOWN = 20


@dataclass(frozen=True, slots=True)
class State:
    """What came of the newest message: `sent_at`, or a problem since; `busy` while a test is under way."""

    busy: bool
    sent_at: datetime | None
    problem: str
    problem_at: datetime | None


@dataclass(frozen=True, slots=True)
class Row:
    """A channel as the table shows it; never its secret."""

    channel: Channel
    target: str
    state: State

    @property
    def level(self) -> str:
        return str(NotifyLevel(self.channel.level).label)


@dataclass(frozen=True, slots=True)
class Card:
    """All that the card shows."""

    server: str
    sender: str
    addresses: tuple[str, ...]
    mail: State
    rows: tuple[Row, ...]
    undelivered: Sequence[Undelivered]
    waiting: int


def card(server: Server, row: Options | None = None) -> Card:
    """The card of a server, by three questions; `row`: its options, where the page has them."""
    seen = list(_seen(server))
    busy = {one.channel_id for one in seen if one.test and one.state == MessageState.QUEUED}
    return Card(
        server=f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}" if settings.AUTOSSL_MAIL_FROM else "",
        sender=settings.AUTOSSL_MAIL_FROM,
        addresses=tuple((row or option_rows.current(server)).admin_addresses),
        mail=_mail(seen, None in busy),
        rows=tuple(_row(channel, channel.pk in busy) for channel in Channel.objects.filter(server=server)),
        undelivered=heart.undelivered(server),
        waiting=getattr(seen[0], "waiting", 0) if seen else 0,
    )


def _row(channel: Channel, busy: bool) -> Row:
    problem = str(channel.problem["text"]) if channel.problem else ""
    return Row(channel, heart.masked(channel), State(busy, channel.sent_at, problem, channel.problem_at))


def _seen(server: Server) -> QuerySet[Message]:
    """The messages that tell how e-mail fares and what is under way: each with how many wait, one where any does."""
    mine = Message.objects.filter(server=server)
    mail = mine.filter(way=Way.MAIL, channel__isnull=True)
    queued = mine.filter(state=MessageState.QUEUED)
    newest_test = mail.filter(test=True).order_by("-made_at", "-pk").values("made_at")[:1]
    wanted = (
        Q(pk__in=mail.filter(test=True, made_at=Subquery(newest_test)).values("pk")[:SHOWN])
        | Q(pk__in=queued.filter(test=True).order_by("-pk").values("pk")[: 5 * SHOWN])
        | Q(pk__in=mail.filter(state=MessageState.QUEUED, problem__isnull=False).order_by("-pk").values("pk")[:1])
        | Q(pk__in=mail.filter(state=MessageState.SENT).order_by("-sent_at").values("pk")[:1])
        | Q(pk__in=queued.values("pk")[:1])
    )
    waiting = queued.order_by().annotate(n=Func(F("pk"), function="COUNT", output_field=IntegerField())).values("n")
    return (
        Message.objects.filter(wanted).defer("payload").annotate(waiting=Subquery(waiting)).order_by("-made_at", "-pk")
    )


def _mail(seen: Sequence[Message], busy: bool) -> State:
    """E-mail: what came of the newest test, or of the newest message to an address."""
    mail = [one for one in seen if one.way == Way.MAIL and one.channel_id is None]
    newest = next((one for one in mail if one.test), None)
    together = [one for one in mail if newest is not None and one.test and one.made_at == newest.made_at]
    waits = [one for one in mail if one.state == MessageState.QUEUED]
    refused = next((one for one in (*together, *waits) if one.problem is not None), None)
    sent = max((one.sent_at for one in mail if one.state == MessageState.SENT and one.sent_at), default=None)
    problem = f"{refused.address}: {refused.problem['text']}" if refused and refused.problem else ""
    return State(busy, sent, problem, refused.made_at if refused else None)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """A form; a webhook's secret is shown in the answer to it, and never again."""
    if request.method != "POST":
        return _form(request, None, {"kind": Way.WEBHOOK, "level": NotifyLevel.WARNINGS, "enabled": "yes"}, {})
    values = _typed(request)
    row, wish = Channel(server=servers.this()), _wish(values)
    found = heart.problems_of(row, wish, new=True)
    if not found:
        try:
            row = heart.add(row.server, wish, by=request.user)
        except ChannelProblem as problem:
            found = [problem]
    if found:
        return _form(request, None, values, _told(found, values))
    if row.kind == Way.WEBHOOK and not values["secret"]:
        return shell.page(request, "channel_secret.html", "options", {"channel": row})
    messages.ok(request, _("“%(name)s” is added.") % {"name": row.name})
    return redirect("options")


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def edit(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The same form; what is a secret is not shown, and stays where it is left empty."""
    channel = get_object_or_404(Channel, pk=pk, server=servers.this())
    if request.method != "POST":
        return _form(request, channel, _values(channel), {})
    values = {**_typed(request), "kind": channel.kind}
    found = heart.problems_of(channel, _wish(values), new=False)
    if not found:
        try:
            heart.change(channel, _wish(values), by=request.user)
        except ChannelProblem as problem:
            found = [problem]
    if found:
        return _form(request, get_object_or_404(Channel, pk=pk), values, _told(found, values))
    messages.ok(request, _("“%(name)s” is saved.") % {"name": channel.name})
    return redirect("options")


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask; a post removes it with what waits for it."""
    channel = get_object_or_404(Channel, pk=pk, server=servers.this())
    if request.method == "POST":
        name = channel.name
        heart.remove(channel, by=request.user)
        messages.ok(request, _("“%(name)s” is removed.") % {"name": name})
        return redirect("options")
    waiting = Message.objects.filter(channel=channel, state=MessageState.QUEUED).count()
    return shell.page(request, "channel_remove.html", "options", {"channel": channel, "waiting": waiting})


@require_POST
@access.root
def test(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Have a worker send a test; the card shows what came of it."""
    channel = get_object_or_404(Channel, pk=pk, server=servers.this())
    heart.ask_test(channel, by=request.user, now=access.now(), ring_bell=True)
    return _followed(channel.pk)


def _followed(what: object) -> HttpResponse:
    """The card below the options where a test is followed: the browser goes to its button."""
    return redirect(f"{resolve_url('options')}#test-{what}")


@require_GET
@access.root
def state(request: access.PanelRequest, pk: int) -> HttpResponse:
    """What came of a channel's newest message; polled while a test is under way."""
    channel = get_object_or_404(Channel, pk=pk, server=servers.this())
    busy = Message.objects.filter(channel=channel, state=MessageState.QUEUED, test=True).exists()
    return render(request, "_channel_state.html", {"row": _row(channel, busy)})


@require_POST
@access.root
def test_mail(request: access.PanelRequest) -> HttpResponse:
    """Have a worker send a test to each of the administrator's addresses."""
    try:
        heart.ask_mail_test(servers.this(), by=request.user, now=access.now(), ring_bell=True)
    except ChannelProblem as problem:
        messages.bad(request, problem.text)
        return redirect("options")
    return _followed("mail")


@require_GET
@access.root
def mail_state(request: access.PanelRequest) -> HttpResponse:
    """What came of it; polled like a channel's."""
    return render(request, "_mail_state.html", {"card": card(servers.this())})


@require_POST
@access.root
def again(request: access.PanelRequest) -> HttpResponse:
    """Try once more what was given up."""
    number = heart.send_again(servers.this(), by=request.user, now=access.now())
    if number:
        messages.ok(request, _("What was not delivered is tried again."))
    return redirect("options")


def _typed(request: access.PanelRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "").strip() for name in FIELDS}


def _values(channel: Channel) -> dict[str, str]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "target": channel.target if channel.kind == Way.MAIL else "",
        "secret": "",
        "level": channel.level,
        "enabled": "yes" if channel.enabled else "",
        "private": "yes" if channel.private else "",
    }


def _wish(values: Mapping[str, str]) -> Wish:
    return Wish(
        values["name"],
        values["kind"],
        values["target"],
        level=values["level"],
        enabled=bool(values["enabled"]),
        private=bool(values["private"]),
        secret=values["secret"],
    )


def _told(found: Sequence[ChannelProblem], values: Mapping[str, str]) -> dict[str, str]:
    """What to say at which field."""
    problems: dict[str, str] = {}
    for one in found:
        problems.setdefault(one.field, " ".join((one.text, _("Nothing was saved."))))
    if values["secret"]:
        # It is not sent back; without a word, an empty field would have another one made.
        problems.setdefault("secret", _("Enter the secret once more."))
    return problems


def _form(
    request: access.PanelRequest, channel: Channel | None, values: Mapping[str, str], problems: Mapping[str, str]
) -> HttpResponse:
    first = next((name for name in FIELDS if name in problems), None)
    # What was typed stays, but for a secret.
    shown = {**values, "secret": ""}
    fields = {name: Field(name, shown.get(name, ""), problems.get(name, ""), name == first) for name in FIELDS}
    context = {
        "channel": channel,
        "fields": fields,
        "masked": heart.masked(channel) if channel is not None else "",
        "kinds": Way.choices,
        "levels": NotifyLevel.choices,
        "apprise_missing": "" if extras.has_apprise() else extras.APPRISE_MISSING,
    }
    return shell.page(request, "channel_form.html", "options", context)
