"""The ledger of a CA's limits: what may be asked for now, and when the rest. No Django, no clock, no I/O.

    ledger = Ledger(limits)                                  # of one account; `shared=` another of the same provider
    answer = ledger.ask(order(kind, names, purpose=…), now)  # all of it is spent, or nothing
    if isinstance(answer, Wait): …                           # until, kind, subject, used, allowed
    answer = ledger.keep(answer, now)                        # before each later step: a Wait is possible here too
    ledger.taken(answer)                                     # the CA took the order: see Granted.wish.probe
    ledger.settle(answer, now, issued=True)                  # or proven=…, failed=…; unknown ends stay spent
    ledger.block(scope.kind, scope.subject, scope.block)     # for each of scopes(problem, …): refused all the same

Moments are POSIX seconds by the CA's clock; a ledger's time never runs back. Whoever has many subjects calls `prune`
now and then. `fork` is a copy to try things on. Rows and locks are in `limits`.
"""

from .book import ANSWERED, APART, FOREVER, REMEMBERED, Block, Book, Failures, Loss
from .hearing import Asked, Problem, Scope, named, scopes
from .ledger import Granted, Ledger, Use, Wait
from .limit import COUNTED, PROVIDER_WIDE, Kind, Limit
from .queue import Queue
from .wish import HEADROOM, Key, OrderKind, Purpose, Wish, digest, heeded, order, order_kind, registration

__all__ = [
    "ANSWERED",
    "APART",
    "COUNTED",
    "FOREVER",
    "HEADROOM",
    "PROVIDER_WIDE",
    "REMEMBERED",
    "Asked",
    "Block",
    "Book",
    "Failures",
    "Granted",
    "Key",
    "Kind",
    "Ledger",
    "Limit",
    "Loss",
    "OrderKind",
    "Problem",
    "Purpose",
    "Queue",
    "Scope",
    "Use",
    "Wait",
    "Wish",
    "digest",
    "heeded",
    "named",
    "order",
    "order_kind",
    "registration",
    "scopes",
]
