"""The outbox: messages claimed with a lease, and what came of each try. Sent once, though workers die between.

A claim sets the next try before anything is sent: whoever dies at a message has put it off already. Only between the
other side's answer and our commit can a death send it twice, with the same name (Message-ID, webhook-id).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from autossl_panel.hosting.models import Server

from .. import leases
from ..models import Channel, Message, MessageState, Way

log = logging.getLogger("autossl_panel.notify")

LEASE = 120.0
MINUTE = timedelta(minutes=1)
# Before the second, third … try; then every hour
LADDER = (MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE)
# How long a message is tried after it was first refused; mail servers give up after five days (RFC 5321 §4.5.4.1)
GIVE_UP: Mapping[str, timedelta] = {
    Way.MAIL: timedelta(days=5),
    Way.WEBHOOK: timedelta(days=3),
    Way.APPRISE: timedelta(days=3),
}
# The mail server itself did not take part: all mail waits for it, as long as it takes
MAIL_SERVER = "mail_server"


class Trouble(Exception):
    """Why a message was not taken. `final`: no other try would help. `way_down`: no other message goes this way now."""

    def __init__(self, code: str, text: str, *, final: bool = False, way_down: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.final = final
        self.way_down = way_down


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this process sends; every write says which try it belongs to."""

    message: Message
    holder: str
    now: datetime

    @property
    def rows(self) -> QuerySet[Message]:
        """Its row, while the claim holds."""
        message = self.message
        return Message.objects.filter(
            pk=message.pk, holder=self.holder, attempts=message.attempts, state=MessageState.QUEUED
        )


def due(server: Server, now: datetime) -> QuerySet[Message]:
    """The messages that may be tried now, whoever holds them."""
    open_to_all = Q(channel__isnull=True) | Q(channel__enabled=True) | Q(test=True)
    # What would wait for longer than anything does was queued while this host's clock ran ahead.
    its_turn = Q(retry_at__lte=now) | Q(retry_at__gt=now + LADDER[-1])
    return Message.objects.filter(open_to_all, its_turn, server=server, state=MessageState.QUEUED)


def claim(
    server: Server, holder: str, now: datetime, *, without: frozenset[str] = frozenset(), only: int | None = None
) -> Claim | None:
    """Take the message that has waited longest, tests first; by none of the ways `without`; or `only` this one."""
    waiting = due(server, now).exclude(way__in=without).order_by("-test", "retry_at", "pk")
    if only is not None:
        waiting = waiting.filter(pk=only)
    while True:
        held = waiting.exclude(holder="").values_list("holder", flat=True).distinct().order_by()
        dead = [name for name in held if leases.gone(name)]
        free = Q(holder="") | Q(lease_until__lt=Now()) | Q(holder__in=dead)
        found = waiting.filter(free).first()
        if found is None:
            return None
        pause = LADDER[min(found.attempts, len(LADDER) - 1)]
        mine = Message.objects.filter(free, pk=found.pk, attempts=found.attempts, state=MessageState.QUEUED)
        taken = mine.update(
            holder=holder, lease_until=leases.later(LEASE), attempts=F("attempts") + 1, retry_at=now + pause
        )
        if taken:
            message = Message.objects.select_related("channel", "server").get(pk=found.pk)
            return Claim(message, holder, now)


def keep(holder: str) -> None:
    """Hold what `holder` is sending for another while."""
    mine = Message.objects.filter(holder=holder, state=MessageState.QUEUED)
    mine.update(lease_until=leases.later(LEASE))


def sent(one: Claim) -> bool:
    """It was taken; False where the claim was lost meanwhile."""
    done = one.rows.update(state=MessageState.SENT, sent_at=one.now, holder="", lease_until=None, problem=None)
    if done and one.message.channel_id is not None:
        Channel.objects.filter(pk=one.message.channel_id).update(sent_at=one.now, problem=None, problem_at=None)
    return bool(done)


def failed(one: Claim, trouble: Trouble) -> None:
    """It was not taken: tried again at the moment that the claim set, or never where that would not help."""
    message = one.message
    problem = {"code": trouble.code, "text": trouble.text}
    since = _refused_since(one, trouble)
    late = since is not None and one.now - since >= GIVE_UP[message.way]
    over = trouble.final or message.test or late
    with transaction.atomic():
        state = MessageState.FAILED if over else MessageState.QUEUED
        said = {**problem, **({"since": since.isoformat()} if since is not None else {})}
        if not one.rows.update(state=state, holder="", lease_until=None, problem=said):
            return
        if message.channel_id is not None:
            Channel.objects.filter(pk=message.channel_id).update(problem=problem, problem_at=one.now)
    if over and not message.test:
        to = message.channel.name if message.channel is not None else message.address
        log.warning(
            "message %s to %s is given up after %d tries: %s", message.ident, to, message.attempts, trouble.text
        )


def _refused_since(one: Claim, trouble: Trouble) -> datetime | None:
    """When a message was refused for the first time; what the mail server's own trouble held up, nobody has refused."""
    before = (one.message.problem or {}).get("since")
    if before is not None:
        return datetime.fromisoformat(before)
    return None if trouble.code == MAIL_SERVER else one.now


def hurry(server: Server, now: datetime) -> int:
    """The mail server is back: what waited for it alone is due at once."""
    waiting = Message.objects.filter(server=server, state=MessageState.QUEUED, way=Way.MAIL, retry_at__gt=now)
    return waiting.filter(holder="", problem__code=MAIL_SERVER).update(retry_at=now)


def forget(server: Server, now: datetime, days: int) -> None:
    """Remove what was sent, or given up, long ago."""
    over = Message.objects.filter(server=server, made_at__lt=now - timedelta(days=days))
    over.exclude(state=MessageState.QUEUED).delete()
