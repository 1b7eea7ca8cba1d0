"""A runner: claims jobs of one server and moves them through attach, prove, order and install, many in flight.

It has a slot and a budget of its own, renews what it holds, and gives back what it cannot finish.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from autossl_panel.helper.client import Client as Helper
from autossl_panel.hosting.models import Server

from .. import leases
from ..models import Job, JobOutcome, JobState, Slot
from . import claims, proving
from .endings import Ending, finish
from .installing import Installer
from .ordering import Orderer
from .work import Bench, Task

log = logging.getLogger("autossl_panel.jobs")

# Seconds that a runner claims for; django-q2 would kill a task after 600
BUDGET = 300.0
# Seconds after the budget in which what is in hand may end
GRACE = 200.0
SLOT_LEASE = 30.0
RENEW_EVERY = 5.0
LOOK_EVERY = 1.0
# Claimed at once, waiting for their turn at the CA, and in hand in all
BATCH = 32
READY = 24
MOST_IN_HAND = 512
PROVERS = 6
# Ended together: one transaction
ENDINGS_WAIT = 0.05
# Seconds for the steps in hand when we are told to stop
DRAIN = 10.0


class Runner:
    """One runner; `work` returns when nothing is left, the budget is spent, `stop` is set or `until` says so."""

    def __init__(
        self,
        server: Server,
        helper: Helper,
        *,
        stop: Callable[[], bool],
        until: Callable[[], bool] = lambda: False,
        budget: float = BUDGET,
    ) -> None:
        self.server = server
        self.bench = Bench(server, helper, leases.new_holder())
        self._stop = stop
        self._until = until
        self._ends_at = time.monotonic() + budget
        self._slot = 0
        self._provers: list[proving.Prover] = []
        self._orderers: list[Orderer] = []
        self._installer = Installer(self.bench)
        self._through = threading.Event()
        self._looked_at = 0.0
        self._nothing_until = 0.0
        self._over = False
        self.requests = 0
        self.spent = False

    def work(self) -> bool:
        """Work jobs through; False where every slot is taken. Raises what a part of it could not handle."""
        if not self._take_slot():
            return False
        keeper = threading.Thread(target=self._keep, name="leases")
        finisher = threading.Thread(target=self._finish, name="finisher")
        keeper.start()
        finisher.start()
        try:
            self._fail_the_dead()
            self._start_parts()
            self._conduct()
        finally:
            self._wind_up(finisher)
            self._through.set()
            keeper.join()
            self._give_slot_back()
        self._raise_errors()
        return True

    # --- slot and leases ---------------------------------------------------------------------------------------------

    def _take_slot(self) -> bool:
        number = settings.AUTOSSL_RUNNERS
        Slot.objects.bulk_create([Slot(server=self.server, n=n) for n in range(number)], ignore_conflicts=True)
        slots = Slot.objects.filter(server=self.server)
        dead = [holder for holder in slots.values_list("holder", flat=True) if leases.gone(holder)]
        free = Q(until__isnull=True) | Q(until__lt=Now()) | Q(holder__in=dead)
        for n in range(number):
            slot = slots.filter(free, n=n)
            if slot.update(holder=self.bench.holder, until=leases.later(SLOT_LEASE), rung_at=None):
                self._slot = n
                return True
        return False

    def _give_slot_back(self) -> None:
        Slot.objects.filter(server=self.server, n=self._slot, holder=self.bench.holder).update(holder="", until=None)

    def _keep(self) -> None:
        """Renew slot, claims and the install lease until the runner is through."""
        try:
            while not self._through.wait(RENEW_EVERY):
                try:
                    self._renew()
                except DatabaseTrouble as problem:
                    # A database that is restarted: leases outlast several of these.
                    log.warning("leases could not be renewed: %s", problem)
                    connection.close()
        finally:
            connection.close()

    def _renew(self) -> None:
        holder = self.bench.holder
        mine = Slot.objects.filter(server=self.server, n=self._slot, holder=holder)
        if not mine.update(until=leases.later(SLOT_LEASE)):
            # Slept through it, and another runner works in our place.
            self.bench.stopping.set()
        claims.renew(self.server, holder)
        leases.renew(f"install:{self.server.pk}", holder, 60.0)

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _start_parts(self) -> None:
        for number in range(self.bench.width):
            orderer = Orderer(self.bench, number)
            self._orderers.append(orderer)
            orderer.start()
        self._installer.start()

    def _conduct(self) -> None:
        """Claim ahead of what the CA can take, until there is nothing left to claim and nothing in hand."""
        while not self.bench.stopping.is_set():
            if self._stop():
                self.bench.stopping.set()
                return
            self._look()
            claiming = time.monotonic() < self._ends_at and not self._over
            claimed = self._claim() if claiming else 0
            self._prove_again()
            if claimed:
                continue
            if not self.bench.in_hand and not (claiming and self._more()):
                self.spent = not claiming and not self._over
                return
            if time.monotonic() > self._ends_at + GRACE:
                self.spent = True
                self.bench.stopping.set()
                return
            time.sleep(0.02 if self.bench.in_hand else 0.2)

    def _look(self) -> None:
        """Once in a while: options, cancelled runs, jobs of the dead."""
        if time.monotonic() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        self._over = self._until()
        self.bench.look()
        self.bench.look_for_cancelled()
        self._fail_the_dead()

    def _claim(self) -> int:
        """Claim a batch where there is room for it, and start proving it; how many were claimed."""
        self._provers = [prover for prover in self._provers if prover.is_alive()]
        in_hand = len(self.bench.in_hand)
        if self.bench.ready.qsize() >= READY or in_hand + BATCH > MOST_IN_HAND or len(self._provers) >= PROVERS:
            return 0
        found = claims.claim(self.server, self.bench.holder, BATCH)
        if not found:
            self._nothing_until = time.monotonic() + 0.3
            return 0
        self.bench.began(found)
        tasks = proving.begin(self.bench, found, timezone.now())
        self._prove(proving.attach(self.bench, tasks))
        return len(found)

    def _prove(self, tasks: list[Task]) -> None:
        asked = []
        for task in tasks:
            if task.takes_up:
                proving.go_on(self.bench, task)
            else:
                asked.append(task)
        for together in proving.alike(self.bench, asked):
            prover = proving.Prover(self.bench, together)
            self._provers.append(prover)
            prover.start()

    def _prove_again(self) -> None:
        """Tasks whose open order was of no use: they go the whole way now."""
        tasks = []
        while True:
            try:
                tasks.append(self.bench.prove_again.get_nowait())
            except queue.Empty:
                break
        if tasks:
            self._prove(proving.attach(self.bench, tasks))

    def _more(self) -> bool:
        """Whether jobs are queued, or staged ones wait for the installer."""
        waiting = (JobState.QUEUED, JobState.STAGED)
        return Job.objects.filter(server=self.server, state__in=waiting).exists()

    def _fail_the_dead(self) -> None:
        """Jobs that three workers died at end here; other jobs of the dead are back in the queue."""
        for one in claims.take_back(self.server, self.bench.holder):
            problem = {"code": "worker_died", "domain": one.job.virtual_host.name, "data": {}}
            self.bench.ended.put(Ending(one, one.job, JobOutcome.FAILED, "worker_died", problem))

    # --- endings -----------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """End jobs in batches, until None comes."""
        try:
            while self._finish_batch():
                pass
        except BaseException:
            log.exception("jobs could not be ended")
            self.bench.stopping.set()
        finally:
            connection.close()

    def _finish_batch(self) -> bool:
        first = self.bench.ended.get()
        batch = [first]
        time.sleep(ENDINGS_WAIT)
        while True:
            try:
                batch.append(self.bench.ended.get_nowait())
            except queue.Empty:
                break
        endings = [one for one in batch if one is not None]
        if endings:
            finish(self.server, endings)
            for one in endings:
                if one.claim is not None:
                    self.bench.left(one.claim)
        return len(endings) == len(batch)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _wind_up(self, finisher: threading.Thread) -> None:
        """End the parts; give back what could not be finished."""
        bench = self.bench
        for number in range(len(self._orderers)):
            # Before what still waits where we were told to stop, behind it otherwise
            bench.ready.put((-1 if bench.stopping.is_set() else 1 << 30, number, None))
        deadline = time.monotonic() + DRAIN
        for prover in self._provers:
            prover.join(max(0.1, deadline - time.monotonic()))
        for orderer in self._orderers:
            orderer.join(None if not bench.stopping.is_set() else max(0.1, deadline - time.monotonic()))
            self.requests += orderer.requests
        self._installer.last.set()
        bench.staged.set()
        if self._installer.ident is not None:
            self._installer.join()
        bench.ended.put(None)
        finisher.join()
        if left := bench.in_hand:
            claims.release(left)

    def _raise_errors(self) -> None:
        for error in (*(one.error for one in self._orderers), self._installer.error):
            if error is not None:
                raise error
