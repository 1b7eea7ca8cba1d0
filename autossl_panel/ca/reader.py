"""What a CA tells anybody, without an account: its directory, when to renew a certificate (RFC 9773), the time."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from autossl_panel.ca import directory as directories
from autossl_panel.ca.errors import CaProblem, ProblemKind, document, from_response, link, own, retry_after
from autossl_panel.ca.states import moment
from autossl_panel.ca.transport import Answer, Transport, no_gate, target, utc_now
from autossl_panel.sentences import say

# RFC 9773 §4.3: between a minute and a day, six hours where the CA does not say
SOONEST = timedelta(minutes=1)
LATEST = timedelta(days=1)
USUAL = timedelta(hours=6)

_ARI_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\.[A-Za-z0-9_-]{1,100}")


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """When a CA wants a certificate renewed: some moment from `start` to `end`; it may be asked again at `next_at`."""

    start: datetime
    end: datetime
    explanation_url: str
    next_at: datetime


class Reader:
    """Reads from one CA, in one thread. Every failure is a CaProblem.

    `requests` counts the HTTP requests sent. `gate` is called before each of them with the resource's name (directory,
    newNonce, newOrder, renewalInfo …, other): it may wait or raise. `ticks` are monotonic seconds.
    """

    def __init__(
        self,
        directory_url: str,
        *,
        ca_bundle: Path | None = None,
        connect_timeout: float = 10,
        read_timeout: float = 30,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
        gate: Callable[[str], None] = no_gate,
    ) -> None:
        self._directory_url = directory_url
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._transport = Transport(
            ca_bundle=ca_bundle,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            clock=clock,
            ticks=ticks,
            gate=gate,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._transport.close()

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, of every kind."""
        return self._transport.requests

    @property
    def date_offset(self) -> timedelta | None:
        """The CA's Date header minus the local clock, as last seen."""
        return self._transport.date_offset

    @property
    def ca_time(self) -> datetime | None:
        """The CA's time, as last heard plus what has passed since; no change of this host's clock moves it."""
        return self._transport.ca_time

    def directory(self) -> directories.DirectoryFacts:
        """The CA's directory, read at most once an hour in this process."""
        return directories.shared(self._transport, self._directory_url, self._ca_bundle)

    def renewal_info(self, ari_id: str) -> RenewalInfo:
        """When the CA wants the certificate with this ARI id renewed (RFC 9773 §4.1), asked without an account.

        A CaProblem of status 404 where the CA does not know the certificate, or gives no renewal information at all.
        """
        base = self.directory().renewal_info
        host = target(self._directory_url).authority
        if base is None or not _ARI_ID.fullmatch(ari_id):
            raise own(
                ProblemKind.OTHER, "renewal_info", f"{host} gives no renewal information for this one.", status=404
            )
        answer = self._transport.send("GET", f"{base.rstrip('/')}/{ari_id}", resource="renewalInfo")
        if answer.status != 200:
            raise from_response(host, answer.status, answer.body, until=self._retry_after(answer))
        fields = document(answer.body) or {}
        window = fields.get("suggestedWindow")
        window = window if isinstance(window, dict) else {}
        start, end = moment(window.get("start")), moment(window.get("end"))
        if start is None or end is None or start >= end:
            raise own(ProblemKind.SERVER, "window", say("no_window", host=host))
        return RenewalInfo(start, end, link(fields.get("explanationURL")), self._asked_next(answer))

    def _asked_next(self, answer: Answer) -> datetime:
        said = self._retry_after(answer)
        wait = USUAL if said is None else said - answer.at
        return answer.at + min(max(wait, SOONEST), LATEST)

    def _retry_after(self, answer: Answer) -> datetime | None:
        return retry_after(answer.headers["Retry-After"], answer.at)

    def _problem(self, url: str, answer: Answer) -> CaProblem:
        """What an answer of status 3xx, 4xx or 5xx is about."""
        return from_response(target(url).authority, answer.status, answer.body, until=self._retry_after(answer))
