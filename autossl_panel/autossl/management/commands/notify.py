"""Where notifications for the administrator go, beside the addresses of the options; and the outbox."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.utils import timezone

from autossl_panel.autossl import options as option_rows
from autossl_panel.autossl.management.base import FAILED, plural, table, usage
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.models import Channel, Message, MessageState, NotifyLevel, Way
from autossl_panel.autossl.notify import channels, post
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server


class Command(Base):
    help = "Channels for notifications: list, add, change, remove or test them; send again what was given up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="the mail server, the channels, and what is not sent")
        add = verbs.add_parser("add", help="add a channel")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--kind", choices=Way.values, required=True)
        add.add_argument(
            "--target", required=True, metavar="ADDRESS|URL", help="a URL of apprise: - reads it from a line"
        )
        change = verbs.add_parser("set", help="change a channel")
        change.add_argument("name", metavar="NAME")
        change.add_argument("--target", default="", metavar="ADDRESS|URL")
        change.add_argument("--enabled", choices=["yes", "no"])
        for one in (add, change):
            one.add_argument("--level", choices=NotifyLevel.values)
            one.add_argument("--private", choices=["yes", "no"], help="a webhook of your own network, also http")
            one.add_argument("--secret-stdin", action="store_true", help="read a webhook's secret from a line")
        remove = verbs.add_parser("remove", help="remove a channel with what waits for it")
        remove.add_argument("name", metavar="NAME")
        test = verbs.add_parser("test", help="send a test now: by a channel, or to the administrator's addresses")
        test.add_argument("name", nargs="?", metavar="NAME")
        verbs.add_parser("again", help="send again what was given up")

    def work(self, *, verb: str, **options: Any) -> int:
        server = servers.this()
        verbs = {
            "list": self._list,
            "add": self._add,
            "set": self._set,
            "remove": self._remove,
            "test": self._test,
            "again": self._again,
        }
        return verbs[verb](server, **options)

    def _list(self, server: Server, **_: Any) -> int:
        row = option_rows.current(server)
        addresses = ", ".join(row.admin_addresses) or "nobody"
        where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}" if settings.AUTOSSL_MAIL_FROM else "none is set"
        self.stdout.write(f"Mail server: {where}. Administrator: {addresses} ({row.notify_admin})")
        rows = Channel.objects.filter(server=server)
        if rows:
            table(
                self.stdout,
                ("NAME", "KIND", "LEVEL", "ENABLED", "TARGET", "STATE"),
                [
                    (one.name, one.kind, one.level, "yes" if one.enabled else "no", channels.masked(one), _state(one))
                    for one in rows
                ],
            )
        waiting = Message.objects.filter(server=server, state=MessageState.QUEUED).count()
        if waiting:
            self.stdout.write(f"{plural(waiting, 'message')} waiting")
        for message in channels.failed(server).select_related("channel").order_by("-pk")[:20]:
            to = message.channel.name if message.channel else message.address
            self.stdout.write(f"Not sent to {to}: {_problem(message)}")
        return 0

    def _add(self, server: Server, *, name: str, kind: str, target: str, **options: Any) -> int:
        wish = channels.Wish(
            name,
            kind,
            sys.stdin.readline().strip() if target == "-" else target,
            level=options["level"] or NotifyLevel.WARNINGS,
            private=options["private"] == "yes",
            secret=_secret(options["secret_stdin"]),
        )
        row = channels.add(server, wish, by=None)
        self.stdout.write(f"{row.name}: added. Try it with: notify test {row.name}")
        if row.kind == Way.WEBHOOK and not wish.secret:
            self.stdout.write(f"Its secret, shown only now: {row.secret}")
        return 0

    def _set(self, server: Server, *, name: str, target: str, **options: Any) -> int:
        row = _channel(server, name)
        wish = channels.Wish(
            row.name,
            row.kind,
            target,
            level=options["level"] or row.level,
            enabled=row.enabled if options["enabled"] is None else options["enabled"] == "yes",
            private=row.private if options["private"] is None else options["private"] == "yes",
            secret=_secret(options["secret_stdin"]),
        )
        channels.change(row, wish, by=None)
        self.stdout.write(f"{row.name}: {row.level}, {'enabled' if row.enabled else 'switched off'}")
        return 0

    def _remove(self, server: Server, *, name: str, **_: Any) -> int:
        channels.remove(_channel(server, name), by=None)
        self.stdout.write(f"{name}: removed")
        return 0

    def _test(self, server: Server, *, name: str | None, **_: Any) -> int:
        now = timezone.now()
        if name is None:
            messages = channels.ask_mail_test(server, by=None, now=now, ring_bell=False)
        else:
            messages = [channels.ask_test(_channel(server, name), by=None, now=now, ring_bell=False)]
        status = 0
        for message in messages:
            post.send_now(message)
            to = message.channel.name if message.channel else message.address
            if message.state == MessageState.SENT:
                self.stdout.write(f"{to}: sent")
            else:
                self.stderr.write(f"{to}: {_problem(message)}")
                status = FAILED
        return status

    def _again(self, server: Server, **_: Any) -> int:
        number = channels.send_again(server, by=None, now=timezone.now())
        self.stdout.write(f"{plural(number, 'message')} to be sent again")
        return 0


def _channel(server: Server, name: str) -> Channel:
    found = Channel.objects.filter(server=server, name=name).first()
    if found is None:
        known = ", ".join(Channel.objects.filter(server=server).values_list("name", flat=True)) or "none"
        usage(f"There is no channel “{name}”. There are: {known}.")
    return found


def _secret(from_stdin: bool) -> str:
    if not from_stdin:
        return ""
    secret = sys.stdin.readline().strip()
    if not secret:
        usage("--secret-stdin: standard input has no line with a secret.")
    return secret


def _state(channel: Channel) -> str:
    if channel.problem is not None:
        return f"since {channel.problem_at:%Y-%m-%d %H:%M} UTC: {channel.problem['text']}"
    return f"sent {channel.sent_at:%Y-%m-%d %H:%M} UTC" if channel.sent_at else "never used"


def _problem(message: Message) -> str:
    return str(message.problem["text"]) if message.problem else "another process has it"
