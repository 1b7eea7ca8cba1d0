"""The clients with which one thread asks CAs: one for each account. What is asked is not here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.helper.client import HelperGone, HelperProblem

from .. import registration
from ..limits import Wait
from ..models import Account, Provider
from ..patience import patiently
from ..policy.needs import CLOCK_TOLERANCE
from ..registration import keys
from .work import Bench

# A clock that is off by more seconds than this is written down
CLOCK_STEP = 2.0


@dataclass(frozen=True, slots=True)
class Unready:
    """Why a CA cannot be asked now: a problem with it, or a code of our own (`stopped`, `clock`, the helper's)."""

    code: str
    problem: ca.CaProblem | None = None
    text: str = ""


@dataclass(slots=True)
class _Line:
    """An open line to a CA, and which key it was opened with."""

    client: ca.Client
    key: tuple[int, int] | None


class Caller:
    """One thread's clients; each is made when it is first wanted, and anew when the account's key has changed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.requests = 0
        self._lines: dict[int, _Line] = {}

    def client_of(self, account: Account) -> ca.Client:
        """The client for an account, inside `keys.in_use`. Raises CaProblem without its key; HelperGone and
        HelperProblem.
        """
        line = self._lines.get(account.pk)
        if line is not None and line.key == keys.stamp(account):
            return line.client
        self._close(account.pk)
        row = Account.objects.select_related("provider").get(pk=account.pk)
        client = registration.client(row)
        stop = self.bench.stopping.is_set
        patiently(lambda: self.bench.helper.register_thumbprint(row.thumbprint), stop=stop)
        self._lines[account.pk] = _Line(client, keys.stamp(account))
        return client

    @contextmanager
    def counted(self, client: ca.Client) -> Iterator[None]:
        """The requests that it sends meanwhile count as this thread's."""
        before = client.requests
        try:
            yield
        finally:
            self.requests += client.requests - before

    def ready(self, account: Account) -> Unready | None:
        """Have the CA's time, no older than a minute, and a nonce; None where it may be asked."""
        with keys.in_use(account, stop=self.bench.stopping.is_set) as ours:
            if not ours:
                return Unready("stopped")
            client = None
            try:
                client = self.client_of(account)
                with self.counted(client):
                    client.freshen()
            except ca.CaProblem as problem:
                registration.heard_limit(account, problem, client)
                return Unready("ca", problem)
            except HelperGone as problem:
                return Unready("helper_gone", text=str(problem))
            except HelperProblem as problem:
                return Unready(problem.code, text=str(problem))
        offset = client.date_offset
        if offset is None or abs(offset) <= CLOCK_TOLERANCE:
            return None
        _note_clock(account.pk, offset)
        return Unready("clock")

    def ca_time(self, account: Account) -> datetime:
        """The CA's time as this thread has heard it; this host's, where the CA never said."""
        line = self._lines.get(account.pk)
        return (line.client.ca_time if line is not None else None) or timezone.now()

    def by_our_clock(self, account: Account, held: Wait) -> Wait:
        """What the ledger holds by the CA's clock, by this host's; not sooner than in a moment."""
        line = self._lines.get(account.pk)
        offset = (line.client.date_offset if line is not None else None) or timedelta(0)
        if held.until is None:
            return held
        until = max(held.until - offset, timezone.now() + timedelta(seconds=1))
        return replace(held, until=until, asked=held.asked and held.asked - offset)

    def close(self) -> None:
        """End all connections, and note each CA's time where this host's differs."""
        for pk in list(self._lines):
            self._close(pk)

    def _close(self, pk: int) -> None:
        line = self._lines.pop(pk, None)
        if line is None:
            return
        offset = line.client.date_offset
        if offset is not None:
            _note_clock(pk, offset)
        line.client.close()


def _note_clock(account: int, offset: timedelta) -> None:
    """Write down how far the CA's clock is ahead of this host's."""
    seconds = offset.total_seconds()
    Provider.objects.filter(accounts=account).filter(
        Q(clock_offset__lt=seconds - CLOCK_STEP) | Q(clock_offset__gt=seconds + CLOCK_STEP)
    ).update(clock_offset=seconds)
