"""What AutoSSL decides: facts and `now` in, a value and its reason out. Pure: no Django, no clock, no I/O.

`need` answers whether a certificate is needed (before any network), `plan` whether to order and for which names
(after DCV), `times` when. Ordered guard clauses; the first that holds wins.
"""

from autossl_panel.autossl.facts import (
    Action,
    ExcludedBy,
    InstalledFacts,
    NameFacts,
    Need,
    Plan,
    PolicyOptions,
    ProviderFacts,
    Refused,
    SiteFacts,
)
from autossl_panel.autossl.policy.failures import Refusal, Remedy, accept_issued, remedy
from autossl_panel.autossl.policy.needs import FOREIGN_WORSE, PERSON_ENDS, need
from autossl_panel.autossl.policy.plans import REDUCED, Finding, plan
from autossl_panel.autossl.policy.providers import (
    Candidate,
    Choice,
    ProviderHealth,
    choose,
    fault,
    instead,
    outlasts,
    probe_at,
    recovered,
    stuck_at,
)
from autossl_panel.autossl.policy.times import defer_until, refused_until, renew_at, retry_at
from autossl_panel.autossl.policy.wishes import PUBLIC_ONLY, cleared_by_person, not_wanted, wished_names

__all__ = [
    "FOREIGN_WORSE",
    "PERSON_ENDS",
    "PUBLIC_ONLY",
    "REDUCED",
    "Action",
    "Candidate",
    "Choice",
    "ExcludedBy",
    "Finding",
    "InstalledFacts",
    "NameFacts",
    "Need",
    "Plan",
    "PolicyOptions",
    "ProviderFacts",
    "ProviderHealth",
    "Refusal",
    "Refused",
    "Remedy",
    "SiteFacts",
    "accept_issued",
    "choose",
    "cleared_by_person",
    "defer_until",
    "fault",
    "instead",
    "need",
    "not_wanted",
    "outlasts",
    "plan",
    "probe_at",
    "recovered",
    "refused_until",
    "remedy",
    "renew_at",
    "retry_at",
    "stuck_at",
    "wished_names",
]
