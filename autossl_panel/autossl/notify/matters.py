"""What there is to tell: one matter is one kind about one subject, with its facts. Plain data, and who can mend it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..models import Kind
from .changes import DAY, ZERO, Condition, Fact

HOUR = timedelta(hours=1)

# Causes between which a name may change from day to day without anything being new
FAMILIES = {
    "dns_timeout": "dns",
    "dns_servfail": "dns",
    "dnssec": "dns",
    "nxdomain": "absent",
    "no_address": "absent",
    "elsewhere": "elsewhere",
    "ipv6_elsewhere": "elsewhere",
    "private_address": "elsewhere",
    "http_status": "answer",
    "wrong_body": "answer",
    "redirect_loop": "answer",
    "redirect_refused": "answer",
    "connect_refused": "connect",
    "connect_timeout": "connect",
}
# What a name's own verdict says
OF_A_NAME = frozenset(FAMILIES) | {"caa", "ca_refused", "unknown"}

# The CA's or the provider's, who are told of on their own: a site's owner need not know within a day
OF_THE_CA = frozenset(
    {"ca_unreachable", "ca_server", "ca_account", "ca_terms", "ca_eab", "no_provider", "provider_changed", "paused"}
)
# This server's: its administrator has to mend them
OF_THE_SERVER = frozenset(
    {
        "attach_refused", "busy", "ca_order", "clock", "foreign_broken", "helper_gone", "internal", "inventory", "loop",
        "nginx_not_running", "not_staged", "pair_dates", "pair_mismatch", "pair_unreadable", "quarantined",
        "rolled_back", "unknown", "unknown_order", "worker_died",
    }
)  # fmt: skip
# What stands between a certificate that was issued and its being served
INSTALLING = frozenset(
    {
        "attach_refused", "foreign_broken", "helper_gone", "nginx_not_running", "not_staged", "pair_dates",
        "pair_mismatch", "pair_unreadable", "quarantined", "rolled_back", "unknown_order",
    }
)  # fmt: skip
# Waiting that ends by itself, with a stated time: no news as long as there is time
PATIENT = frozenset({"rate_limited", "order_stuck", "order_open", "held_back", "busy", "staged"})


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that is so, or that happened. `names` are those it is about, A-labels; `domain` the one that `data`
    speaks of; `until` the end of a deferral; `next_at` the next try, None where the daily check takes it up.
    """

    kind: Kind
    subject: str
    facts: frozenset[Fact]
    code: str = ""
    domain: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    until: datetime | None = None
    next_at: datetime | None = None
    not_after: datetime | None = None
    host_id: int | None = None
    site: str = ""
    user_id: int | None = None
    user_patience: timedelta = ZERO
    admin_patience: timedelta = ZERO

    def condition(self, *, user: bool, admin: bool) -> Condition:
        """It as what is looked at for changes, for the audiences that can be told and want to be."""
        return Condition(
            self.facts,
            self.not_after,
            self.user_patience if user else None,
            self.admin_patience if admin else None,
        )


def family(code: str) -> str:
    """What a cause counts as when it is compared with what was told."""
    return FAMILIES.get(code, code)


def patience(code: str) -> tuple[timedelta, timedelta]:
    """How long users and the administrator are spared a site's trouble with this cause."""
    if code in OF_THE_CA:
        return DAY, DAY
    if code in OF_THE_SERVER or code in PATIENT:
        return DAY, ZERO
    return ZERO, ZERO
