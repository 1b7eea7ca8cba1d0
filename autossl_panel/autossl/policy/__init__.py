"""What AutoSSL decides: facts and `now` in, a value and its reason out. Pure: no Django, no clock, no I/O.

`need` answers whether a certificate is needed (before any network), `plan` whether to order and for which names
(after DCV), `times` when. Ordered guard clauses; the first that holds wins.
"""

from autossl_panel.autossl.facts import (
    Action,
    InstalledFacts,
    NameFacts,
    Need,
    Plan,
    PolicyOptions,
    ProviderFacts,
    SiteFacts,
)
from autossl_panel.autossl.policy.failures import Refusal, Remedy, accept_issued, remedy
from autossl_panel.autossl.policy.needs import need
from autossl_panel.autossl.policy.plans import Finding, plan
from autossl_panel.autossl.policy.times import defer_until, refused_until, renew_at, retry_at
from autossl_panel.autossl.policy.wishes import cleared_by_person, not_wanted, wished_names

__all__ = [
    "Action",
    "Finding",
    "InstalledFacts",
    "NameFacts",
    "Need",
    "Plan",
    "PolicyOptions",
    "ProviderFacts",
    "Refusal",
    "Remedy",
    "SiteFacts",
    "accept_issued",
    "cleared_by_person",
    "defer_until",
    "need",
    "not_wanted",
    "plan",
    "refused_until",
    "remedy",
    "renew_at",
    "retry_at",
    "wished_names",
]
