"""Putting staged certificates live: one activation for all of them, handshakes, then confirm or roll back.

The caller holds the server's install lease. Rows are written by `record`, inside the caller's transaction.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from autossl_panel.helper.client import Activation, Client
from autossl_panel.helper.protocol import Result
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Domain, Exclusion, Server, VirtualHost

from . import certificates, shaking, verdicts
from . import options as option_rows
from .models import Order, Provider
from .patience import patiently

SERVED = "activated"
# What ends an order. After anything else there is nothing wrong with its certificate: it stays staged
CLOSED_AS = {
    "quarantined": "quarantined",
    "rolled_back": "rolled_back",
    "changed_meanwhile": "given_up",
    "no_such_site": "given_up",
    # The helper has lost the pair, or it is none any more: expired while it waited for a broken site to be mended
    "unknown_order": "given_up",
    "not_staged": "given_up",
    "pair_dates": "given_up",
    "pair_mismatch": "given_up",
    "pair_unreadable": "given_up",
}
FILE = "fullchain.pem"


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of one staged order. `stays`: it waits for another try. `problem` is None where it is served."""

    order: Order
    served: bool
    stays: bool
    code: str
    text: str = ""
    file: str = ""
    line: int | None = None
    evidence: tuple[dict[str, Any], ...] = ()
    remark: str = ""

    @property
    def problem(self) -> dict[str, Any] | None:
        """As it stands on a job or virtual host."""
        if self.served:
            return None
        data = {"text": self.text, "file": self.file, "line": self.line}
        return {"code": self.code, "domain": self.order.names[0], "data": data}


def lease(server: Server) -> str:
    """The name of the right to install on a server."""
    return f"install:{server.pk}"


def extra_names(hosts: Iterable[VirtualHost]) -> dict[str, tuple[str, ...]]:
    """By site key: the www. names that the panel's snippet serves beside the configured ones."""
    by_id = {host.pk: host for host in hosts}
    if not by_id:
        return {}
    server = next(iter(by_id.values())).server
    if not option_rows.current(server).serve_www:
        return {}
    users = {host.user_id for host in by_id.values()}
    excluded: dict[int, set[str]] = {}
    for user_id, name in Exclusion.objects.filter(user__in=users).values_list("user_id", "name"):
        excluded.setdefault(user_id, set()).add(name)
    by_pattern = exclusion_patterns.load(server)
    found: dict[str, list[str]] = {}
    rows = Domain.objects.filter(virtual_host__in=by_id, added=True).order_by("virtual_host_id", "position")
    whose = ("virtual_host__user__owner_id", "virtual_host__user__feature_list_id")
    for pk, name, owner, feature_list in rows.values_list("virtual_host_id", "name", *whose):
        host = by_id[pk]
        scope = by_pattern.scope(owner, feature_list, host.user_id)
        ended = exclusion_patterns.Ended(frozenset(excluded.get(host.user_id, ())), scope)
        if not ended.by_name(name, added=True) and ended.by_pattern(name, added=True) is None:
            found.setdefault(host.key, []).append(name)
    return {key: tuple(names) for key, names in found.items()}


def activate(server: Server, orders: Sequence[Order], helper: Client, *, stop: Callable[[], bool]) -> list[Installed]:
    """Activate all of these orders at once, shake hands, confirm what is served and roll back what is not.

    Raises HelperGone where the helper stays away; calling it again then settles what this call began.
    """
    addresses = option_rows.current(server).server_addresses
    extra = extra_names([order.virtual_host for order in orders])
    wishes = [
        Activation(
            order.ident,
            order.virtual_host.key,
            expect_fingerprint=order.expect_fingerprint or None,
            extra_names=extra.get(order.virtual_host.key, ()),
        )
        for order in orders
    ]
    results = patiently(lambda: helper.activate(wishes, server_addresses=addresses), stop=stop)
    live = {order.ident: order for order in orders if results[order.ident].ok}
    wanted = {ident: _wanted(order, results[ident]) for ident, order in live.items()}
    sites = VirtualHost.objects.filter(server=server, gone_at__isnull=True).count()
    proofs = shaking.prove_all(wanted, seconds=shaking.patience(sites))
    good = [ident for ident, proof in proofs.items() if proof.problem is None]
    bad = [ident for ident, proof in proofs.items() if proof.problem is not None]
    if good:
        patiently(lambda: helper.confirm(good))
    if bad:
        patiently(lambda: helper.rollback(bad))
    return [_outcome(order, results[order.ident], proofs.get(order.ident)) for order in orders]


def _wanted(order: Order, result: Result) -> shaking.Wanted:
    assert order.certificate is not None
    return shaking.Wanted(
        names=tuple(order.names),
        targets=result.targets,
        serial=order.certificate.serial,
        key_kind=order.certificate.key_kind,
        had_tls=order.virtual_host.tls,
    )


def _outcome(order: Order, result: Result, proof: shaking.Proof | None) -> Installed:
    if proof is None:
        return Installed(order, False, result.code not in CLOSED_AS, result.code, result.text, result.file, result.line)
    if proof.problem is not None:
        return Installed(order, False, False, "rolled_back", proof.problem, evidence=proof.evidence)
    return Installed(order, True, False, SERVED, evidence=proof.evidence, remark=proof.remark or "")


def record(found: Iterable[Installed], now: datetime) -> None:
    """Write what became of the orders: installations with their evidence, and how each order was closed."""
    found = list(found)
    hosting_users.lock(VirtualHost.objects.filter(pk__in=[one.order.virtual_host_id for one in found]))
    providers = dict(Provider.objects.values_list("pk", "name"))
    for one in found:
        order = one.order
        if one.stays:
            continue
        host = order.virtual_host
        order.closed_at = now
        order.closed_as = "installed" if one.served else CLOSED_AS[one.code]
        fields = ["closed_at", "closed_as"]
        if one.served:
            assert order.certificate is not None
            order.activated_at = now
            fields.append("activated_at")
            path = Path(settings.AUTOSSL_HELPER_DIR) / "live" / host.key / FILE
            certificates.install(host, order.certificate, now=now, path=str(path), evidence=list(one.evidence))
            verdicts.accepted(host.pk, order.names, provider=providers[order.provider_id])
            VirtualHost.objects.filter(pk=host.pk).update(tls=True, attached=True, stored_pair="")
        else:
            order.problem = one.problem
            fields.append("problem")
        order.save(update_fields=fields)


def settle(server: Server, helper: Client, staged: Collection[str], *, stop: Callable[[], bool]) -> list[Installed]:
    """Prove activations whose worker died before it had proven them, and that no staged job stands for.

    The caller records what comes back. What no open order stands for is rolled back.
    """
    unproven = [ident for ident in helper.status().unconfirmed if ident not in staged]
    if not unproven:
        return []
    orders = list(
        Order.objects.filter(ident__in=unproven, virtual_host__server=server, certificate__isnull=False)
        .filter(Q(closed_at__isnull=True) | Q(closed_as="installed"))
        .select_related("virtual_host", "virtual_host__server", "certificate")
    )
    known = {order.ident for order in orders}
    if lost := [ident for ident in unproven if ident not in known]:
        helper.rollback(lost)
    return activate(server, orders, helper, stop=stop) if orders else []
