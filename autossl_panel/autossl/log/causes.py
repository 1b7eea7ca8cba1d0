"""Which problems belong together, because one fix mends them, and where it is to be looked for. Pure."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy

from autossl_panel.names import registered_domain

from .words import REASONS

Facts = Mapping[str, Any]

# Where somebody looks for the fix; whatever is not named here is the names' own matter
KINDS = {
    "dns": gettext_lazy("DNS"),
    "web": gettext_lazy("Web server"),
    "server": gettext_lazy("This server"),
    "ca": gettext_lazy("The CA"),
    "foreign": gettext_lazy("Others’ certificates"),
    "names": gettext_lazy("Names"),
}
_DNS = (
    "nxdomain", "no_address", "dns_timeout", "dns_servfail", "dnssec", "elsewhere", "ipv6_elsewhere", "caa",
    "private_address",
)  # fmt: skip
_WEB = ("http_status", "wrong_body", "connect_refused", "connect_timeout", "redirect_loop", "redirect_refused")
_SERVER = (
    "unknown", "clock", "loop", "internal", "worker_died", "helper_gone", "helper", "inventory", "nginx_not_running",
    "attach_refused", "foreign_broken", "quarantined", "rolled_back", "no_such_site", "unknown_order", "not_staged",
    "busy", "staged", "detached", "resolver_dead", "no_route", "own_address", "local_fault", "failing_alike",
)  # fmt: skip
KIND_OF = {
    **dict.fromkeys(_DNS, "dns"),
    **dict.fromkeys(_WEB, "web"),
    **dict.fromkeys(_SERVER, "server"),
}
# What is not named there, by how its code begins
KIND_BY_PREFIX = (
    ("ca_", "ca"),
    ("order_", "ca"),
    ("rate_", "ca"),
    ("provider", "ca"),
    ("pair_", "server"),
    ("foreign_", "foreign"),
)
REST = "names"


def kind(code: str) -> str:
    """One of KINDS."""
    return KIND_OF.get(code) or next((kind for prefix, kind in KIND_BY_PREFIX if code.startswith(prefix)), REST)


def codes(of: str) -> list[str]:
    """The codes of a kind, as far as there are words for them."""
    return [code for code in REASONS if kind(code) == of]


def key(code: str, facts: Facts) -> str:
    """The same for problems that the same fix mends: the code, and a digest of what the fix depends on."""
    told = _TOLD_APART.get(code, _by_file)(facts)
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return f"{code[:32]}-{digest}"


def _some(*names: str) -> Callable[[Facts], object]:
    return lambda facts: [facts.get(name) or "" for name in names]


def _by_file(facts: Facts) -> object:
    """What the helper or a worker says: a broken file is one cause, however many sites wait for it."""
    return [facts.get("file") or ""]


def zone(facts: Facts) -> str:
    """Nameservers and signatures are mended a domain at a time."""
    return registered_domain(one(facts, "target") or one(facts, "name"))


def _by_hop(facts: Facts) -> object:
    return [facts.get("hop_address") or facts.get("address") or "", facts.get("reason") or ""]


def _by_server(facts: Facts) -> object:
    return [str(facts.get("status") or ""), facts.get("server") or ""]


def _by_move(facts: Facts) -> object:
    if facts.get("cdn"):
        return facts["cdn"]
    return [sorted(many(facts, "from")), sorted(many(facts, "to")), facts.get("record") or ""]


def _by_defect(facts: Facts) -> object:
    return many(facts, "defects")[:1]


_TOLD_APART: dict[str, Callable[[Facts], object]] = {
    # One record a name, but one and the same thing to do
    **dict.fromkeys(("nxdomain", "no_address", "redirect_loop", "no_names", "all_excluded", "clock", "loop"), _some()),
    **dict.fromkeys(("dns_timeout", "dns_servfail", "dnssec"), zone),
    **dict.fromkeys(("connect_refused", "connect_timeout"), _by_hop),
    **dict.fromkeys(("http_status", "wrong_body"), _by_server),
    **dict.fromkeys(("foreign_defective", "foreign_expiring"), _by_defect),
    "elsewhere": _by_move,
    "ipv6_elsewhere": _some("address", "ours"),
    "private_address": _some("address"),
    "redirect_refused": _some("reason"),
    "caa": lambda facts: many(facts, "identities")[:1],
    "unknown": _some("reason"),
    "ca_refused": _some("kind", "type"),
    "over_limit": _some("limit"),
    # The CA's words say where to end it
    "ca_paused": _some("text"),
}


def many(facts: Facts, name: str) -> list[str]:
    """A fact as a list of texts, whether it is one or several; empty where it is not known."""
    value = facts.get(name)
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [str(value)] if value else []


def one(facts: Facts, name: str) -> str:
    """A fact as one text."""
    return ", ".join(many(facts, name))
