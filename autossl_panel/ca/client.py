"""The ACME client: one RFC 8555 request a method, so that the caller can save what it learned before it goes on.

Knows no policy and no database. One client a thread; the directory is shared by all of a process.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from acme import messages
from cryptography import x509

from autossl_panel.ca import directory as directories
from autossl_panel.ca.account import Signer, base64url, external_binding
from autossl_panel.ca.errors import CaProblem, ProblemKind, document, from_response, own, retry_after
from autossl_panel.ca.states import AuthorizationState, OrderState, authorization_state, order_state
from autossl_panel.ca.transport import Answer, Transport, target, utc_now

NONCE_RETRIES = 5
FIRST_WAIT = 0.02
LONGEST_WAIT = 5.0
POLL_FAULTS = 3

_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")
_LONGEST_CHAIN = 20
_TRANSIENT = frozenset({ProblemKind.SERVER, ProblemKind.UNREACHABLE})
# What a CA answers when it does not like `replaces` (RFC 9773 §5; Boulder also says malformed or unauthorized).
_BAD_REPLACES = frozenset({"alreadyReplaced", "malformed", "unauthorized"})


class Client:
    """Talks to one CA for one account, in one thread. Every failure is a CaProblem; nothing is retried but nonces.

    `requests` counts the HTTP requests sent. `account_url` is None before `register`.
    """

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
    ) -> None:
        self._directory_url = directory_url
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._signer = Signer(account_key_pem, account_url)
        self._transport = Transport(
            ca_bundle=ca_bundle, connect_timeout=connect_timeout, read_timeout=read_timeout, clock=clock
        )
        self._nonce: str | None = None
        self._busy = threading.Lock()

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
    def account_url(self) -> str | None:
        """The account this client works for."""
        return self._signer.account_url

    def directory(self) -> directories.DirectoryFacts:
        """The CA's directory, read at most once an hour in this process."""
        return directories.shared(self._transport, self._directory_url, self._ca_bundle)

    # --- account -----------------------------------------------------------------------------------------------------

    def register(self, *, contact: Sequence[str] = (), agree_terms: bool, eab: tuple[str, str] | None = None) -> str:
        """Register the account key, or find its account again; the account's URL. `eab` is (key id, HMAC key).

        TERMS when the CA has terms and `agree_terms` is False; EAB when it wants a binding and none is given.
        """
        directory = self.directory()
        if directory.terms_url and not agree_terms:
            raise own(ProblemKind.TERMS, "terms", f"The CA asks for agreement to its terms: {directory.terms_url}")
        # Asked first: after a crash the account may exist already, and most EAB keys serve only once.
        if (known := self._existing_account(directory)) is not None:
            return known
        if directory.eab_required and eab is None:
            raise own(
                ProblemKind.EAB,
                "eab",
                "This CA wants an external account binding (EAB): a key identifier and an HMAC key.",
            )
        binding = None
        if eab is not None:
            binding = external_binding(self._signer, *eab, new_account_url=directory.new_account)
        wish = messages.NewRegistration.from_data(
            contact=tuple(address if ":" in address else f"mailto:{address}" for address in contact),
            terms_of_service_agreed=True if agree_terms else None,
            external_account_binding=binding,
        )
        return self._new_account(directory, wish)

    def _existing_account(self, directory: directories.DirectoryFacts) -> str | None:
        try:
            return self._new_account(directory, messages.NewRegistration(only_return_existing=True))
        except CaProblem as problem:
            if problem.kind in (*_TRANSIENT, ProblemKind.RATE, ProblemKind.BAD_NONCE):
                raise
            # Mostly accountDoesNotExist; whatever else it is, newAccount will say it again.
            return None

    def _new_account(self, directory: directories.DirectoryFacts, wish: messages.NewRegistration) -> str:
        try:
            answer = self._post(directory.new_account, wish.json_dumps().encode(), with_key=True)
        except CaProblem as problem:
            if problem.kind is ProblemKind.UNAUTHORIZED and wish.external_account_binding:
                problem.kind = ProblemKind.EAB  # an unknown key identifier or a wrong HMAC key is called so
            raise _as_account_trouble(problem) from problem.__cause__
        url = self._location(answer, directory.new_account)
        self._signer.account_url = url
        return url

    # --- orders ------------------------------------------------------------------------------------------------------

    def new_order(self, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None) -> OrderState:
        """Open an order and fetch nothing else, so that its URL can be saved first.

        `replaces` is the ARI id of the certificate this one follows (RFC 9773 §5); where the CA does not accept it, the
        order is asked for once more without, which `OrderState.replaces` then shows.
        """
        url = self.directory().new_order
        wish: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile is not None:
            wish["profile"] = profile
        asked = wish if replaces is None else {**wish, "replaces": replaces}
        try:
            answer = self._post(url, _json(asked), repeatable=False)
        except CaProblem as problem:
            if replaces is None or problem.short_type not in _BAD_REPLACES:
                raise _as_account_trouble(problem) from problem.__cause__
            return self.new_order(names, profile=profile)
        return order_state(self._location(answer, url), _object(answer, url), retry_after=self._retry_after(answer))

    def order(self, url: str) -> OrderState:
        """The order at `url` as it stands; ORDER when the CA no longer knows it."""
        answer = self._post_for_order(url, b"")
        return order_state(url, _object(answer, url), retry_after=self._retry_after(answer))

    def authorization(self, url: str) -> AuthorizationState:
        """The authorization at `url` with its HTTP-01 challenge."""
        answer = self._post_for_order(url, b"")
        return authorization_state(url, _object(answer, url), thumbprint=self._signer.thumbprint)

    def answer(self, challenge_url: str) -> None:
        """Tell the CA that the challenge can be tried now."""
        self._post_for_order(challenge_url, b"{}")

    def finalize(self, finalize_url: str, csr_der: bytes, *, order_url: str) -> OrderState:
        """Hand in the CSR of a ready order; the order as it then stands, mostly `processing`."""
        answer = self._post_for_order(finalize_url, _json({"csr": base64url(csr_der)}), repeatable=False)
        return order_state(order_url, _object(answer, finalize_url), retry_after=self._retry_after(answer))

    def download(self, certificate_url: str) -> bytes:
        """The certificate chain, leaf first: PEM blocks only, whatever else the CA sent around them."""
        answer = self._post_for_order(certificate_url, b"", accept="application/pem-certificate-chain")
        blocks = _PEM.findall(answer.body)
        if not blocks or len(blocks) > _LONGEST_CHAIN:
            host = target(certificate_url).authority
            raise own(ProblemKind.OTHER, "chain", f"What {host} sent as certificate is no PEM chain.")
        return b"".join(_pem(b"".join(block.split())) for block in blocks)

    def deactivate_authorization(self, url: str) -> None:
        """Give up an authorization (RFC 8555 §7.5.2), so that it no longer counts as pending."""
        self._post(url, _json({"status": "deactivated"}))

    def revoke(self, cert_pem: bytes, reason: int = 0) -> None:
        """Revoke a certificate of this account; `reason` as in RFC 5280 §5.3.1."""
        url = self.directory().revoke_cert
        if url is None:
            raise own(ProblemKind.OTHER, "revoke", "This CA takes no revocations over ACME.")
        try:
            certificate = x509.load_pem_x509_certificate(cert_pem)
        except ValueError as error:
            raise own(ProblemKind.OTHER, "revoke", "The certificate to revoke cannot be read.") from error
        wish = messages.Revocation(certificate=certificate, reason=reason)
        self._post(url, wish.json_dumps().encode())

    def poll(
        self,
        url: str,
        *,
        until: Callable[[OrderState], bool],
        deadline: datetime,
        stop: Callable[[], bool],
        after: datetime | None = None,
    ) -> OrderState:
        """Wait for an order until `until` holds, it is valid or invalid, `deadline` passes, or `stop` says so.

        The last state comes back in each case. The CA's Retry-After first (`after`: the one seen last), else 20 ms
        doubling to 5 s. A Retry-After beyond the deadline ends the wait at once: nobody need hold a thread for it.
        """
        wait, faults = FIRST_WAIT, 0
        state: OrderState | None = None
        while True:
            now = self._clock()
            moment = after if after is not None and after > now else now + timedelta(seconds=wait)
            if state is not None and moment >= deadline:
                return state
            if not self._sleep(min(moment, deadline), stop) and state is not None:
                return state
            try:
                state = self.order(url)
            except CaProblem as problem:
                faults += 1
                if problem.kind not in _TRANSIENT or faults >= POLL_FAULTS or self._clock() >= deadline or stop():
                    raise
                after, wait = problem.retry_after, max(wait, 1.0)
                continue
            if until(state) or state.settled or stop():
                return state
            faults, after, wait = 0, state.retry_after, min(2 * wait, LONGEST_WAIT)

    def _sleep(self, moment: datetime, stop: Callable[[], bool]) -> bool:
        """Sleep until `moment`, False when `stop` ended it."""
        while (left := (moment - self._clock()).total_seconds()) > 0:
            if stop():
                return False
            time.sleep(min(left, 0.2))
        return not stop()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _post_for_order(
        self, url: str, payload: bytes, *, repeatable: bool = True, accept: str = "application/json"
    ) -> Answer:
        try:
            return self._post(url, payload, repeatable=repeatable, accept=accept)
        except CaProblem as problem:
            if problem.status in (404, 410):
                problem.kind = ProblemKind.ORDER  # forgotten by the CA: nothing to go on with
            raise

    def _post(
        self,
        url: str,
        payload: bytes,
        *,
        with_key: bool = False,
        repeatable: bool = True,
        accept: str = "application/json",
    ) -> Answer:
        if not with_key and self._signer.account_url is None:
            raise own(ProblemKind.ACCOUNT, "account", "There is no account at this CA yet: register first.")
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("A Client serves one thread: a second one is in the middle of a request.")
        try:
            return self._post_signed(url, payload, with_key, repeatable, accept)
        finally:
            self._busy.release()

    def _post_signed(self, url: str, payload: bytes, with_key: bool, repeatable: bool, accept: str) -> Answer:
        for attempt in range(NONCE_RETRIES + 1):
            body = self._signer.sign(payload, url=url, nonce=self._take_nonce(), with_key=with_key)
            answer = self._transport.send("POST", url, body, accept=accept, repeatable=repeatable)
            self._keep_nonce(answer)
            if 200 <= answer.status < 300:
                return answer
            problem = from_response(target(url).authority, answer.status, answer.body, until=self._retry_after(answer))
            if problem.kind is not ProblemKind.BAD_NONCE or attempt == NONCE_RETRIES:
                break
        if problem.status in (404, 405, 410):
            directories.forget(self._directory_url, self._ca_bundle)
        raise problem

    def _take_nonce(self) -> str:
        nonce, self._nonce = self._nonce, None
        if nonce is not None:
            return nonce
        url = self.directory().new_nonce
        answer = self._transport.send("HEAD", url)
        self._keep_nonce(answer)
        nonce, self._nonce = self._nonce, None
        if nonce is None:
            host = target(url).authority
            if answer.status >= 400:
                raise from_response(host, answer.status, b"", until=self._retry_after(answer))
            raise own(ProblemKind.SERVER, "nonce", f"{host} gave no nonce.", status=answer.status)
        return nonce

    def _keep_nonce(self, answer: Answer) -> None:
        # Each answer brings one and each request takes one: there is never more than the latest to keep. One that is
        # not base64url is to be ignored (RFC 8555 §6.5.1).
        nonce = answer.headers["Replay-Nonce"]
        self._nonce = nonce if nonce is not None and _NONCE.fullmatch(nonce) else None

    def _location(self, answer: Answer, url: str) -> str:
        location = answer.headers["Location"]
        host = target(url).authority
        if location is None:
            raise own(ProblemKind.SERVER, "location", f"{host} did not say where the new resource is.")
        target(location)
        return str(location)

    def _retry_after(self, answer: Answer) -> datetime | None:
        return retry_after(answer.headers["Retry-After"], answer.at)


def _as_account_trouble(problem: CaProblem) -> CaProblem:
    # Said to a request rather than of a name, "unauthorized" means that the account may not do this.
    if problem.kind is ProblemKind.UNAUTHORIZED:
        problem.kind = ProblemKind.ACCOUNT
    return problem


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _object(answer: Answer, url: str) -> dict[str, Any]:
    fields = document(answer.body)
    if fields is None:
        host = target(url).authority
        raise own(ProblemKind.SERVER, "not_acme", f"{host} answered {answer.status} with what is no JSON object.")
    return fields


def _pem(block: bytes) -> bytes:
    lines = [block[at : at + 64] for at in range(0, len(block), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
