"""Limits of the CAs: a permit for each request that one counts, shared by all workers (rules §5).

How to use. `now` is the CA's time as this process has heard it (the client's Date and monotonic time since), never
this host's clock alone; a client that has heard nothing yet asks for the directory or a nonce first.

    client = ca.Client(…, gate=pacing.pace(provider))    each request at its pace; may raise CaProblem (RATE)
    wish = ledger.order(ledger.order_kind(replaces=…, issued_at=…, now=…), names, purpose=…)
    with transaction.atomic():                           the order's row and its permit in one commit
        answer = take(account, wish, now=client.time)
        Wait → no order: the job waits until answer.until (None: a person has to act)
        Permit → order.permit = answer.as_json(); save
    …newOrder is sent after the commit. Sent once more (the answer was lost, `replaces` was refused): another permit.
    permit = Permit.of(order.permit, order.names)        also after a crash, by any worker
    taken(account, permit)                               when the CA has taken it: what it refused before is over
    keep(account, permit, now=…)                         before challenges are answered and before finalize
    settle(account, permit, now=…, proven= failed= | issued=True)      with what saves the outcome
    give_back(account, permit)                           where surely nothing was sent; sent=True: it was, in vain
    heard(provider, problem, asked, account=…, names=…, now=…, skew=client.date_offset)     whenever a CaProblem comes
    take(account, ledger.registration(), now=…)          before newAccount
    ledger.order(…, probe=True) at policy.probe_at(…)    where a refusal outlasts the certificate and no other CA helps

Nothing here knows the CA's protocol, so that pages may read it: `usage`, `paused`, `unpause`; `look` is `take` without
taking, `queue` when the turn of who waits would come. Previews: `forecast`. The sweep: `prune`. Before accounts are
removed: `hold_still`, `leave`. What a provider says that its CA allows: `limits_of`, changed by `changing`; what
its accounts go by: `limits_at`.
"""

from .changing import LimitProblem
from .permits import NO_SKEW, Heard, Permit, Wait, give_back, heard, keep, look, settle, take, taken, told, unpause
from .rows import limits_at, limits_of
from .stamps import StampProblem, hold_still, leave, start_spent
from .turns import queue
from .using import Refused, Report, Usage, forecast, paused, prune, usage

__all__ = [
    "NO_SKEW",
    "Heard",
    "LimitProblem",
    "Permit",
    "Refused",
    "Report",
    "StampProblem",
    "Usage",
    "Wait",
    "forecast",
    "give_back",
    "heard",
    "hold_still",
    "keep",
    "leave",
    "limits_at",
    "limits_of",
    "look",
    "paused",
    "prune",
    "queue",
    "settle",
    "start_spent",
    "take",
    "taken",
    "told",
    "unpause",
    "usage",
]
