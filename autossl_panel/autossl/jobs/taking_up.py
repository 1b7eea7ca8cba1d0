"""Orders that a site has already: an open one goes on where it stood, an issued one is installed again."""

from django.utils import timezone

from autossl_panel.hosting.models import VirtualHost

from .. import choosing, orders
from ..facts import Action
from ..models import JobOutcome, Level, Order, Phase
from .moves import Advance, Again, Move
from .work import STAGED, Bench, Task


def take_up(bench: Bench, task: Task) -> Move:
    """Go on with what there is; Again where that is of no use."""
    return _install(bench, task) if task.need.action == Action.INSTALL else _resume(bench, task)


def _resume(bench: Bench, task: Task) -> Move:
    order = (
        Order.objects.select_related("virtual_host", "provider", "account__provider", "certificate")
        .filter(virtual_host=task.job.virtual_host, closed_at__isnull=True)
        .first()
    )
    if order is None:
        return Again()
    now = timezone.now()
    if order.staged_at is None and (why := _of_no_use(bench, task, order)):
        orders.close(order, "given_up")
        line = task.line("order:given_up", Level.WARN, reason=why, text="")
        task.claim.save(order, ["closed_at", "closed_as"], [line])
        return Again()
    if order.staged_at is None and order.retry_at is not None and order.retry_at > now:
        code = (order.problem or {}).get("code", "order_stuck")
        bench.end(task, JobOutcome.WAITING, code, until=order.retry_at)
        return None
    event = "order:staged_before" if order.staged_at is not None else "order:resumed"
    line = task.line(event, names=", ".join(order.names), provider=order.provider.name)
    task.claim.save(order, lines=[line], phase=Phase.ORDER)
    task.orders[order.provider.name] += 1
    return Advance(order)


def _of_no_use(bench: Bench, task: Task, order: Order) -> str:
    """Why an order is given up that waits at its CA: the site no longer goes there, or the CA is out of order and
    another takes its place. "" where it goes on.
    """
    outlook, now = bench.outlook, timezone.now()
    mine = {one.provider.account: one for one in outlook.policies.candidates(outlook.own(task.site))}
    candidate = mine.get(order.account_id)
    if candidate is None:
        # What is being signed is waited for, wherever that is.
        return "" if order.status in ("processing", "valid") else "provider_changed"
    stopped = candidate.health.stopped or bench.stops.code(order.account_id)
    if not stopped and not candidate.health.down(now):
        return ""
    purpose = choosing.purpose_of(task.need, task.site, now)
    chosen = outlook.choose(task.site, order.names, purpose, now)
    elsewhere = chosen.provider is not None and chosen.provider.account != order.account_id
    return "replaced_elsewhere" if elsewhere else ""


def _install(bench: Bench, task: Task) -> Move:
    """Our store holds a sound pair that the web server no longer names: its order is installed again."""
    host = task.job.virtual_host
    order = (
        Order.objects.select_related("certificate")
        .filter(virtual_host=host, closed_as="installed")
        .filter(certificate__not_after__gt=timezone.now(), certificate__revoked_at__isnull=True)
        .order_by("-created_at")
        .first()
    )
    if order is None:
        VirtualHost.objects.filter(pk=host.pk).update(stored_pair="")
        return Again()
    installed = task.site.facts.installed
    order.closed_at, order.closed_as, order.staged_at = None, "", timezone.now()
    order.expect_fingerprint = installed.fingerprint if installed else ""
    line = task.line("install:again", serial=order.certificate.serial if order.certificate else "?")
    fields = ["closed_at", "closed_as", "staged_at", "expect_fingerprint"]
    task.claim.save(order, fields, [line], phase=Phase.INSTALL, **STAGED)
    bench.to_installer(task)
    return None
