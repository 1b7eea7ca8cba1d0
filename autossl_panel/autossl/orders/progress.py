"""What an order is worked with, and what is said of where it got to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from django.utils import timezone

from autossl_panel import ca
from autossl_panel.helper.client import Client as Helper

from ..facts import InstalledFacts
from ..ledger import Purpose
from ..limits import Wait
from ..models import Level, Order
from ..patience import patiently

T = TypeVar("T")
Line = tuple[str, Level, Mapping[str, Any]]


class State(StrEnum):
    """Where `advance` left an order."""

    STAGED = "staged"  # its certificate waits for the installer
    WAITS = "waits"  # the CA is at it, or a limit holds it; open, to be resumed at `until`
    STOPPED = "stopped"  # we were asked to stop between two steps; open
    REFUSED = "refused"  # the CA refused names; closed
    LOST = "lost"  # of no use any more (expired, forgotten, malformed); closed
    UNWANTED = "unwanted"  # the certificate is not what was ordered; closed
    NO_PERMIT = "no_permit"  # the CA's limits leave no room for it (`held`); it was not sent; closed
    TROUBLE = "trouble"  # the CA, the network or the helper; open where the CA knows it


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an order stands: `refused` says what the CA said of which name, `problem` what else went wrong, `held`
    which limit leaves no room for it.
    """

    state: State
    until: datetime | None = None
    refused: Mapping[str, ca.CaProblem] = field(default_factory=dict)
    problem: ca.CaProblem | None = None
    code: str = ""
    text: str = ""
    held: Wait | None = None


class Record(Protocol):
    """Where steps are saved: one transaction with the caller's fence, which raises where the claim is lost.

    `also` is done in it before the order is saved, so that it may change what is.
    """

    def __call__(
        self,
        order: Order,
        fields: Iterable[str],
        *lines: Line,
        staged: bool = False,
        also: Callable[[], None] | None = None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What an order is worked with. `stop` is asked between steps and while waiting.

    `another`: a further provider is at hand, so that an order that the CA does not get through is given up soon.
    `permitted`: its permit is fresh and was for nothing yet; else newOrder needs another one, for this `purpose`.
    """

    client: ca.Client
    helper: Helper
    record: Record
    stop: Callable[[], bool]
    installed: InstalledFacts | None
    another: bool = False
    permitted: bool = False
    purpose: Purpose = Purpose.ORDINARY

    @property
    def ca_time(self) -> datetime:
        """The CA's time as its client has heard it; this host's, where the CA never said."""
        return self.client.ca_time or timezone.now()

    def ask(self, call: Callable[[], T]) -> T:
        """What the helper answers, waited for while it is being restarted."""
        return patiently(call, stop=self.stop)
