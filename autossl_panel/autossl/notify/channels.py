"""What people set about notifications: channels, tests, messages to be tried again. Rows and the bell, no network."""

import base64
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from autossl_panel.hosting.models import Server
from autossl_panel.people import audit, mail
from autossl_panel.people.models import User

from .. import options as option_rows
from ..models import Channel, Message, MessageState, NotifyLevel, Way
from . import digest, extras

# Named, not imported: tasks stand above
DELIVER = "autossl_panel.autossl.tasks.deliver"
PREFIX = "whsec_"
MOST_CHANNELS = 50
# Of addresses and channels that take nothing, so many are told
UNDELIVERED = 20


class ChannelProblem(ValueError):
    """Something that cannot be taken; `field` is the input: name, kind, target, level, secret or channel."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person types for a channel. An empty target or secret of a channel that is there leaves it as it is."""

    name: str
    kind: str
    target: str = ""
    level: str = NotifyLevel.WARNINGS
    enabled: bool = True
    private: bool = False
    secret: str = ""


def add(server: Server, wish: Wish, *, by: User | None) -> Channel:
    """Make a channel; a webhook without a secret gets one, which is on the row and nowhere shown again."""
    row = Channel(server=server)
    _set(row, wish, new=True)
    if Channel.objects.filter(server=server).count() >= MOST_CHANNELS:
        raise ChannelProblem("name", _("There are %(n)d channels; more cannot be had.") % {"n": MOST_CHANNELS})
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            audit.record(by, "channel:added", row.name, after=_facts(row))
    except IntegrityError as error:
        raise _taken(row.name) from error
    return row


def change(channel: Channel, wish: Wish, *, by: User | None) -> Channel:
    """Change a channel; its kind stays. One that is switched off sends nothing that is waiting."""
    before = _facts(channel)
    _set(channel, wish, new=False)
    try:
        with transaction.atomic():
            channel.save(update_fields=["name", "target", "secret", "level", "enabled", "private"])
            if not channel.enabled:
                Message.objects.filter(channel=channel, state=MessageState.QUEUED).delete()
            audit.record(by, "channel:changed", channel.name, before=before, after=_facts(channel))
    except IntegrityError as error:
        raise _taken(channel.name) from error
    return channel


def remove(channel: Channel, *, by: User | None) -> None:
    """Remove a channel with what is waiting for it."""
    with transaction.atomic():
        audit.record(by, "channel:removed", channel.name, before=_facts(channel))
        channel.delete()


def ask_test(channel: Channel, *, by: User | None, now: datetime, ring_bell: bool = True) -> Message:
    """Have a test message sent by a worker (`ring_bell`), or by who calls `post`; what came of it stands on its row."""
    message = _message(channel.server, Way(channel.kind), now, channel=channel, address=_address(channel))
    with transaction.atomic():
        message.save(force_insert=True)
        audit.record(by, "channel:tested", channel.name)
        if ring_bell:
            ring(channel.server)
    return message


def ask_mail_test(server: Server, *, by: User | None, now: datetime, ring_bell: bool = True) -> list[Message]:
    """The same to each of the administrator's addresses."""
    addresses = option_rows.current(server).admin_addresses
    if not settings.AUTOSSL_MAIL_FROM:
        raise ChannelProblem("channel", _("No mail server is set: AUTOSSL_SMTP_URL and AUTOSSL_MAIL_FROM."))
    if not addresses:
        raise ChannelProblem("channel", _("No address is set: the option admin_addresses is empty."))
    messages = [_message(server, Way.MAIL, now, address=address) for address in addresses]
    with transaction.atomic():
        Message.objects.bulk_create(messages)
        audit.record(by, "channel:tested", "e-mail")
        if ring_bell:
            ring(server)
    return messages


def send_again(server: Server, *, by: User | None, now: datetime) -> int:
    """Try once more what was given up, tests aside; returns how many messages that are."""
    with transaction.atomic():
        number = failed(server).update(
            state=MessageState.QUEUED,
            retry_at=now,
            attempts=0,
            made_at=now,
            holder="",
            lease_until=None,
            problem=None,
        )
        if number:
            audit.record(by, "messages:sent_again", server.name, after={"number": number})
            ring(server)
    return number


def failed(server: Server) -> QuerySet[Message]:
    """The messages that were given up, tests aside."""
    return Message.objects.filter(server=server, state=MessageState.FAILED, test=False)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An address or channel that would not take messages, and what it said last."""

    to: str
    number: int
    text: str
    at: datetime


def undelivered(server: Server) -> list[Undelivered]:
    """Who would not take what was given up, the newest first: up to UNDELIVERED of them."""
    found: dict[str, Undelivered] = {}
    rows = failed(server).select_related("channel").order_by("-pk").defer("payload")
    for message in rows[:1000]:
        to = message.channel.name if message.channel else message.address
        before = found.get(to)
        if before is None:
            text = str(message.problem["text"]) if message.problem else ""
            found[to] = Undelivered(to, 1, text, message.made_at)
        else:
            found[to] = Undelivered(to, before.number + 1, before.text, before.at)
    return list(found.values())[:UNDELIVERED]


def newest_test(server: Server, channel: Channel | None) -> Message | None:
    """The newest test of a channel, or of the administrator's addresses."""
    return Message.objects.filter(server=server, channel=channel, test=True).order_by("-pk").first()


def ring(server: Server) -> None:
    """Put the outbox into the queue; the sweep looks at it as well."""
    async_task(DELIVER, server.pk)


def masked(channel: Channel) -> str:
    """Where a channel leads, as far as it may be shown: what stands in a URL behind the host is often a secret."""
    if channel.kind == Way.MAIL:
        return channel.target
    url = urlsplit(channel.target)
    if channel.kind == Way.APPRISE:
        return f"{url.scheme}://…"
    return f"{url.scheme}://{url.netloc}/…" if url.path.strip("/") or url.query else f"{url.scheme}://{url.netloc}"


def _message(server: Server, way: Way, now: datetime, *, channel: Channel | None = None, address: str = "") -> Message:
    frame = digest.Frame(server.name, now, (), {})
    return Message(
        server=server,
        ident=uuid.uuid4().hex,
        way=way,
        channel=channel,
        address=address,
        payload=digest.of_test(frame),
        test=True,
        made_at=now,
        retry_at=now,
    )


def _address(channel: Channel) -> str:
    return channel.target if channel.kind == Way.MAIL else ""


def _facts(channel: Channel) -> dict[str, Any]:
    """For the audit trail, without secrets."""
    return {
        "kind": str(channel.kind),
        "name": channel.name,
        "target": masked(channel),
        "level": str(channel.level),
        "enabled": channel.enabled,
        "private": channel.private,
    }


def problems_of(row: Channel, wish: Wish, *, new: bool) -> list[ChannelProblem]:
    """All that `add` (`new`, to a row with its server) or `change` would refuse, as far as rows tell now."""
    kind = wish.kind if new else row.kind
    found = []
    for check in (
        lambda: _check_name(row, wish.name),
        lambda: _one_of("kind", kind, Way.values),
        lambda: _target(row, wish, kind, new=new),
        lambda: _secret(row, wish, kind, new=new),
        lambda: _one_of("level", wish.level, NotifyLevel.values),
    ):
        try:
            check()
        except ChannelProblem as problem:
            found.append(problem)
    return found


def _set(row: Channel, wish: Wish, *, new: bool) -> None:
    """Check a wish and put it on the row; raises ChannelProblem for the first input that is wrong."""
    for problem in problems_of(row, wish, new=new):
        raise problem
    kind = wish.kind if new else row.kind
    row.target, row.secret = _target(row, wish, kind, new=new), _secret(row, wish, kind, new=new)
    row.name, row.kind, row.level, row.enabled = wish.name, kind, wish.level, wish.enabled
    row.private = wish.private and kind == Way.WEBHOOK


def _check_name(row: Channel, name: str) -> None:
    if not name:
        raise ChannelProblem("name", _("Enter a name."))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", name):
        text = _("“%(name)s” is not a name: letters, digits, spaces, dots, dashes; at most 64.")
        raise ChannelProblem("name", text % {"name": name[:80]})
    if Channel.objects.filter(server=row.server, name=name).exclude(pk=row.pk).exists():
        raise _taken(name)


def _taken(name: str) -> ChannelProblem:
    return ChannelProblem("name", _("“%(name)s” is the name of another channel.") % {"name": name})


def _target(row: Channel, wish: Wish, kind: str, *, new: bool) -> str:
    """Where it is to lead; of a kind that there is not, nothing can be said."""
    typed = wish.target.strip()
    if kind not in Way.values:
        return typed
    if new and not typed:
        raise ChannelProblem("target", _("Enter an address.") if kind == Way.MAIL else _("Enter a URL."))
    if typed:
        return CHECKS[Way(kind)](typed, private=wish.private)
    if kind == Way.WEBHOOK:
        _webhook(row.target, private=wish.private)
    return row.target


def _secret(row: Channel, wish: Wish, kind: str, *, new: bool) -> str:
    typed = wish.secret.strip()
    if kind == Way.WEBHOOK and (new or typed):
        return _webhook_secret(typed)
    if typed and kind in Way.values:
        raise ChannelProblem("secret", _("Only a webhook has a secret."))
    return row.secret


def _one_of(field: str, value: str, values: Iterable[str]) -> None:
    if not value:
        raise ChannelProblem(field, _("Choose one of: %(values)s.") % {"values": ", ".join(values)})
    if value not in values:
        raise ChannelProblem(
            field, _("“%(value)s” is none of: %(values)s.") % {"value": value, "values": ", ".join(values)}
        )


def _mail(text: str, *, private: bool) -> str:
    try:
        return mail.address(text)
    except mail.AddressProblem as problem:
        raise ChannelProblem("target", problem.text) from problem


def _webhook(text: str, *, private: bool) -> str:
    """An https URL, or http in one's own network. Where its name leads is looked at before each sending."""
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError as error:
        raise ChannelProblem("target", _("This is not a URL: its host or port cannot be read.")) from error
    if not host or not text.isascii() or not text.isprintable() or " " in text or len(text) > 1000:
        raise ChannelProblem("target", _("This is not a URL like https://hooks.example.com/autossl."))
    if url.username or url.password:
        raise ChannelProblem("target", _("User and password are not taken in a URL; the signature proves who sends."))
    if url.fragment:
        raise ChannelProblem("target", _("What stands behind a “#” never reaches a server; leave it out."))
    if url.scheme != "https" and not (url.scheme == "http" and private):
        raise ChannelProblem("target", _("A webhook is https://…; http only to one's own network, marked as that."))
    if not private and _is_own_address(host):
        raise ChannelProblem(
            "target",
            _("%(host)s is not a public address. Mark the channel as one of your own network.") % {"host": host},
        )
    return text


def _is_own_address(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def _apprise(text: str, *, private: bool) -> str:
    if not extras.has_apprise():
        raise ChannelProblem("kind", extras.APPRISE_MISSING)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", text) or len(text) > 1000:
        raise ChannelProblem("target", _("This is not a URL of apprise, like gotify://host/token."))
    return text


def _webhook_secret(text: str) -> str:
    """A webhook's secret as Standard Webhooks writes it: 24 to 64 random bytes in base64."""
    if not text:
        return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ChannelProblem("secret", _("A secret is whsec_ and base64; leave it empty to have one made.")) from error
    if not 24 <= len(key) <= 64:
        raise ChannelProblem("secret", _("A secret has 24 to 64 bytes, not %(n)d.") % {"n": len(key)})
    return PREFIX + base64.b64encode(key).decode()


CHECKS = {Way.MAIL: _mail, Way.WEBHOOK: _webhook, Way.APPRISE: _apprise}
