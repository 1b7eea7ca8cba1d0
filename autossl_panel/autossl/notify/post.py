"""Sending what is in the outbox: a bounded time, one sender a server, one connection to the mail server.

Workers and commands only: this reaches the network.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from autossl_panel.hosting.models import Server

from .. import leases
from ..models import Message, Way
from . import apprising, channels, outbox, webhook
from .mail import Mailer
from .outbox import Claim, Trouble

log = logging.getLogger("autossl_panel.notify")

LEASE = 60.0
# Seconds in one go: sweeps and signs of life wait behind it
BUDGET = 20.0


@dataclass(slots=True)
class Tally:
    """What came of one go. `mailed`: the mail server took one. `more`: time was over before the outbox was empty."""

    sent: int = 0
    failed: int = 0
    mailed: bool = False
    more: bool = False


def lease(server: Server) -> str:
    """The name of the right to send a server's messages."""
    return f"mail:{server.pk}"


def deliver(
    server: Server,
    *,
    now: datetime | None = None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float = BUDGET,
) -> Tally:
    """Send what is due, until nothing is left, `stop` says so or the time is over; nothing where another does it."""
    tally = Tally()
    if not outbox.due(server, now or timezone.now()).exists():
        return tally
    holder = leases.new_holder()
    ends = time.monotonic() + seconds
    with leases.kept(lease(server), holder, LEASE, also=lambda: outbox.keep(holder)) as ours, Mailer() as mailer:
        down: frozenset[str] = frozenset()
        while ours and not stop():
            if time.monotonic() > ends:
                tally.more = True
                break
            one = outbox.claim(server, holder, now or timezone.now(), without=down)
            if one is None:
                break
            down |= _send(one, mailer, tally)
    if tally.more:
        channels.ring(server)
    return tally


def send_now(message: Message) -> None:
    """Send one message in the foreground; its row then says what came of it."""
    holder = leases.new_holder()
    one = outbox.claim(message.server, holder, timezone.now(), only=message.pk)
    if one is not None:
        with Mailer() as mailer:
            _send(one, mailer, Tally())
    message.refresh_from_db()


def _send(one: Claim, mailer: Mailer, tally: Tally) -> frozenset[str]:
    """Send one message and write what came of it; returns the way by which nothing else goes now, if there is one."""
    try:
        by_its_way(one.message, mailer, one.now)
    except Trouble as trouble:
        outbox.failed(one, trouble)
        tally.failed += 1
        return frozenset({one.message.way}) if trouble.way_down else frozenset()
    except Exception as error:
        # One message's trouble (a plugin of apprise, an error of ours) must not hold up the others.
        log.exception("message %s", one.message.ident)
        outbox.failed(one, Trouble("internal", f"{type(error).__name__}: see the workers' log."))
        tally.failed += 1
        return frozenset()
    outbox.sent(one)
    if one.message.way == Way.MAIL and not tally.mailed:
        tally.mailed = True
        outbox.hurry(one.message.server, one.now)
    tally.sent += 1
    return frozenset()


def by_its_way(message: Message, mailer: Mailer, now: datetime) -> None:
    """Return when the other side has taken it; raises Trouble."""
    channel = message.channel
    if message.way == Way.MAIL:
        mailer.send(message)
    elif channel is None:
        raise Trouble("channel", "Its channel is gone.", final=True)
    elif message.way == Way.WEBHOOK:
        webhook.send(message, channel, now)
    else:
        apprising.send(message, channel)
