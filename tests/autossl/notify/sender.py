"""A worker's part in a process of its own, to be killed: python -m tests.autossl.notify.sender make|deliver|tell|show."""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402

from autossl_panel.autossl.models import Message, Notice, UntoldRun  # noqa: E402
from autossl_panel.autossl.notify import post, telling  # noqa: E402
from autossl_panel.hosting import servers  # noqa: E402
from tests.autossl.notify.rows import queued  # noqa: E402


def main(what: str, number: int) -> object:
    server, now = servers.this(), timezone.now()
    if what == "make":
        Message.objects.all().delete()
        return [queued(server, now, f"u{n}@example.org").ident for n in range(number)]
    if what == "deliver":
        return post.deliver(server, now=now + timedelta(minutes=number)).sent
    if what == "tell":
        return telling.sweep(server, now=now)
    return {
        "messages": list(Message.objects.order_by("pk").values_list("state", "attempts")),
        "notices": Notice.objects.count(),
        "untold": UntoldRun.objects.count(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
