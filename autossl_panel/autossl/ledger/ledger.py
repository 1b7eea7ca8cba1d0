"""The ledger of one account: asked before a request, told what became of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .book import FOREVER, Block, Book, Failures, Loss
from .limit import CERTIFICATES, DIVIDED, PROVIDER_WIDE, Kind, Limit
from .wish import Key, Wish, heeded


class Granted(NamedTuple):
    """What was let pass at `at`. Whatever the CA counts of it, it counts by `until`, or `keep` was called."""

    wish: Wish
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Why not now: `used` of `allowed` by `subject`. `until`: when to ask again; None: when a person has acted.

    `detail` and `url` are the CA's own words where it refused, `asked` when somebody last found out whether it holds.
    """

    until: float | None
    kind: Kind
    subject: str
    used: int
    allowed: int
    detail: str = ""
    url: str = ""
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used now, and when the next of it comes back."""

    kind: Kind
    subject: str
    used: int
    allowed: int
    published: int
    frees_at: float | None
    block: Block | None


class Ledger:
    """All that one account of a CA has spent. Moments are POSIX seconds by **the CA's clock**, never running back.

    `losses` are the account's own, `others` those of other accounts at the provider, which share its provider-wide
    books. `shared`: the ledger of such an account, whose provider-wide books are this one's too.
    """

    __slots__ = ("_account", "_lag", "_requests", "books", "failures", "mark")

    def __init__(
        self,
        limits: Iterable[Limit],
        *,
        losses: Sequence[Loss] = (),
        others: Sequence[Loss] = (),
        shared: Ledger | None = None,
    ) -> None:
        given = {limit.kind: limit for limit in limits}
        everybodys = [*losses, *others]
        self.mark = max((loss.at for loss in everybodys), default=0.0)
        self.failures = Failures(given.get(Kind.FAILURES), given.get(Kind.CONSECUTIVE), losses)
        self.books = {
            kind: Book(kind, given.get(kind), everybodys if kind in PROVIDER_WIDE else losses) for kind in Kind
        }
        self.books[Kind.FAILURES] = self.failures
        if shared is not None:
            self.books.update({kind: shared.books[kind] for kind in PROVIDER_WIDE})
        self._requests, self._account = self.books[Kind.REQUESTS], self.books[Kind.ACCOUNT]
        self._lag = min((book.lag for book in self.books.values() if book.lag), default=FOREVER)

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, wish: Wish, now: float) -> Granted | Wait:
        """Spend all that the wish needs, or nothing: then the wait that lasts longest.

        The wish that was granted is a `probe` where it finds out for all whether the CA still refuses: see `taken`.
        """
        if now < self.mark:
            now = self.mark
        else:
            self.mark = now
        held = self._room(wish.asks, wish.headroom, now, self._held(wish, now), probe=wish.probe)
        if held is not None:
            return held
        self._spend(wish.spends, now)
        finds_out = self._find_out(wish, now)
        if finds_out != wish.probe:
            wish = replace(wish, probe=finds_out)
        return Granted(wish, now, now + self._lag / 2)

    def _find_out(self, wish: Wish, now: float) -> bool:
        """Note of the refusals that would stop others who finds out; whether there are any."""
        books, found = self.books, False
        for kind, subject in heeded(wish):
            book = books[kind]
            if book.blocks and book.ask_about(subject, now):
                found = True
        return found

    def taken(self, granted: Granted) -> list[Key]:
        """The CA has taken the order that was to find out: what it refused before, it does not any more. Where."""
        if not granted.wish.probe:
            return []
        return [key for key in heeded(granted.wish) if self.books[key[0]].taken(key[1], granted.at)]

    def look(self, wish: Wish, now: float) -> Wait | None:
        """What `ask` would say now, None where it would grant; nothing is spent."""
        now = max(self.mark, now)
        return self._room(wish.asks, wish.headroom, now, self._held(wish, now), probe=wish.probe)

    def _room(
        self, asks: Iterable[Key], headroom: float, now: float, held: Wait | None, *, probe: bool = False
    ) -> Wait | None:
        """What of `asks` has no room now, or is refused; of that and `held` what lasts longest."""
        books = self.books
        for kind, subject in asks:
            book = books[kind]
            if book.blocks and (block := book.stopped(subject, now, probe=probe)) is not None:
                held = _longer(held, self._refused(kind, subject, block))
            log = book.logs.get(subject)
            if log is None or log[0] <= now - book.span:
                if book.losses or log is not None:
                    log = book.log(subject, now)
                if log is None:
                    continue
            room = book.allowed
            if headroom and kind in DIVIDED:
                room = max(1, room - int(room * headroom))
            if len(log) >= room:
                held = _longer(held, Wait(book.room_at(log, room), kind, subject, len(log), book.allowed))
        return held

    def _spend(self, spends: Iterable[Key], now: float) -> None:
        for kind, subject in spends:
            book = self.books[kind]
            if book.limit is None:
                continue
            moment = now + book.lag
            if book.grain:
                moment = -(-moment // book.grain) * book.grain
            log = book.logs.get(subject)
            if book.losses or (log is not None and log[0] <= now - book.span):
                # What was asked before was looked at then; what is free was not.
                log = book.log(subject, now)
            if log is None:
                book.logs[subject] = [moment]
            elif moment >= log[-1]:
                log.append(moment)
            else:
                book.add(subject, moment)

    def _held(self, wish: Wish, now: float) -> Wait | None:
        """What holds every wish, whatever it is free of: refusals of all requests or of the account, paused names."""
        held: Wait | None = None
        if self._requests.blocks and (block := self._requests.stopped("", now, probe=wish.probe)) is not None:
            held = self._refused(Kind.REQUESTS, "", block)
        if not wish.names:
            return held
        if self._account.blocks and (block := self._account.stopped("", now, probe=wish.probe)) is not None:
            held = _longer(held, self._refused(Kind.ACCOUNT, "", block))
        paused, failures = self.books[Kind.CONSECUTIVE], self.failures
        if paused.blocks:
            for name in wish.names:
                if (block := paused.blocked(name, now)) is not None:
                    held = _longer(held, self._refused(Kind.CONSECUTIVE, name, block))
        if failures.most is not None and (failures.rows or failures.allowed >= failures.most):
            for name in wish.names:
                if (number := failures.in_a_row(name)) >= failures.most:
                    held = _longer(held, Wait(None, Kind.CONSECUTIVE, name, number, failures.most))
        return held

    def _refused(self, kind: Kind, subject: str, block: Block) -> Wait:
        until = None if block.until == FOREVER else block.until
        book = self.books[kind]
        used = len(book.logs.get(subject, ()))
        return Wait(until, kind, subject, used, book.allowed, block.detail, block.url, block.asked)

    # --- what became of it -------------------------------------------------------------------------------------------

    def keep(self, granted: Granted, now: float) -> Granted | Wait:
        """Before a later step that the CA may count (an answered challenge, finalize): it counts from now on.

        The same where it is still fresh. Waits only where what was spent is forgotten by now and used up by others.
        """
        if now <= granted.until:
            return granted
        now = self.mark = max(self.mark, now)
        late = [key for key in granted.wish.spends if self.books[key[0]].lag]
        known = [key for key in late if self._take_out(key, granted.at)]
        asks = [key for key in late if key not in known and key in granted.wish.asks]
        held = self._room(asks, 0.0, now, None, probe=granted.wish.probe)
        if held is None:
            self._spend(late, now)
            return Granted(granted.wish, now, now + self._lag / 2)
        for kind, subject in known:
            self.books[kind].add(subject, self._moment(kind, granted.at))
        return held

    def settle(
        self,
        granted: Granted,
        now: float,
        *,
        proven: Collection[str] = (),
        failed: Collection[str] = (),
        issued: bool = False,
    ) -> None:
        """What became of an order: names that the CA proved give back their failure, failed ones count from now.

        An issued certificate proves all its names; an order with a failed one comes to nothing, and no certificate of
        it counts. What nobody knows the end of stays spent.
        """
        now = self.mark = max(self.mark, now)
        if issued or proven:
            self.failures.proven(granted.wish.names if issued else proven, self._moment(Kind.FAILURES, granted.at))
        if failed and self.failures.limit is not None:
            for name in failed:
                self._take_out((Kind.FAILURES, name), granted.at)
                self.failures.add(name, now)
        if failed:
            self.in_vain(granted)
        if issued and now > granted.until:
            # It took its time: counted when it was issued, which is not known better than "by now".
            for key in granted.wish.spends:
                book = self.books[key[0]]
                if book.lag and key[0] is not Kind.FAILURES:
                    self._take_out(key, granted.at)
                    book.add(key[1], max(now, self._moment(key[0], granted.at)))

    def give_back(self, granted: Granted) -> None:
        """Undo all of it: the request was surely never sent."""
        for key in granted.wish.spends:
            self._take_out(key, granted.at)

    def lost(self, granted: Granted) -> None:
        """It was sent, and the CA said no, or nothing: it may count as an order, but nobody goes on with it."""
        for name in granted.wish.names:
            self._take_out((Kind.FAILURES, name), granted.at)
        self.in_vain(granted)

    def in_vain(self, granted: Granted) -> None:
        """No certificate will come of it: those that the CA counts when they are issued are given back."""
        for key in granted.wish.spends:
            limit = self.books[key[0]].limit
            if key[0] in CERTIFICATES and limit is not None and not limit.at_order:
                self._take_out(key, granted.at)

    def _take_out(self, key: Key, at: float) -> bool:
        book = self.books[key[0]]
        return book.limit is not None and book.take_out(key[1], self._moment(key[0], at))

    def _moment(self, kind: Kind, at: float) -> float:
        book = self.books[kind]
        moment = at + book.lag
        return -(-moment // book.grain) * book.grain if book.grain else moment

    # --- refusals ----------------------------------------------------------------------------------------------------

    def block(self, kind: Kind, subject: str, block: Block) -> None:
        """Note what a CA refused all the same. Of two refusals of a subject the longer one holds."""
        self.books[kind].block(subject, block)

    def mend(self, name: str) -> None:
        """A person says that a name is mended: its pause and its row of failures are over, the hourly limit is not."""
        self.books[Kind.CONSECUTIVE].blocks.pop(name, None)
        self.failures.rows.pop(name, None)

    # --- looking -----------------------------------------------------------------------------------------------------

    def use(self, kind: Kind, subject: str, now: float) -> Use:
        """How much of a limit `subject` uses now. Failures in a row never come back by themselves."""
        book = self.books[kind]
        now = max(self.mark, now)
        block = book.blocked(subject, now)
        if kind is Kind.CONSECUTIVE:
            most = self.failures.most or 0
            limit = book.limit
            return Use(kind, subject, self.failures.in_a_row(subject), most, limit.number if limit else 0, None, block)
        log = book.log(subject, now)
        frees = log[0] + book.span if log else None
        return Use(kind, subject, len(log or ()), book.allowed, book.limit.number if book.limit else 0, frees, block)

    def fork(self) -> Ledger:
        """A copy to try things on."""
        twin = Ledger(())
        twin.mark, twin._lag = self.mark, self._lag
        for kind, book in self.books.items():
            copy = book.copy()
            twin.books[kind] = copy
            if isinstance(copy, Failures):
                twin.failures = copy
        twin._requests, twin._account = twin.books[Kind.REQUESTS], twin.books[Kind.ACCOUNT]
        return twin

    def prune(self, now: float) -> None:
        """Drop all that no longer counts: what is asked for once and never again would stay for ever."""
        for book in self.books.values():
            book.prune(max(self.mark, now))


def _longer(one: Wait | None, other: Wait) -> Wait:
    if one is None:
        return other
    if one.until is None or (other.until is not None and other.until <= one.until):
        return one
    return other
