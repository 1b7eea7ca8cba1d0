"""Permits as rows: taken and committed before the first byte of a request, told afterwards what became of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

from django.db import transaction
from django.db.models import Q

from autossl_panel.people import audit
from autossl_panel.people.models import User

from .. import ledger
from ..ledger import FOREVER, Asked, Granted, Key, Kind, Limit, OrderKind, Scope, Wish
from ..models import Account, Bucket, Provider
from . import rows, stamps, stops
from .rows import Sheet

NO_SKEW = timedelta(0)


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send one request. `granted` None: nothing is limited there, and nothing has to be told afterwards."""

    granted: Granted | None

    def as_json(self) -> dict[str, Any] | None:
        """For `Order.permit`."""
        given = self.granted
        if given is None or given.wish.kind is None:
            return None
        until = None if given.until == FOREVER else given.until
        probe = {"probe": True} if given.wish.probe else {}
        return {"kind": str(given.wish.kind), "at": given.at, "until": until, **probe}

    @classmethod
    def of(cls, said: Mapping[str, Any] | None, names: Sequence[str]) -> Self:
        """The permit of an order from `Order.permit` and `Order.names`."""
        if said is None:
            return cls(None)
        until = FOREVER if said["until"] is None else said["until"]
        wish = ledger.order(OrderKind(said["kind"]), names, probe=said.get("probe", False))
        return cls(Granted(wish, said["at"], until))


@dataclass(frozen=True, slots=True)
class Wait:
    """Why not now: `used` of `allowed` by `subject`. `until`: when to ask again; None: when a person has acted.

    `label` is what people call the subject; `detail` and `url` are the CA's own words where it refused. `rank`: whose
    turn comes first among all that wait, the lowest (`priority.rank`). `asked`: when somebody last found out whether it
    still refuses.
    """

    until: datetime | None
    kind: Kind
    subject: str
    used: int
    allowed: int
    label: str = ""
    detail: str = ""
    url: str = ""
    rank: int = 0
    asked: datetime | None = None

    @property
    def refused(self) -> bool:
        """The CA said so itself; else it is our own count of what it allows."""
        return bool(self.detail)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a refusal stops, until when (None: until a person acts), in the CA's words."""

    kind: Kind
    subject: str
    until: datetime | None
    detail: str
    url: str


def look(account: Account, wish: Wish, *, now: datetime) -> Wait | None:
    """What `take` would say now, None for a permit: as near as can be told without a lock. Writes nothing."""
    if not _limited(account, wish) and not _refuses(account, now):
        return None
    paper = rows.sheet(account)
    paper.read([*wish.asks, *_heeded(wish)], lock=False)
    held = paper.ledger.look(wish, rows.seconds(now))
    return None if held is None else told(held, wish)


def told(held: ledger.Wait, wish: Wish) -> Wait:
    """What the ledger says to a wish, as people and rows have it."""
    until = None if held.until is None else rows.moment(held.until)
    label = _labels(wish).get((held.kind, held.subject), held.subject)
    asked = None if held.asked is None else rows.moment(held.asked)
    return Wait(until, held.kind, held.subject, held.used, held.allowed, label, held.detail, held.url, asked=asked)


def take(account: Account, wish: Wish, *, now: datetime) -> Permit | Wait:
    """Leave for what `wish` needs, all of it or nothing. `now` is **the CA's time** as this process has heard it.

    Alone, it is committed when this returns. Inside a caller's transaction it is committed with it (the order's row and
    its permit in one): call it last, for the account's other permits wait until then, and send nothing before the
    commit. Raises StampProblem, then and at the commit, where the stamp cannot be kept: then nothing may be sent.
    """
    # As the caller knows the provider: whether anything is limited. What, is read under the lock.
    if not _limited(account, wish):
        return _unlimited(account, wish, now)
    at = rows.seconds(now)
    with transaction.atomic():
        row = _locked(account, now)
        paper = rows.sheet(row)
        labels = _labels(wish)
        counted = paper.counted(wish.spends)
        paper.make(counted, labels)
        paper.read([*wish.asks, *counted, *_heeded(wish)], lock=True)
        answer = paper.ledger.ask(wish, at)
        if isinstance(answer, ledger.Wait):
            _save_stamp(row)
            return told(answer, wish)
        paper.write([*counted, *_found_out(answer)], labels)
        row.ledger_count += 1
        _save_stamp(row)
        path, stamp, count = stamps.path_of(row), row.ledger_stamp, row.ledger_count
        transaction.on_commit(partial(stamps.note, path, stamp, count, sync=bool(wish.asks)))
    return Permit(answer)


def taken(account: Account, permit: Permit) -> None:
    """The CA has taken the order: where that was to find out whether it still refuses, everybody goes on."""
    given = permit.granted
    if given is None or not given.wish.probe:
        return
    keys = _found_out(given)
    with transaction.atomic():
        paper = rows.sheet(account)
        paper.read(keys, lock=True)
        over = paper.ledger.taken(given)
        paper.write(over, {})
    if (Kind.REQUESTS, "") in over:
        stops.lift(paper.shared_owner)


def keep(account: Account, permit: Permit, *, now: datetime) -> Permit | Wait:
    """Before an order's later steps (challenges answered, finalize): what the CA counts then is dated anew.

    The same permit, and no write, where it is still fresh: the usual case. Save the new one with the order.
    """
    given = permit.granted
    if given is None or rows.seconds(now) <= given.until:
        return permit
    with transaction.atomic():
        paper = _opened(account, given.wish, lock=True)
        answer = paper.ledger.keep(given, rows.seconds(now))
        if isinstance(answer, ledger.Wait):
            return told(answer, given.wish)
        paper.write(paper.counted(given.wish.spends), _labels(given.wish))
    return Permit(answer)


def settle(
    account: Account,
    permit: Permit,
    *,
    now: datetime,
    proven: Collection[str] = (),
    failed: Collection[str] = (),
    issued: bool = False,
) -> None:
    """What became of an order, in the transaction that saves it: proven names give back what was set aside for them.

    Not told (crash, time-out, order lost) it stays spent.
    """
    given = permit.granted
    if given is None or not (proven or failed or issued):
        return
    certificates = bool(failed) or (issued and rows.seconds(now) > given.until)
    keys = [key for key in given.wish.spends if certificates or key[0] is Kind.FAILURES]
    with transaction.atomic():
        paper = _opened(account, given.wish, lock=True, keys=keys)
        paper.ledger.settle(given, rows.seconds(now), proven=proven, failed=failed, issued=issued)
        paper.write(paper.counted(keys), _labels(given.wish))


def give_back(account: Account, permit: Permit, *, sent: bool = False) -> None:
    """All of it, because the request was surely never sent: no connection was made, or the caller thought better.

    `sent`: it was, and the CA's answer was no, or none ever came. Then it may count as an order, but nothing will come
    of it: certificates are counted when they are issued, and nobody finalizes this one.
    """
    given = permit.granted
    if given is None:
        return
    with transaction.atomic():
        paper = _opened(account, given.wish, lock=True)
        if sent:
            paper.ledger.lost(given)
        else:
            paper.ledger.give_back(given)
        paper.write(paper.counted(given.wish.spends), _labels(given.wish))


def heard(
    provider: Provider,
    problem: ledger.Problem,
    asked: Asked,
    *,
    now: datetime,
    account: Account | None = None,
    names: Sequence[str] = (),
    skew: timedelta = NO_SKEW,
) -> tuple[Heard, ...]:
    """Note what the CA refused all the same; just that waits from now on. Empty where `problem` is no such refusal.

    `now`: the CA's time; `skew`: how far it is ahead of the clock that `problem.retry_after` was reckoned by.
    """
    said = ledger.scopes(problem, asked, names, rows.seconds(now))
    found = [_lasting(scope, account, max(skew, NO_SKEW)) for scope in said]
    if not found:
        return ()
    owner = account if account is not None else Account(provider=provider)
    with transaction.atomic():
        paper = rows.sheet(owner)
        keys = [(scope.kind, scope.subject) for scope in found]
        paper.make(keys, {})
        paper.read(keys, lock=True)
        for scope in found:
            paper.ledger.block(scope.kind, scope.subject, scope.block)
        paper.write(keys, {})
    stops.look_again()
    for scope in found:
        if scope.kind is Kind.REQUESTS and scope.until is not None:
            stops.stop(paper.shared_owner, scope.until - rows.seconds(now))
    return tuple(
        Heard(scope.kind, scope.subject, rows.moment(scope.until) if scope.until else None, scope.detail, scope.url)
        for scope in found
    )


def _lasting(scope: Scope, account: Account | None, skew: timedelta) -> Scope:
    kind = scope.kind
    if account is None and kind not in ledger.PROVIDER_WIDE:
        kind = Kind.REQUESTS
    until = None if scope.until is None or kind is Kind.CONSECUTIVE else scope.until + skew.total_seconds()
    return Scope(kind, scope.subject if kind is scope.kind else "", until, scope.detail, scope.url)


def unpause(account: Account, name: str, *, by: User | None) -> bool:
    """A person says that a name is mended at the CA: its pause and its row of failures are over. Whether it had one."""
    mine = Bucket.objects.filter(owner=rows.own_owner(account), subject=name)
    with transaction.atomic():
        ended = mine.filter(kind=Kind.CONSECUTIVE, blocked_until__isnull=False).update(
            blocked_until=None, blocked_detail="", blocked_url=""
        )
        ended += mine.filter(kind=Kind.FAILURES, in_a_row__gt=0).update(in_a_row=0)
        if ended:
            audit.record(by, "limits:unpaused", name, after={"provider": account.provider.name})
    return bool(ended)


# --- what they share --------------------------------------------------------------------------------------------------


def _limits(found: Iterable[Limit], wish: Wish) -> bool:
    """Whether any of these limits is about what the wish spends."""
    kinds = {Kind.FAILURES if limit.kind is Kind.CONSECUTIVE else limit.kind for limit in found}
    return any(kind in kinds for kind, _subject in wish.spends)


def _limited(account: Account, wish: Wish) -> bool:
    """Whether anything that the wish spends is limited, by the provider's word or by another's on its directory."""
    if _limits(rows.limits_of(account.provider), wish):
        return True
    return not stops.seen_free(account.pk) and _limits(rows.limits_at(account.provider), wish)


def _unlimited(account: Account, wish: Wish, now: datetime) -> Permit | Wait:
    """Where nothing that the wish spends is limited: only what the CA refused before."""
    if not _refuses(account, now):
        return Permit(None)
    with transaction.atomic():
        paper = rows.sheet(account)
        paper.read([*wish.asks, *_heeded(wish)], lock=True)
        answer = paper.ledger.ask(wish, rows.seconds(now))
        if isinstance(answer, ledger.Wait):
            return told(answer, wish)
        paper.write(_found_out(answer), {})
    return Permit(answer if answer.wish.probe else None)


def _refuses(account: Account, now: datetime) -> bool:
    """Whether a refusal of the account or its provider is known, also one that has ended and that nobody asked about
    since."""
    if stops.seen_free(account.pk):
        return False
    ended = Q(kind=Kind.REQUESTS, blocked_until__lte=now)
    mine = (rows.shared_owner(account.provider), rows.own_owner(account))
    refused = Bucket.objects.filter(owner__in=mine, blocked_until__isnull=False)
    if refused.exclude(ended).exists():
        return True
    stops.note_free(account.pk)
    return False


def _found_out(granted: Granted) -> list[Key]:
    """Where the refusals stand that a granted wish finds out about."""
    return list(ledger.heeded(granted.wish)) if granted.wish.probe else []


def _locked(account: Account, now: datetime) -> Account:
    """The account's row, locked until the transaction ends, its stamp compared."""
    # Not FOR UPDATE: whoever has just inserted an order of this account holds a share of the row's key.
    row = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("provider").get(pk=account.pk)
    before = row.ledger_spent_at
    stamps.look(row, now=now, keep=rows.longest(rows.limits_at(row.provider)))
    if row.ledger_spent_at != before:
        # Read again by whoever makes a sheet
        _save_stamp(row)
    return row


def _save_stamp(row: Account) -> None:
    Account.objects.filter(pk=row.pk).update(
        ledger_stamp=row.ledger_stamp,
        ledger_count=row.ledger_count,
        ledger_spent_at=row.ledger_spent_at,
        ledger_lost=row.ledger_lost,
    )


def _opened(account: Account, wish: Wish, *, lock: bool, keys: Iterable[Key] | None = None) -> Sheet:
    paper = rows.sheet(account)
    paper.read(paper.counted(wish.spends if keys is None else keys), lock=lock)
    return paper


def _heeded(wish: Wish) -> list[Key]:
    """Where refusals may stand that hold the wish, whatever it is free of."""
    if not wish.names:
        return [(Kind.REQUESTS, "")]
    return [(Kind.REQUESTS, ""), (Kind.ACCOUNT, ""), *((Kind.CONSECUTIVE, name) for name in wish.names)]


def _labels(wish: Wish) -> dict[Key, str]:
    """What people call a set of names."""
    shown = ", ".join(wish.names[:3]) + (f" … ({len(wish.names)})" if len(wish.names) > 3 else "")
    return {key: shown for key in wish.spends if key[0] is Kind.SET}
