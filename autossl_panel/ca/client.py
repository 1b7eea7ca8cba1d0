"""The ACME client: one RFC 8555 request a method, so that the caller can save what it learned before it goes on.

Knows no policy and no database. One client a thread; the directory is shared by all of a process.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from acme import messages
from cryptography import x509

from autossl_panel.ca import directory as directories
from autossl_panel.ca.account import Signer, base64url, external_binding, key_change
from autossl_panel.ca.errors import CaProblem, ProblemKind, ReplacesRefused, document, own
from autossl_panel.ca.session import Session
from autossl_panel.ca.states import AuthorizationState, OrderState, authorization_state, order_state
from autossl_panel.ca.transport import Answer, target
from autossl_panel.sentences import say

FIRST_WAIT = 0.02
LONGEST_WAIT = 5.0
POLL_FAULTS = 3

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")
_LONGEST_CHAIN = 20
_TRANSIENT = frozenset({ProblemKind.SERVER, ProblemKind.UNREACHABLE})
# What a CA answers when it does not like `replaces` (RFC 9773 §5; Boulder also says malformed or unauthorized).
_BAD_REPLACES = frozenset({"alreadyReplaced", "malformed", "unauthorized"})


class Client(Session):
    """Talks to one CA for one account, in one thread. Every failure is a CaProblem; nothing is retried but nonces."""

    # --- account -----------------------------------------------------------------------------------------------------

    def register(
        self,
        *,
        contact: Sequence[str] = (),
        agree_terms: bool,
        eab: tuple[str, str] | None = None,
        before_new: Callable[[], None] = lambda: None,
    ) -> str:
        """Register the account key, or find its account again; the account's URL. `eab` is (key id, HMAC key).

        TERMS when the CA has terms and `agree_terms` is False; EAB when it wants a binding and none is given.
        `before_new` is called right before the request that would make a new account; it may raise.
        """
        directory = self.directory()
        if directory.terms_url and not agree_terms:
            raise own(ProblemKind.TERMS, "terms", say("terms", url=directory.terms_url))
        # Asked first: after a crash the account may exist already, and most EAB keys serve only once.
        if (known := self._existing_account(directory)) is not None:
            return known
        if directory.eab_required and eab is None:
            raise own(ProblemKind.EAB, "eab", say("eab_wanted"))
        binding = None
        if eab is not None:
            binding = external_binding(self._signer, *eab, new_account_url=directory.new_account)
        wish = messages.NewRegistration.from_data(
            contact=_contact(contact),
            terms_of_service_agreed=True if agree_terms else None,
            external_account_binding=binding,
        )
        before_new()
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
            answer = self._post(directory.new_account, wish.json_dumps().encode(), resource="newAccount", with_key=True)
        except CaProblem as problem:
            if problem.kind is ProblemKind.UNAUTHORIZED and wish.external_account_binding:
                problem.kind = ProblemKind.EAB  # an unknown key identifier or a wrong HMAC key is called so
            raise _as_account_trouble(problem) from problem.__cause__
        url = _location(answer, directory.new_account)
        self._signer.account_url = url
        return url

    def find_account(self) -> str | None:
        """The URL of the account that the key belongs to, None where the CA knows none (RFC 8555 §7.3.1)."""
        try:
            return self._new_account(self.directory(), messages.NewRegistration(only_return_existing=True))
        except CaProblem as problem:
            if not problem.account_gone:
                raise
            return None

    def update_account(self, *, contact: Sequence[str] | None = None, agree_terms: bool = False) -> None:
        """Change the account's contact addresses, tell that its holder agrees to the terms, or both (§7.3.2)."""
        wish: dict[str, Any] = {}
        if contact is not None:
            wish["contact"] = list(_contact(contact))
        if agree_terms:
            wish["termsOfServiceAgreed"] = True
        self._post_for_account(wish)

    def deactivate_account(self) -> None:
        """Give the account up for good (§7.3.6): the CA takes nothing more from it."""
        self._post_for_account({"status": "deactivated"})

    def change_key(self, new_key_pem: bytes) -> None:
        """Have the account's key replaced (§7.3.5), and sign with the new one from now on.

        After an UNREACHABLE problem only the CA knows which one counts: ask `find_account` with each.
        """
        url = self.directory().key_change
        if url is None:
            raise own(ProblemKind.OTHER, "key_change", say("no_key_change"))
        new = Signer(new_key_pem, self.account_url)
        try:
            self._post(url, key_change(self._signer, new, url=url), resource="keyChange", repeatable=False)
        except CaProblem as problem:
            raise _as_account_trouble(problem) from problem.__cause__
        self._signer = new

    def _post_for_account(self, wish: Mapping[str, Any]) -> None:
        try:
            self._post(self.account_url or "", _json(wish))
        except CaProblem as problem:
            raise _as_account_trouble(problem) from problem.__cause__

    # --- orders ------------------------------------------------------------------------------------------------------

    def new_order(self, names: Sequence[str], *, profile: str | None = None, replaces: str | None = None) -> OrderState:
        """Open an order by one request and fetch nothing else, so that its URL can be saved first.

        `replaces` is the ARI id of the certificate this one follows (RFC 9773 §5). ReplacesRefused where that may be
        what the CA refused.
        """
        url = self.directory().new_order
        wish: dict[str, Any] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile:
            wish["profile"] = profile
        if replaces:
            wish["replaces"] = replaces
        try:
            answer = self._post(url, _json(wish), resource="newOrder", repeatable=False)
        except CaProblem as problem:
            if replaces and problem.short_type in _BAD_REPLACES:
                raise problem.copy(ReplacesRefused) from problem.__cause__
            raise _as_account_trouble(problem) from problem.__cause__
        return order_state(_location(answer, url), _object(answer, url), retry_after=self._retry_after(answer))

    def order(self, url: str) -> OrderState:
        """The order at `url` as it stands; ORDER when the CA no longer knows it."""
        answer = self._post_for_order(url, b"")
        return order_state(url, _object(answer, url), retry_after=self._retry_after(answer))

    def authorization(self, url: str) -> AuthorizationState:
        """The authorization at `url` with its HTTP-01 challenge."""
        answer = self._post_for_order(url, b"")
        return authorization_state(url, _object(answer, url), thumbprint=self._signer.thumbprint)

    def answer(self, challenge_url: str) -> None:
        """Tell the CA that the challenge can be tried now; one that it has tried meanwhile stays as it is."""
        try:
            self._post_for_order(challenge_url, b"{}")
        except CaProblem as problem:
            # Whoever goes on after a crash may answer what was answered before, in the moment in which the CA is done.
            if problem.short_type != "malformed":
                raise
            found = _object(self._post_for_order(challenge_url, b""), challenge_url)
            if found.get("status") == "pending":
                raise

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
            raise own(ProblemKind.OTHER, "chain", say("no_chain", host=host))
        return b"".join(_pem(b"".join(block.split())) for block in blocks)

    def deactivate_authorization(self, url: str) -> None:
        """Give up an authorization (RFC 8555 §7.5.2), so that it no longer counts as pending."""
        self._post(url, _json({"status": "deactivated"}))

    def revoke(self, cert_pem: bytes, reason: int = 0) -> bool:
        """Revoke a certificate of this account; `reason` as in RFC 5280 §5.3.1. False where it was revoked before."""
        url = self.directory().revoke_cert
        if url is None:
            raise own(ProblemKind.OTHER, "revoke", say("no_revocations"))
        try:
            certificate = x509.load_pem_x509_certificate(cert_pem)
        except ValueError as error:
            raise own(ProblemKind.OTHER, "revoke", say("revoke_unread")) from error
        wish = messages.Revocation(certificate=certificate, reason=reason)
        try:
            self._post(url, wish.json_dumps().encode(), resource="revokeCert")
        except CaProblem as problem:
            if problem.short_type != "alreadyRevoked":
                raise
            return False
        return True

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

    def _post_for_order(
        self, url: str, payload: bytes, *, repeatable: bool = True, accept: str = "application/json"
    ) -> Answer:
        try:
            return self._post(url, payload, repeatable=repeatable, accept=accept)
        except CaProblem as problem:
            if problem.status in (404, 410):
                problem.kind = ProblemKind.ORDER  # forgotten by the CA: nothing to go on with
            raise


def _location(answer: Answer, url: str) -> str:
    location = answer.headers["Location"]
    host = target(url).authority
    if location is None:
        raise own(ProblemKind.SERVER, "location", say("no_location", host=host))
    target(location)
    return str(location)


def _as_account_trouble(problem: CaProblem) -> CaProblem:
    # Said to a request rather than of a name, "unauthorized" means that the account may not do this.
    if problem.kind is ProblemKind.UNAUTHORIZED:
        problem.kind = ProblemKind.ACCOUNT
    return problem


def _contact(addresses: Sequence[str]) -> tuple[str, ...]:
    return tuple(address if ":" in address else f"mailto:{address}" for address in addresses)


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _object(answer: Answer, url: str) -> dict[str, Any]:
    fields = document(answer.body)
    if fields is None:
        host = target(url).authority
        raise own(ProblemKind.SERVER, "not_acme", say("no_json", host=host, status=answer.status))
    return fields


def _pem(block: bytes) -> bytes:
    lines = [block[at : at + 64] for at in range(0, len(block), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
