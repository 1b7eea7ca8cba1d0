"""Signed requests to a CA for one account (RFC 8555 §6): nonces, signatures, badNonce, and who may use it when."""

import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from autossl_panel.ca import directory as directories
from autossl_panel.ca.account import Signer
from autossl_panel.ca.errors import CaProblem, ProblemKind, own, terms_link
from autossl_panel.ca.reader import Reader
from autossl_panel.ca.transport import Answer, no_gate, target, utc_now
from autossl_panel.sentences import say

NONCE_RETRIES = 5
# Seconds without an answer after which the CA's time, as reckoned on from the last one, is asked for again
STALE = 60.0

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")


class Session(Reader):
    """A Reader that also signs for one account, whose URL is None before `register`. Only nonces are retried."""

    def __init__(
        self,
        directory_url: str,
        account_key_pem: bytes,
        account_url: str | None,
        *,
        ca_bundle: Path | None = None,
        connect_timeout: float = 10,
        read_timeout: float = 30,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
        gate: Callable[[str], None] = no_gate,
    ) -> None:
        super().__init__(
            directory_url,
            ca_bundle=ca_bundle,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            clock=clock,
            ticks=ticks,
            gate=gate,
        )
        self._signer = Signer(account_key_pem, account_url)
        self._nonce: str | None = None
        self._busy = threading.Lock()

    @property
    def account_url(self) -> str | None:
        """The account this client works for."""
        return self._signer.account_url

    def freshen(self) -> datetime | None:
        """The CA's time, heard within the last minute: where it was not, a nonce is fetched. None without any Date."""
        if self._transport.silence > STALE:
            self._fetch_nonce()
        return self.ca_time

    def _post(
        self,
        url: str,
        payload: bytes,
        *,
        resource: str = "other",
        with_key: bool = False,
        repeatable: bool = True,
        accept: str = "application/json",
    ) -> Answer:
        if not with_key and self._signer.account_url is None:
            raise own(ProblemKind.ACCOUNT, "account", say("no_account"))
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("A Client serves one thread: a second one is in the middle of a request.")
        try:
            return self._post_signed(url, payload, resource, with_key, repeatable, accept)
        finally:
            self._busy.release()

    def _post_signed(
        self, url: str, payload: bytes, resource: str, with_key: bool, repeatable: bool, accept: str
    ) -> Answer:
        for attempt in range(NONCE_RETRIES + 1):
            body = self._signer.sign(payload, url=url, nonce=self._take_nonce(), with_key=with_key)
            answer = self._transport.send("POST", url, body, resource=resource, accept=accept, repeatable=repeatable)
            self._keep_nonce(answer)
            if 200 <= answer.status < 300:
                return answer
            problem = self._problem(url, answer)
            if problem.kind is not ProblemKind.BAD_NONCE or attempt == NONCE_RETRIES:
                break
        if problem.status in (404, 405, 410):
            directories.forget(self._directory_url, self._ca_bundle)
        raise problem

    def _take_nonce(self) -> str:
        nonce = self._nonce or self._fetch_nonce()
        self._nonce = None
        return nonce

    def _fetch_nonce(self) -> str:
        url = self.directory().new_nonce
        answer = self._transport.send("HEAD", url, resource="newNonce")
        self._keep_nonce(answer)
        if self._nonce is not None:
            return self._nonce
        if answer.status >= 400:
            raise self._problem(url, answer)
        host = target(url).authority
        raise own(ProblemKind.SERVER, "nonce", say("no_nonce", host=host), status=answer.status)

    def _keep_nonce(self, answer: Answer) -> None:
        # Each answer brings one and each request takes one: there is never more than the latest to keep. One that is
        # not base64url is to be ignored (RFC 8555 §6.5.1).
        nonce = answer.headers["Replay-Nonce"]
        self._nonce = nonce if nonce is not None and _NONCE.fullmatch(nonce) else None

    def _problem(self, url: str, answer: Answer) -> CaProblem:
        problem = super()._problem(url, answer)
        if problem.kind is ProblemKind.TERMS and not problem.link:
            problem.link = terms_link(answer.headers.get_all("Link", []))
        return problem
