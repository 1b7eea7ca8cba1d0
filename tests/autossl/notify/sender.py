"""A worker's part in a process of its own, to be killed: `python -m tests.autossl.notify.sender WHAT NUMBER`.

Without words it does what each line of its input says, one after another, and answers each with a line of JSON.
"""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402

from autossl_panel.autossl import options  # noqa: E402
from autossl_panel.autossl.models import Account, Message, Notice, Provider, UntoldRun  # noqa: E402
from autossl_panel.autossl.notify import post, telling  # noqa: E402
from autossl_panel.hosting import servers  # noqa: E402
from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost  # noqa: E402
from autossl_panel.hosting.users import default_feature_list  # noqa: E402
from tests.autossl.notify.rows import Runs, queued  # noqa: E402


def fail_sites(server: Server, number: int) -> int:
    """A run in which so many sites failed, each of a user with an address, that nobody was told of yet."""
    now = timezone.now()
    Message.objects.all().delete()
    options.change(server, {"admin_addresses": "admin@example.org"}, by=None)
    provider, _made = Provider.objects.get_or_create(
        name="pebble", defaults={"directory_url": "https://127.0.0.1:1/dir", "state": "ready", "active": True}
    )
    Account.objects.get_or_create(provider=provider, server=server, defaults={"status": "valid", "url": "https://x/1"})
    hosts = []
    for n in range(number):
        name = f"site{n}.example.com"
        user, _made = HostingUser.objects.get_or_create(
            server=server, name=f"u{n}",
            defaults={"email": f"u{n}@example.org", "feature_list": default_feature_list()},
        )  # fmt: skip
        host, _made = VirtualHost.objects.get_or_create(
            server=server, key=name, defaults={"name": name, "user": user, "appeared_at": now}
        )
        Domain.objects.get_or_create(virtual_host=host, name=name)
        hosts.append(host)
    Runs(server, provider).failed(now, *hosts)
    return number


def main(what: str, number: int) -> object:
    server, now = servers.this(), timezone.now()
    if what == "make":
        Message.objects.all().delete()
        return [queued(server, now, f"u{n}@example.org").ident for n in range(number)]
    if what == "deliver":
        return post.deliver(server, now=now + timedelta(minutes=number)).sent
    if what == "tell":
        return telling.sweep(server, now=now)
    if what == "fail":
        return fail_sites(server, number)
    return {
        "messages": list(Message.objects.order_by("pk").values_list("state", "attempts")),
        "notices": Notice.objects.count(),
        "untold": UntoldRun.objects.count(),
    }


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin if not sys.argv[1:] else ():
        said, count = line.split()
        sys.stdout.write(json.dumps(main(said, int(count))) + "\n")
        sys.stdout.flush()
