"""The pending queue: sites that wait, as the Pending page has them, with the orders that are with the CA."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from autossl_panel.autossl import waiting
from autossl_panel.autossl.models import Job, Order
from autossl_panel.autossl.preview_told import stamp
from autossl_panel.autossl.waiting import Kind
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import VirtualHost

from . import schema
from .checks import OWN_USERNAME, USERNAME
from .functions import LOGINS, OPERATORS, Call, Data, Streamed, function
from .problems import DOMAIN

# Sites that are in memory at once, with the names of their orders
CHUNK = 1000
ENTRY = schema.obj(
    {
        "domain": schema.text("A name of the order; the site's main name where none is placed yet"),
        "order_item_id": schema.or_null(schema.text("The order's number here")),
        "request_time": schema.or_null(schema.moment("When it was placed")),
        "user": schema.text(),
        "virtual_host": schema.text(),
        "waits_for": schema.text("Not of WHM: whom the site waits for", only=[str(kind) for kind in Kind]),
        "until": schema.or_null(schema.moment("Not of WHM: when it is gone on with")),
    }
)
# A site that waits, with its live job
Row = tuple[VirtualHost, Job | None]
QUEUE = schema.obj({"pending_certificates": schema.array(ENTRY)})


@function(*OPERATORS, answers=QUEUE)
def get_autossl_pending_queue(call: Call) -> Data:
    """Says which certificates are waited for: for the CA, a limit, a deferral, the next try, or this server."""
    return _queue(call, _hosts(call))


@function(*OPERATORS, answers=QUEUE, parameters=[USERNAME])
def get_autossl_pending_queue_for_user(call: Call) -> Data:
    """The same, for one user."""
    hosts = _hosts(call).filter(user=call.user("username"))
    return _queue(call, hosts)


@function(*OPERATORS, answers=QUEUE, parameters=[DOMAIN])
def get_autossl_pending_queue_for_domain(call: Call) -> Data:
    """The same, for one name."""
    return _queue(call, call.hosts_of_domain("domain"), call.domain("domain"))


@function(*LOGINS, name="get_autossl_pending_queue", answers=schema.array(ENTRY), parameters=[OWN_USERNAME])
def own_queue(call: Call) -> Data:
    """Says which certificates of this login's user are waited for."""
    return Streamed(_array(call, _hosts(call).filter(user=call.own_user("username"))))


def _hosts(call: Call) -> QuerySet[VirtualHost]:
    return visible.virtual_hosts(call.person).filter(server=call.server, gone_at__isnull=True)


def _queue(call: Call, hosts: QuerySet[VirtualHost], domain: str = "") -> Streamed:
    def pieces() -> Iterator[str]:
        yield '{"pending_certificates": '
        yield from _array(call, hosts, domain)
        yield "}"

    return Streamed(pieces())


def _array(call: Call, hosts: QuerySet[VirtualHost], domain: str = "") -> Iterator[str]:
    """A JSON array with an entry a name, what comes next first; of `domain` alone where given."""
    yield "["
    comma = ""
    for some in _chunks(_waiting(call, hosts)):
        orders = _open_orders(host for host, _ in some)
        for host, job in some:
            for entry in _entries(host, job, orders.get(host.pk), domain):
                yield f"{comma}\n{json.dumps(entry)}"
                comma = ","
    yield "\n]"


def _waiting(call: Call, hosts: QuerySet[VirtualHost]) -> Iterator[Row]:
    """Each site once: those at work with their job, by name, then the others by their moment.

    A site that is at work waits for what its job waits for, whatever it waited for before.
    """
    live = waiting.at_work(call.now).filter(virtual_host__in=hosts.order_by().values("pk"))
    live = live.select_related("virtual_host__user").order_by("virtual_host__name", "pk")
    at_work = set()
    for job in live.only("state", "virtual_host__name", "virtual_host__user__name").iterator(CHUNK):
        at_work.add(job.virtual_host_id)
        yield job.virtual_host, job
    fields = hosts.select_related("user").only("name", "user__name", "next_at", "next_reason")
    for host in waiting.sites(fields).order_by("next_at", "name").iterator(CHUNK):
        # Not left out by the query: a job that ends between the two would have its site listed twice.
        if host.pk not in at_work:
            yield host, None


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, CHUNK)):
        yield some


def _open_orders(hosts: Iterable[VirtualHost]) -> dict[int, Order]:
    rows = Order.objects.filter(closed_at__isnull=True, virtual_host__in=[host.pk for host in hosts])
    return {order.virtual_host_id: order for order in rows.only("virtual_host_id", "names", "created_at", "retry_at")}


def _entries(host: VirtualHost, job: Job | None, order: Order | None, domain: str) -> Iterable[dict[str, Any]]:
    until = host.next_at if job is None else order.retry_at if order is not None else None
    names = order.names if order is not None else [domain or host.name]
    for name in names:
        if domain and name != domain:
            continue
        yield {
            "domain": name,
            "order_item_id": str(order.pk) if order is not None else None,
            "request_time": stamp(order.created_at) if order is not None else None,
            "user": host.user.name,
            "virtual_host": host.name,
            "waits_for": str(waiting.kind_of_job(job) if job is not None else waiting.kind(host.next_reason)),
            "until": stamp(until),
        }
