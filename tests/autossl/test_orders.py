"""What each answer of the CA makes of an order. The good ways are walked with a real CA in test_working_through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca, pki
from autossl_panel.autossl import ledger, limits, orders
from autossl_panel.autossl.models import Level, Order, Provider
from autossl_panel.autossl.orders import State, Tools
from autossl_panel.ca import AuthorizationState, Challenge, OrderState, ProblemKind
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import VirtualHost

pytestmark = pytest.mark.django_db
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


def test_the_url_is_saved_before_anything_else_is_asked(order: Order) -> None:
    client = Ca(new_order=state("pending"), authorization=problem(ProblemKind.UNREACHABLE))
    found = advance(order, client)
    assert client.asked == ["new_order", "authorization"]
    assert (order.url, order.status, order.closed_at) == (URL, "pending", None)
    assert found.state == State.TROUBLE


def test_an_order_with_a_url_is_never_placed_again(order: Order) -> None:
    order.url = URL
    order.save()
    client = Ca(order=state("processing"), poll=state("processing", retry_after=timezone.now() + timedelta(hours=1)))
    found = advance(order, client)
    assert "new_order" not in client.asked
    assert found.state == State.WAITS
    assert found.until is not None
    assert found.until > timezone.now() + timedelta(minutes=59)
    assert (order.status, order.retry_at, order.closed_at) == ("processing", found.until, None)


def test_the_answers_to_challenges_are_in_place_before_the_ca_is_told_and_gone_afterwards(order: Order) -> None:
    helper = Helper()
    client = Ca(
        new_order=state("pending"),
        authorization=_authorization("", "pending"),
        answer=None,
        poll=state("ready"),
        finalize=problem(ProblemKind.SERVER),
    )
    found = advance(order, client, helper)
    assert client.asked == ["new_order", "authorization", "authorization", "answer", "answer", "poll", "finalize"]
    assert len(helper.put) == 2
    assert set(helper.deleted) == set(helper.put)
    assert (found.state, order.status, order.closed_at) == (State.TROUBLE, "ready", None)


def test_names_that_fail_are_told_apart_and_end_the_order(order: Order) -> None:
    trouble = problem(ProblemKind.UNAUTHORIZED)
    client = Ca(
        new_order=state("pending"),
        authorization=[
            _authorization("", "pending"),
            _authorization("", "pending"),
            _authorization(NAMES[0], "valid"),
            _authorization(NAMES[1], "invalid", trouble),
        ],
        answer=None,
        poll=state("invalid"),
    )
    found = advance(order, client)
    assert (found.state, dict(found.refused)) == (State.REFUSED, {NAMES[1]: trouble})
    assert order.closed_as == "refused"


@pytest.mark.parametrize("kind", [ProblemKind.ORDER, ProblemKind.MALFORMED])
def test_an_order_that_the_ca_forgot_is_given_up(order: Order, kind: ProblemKind) -> None:
    order.url = URL
    order.save()
    found = advance(order, Ca(order=problem(kind, status=404)))
    assert (found.state, order.closed_as) == (State.LOST, "given_up")


@pytest.mark.parametrize("kind", [ProblemKind.CAA, ProblemKind.REJECTED_IDENTIFIER, ProblemKind.DNS])
def test_a_refused_new_order_blames_the_names_it_names(order: Order, kind: ProblemKind) -> None:
    part = ca.SubProblem(NAMES[1], "urn:ietf:params:acme:error:caa", "forbidden", ProblemKind.CAA)
    found = advance(order, Ca(new_order=problem(kind, subproblems=(part,))))
    assert found.state == State.REFUSED
    assert list(found.refused) == [NAMES[1]]
    assert found.refused[NAMES[1]].detail == "forbidden"
    assert order.closed_as == "refused"


@pytest.mark.parametrize("answer", ["names", "taken"])
def test_a_refusal_of_names_does_not_say_that_a_limit_is_over(order: Order, answer: str) -> None:
    """A CA may look at the names first."""
    now = datetime.now(UTC)
    limit = ca.CaProblem(ProblemKind.RATE, type="", detail="No.", status=429, retry_after=now + timedelta(60))
    limits.heard(order.provider, limit, ledger.Asked.NEW_ORDER, now=now, account=order.account, names=NAMES)
    wish = ledger.order(ledger.OrderKind.NEW, NAMES, probe=True)
    found_out = limits.take(order.account, wish, now=now)
    assert isinstance(found_out, limits.Permit)
    order.permit = found_out.as_json()
    order.save()
    said = state("pending") if answer == "taken" else problem(ProblemKind.REJECTED_IDENTIFIER)
    client = Ca(new_order=said, authorization=problem(ProblemKind.SERVER))
    assert advance(order, client, permitted=True).state == (State.TROUBLE if answer == "taken" else State.REFUSED)
    others = ledger.order(ledger.OrderKind.NEW, ["other.example"])
    held = limits.look(order.account, others, now=now + timedelta(seconds=1))
    assert (held is None) == (answer == "taken")


def test_whoever_finds_out_and_hears_of_its_names_only_holds_the_others_for_two_minutes(order: Order) -> None:
    now = datetime.now(UTC)
    limit = ca.CaProblem(ProblemKind.RATE, type="", detail="No.", status=429, retry_after=now)
    limits.heard(order.provider, limit, ledger.Asked.NEW_ORDER, now=now, account=order.account, names=NAMES)
    found_out = limits.take(order.account, ledger.order(ledger.OrderKind.NEW, NAMES), now=now + timedelta(hours=2))
    assert isinstance(found_out, limits.Permit)
    order.permit = found_out.as_json()
    order.save()
    found = advance(order, Ca(new_order=problem(ProblemKind.REJECTED_IDENTIFIER)), permitted=True)
    assert found.state == State.REFUSED
    others = ledger.order(ledger.OrderKind.NEW, ["other.example"])
    held = limits.look(order.account, others, now=now + timedelta(hours=2, seconds=1))
    assert held is not None
    assert held.until is not None
    assert held.until <= now + timedelta(hours=2, seconds=121)
    assert isinstance(limits.take(order.account, others, now=now + timedelta(hours=2, seconds=121)), limits.Permit)


FORBIDDEN = "The ACME server refuses to issue a certificate for this domain name, because it is forbidden by policy"
CAA_WORDS = "While processing CAA for {}: CAA record for amber.example prevents issuance"


def told(kind: ProblemKind, detail: str, *parts: ca.SubProblem) -> ca.CaProblem:
    return ca.CaProblem(kind, type=f"urn:ietf:params:acme:error:{kind}", detail=detail, status=403, subproblems=parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_new_order_without_parts_blames_the_name_in_its_words(order: Order, name: str) -> None:
    """Boulder sends no subproblems where it refuses just one name."""
    said = told(ProblemKind.REJECTED_IDENTIFIER, f'Error creating new order :: Cannot issue for "{name}": {FORBIDDEN}')
    found = advance(order, Ca(new_order=said))
    assert (found.state, dict(found.refused)) == (State.REFUSED, {name: said})
    assert order.closed_as == "refused"


@pytest.mark.parametrize("detail", ["Not these names.", 'Cannot issue for "other.example": no', 'Look at "policy"'])
def test_a_refused_new_order_that_names_none_of_ours_blames_all(order: Order, detail: str) -> None:
    found = advance(order, Ca(new_order=told(ProblemKind.REJECTED_IDENTIFIER, detail)))
    assert list(found.refused) == list(NAMES)


CAA_PART = ca.SubProblem(NAMES[1], "urn:ietf:params:acme:error:caa", "forbidden", ProblemKind.CAA)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (told(ProblemKind.CAA, f"Error finalizing order :: {CAA_WORDS.format(NAMES[1])}"), [NAMES[1]]),
        (told(ProblemKind.CAA, f"Error finalizing order :: {CAA_WORDS.format(NAMES[0])}"), [NAMES[0]]),
        (told(ProblemKind.CAA, "Rechecking CAA for several identifiers failed", CAA_PART), [NAMES[1]]),
        (told(ProblemKind.CAA, "CAA record for www.amber.example prevents issuance"), [NAMES[1]]),
        (told(ProblemKind.CAA, "CAA record for amber.example prevents issuance"), list(NAMES)),
        (told(ProblemKind.CAA, "It is forbidden."), list(NAMES)),
        (told(ProblemKind.UNAUTHORIZED, "See the parts", CAA_PART), [NAMES[1]]),
    ],
)
def test_names_that_are_refused_at_finalize_are_told_apart(
    order: Order, said: ca.CaProblem, refused: list[str]
) -> None:
    """What CAA says is looked at once more there, by Boulder with and without parts."""
    found = advance(order, Ca(new_order=state("ready"), finalize=said))
    assert (found.state, sorted(found.refused)) == (State.REFUSED, sorted(refused))
    assert order.closed_as == "refused"


def test_an_order_that_is_no_longer_ours_blames_no_name(order: Order) -> None:
    said = told(ProblemKind.UNAUTHORIZED, 'authorizations for "amber.example" not found')
    found = advance(order, Ca(new_order=state("ready"), finalize=said))
    assert (found.state, dict(found.refused), order.closed_as) == (State.LOST, {}, "given_up")


def test_an_order_that_became_invalid_with_every_name_proven_says_itself_which_is_refused(order: Order) -> None:
    said = told(ProblemKind.CAA, CAA_WORDS.format(NAMES[1]))
    client = Ca(
        new_order=state("ready"),
        finalize=state("invalid", problem=said),
        authorization=_authorization("", "valid"),
        order=state("invalid", problem=said),
    )
    found = advance(order, client)
    assert (found.state, list(found.refused), order.closed_as) == (State.REFUSED, [NAMES[1]], "refused")


@pytest.mark.parametrize(
    "kind", [ProblemKind.SERVER, ProblemKind.UNREACHABLE, ProblemKind.RATE, ProblemKind.ACCOUNT, ProblemKind.BAD_NONCE]
)
def test_trouble_before_the_ca_knows_the_order_leaves_no_open_order(order: Order, kind: ProblemKind) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    found = advance(order, Ca(new_order=problem(kind, retry_after=until)))
    assert (found.state, found.until) == (State.TROUBLE, until)
    assert order.closed_as == "given_up"


@pytest.mark.parametrize("kind", [ProblemKind.SERVER, ProblemKind.UNREACHABLE, ProblemKind.RATE])
def test_trouble_later_leaves_the_order_open_to_be_resumed(order: Order, kind: ProblemKind) -> None:
    order.url = URL
    order.save()
    found = advance(order, Ca(order=problem(kind)))
    assert (found.state, order.closed_at) == (State.TROUBLE, None)


def test_an_order_that_is_not_through_after_a_day_is_given_up(order: Order) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(hours=25))
    order.refresh_from_db()
    found = advance(order, Ca(order=state("processing"), poll=state("processing")))
    assert (found.state, found.code, order.closed_as) == (State.LOST, "order_stuck", "given_up")


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_with_another_provider_at_hand_an_hour_is_enough(order: Order, status: str) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(minutes=61))
    order.refresh_from_db()
    client = Ca(order=state(status), poll=state(status), authorization=_authorization("", "pending"), answer=None)
    assert advance(order, client).state == State.WAITS
    found = advance(order, client, another=True)
    assert (found.state, found.code, order.closed_as) == (State.LOST, "order_stuck", "given_up")


def test_the_hour_counts_from_when_the_signature_was_asked_for(order: Order) -> None:
    now = timezone.now()
    Order.objects.update(url=URL, created_at=now - timedelta(hours=3), finalized_at=now - timedelta(minutes=30))
    order.refresh_from_db()
    found = advance(order, Ca(order=state("processing"), poll=state("processing")), another=True)
    assert found.state == State.WAITS
    assert order.finalized_at == now - timedelta(minutes=30)


def test_a_ca_that_says_tomorrow_is_looked_at_again_when_its_time_is_over(order: Order) -> None:
    now = timezone.now()
    Order.objects.update(url=URL, created_at=now - timedelta(minutes=20))
    order.refresh_from_db()
    client = Ca(order=state("processing"), poll=state("processing", retry_after=now + timedelta(days=1)))
    found = advance(order, client, another=True)
    assert found.until == now + timedelta(minutes=40)
    assert order.retry_at == found.until


def test_trouble_for_an_hour_ends_an_order_where_another_provider_is_at_hand(order: Order) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(minutes=61))
    order.refresh_from_db()
    assert advance(order, Ca(order=problem(ProblemKind.SERVER))).state == State.TROUBLE
    assert order.closed_at is None
    advance(order, Ca(order=problem(ProblemKind.SERVER)), another=True)
    assert order.closed_as == "given_up"


def test_a_csr_that_was_handed_in_before_is_not_an_error(order: Order) -> None:
    client = Ca(
        new_order=state("ready"),
        finalize=problem(ProblemKind.ORDER),
        order=state("processing"),
        poll=state("processing"),
    )
    assert advance(order, client).state == State.WAITS
    assert client.asked == ["new_order", "finalize", "order", "poll"]


def test_a_lost_answer_to_the_csr_is_looked_up(order: Order) -> None:
    client = Ca(
        new_order=state("ready"),
        finalize=problem(ProblemKind.UNREACHABLE),
        order=state("valid"),
        download=b"junk",
    )
    found = advance(order, client)
    assert (found.state, found.code, order.closed_as) == (State.UNWANTED, "unreadable", "refused")


def test_a_certificate_for_another_key_is_never_staged(order: Order) -> None:
    other = _chain(NAMES)
    found = advance(order, Ca(new_order=state("valid"), download=other))
    assert (found.state, found.code) == (State.UNWANTED, "other_key")
    assert (order.closed_as, order.staged_at, order.certificate) == ("refused", None, None)


def test_a_helper_that_stays_away_is_trouble_and_loses_nothing(order: Order) -> None:
    helper = Helper()
    helper.problem = HelperGone("it is away")
    tools = Tools(
        Ca(new_order=state("ready")),  # type: ignore[arg-type]
        helper,  # type: ignore[arg-type]
        Saves(),
        _after(3),
        None,
    )
    found = orders.advance(order, tools)
    order.refresh_from_db()
    assert (found.state, found.code, order.closed_at) == (State.TROUBLE, "helper_gone", None)


def _after(number: int) -> Callable[[], bool]:
    """True from the `number`-th time it is asked."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= number

    return stop


def test_a_helper_that_lost_the_order_ends_it(order: Order) -> None:
    helper = Helper()
    helper.problem = HelperProblem("conflict", "made for other names")
    found = advance(order, Ca(new_order=state("ready")), helper)
    assert (found.state, order.closed_as) == (State.UNWANTED, "refused")


def test_told_to_stop_it_stops_between_two_steps(order: Order) -> None:
    client = Ca(new_order=state("pending"), authorization=_authorization("", "valid"), answer=None, poll=state("ready"))
    found = advance(order, client, stop=True)
    assert (found.state, order.status, order.closed_at) == (State.STOPPED, "ready", None)
    assert "finalize" not in client.asked


@pytest.mark.parametrize("stop", [True, False])
def test_answers_stay_in_place_while_the_ca_may_still_look_at_them(order: Order, stop: bool) -> None:
    helper = Helper()
    client = Ca(
        new_order=state("pending"), authorization=_authorization("", "pending"), answer=None, poll=state("pending")
    )
    found = advance(order, client, helper, stop=stop)
    assert found.state == (State.STOPPED if stop else State.WAITS)
    assert len(helper.put) == 2
    assert helper.deleted == []


def test_what_is_staged_asks_nobody(order: Order) -> None:
    order.staged_at = timezone.now()
    order.save()
    client = Ca()
    assert advance(order, client).state == State.STAGED
    assert client.asked == []


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
