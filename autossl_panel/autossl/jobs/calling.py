"""The client with which one thread asks the CA: one account at a time. What is asked is not here."""

from django.db.models import Q

from autossl_panel import ca

from .. import registration
from ..models import Order, Provider
from ..patience import patiently
from ..registration import keys
from .work import Bench

# A clock that is off by more seconds than this is written down
CLOCK_STEP = 2.0


class Caller:
    """One thread's client of the CA; made for the first order, and anew for an order of another account."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._client: ca.Client | None = None
        self._account: int | None = None
        self._key: tuple[int, int] | None = None

    def client_of(self, order: Order) -> ca.Client:
        """The client for the order's account, inside `keys.in_use`. Raises CaProblem without its key; HelperGone,
        HelperProblem.
        """
        account = order.account
        if self._client is None or (self._account, self._key) != (account.pk, keys.stamp(account)):
            self.close()
            account.refresh_from_db()
            client = registration.client(account)
            stop = self.bench.stopping.is_set
            patiently(lambda: self.bench.helper.register_thumbprint(account.thumbprint), stop=stop)
            self._client, self._account, self._key = client, account.pk, keys.stamp(account)
        return self._client

    def close(self) -> None:
        """End its connection, and note the CA's time where this host's differs."""
        if self._client is None:
            return
        offset = self._client.date_offset
        if offset is not None and self._account is not None:
            seconds = offset.total_seconds()
            Provider.objects.filter(accounts=self._account).filter(
                Q(clock_offset__lt=seconds - CLOCK_STEP) | Q(clock_offset__gt=seconds + CLOCK_STEP)
            ).update(clock_offset=seconds)
        self._client.close()
        self._client = None
