"""The ledger's buckets as rows: read and locked, written back. Nothing here decides.

Account-wide buckets belong to "a:<account>". Provider-wide ones belong to "d:<directory>", whichever providers lead
there, and however many come and go: to the CA they are one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from .. import directory_urls
from ..ledger import FOREVER, PROVIDER_WIDE, Block, Key, Kind, Ledger, Limit, Loss
from ..models import Account, Bucket, Provider

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
WRITTEN = (
    "entries",
    "used",
    "in_a_row",
    "mark",
    "empty_at",
    "blocked_until",
    "blocked_detail",
    "blocked_url",
    "blocked_asked",
)


def seconds(moment: datetime) -> float:
    """A moment as the ledger counts: POSIX seconds to the thousandth, never earlier."""
    return math.ceil(moment.timestamp() * 1000) / 1000


def moment(at: float) -> datetime:
    """The ledger's moment as people and rows have it."""
    return NEVER if at == FOREVER else datetime.fromtimestamp(at, UTC)


def limits_of(provider: Provider) -> tuple[Limit, ...]:
    """What holds at a provider: its row's own word, else what its preset publishes; empty where nothing is known."""
    said = provider.limits if provider.limits is not None else provider.stated.get("limits", [])
    return tuple(
        Limit(
            Kind(row["kind"]), row["number"], row["seconds"], row.get("continuous", False), row.get("at_order", False)
        )
        for row in said
    )


def limits_at(provider: Provider) -> tuple[Limit, ...]:
    """What is counted of a provider's accounts: its own limits, and of what its directory counts for all accounts there
    the narrowest that it or another provider with an account there says.

    The CA counts these once. Who went by a shorter window, or by none, would forget what another has to know.
    """
    mine = {limit.kind: limit for limit in limits_of(provider)}
    there = Account.objects.filter(provider=OuterRef("pk")).exclude(url="")
    # Hardly ever more than one or two, so that comparing the addresses here costs nothing
    for other in (
        Provider.objects.exclude(pk=provider.pk).filter(Exists(there)).only("directory_url", "limits", "stated")
    ):
        if not directory_urls.same(other.directory_url, provider.directory_url):
            continue
        for limit in limits_of(other):
            if limit.kind in PROVIDER_WIDE:
                mine[limit.kind] = _narrower(mine.get(limit.kind, limit), limit)
    return tuple(mine[kind] for kind in Kind if kind in mine)


def _narrower(one: Limit, other: Limit) -> Limit:
    """What satisfies both."""
    return Limit(
        one.kind,
        min(one.number, other.number),
        max(one.seconds, other.seconds),
        one.continuous and other.continuous,
        one.at_order or other.at_order,
    )


@dataclass(slots=True)
class Sheet:
    """Some of an account's buckets: as rows, and as a ledger to ask."""

    account: Account
    shared_owner: str
    limits: tuple[Limit, ...]
    ledger: Ledger
    rows: dict[Key, Bucket] = field(default_factory=dict)

    def owner(self, kind: Kind) -> str:
        """Whose the buckets of this kind are."""
        return self.shared_owner if kind in PROVIDER_WIDE else own_owner(self.account)

    def counted(self, keys: Iterable[Key]) -> list[Key]:
        """Those of `keys` that are limited here."""
        return [key for key in keys if self.ledger.books[key[0]].limit is not None]

    def take_in(self, row: Bucket) -> None:
        """What a row says, in the ledger."""
        kind, subject = Kind(row.kind), row.subject
        book = self.ledger.books[kind]
        self.rows[kind, subject] = row
        if kind is not Kind.REQUESTS:  # that one goes by another clock: see pacing
            self.ledger.mark = max(self.ledger.mark, row.mark)
        if book.limit is not None and kind is not Kind.REQUESTS:
            book.recall(subject, [at for at, number in row.entries for _ in range(number)], row.mark)
        if row.in_a_row and kind is Kind.FAILURES:
            self.ledger.failures.rows[subject] = row.in_a_row
        if row.blocked_until is not None:
            until = FOREVER if row.blocked_until >= NEVER else row.blocked_until.timestamp()
            book.blocks[subject] = Block(until, row.blocked_detail, row.blocked_url, row.blocked_asked)

    def read(self, keys: Iterable[Key], *, lock: bool) -> None:
        """Read the rows of `keys`; locked, always in the same order, until the transaction ends."""
        wanted = sorted({(self.owner(kind), str(kind), subject) for kind, subject in keys})
        if not wanted:
            return
        where = Q()
        for (owner, kind), group in groupby(wanted, key=lambda key: key[:2]):
            where |= Q(owner=owner, kind=kind, subject__in=[subject for _, _, subject in group])
        rows = Bucket.objects.filter(where).order_by("owner", "kind", "subject")
        for row in rows.select_for_update(no_key=True) if lock else rows:
            self.take_in(row)

    def make(self, keys: Sequence[Key], labels: Mapping[Key, str]) -> None:
        """Rows for what has none yet: another transaction that makes the same ones waits here, in the same order."""
        fresh = [self._fresh(key, labels) for key in sorted(keys, key=lambda key: (self.owner(key[0]), *key))]
        if connection.features.has_select_for_update:
            Bucket.objects.bulk_create(fresh, ignore_conflicts=True)

    def write(self, keys: Iterable[Key], labels: Mapping[Key, str]) -> None:
        """Write what the ledger says of `keys`."""
        changed = []
        for key in sorted(set(keys), key=lambda key: (self.owner(key[0]), *key)):
            book = self.ledger.books[key[0]]
            if key not in self.rows and key[1] not in book.logs and key[1] not in book.blocks:
                continue  # nothing to say of it
            row = self.rows.get(key) or self._fresh(key, labels)
            self._fill(row, key)
            changed.append(row)
        Bucket.objects.bulk_create(
            changed, update_conflicts=True, update_fields=WRITTEN, unique_fields=["owner", "kind", "subject"]
        )

    def _fresh(self, key: Key, labels: Mapping[Key, str]) -> Bucket:
        kind, subject = key
        return Bucket(
            owner=self.owner(kind),
            kind=str(kind),
            subject=subject,
            label=labels.get(key, "")[:300],
            empty_at=moment(self.ledger.mark),
        )

    def _fill(self, row: Bucket, key: Key) -> None:
        kind, subject = key
        book = self.ledger.books[kind]
        if kind is not Kind.REQUESTS:
            log = book.logs.get(subject, [])
            row.entries = [[at, len(list(same))] for at, same in groupby(log)]
            row.used = len(log)
            row.in_a_row = self.ledger.failures.rows.get(subject, 0) if kind is Kind.FAILURES else 0
            row.mark = self.ledger.mark
            row.empty_at = moment(log[-1] + book.span) if log else moment(self.ledger.mark)
        block = book.blocks.get(subject)
        row.blocked_until = None if block is None else moment(block.until)
        row.blocked_detail = block.detail[:500] if block else ""
        row.blocked_url = block.url[:2000] if block else ""
        row.blocked_asked = block.asked if block else None


def sheet(account: Account) -> Sheet:
    """An empty sheet of an account, with what may have been lost of its buckets and of those it shares."""
    found = limits_at(account.provider)
    losses: list[Loss] = []
    others: list[Loss] = []
    shared = shared_owner(account.provider)
    # Hardly ever any, so that comparing the addresses here costs nothing
    some = Account.objects.filter(ledger_spent_at__isnull=False)
    for pk, url, at, lost in some.values_list("pk", "provider__directory_url", "ledger_spent_at", "ledger_lost"):
        assert at is not None
        if pk == account.pk:
            losses.append(Loss(seconds(at), lost))
        elif directory_owner(url) == shared:
            others.append(Loss(seconds(at), lost))
    return Sheet(account, shared, found, Ledger(found, losses=losses, others=others))


def shared_owner(provider: Provider) -> str:
    """Whose the provider-wide buckets are: its directory's."""
    return directory_owner(provider.directory_url)


def directory_owner(url: str) -> str:
    """Whose the buckets are that all accounts share at the directory of this address."""
    return f"d:{directory_urls.digest(url)}"


def own_owner(account: Account) -> str:
    """Whose the account-wide buckets are: the account's."""
    return f"a:{account.pk}"


def longest(limits: Iterable[Limit]) -> timedelta:
    """For how long anything counts at most."""
    return timedelta(seconds=max((limit.span + limit.lag + limit.grain for limit in limits), default=0.0))
