"""Orders that a site has already: an open one goes on where it stood, an issued one is installed again."""

from django.utils import timezone

from autossl_panel.hosting.models import VirtualHost

from .. import choosing, orders
from ..choosing import Chosen
from ..facts import Action
from ..models import JobOutcome, Level, Order, OrderStatus, Phase
from ..policy import Choice, ProviderHealth
from . import waiting
from .moves import Advance, Again, Move
from .probing import may_probe
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
    if order.staged_at is None:
        move = _only_finished(bench, task, order) if task.need.finishes else _instead(bench, task, order)
        if not isinstance(move, Order):
            return move
    event = "order:staged_before" if order.staged_at is not None else "order:resumed"
    line = task.line(event, names=", ".join(order.names), provider=order.provider.name)
    task.claim.save(order, lines=[line], phase=Phase.ORDER)
    task.orders[order.provider.name] += 1
    return Advance(order)


def _instead(bench: Bench, task: Task, order: Order) -> Order | Move:
    """What comes instead of going on with an order that waits at its CA: it is given up where the site no longer goes
    there, or where the CA is out of order and another takes its place. The order itself where it goes on.
    """
    outlook, now = bench.outlook, timezone.now()
    mine = {one.provider.account: one for one in outlook.policies.candidates(outlook.own(task.site))}
    candidate = mine.get(order.account_id)
    if candidate is None and order.status not in (OrderStatus.PROCESSING, OrderStatus.VALID):
        # But what is being signed is waited for, wherever that is.
        return _given_up(task, order, "provider_changed")
    health = candidate.health if candidate is not None else ProviderHealth()
    bad = bool(health.stopped or bench.stops.code(order.account_id)) or health.down(now)
    if bad or (health.half_open and not may_probe(task, order.account_id)):
        chosen = outlook.choose(task.site, order.names, choosing.purpose_of(task.need, task.site, now), now)
        if chosen.provider is None:
            waiting.for_a_provider(bench, task, chosen, now)
            return None
        if chosen.provider.account != order.account_id:
            return _given_up(task, order, "replaced_elsewhere")
    if order.retry_at is not None and order.retry_at > now:
        code = (order.problem or {}).get("code", "order_stuck")
        bench.end(task, JobOutcome.WAITING, code, until=order.retry_at)
        return None
    if health.half_open and candidate is not None:
        probe = Chosen(Choice(candidate.provider, "provider_probe"))
        task.claim.save(lines=waiting.chosen_lines(bench, task, probe))
    return order


def _only_finished(bench: Bench, task: Task, order: Order) -> Order | Move:
    """The order of a site that wants nothing more: what is signed is fetched, nothing asked for anew."""
    if order.status not in (OrderStatus.PROCESSING, OrderStatus.VALID):
        return _given_up(task, order, task.need.reason)
    if order.retry_at is not None and order.retry_at > timezone.now():
        bench.end(task, JobOutcome.WAITING, "order_open", until=order.retry_at)
        return None
    return order


def _given_up(task: Task, order: Order, why: str) -> Move:
    orders.close(order, "given_up")
    line = task.line("order:given_up", Level.WARN, reason=why, text="")
    task.claim.save(order, ["closed_at", "closed_as"], [line])
    return Again()


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
