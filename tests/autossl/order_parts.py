"""A CA, a helper and a store that an order is advanced with, and what is asserted of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca, pki
from autossl_panel.autossl import orders
from autossl_panel.autossl.models import Level, Order, Provider
from autossl_panel.autossl.orders import Tools
from autossl_panel.ca import AuthorizationState, Challenge, OrderState, ProblemKind
from autossl_panel.hosting.models import VirtualHost

URL = "https://ca.example/order/1"


NAMES = ("amber.example", "www.amber.example")


def state(status: str, **more: Any) -> OrderState:
    fields = {
        "expires": None,
        "authorizations": ("https://ca.example/authz/1", "https://ca.example/authz/2"),
        "finalize": "https://ca.example/finalize/1",
        "certificate": "https://ca.example/cert/1",
        "problem": None,
        "retry_after": None,
    }
    return OrderState(url=URL, status=status, **{**fields, **more})


def problem(kind: ProblemKind, **more: Any) -> ca.CaProblem:
    return ca.CaProblem(kind, type=f"urn:ietf:params:acme:error:{kind}", detail=f"about {kind}", **more)


class Ca:
    """Answers as told; an exception is raised. Counts what is asked."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {name: list(value) if isinstance(value, list) else value for name, value in answers.items()}
        self.ca_time: datetime | None = None
        self.date_offset: timedelta | None = None
        self.asked: list[str] = []
        self.wishes: list[Mapping[str, Any]] = []

    def _give(self, name: str) -> Any:
        self.asked.append(name)
        answer = self._answers[name]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def new_order(self, names: Sequence[str], **more: Any) -> OrderState:
        self.wishes.append({"names": list(names), **{name: value for name, value in more.items() if value}})
        return self._give("new_order")  # type: ignore[no-any-return]

    def order(self, _url: str) -> OrderState:
        return self._give("order")  # type: ignore[no-any-return]

    def authorization(self, url: str) -> AuthorizationState:
        found: AuthorizationState = self._give("authorization")
        number = int(url[-1])
        return found if found.identifier else _authorization(NAMES[number - 1], found.status)

    def answer(self, _url: str) -> None:
        self._give("answer")

    def poll(self, _url: str, *, until: Callable[[OrderState], bool], **_: Any) -> OrderState:
        found: OrderState = self._give("poll")
        return found

    def finalize(self, _url: str, _csr: bytes, *, order_url: str) -> OrderState:
        return self._give("finalize")  # type: ignore[no-any-return]

    def download(self, _url: str) -> bytes:
        return self._give("download")  # type: ignore[no-any-return]


def _authorization(name: str, status: str, trouble: ca.CaProblem | None = None) -> AuthorizationState:
    challenge = Challenge("https://ca.example/chall/1", "t" * 20, f"{'t' * 20}.{'x' * 43}", "pending", trouble)
    return AuthorizationState("https://ca.example/authz/1", name, status, None, challenge, trouble)


class Helper:
    """Keeps keys in memory."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.put: list[str] = []
        self.deleted: list[str] = []
        self.problem: Exception | None = None

    def gen_csr(self, order: str, key: str, names: Sequence[str], key_type: str) -> bytes:
        if self.problem is not None:
            raise self.problem
        return pki.make_csr(self.keys.setdefault(order, pki.new_key(pki.KeyType(key_type))), names)

    def challenge_put(self, token: str, body: str) -> None:
        self.put.append(token)

    def challenge_del(self, tokens: Sequence[str]) -> None:
        self.deleted.extend(tokens)


class Saves:
    """Saves to the rows, and remembers the events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(
        self,
        order: Order,
        fields: Iterable[str],
        *lines: tuple[str, Level, Mapping[str, Any]],
        staged: bool = False,
        also: Callable[[], None] | None = None,
    ) -> None:
        if also is not None:
            also()
        order.save(update_fields=list(fields))
        self.events.extend(line[0] for line in lines)


@pytest.fixture
def order(provider: Provider, make_user: Callable[..., Any], make_site: Callable[..., VirtualHost]) -> Order:
    host = make_site(make_user("amber"), *NAMES)
    found = orders.new(
        "o-1",
        host,
        names=NAMES,
        reason="missing",
        key_type="p256",
        provider=provider,
        account=provider.accounts.get(),
        installed=None,
        now=timezone.now(),
    )
    found.save()
    return found


def advance(
    order: Order,
    client: Ca,
    helper: Helper | None = None,
    *,
    stop: bool = False,
    another: bool = False,
    permitted: bool = False,
) -> orders.Progress:
    saves = Saves()
    tools = Tools(client, helper or Helper(), saves, lambda: stop, None, another, permitted)  # type: ignore[arg-type]
    found = orders.advance(order, tools)
    order.refresh_from_db()
    return found


def _chain(names: Sequence[str]) -> bytes:
    """A certificate for these names that some CA might send."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
