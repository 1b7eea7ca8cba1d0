"""One thread that works orders: it takes judged tasks, and goes from move to move until each is out of its hands."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import DatabaseError, IntegrityError, connection
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.helper.client import HelperGone, HelperProblem

from .. import choosing, orders, pacing, urgency, verdicts
from ..limits import StampProblem
from ..models import Account, JobOutcome, Level, Order, Phase
from ..orders import State
from ..registration import keys
from . import deciding, trouble
from .calling import Caller, Unready
from .claims import ClaimLost
from .moves import Advance, Again, Decide, Elsewhere, Move, TakeUp
from .probing import give_back
from .taking_up import take_up
from .work import STAGED, Bench, Task

log = logging.getLogger("autossl_panel.jobs")

# A first order of each provider, and one more for what the CA left of it
MOST_ORDERS = 2
# How far an order got, where that means the same for a site that wants nothing more
BY_THEMSELVES = (State.STAGED, State.STOPPED, State.WAITS)
# More than any job takes that is not going round in a circle
MOST_MOVES = 40


class Orderer(threading.Thread):
    """Takes judged tasks from `ready` until it meets None."""

    def __init__(self, bench: Bench, number: int) -> None:
        super().__init__(name=f"orderer-{number}")
        self.bench = bench
        self._caller = Caller(bench)
        self.error: BaseException | None = None

    @property
    def requests(self) -> int:
        """How many requests it has sent to CAs."""
        return self._caller.requests

    def run(self) -> None:
        """Ends with its work; an unexpected error is kept for the runner to raise."""
        try:
            while (task := self.bench.ready.get()[2]) is not None:
                if not self.bench.stopping.is_set():
                    self._work(task)
        except BaseException as error:  # noqa: BLE001 - the runner raises it
            self.error = error
            self.bench.stopping.set()
        finally:
            self._caller.close()
            connection.close()

    def _work(self, task: Task) -> None:
        try:
            with pacing.in_spite_of(urgency.despite(task.site.facts, timezone.now())):
                self._go(task, TakeUp() if task.takes_up else Decide())
        except ClaimLost:
            self.bench.left(task.claim)
        except DatabaseError:
            raise
        except Exception as error:
            # One site's trouble, and no other's
            log.exception("job %s of %s", task.job.pk, task.name)
            self.bench.fail(task.claim, error)
        finally:
            give_back(task)

    def _go(self, task: Task, move: Move) -> None:
        """From move to move."""
        bench = self.bench
        for _ in range(MOST_MOVES):
            if move is None:
                return
            if (why := bench.cancelled.get(task.job.run_id)) is not None and not isinstance(move, Advance):
                bench.end(task, JobOutcome.CANCELLED, why)
                return
            try:
                move = self._after_move(task, move)
            except (Account.DoesNotExist, IntegrityError):
                # Its provider may have been removed by somebody who was faster: it waited for its turn, or at the CA.
                if not deciding.removed(task):
                    raise
                move = deciding.without_it(bench, task)
        raise RuntimeError("it goes round in a circle")

    def _after_move(self, task: Task, move: Decide | TakeUp | Advance | Again | Elsewhere) -> Move:
        bench = self.bench
        match move:
            case Decide():
                return deciding.decide(bench, self._caller, task)
            case TakeUp():
                return take_up(bench, task)
            case Advance(order, fresh):
                return self._advance(task, order, fresh=fresh)
            case Again(code):
                return deciding.again(bench, task, code)
            case Elsewhere():
                return deciding.elsewhere(bench, task, move)

    # --- an order at its CA ------------------------------------------------------------------------------------------

    def _advance(self, task: Task, order: Order, *, fresh: bool) -> Move:
        bench = self.bench
        order.virtual_host = task.job.virtual_host
        if order.staged_at is not None:
            task.claim.save(order=None, phase=Phase.INSTALL, **STAGED)
            bench.to_installer(task)
            return None
        with bench.place_at(order.account), keys.in_use(order.account, stop=bench.stopping.is_set) as ours:
            found = self._progress(task, order, fresh=fresh) if ours else orders.Progress(State.STOPPED)
        if task.need.finishes and not (isinstance(found, orders.Progress) and found.state in BY_THEMSELVES):
            return self._no_further(task, order)
        if isinstance(found, Unready):
            return trouble.unready(bench, task, order.account, found)
        return self._after(task, order, found)

    def _no_further(self, task: Task, order: Order) -> Move:
        """An order that is only to be finished came no further: later again where it is open; nothing in its place."""
        if self.bench.stopping.is_set():
            return None
        if order.closed_at is not None:
            self.bench.end(task, JobOutcome.SKIPPED, task.need.reason)
            return None
        now = timezone.now()
        if order.retry_at is None or order.retry_at <= now:
            order.retry_at = now + orders.ASK_AGAIN
            task.claim.save(order, ["retry_at"])
        self.bench.end(task, JobOutcome.WAITING, "order_open", until=order.retry_at)
        return None

    def _progress(self, task: Task, order: Order, *, fresh: bool) -> orders.Progress | Unready:
        """Where the CA lets the order get to; why it cannot even be asked."""
        bench, now = self.bench, timezone.now()
        try:
            client = self._caller.client_of(order.account)
        except ca.CaProblem as problem:
            # The account's key is lost: nothing can be asked in its name.
            return Unready("ca", problem)
        except HelperGone as problem:
            return Unready("helper_gone", text=str(problem))
        except HelperProblem as problem:
            return Unready(problem.code, text=str(problem))
        tools = orders.Tools(
            client,
            bench.helper,
            lambda *given, **more: self._record(task, *given, **more),
            lambda: bench.stopped(task),
            task.site.facts.installed,
            another=bench.outlook.another(task.site, order.provider.name, now),
            permitted=fresh,
            purpose=choosing.purpose_of(task.need, task.site, now),
        )
        try:
            with self._caller.counted(client):
                return orders.advance(order, tools)
        except StampProblem as problem:
            return Unready("ledger", text=str(problem))

    def _record(
        self,
        task: Task,
        order: Order,
        fields: Iterable[str],
        *said: tuple[str, Level, Mapping[str, Any]],
        staged: bool = False,
        also: Callable[[], None] | None = None,
    ) -> None:
        """Save a step of an order with its lines, under the fence."""
        lines = [task.line(event, level, **_told(data)) for event, level, data in said]
        columns: dict[str, Any] = {**STAGED, "phase": Phase.INSTALL} if staged else {}
        task.claim.save(order, fields, lines, also=also, **columns)

    def _after(self, task: Task, order: Order, progress: orders.Progress) -> Move:
        """What an order's end means for its job."""
        bench = self.bench
        match progress.state:
            case State.STAGED:
                trouble.good(bench, order.account, order.staged_at or timezone.now())
                bench.to_installer(task)
            case State.STOPPED if bench.stopping.is_set():
                return None  # it is given back
            case State.STOPPED if (why := bench.cancelled.get(task.job.run_id)) is not None:
                bench.end(task, JobOutcome.CANCELLED, why)
            case State.STOPPED:
                # Somebody paused AutoSSL, and may have had it go on by now: the open order is resumed then.
                bench.end(task, JobOutcome.WAITING, "paused")
            case State.WAITS:
                bench.end(task, JobOutcome.WAITING, progress.code, until=progress.until)
            case State.REFUSED:
                trouble.good(bench, order.account, timezone.now())
                refused = {name: (str(problem.kind), problem.detail) for name, problem in progress.refused.items()}
                verdicts.record_refused(
                    task.job.virtual_host_id,
                    refused,
                    timezone.now(),
                    provider=order.provider.name,
                    installed=task.site.facts.installed,
                )
                return self._once_more(task, order, "ca_refused", "")
            case State.LOST if progress.code == "order_stuck":
                return trouble.stuck(bench, task, order, progress.text)
            case State.LOST:
                return self._once_more(task, order, progress.code, progress.text)
            case State.UNWANTED:
                problem = trouble.problem_of(progress.code, task.name, progress.text)
                bench.end(task, JobOutcome.FAILED, progress.code, problem=problem)
            case State.NO_PERMIT if progress.held is not None:
                held = self._caller.by_our_clock(order.account, progress.held)
                return trouble.no_permit(bench, task, order, held)
            case _ if progress.problem is not None:
                return trouble.met(bench, task, order.account, progress.problem, order)
            case _:
                return trouble.unready(bench, task, order.account, Unready(progress.code, text=progress.text))
        return None

    def _once_more(self, task: Task, order: Order, code: str, text: str) -> Move:
        """The order is over without a certificate: at most one further, where the rules still want one."""
        if task.orders[order.provider.name] < MOST_ORDERS:
            return Again(code)
        problem = trouble.problem_of(code, task.name, text) if text else None
        self.bench.end(task, JobOutcome.FAILED, code, problem=problem)
        return None


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ", ".join(value) if isinstance(value, list) else value for key, value in data.items()}
