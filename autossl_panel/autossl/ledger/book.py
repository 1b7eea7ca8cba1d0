"""The log of one kind of spends: for each subject the moments of what still counts. Pure.

**Any** span of a window's length holds at most `allowed` of what was let pass. That satisfies a CA that counts in
sliding windows, and one that fills a bucket of the published size drop by drop: over any time that bucket gets back at
least what this lets pass.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import Self

from .limit import Kind, Limit

# A refusal that ends when a person acts
FOREVER = inf
# Who finds out whether a refusal still holds is answered within this; nobody else asks meanwhile
ANSWERED = 120.0
# Those who find it out before it has ended come so far apart, of all sites together
APART = 3600.0
# A refusal that has ended and that nobody asked about since says nothing any more
REMEMBERED = 86400.0


@dataclass(frozen=True, slots=True)
class Loss:
    """At `at` it came out that up to `number` permits (None: any) were given that the ledger knows nothing of."""

    at: float
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A CA's refusal: its subject waits until then; infinite: until a person acts. `detail` and `url` are the CA's.

    `asked`: when somebody was last let through, alone, to find out whether it still holds.
    """

    until: float
    detail: str = ""
    url: str = ""
    asked: float | None = None

    def stops(self, now: float, *, probe: bool) -> float | None:
        """Until when it stops somebody who comes now; None: this one goes, and finds out for all.

        Before it has ended only a `probe` goes; after that one goes first, and what the CA says then is everybody's.
        """
        asked = self.asked
        if now < self.until:
            if not probe or self.until == FOREVER:
                return self.until
            if asked is None or now >= asked + APART:
                return None
            return asked + ANSWERED if now < asked + ANSWERED else self.until
        if asked is not None and asked >= self.until and now < asked + ANSWERED:
            return asked + ANSWERED
        return None


class Book:
    """Logs by subject. A log is a sorted list of moments and never empty; `limit` None: only refusals are kept."""

    __slots__ = ("allowed", "blocks", "grain", "kind", "lag", "limit", "logs", "losses", "span")

    def __init__(self, kind: Kind, limit: Limit | None, losses: Iterable[Loss] = ()) -> None:
        self.kind = kind
        self.limit = limit
        self.logs: dict[str, list[float]] = {}
        self.blocks: dict[str, Block] = {}
        self.losses = tuple(sorted(losses, key=lambda loss: loss.at)) if limit is not None else ()
        # Attributes, because a property costs as much as all the rest of a look-up.
        self.allowed = limit.allowed if limit is not None else 0
        self.span = limit.span if limit is not None else 0.0
        self.lag = limit.lag if limit is not None else 0.0
        self.grain = limit.grain if limit is not None else 0.0

    def log(self, subject: str, now: float) -> list[float] | None:
        """What counts of `subject` now; None where nothing does."""
        log = self.logs.get(subject)
        if log is None:
            return self.unknown(subject, now) if self.losses else None
        return self.forget(subject, log, now) if log[0] <= now - self.span else log

    def unknown(self, subject: str, now: float) -> list[float] | None:
        """The log of a subject that nothing is known of, where permits were lost: as if they were all its own."""
        self.recall(subject, [], 0.0)
        log = self.logs.get(subject)
        return self.forget(subject, log, now) if log else None

    def recall(self, subject: str, log: list[float], mark: float) -> None:
        """Take in a log that was written down at `mark`, with what may have been lost of it since."""
        for loss in self.losses:
            if loss.at > mark:
                log = self._with_loss(log, loss)
        if log:
            self.logs[subject] = log

    def _with_loss(self, log: list[float], loss: Loss) -> list[float]:
        limit = self.limit
        assert limit is not None
        if not limit.continuous:
            number = limit.allowed if loss.number is None else min(loss.number, limit.allowed)
            return sorted([*log, *[limit.moment(loss.at)] * number])
        # The CA's bucket may have been as empty as can be: its drops come back one by one, from when no lost request
        # can be on its way any more. Windows are of no use: before the loss more may have been spent than one holds.
        # That it may have lacked all, not four fifths, is made up for by the fifth that is never used.
        live = len(log) - bisect_right(log, loss.at - self.span)
        number = limit.allowed if loss.number is None else min(limit.allowed, live + loss.number)
        first, step, grain = loss.at + limit.lag - limit.seconds, limit.seconds / limit.number, self.grain
        moments = [first + step * place for place in range(1, number + 1)]
        return [-(-moment // grain) * grain for moment in moments] if grain else moments

    def forget(self, subject: str, log: list[float], now: float) -> list[float] | None:
        """Drop what no longer counts, and the log where nothing is left."""
        gone = bisect_right(log, now - self.span)
        if gone == len(log):
            self.logs.pop(subject, None)
            return None
        del log[:gone]
        self.logs[subject] = log
        return log

    def add(self, subject: str, moment: float) -> None:
        """Enter a spend."""
        log = self.logs.get(subject)
        if log is None:
            self.logs[subject] = [moment]
        elif moment >= log[-1]:
            log.append(moment)
        else:
            insort(log, moment)

    def take_out(self, subject: str, moment: float) -> bool:
        """Take one spend of that moment out; False where there is none (any more)."""
        log = self.logs.get(subject)
        if log is None:
            return False
        place = bisect_left(log, moment)
        if place == len(log) or log[place] != moment:
            return False
        del log[place]
        if not log:
            del self.logs[subject]
        return True

    def room_at(self, log: list[float], room: int) -> float:
        """When a full log has one place below `room` again, if nothing is added meanwhile."""
        return log[len(log) - room] + self.span

    def blocked(self, subject: str, now: float) -> Block | None:
        """The refusal that holds for `subject` now."""
        block = self.blocks.get(subject)
        return block if block is not None and block.until > now else None

    def stopped(self, subject: str, now: float, *, probe: bool) -> Block | None:
        """What stops somebody who comes for `subject` now, until when that lasts for this one."""
        block = self.blocks.get(subject)
        if block is None:
            return None
        if self.over(block, now):
            del self.blocks[subject]
            return None
        until = block.stops(now, probe=probe)
        return None if until is None else block if until == block.until else replace(block, until=until)

    def over(self, block: Block, now: float) -> bool:
        """Whether a refusal says nothing any more. Requests come back by themselves: their pace is kept elsewhere."""
        return now >= block.until + (0.0 if self.kind is Kind.REQUESTS else REMEMBERED)

    def block(self, subject: str, block: Block) -> Block:
        """Note a refusal; of two the longer one stays. What then holds."""
        known = self.blocks.get(subject)
        if known is not None:
            # Whoever was let through before this was said does not find out about it: by the least bit another moment,
            # so that `taken` leaves it alone and the next one still comes as far behind.
            asked = None if known.asked is None else nextafter(known.asked, 0.0)
            block = replace(known if known.until > block.until else block, asked=asked)
        self.blocks[subject] = block
        return block

    def ask_about(self, subject: str, now: float) -> bool:
        """Somebody was let through whom its refusal would stop, or did: this one finds out. False: no refusal."""
        block = self.blocks.get(subject)
        if block is None or block.until == FOREVER:
            return False
        self.blocks[subject] = replace(block, asked=now)
        return True

    def taken(self, subject: str, asked: float) -> bool:
        """The CA has taken what was let through at that moment: the refusal is over, unless it has said so anew.

        Whether one is over.
        """
        block = self.blocks.get(subject)
        if block is None or block.asked != asked:
            return False
        del self.blocks[subject]
        return True

    def copy(self) -> Self:
        """A book of its own with the same in it."""
        twin = copy(self)
        twin.logs = {subject: log[:] for subject, log in self.logs.items()}
        twin.blocks = self.blocks.copy()
        return twin

    def prune(self, now: float) -> None:
        """Drop all that no longer counts."""
        edge = now - self.span
        for subject in [subject for subject, log in self.logs.items() if log[0] <= edge]:
            self.forget(subject, self.logs[subject], now)
        for subject in [subject for subject, block in self.blocks.items() if self.over(block, now)]:
            del self.blocks[subject]


class Failures(Book):
    """Failed validations by name, and beside them how many were in a row: what leaves the log unproven."""

    __slots__ = ("most", "rows")

    def __init__(self, limit: Limit | None, consecutive: Limit | None, losses: Iterable[Loss] = ()) -> None:
        if limit is None and consecutive is not None:
            # What is under way has to be kept somewhere until its end is known. Of failures that were lost, any number
            # may be in a row: not to hold every name for ever, the CA is left to refuse the one that it pauses.
            limit, losses = Limit(Kind.FAILURES, 10**9, 3600), ()
        super().__init__(Kind.FAILURES, limit, losses)
        self.most = consecutive.allowed if consecutive is not None else None
        self.rows: dict[str, int] = {}

    def forget(self, subject: str, log: list[float], now: float) -> list[float] | None:
        """What is dropped unproven failed, as far as anybody knows: it stays in the row of failures."""
        before = len(log)
        kept = super().forget(subject, log, now)
        gone = before - len(kept or ())
        if self.most is not None and gone:
            self.rows[subject] = self.rows.get(subject, 0) + gone
        return kept

    def copy(self) -> Self:
        """A book of its own with the same in it."""
        twin = super().copy()
        twin.rows = self.rows.copy()
        return twin

    def in_a_row(self, name: str) -> int:
        """Failures of a name in a row, those of unknown end included."""
        return self.rows.get(name, 0) + len(self.logs.get(name, ()))

    def proven(self, names: Iterable[str], moment: float) -> None:
        """A success gives back what was set aside at that moment, and ends the row."""
        logs, rows = self.logs, self.rows
        for name in names:
            log = logs.get(name)
            if log is not None:
                if len(log) == 1 and log[0] == moment:
                    del logs[name]
                else:
                    self.take_out(name, moment)
            if rows:
                rows.pop(name, None)
