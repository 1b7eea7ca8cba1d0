"""Second factors: what is kept, what is sealed, what is taken once, what goes with the last one."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from fido2.utils import websafe_encode

from autossl_panel.people import factors
from autossl_panel.people.adapter import FactorAdapter
from autossl_panel.people.factors import CodeWrong, hotp_value
from autossl_panel.people.models import Role, Session, User
from tests.writes.acts import session_of

pytestmark = pytest.mark.django_db
PERIOD = 30


@pytest.fixture
def amy() -> User:
    return User.objects.create(username="amy", role=Role.RESELLER)


def code(secret: str, step: int = 0) -> str:
    """What the app shows, so many steps from now (RFC 6238)."""
    return f"{hotp_value(secret, int(time.time()) // PERIOD + step):06}"


@pytest.fixture
def app(amy: User) -> str:
    """Amy's app, set up some time ago."""
    secret = factors.new_secret()
    factors.add_app(amy, secret, code(secret), by=amy)
    row = row_of(amy)
    row.data["spent"] = 0
    row.save()
    return secret


def row_of(person: User) -> Authenticator:
    return Authenticator.objects.get(user=person, type=factors.APP)


def test_an_app_is_set_up_by_a_code_of_it_and_brings_recovery_codes(amy):
    secret = factors.new_secret()
    assert len(secret) == 32
    with pytest.raises(CodeWrong):
        factors.add_app(amy, secret, f"{(int(code(secret)) + 1) % 10**6:06}", by=amy)
    assert not factors.has_any(amy)
    assert factors.add_app(amy, secret, code(secret), by=amy)
    found = factors.of(amy)
    assert found.any
    assert found.last
    assert found.codes_left == len(set(factors.codes(amy))) == 10


def test_a_second_app_takes_no_place_of_the_first(amy, app):
    other = factors.new_secret()
    assert not factors.add_app(amy, other, code(other), by=amy)
    assert factors.spend(row_of(amy), code(app))


def test_secrets_are_sealed_in_the_database(amy, app):
    rows = list(Authenticator.objects.values_list("data", flat=True))
    assert app not in str(rows)
    assert not [one for one in factors.codes(amy) if one in str(rows)]


@pytest.mark.parametrize("typed", ["{0}", "{1} {2}", " {0} ", "{1}-{2}"])
def test_a_code_is_taken_once(amy, app, typed):
    shown = code(app)
    assert factors.spend(row_of(amy), typed.format(shown, shown[:3], shown[3:]))
    assert not factors.spend(row_of(amy), shown)


def test_neither_is_one_from_before(amy, app):
    """RFC 6238 §5.2: nor a code of an earlier step, once a later one was taken."""
    assert factors.spend(row_of(amy), code(app, 1))
    assert not factors.spend(row_of(amy), code(app, 0))


def test_the_code_that_set_it_up_does_not_sign_in(amy):
    secret = factors.new_secret()
    shown = code(secret)
    factors.add_app(amy, secret, shown, by=amy)
    assert not factors.spend(row_of(amy), shown)


@pytest.mark.parametrize("typed", ["", "000", "abcdef", "１２３４５６", "1" * 500])
def test_junk_is_no_code(amy, app, typed):
    assert not factors.spend(row_of(amy), typed)


def test_the_last_factor_takes_the_recovery_codes_along(amy, app):
    factors.add_passkey(amy, "Laptop", {"response": {}}, by=amy)
    (key,) = factors.of(amy).passkeys
    assert factors.remove(amy, factors.APP, by=amy)
    assert factors.of(amy).codes_left == 10
    assert factors.remove(amy, factors.PASSKEY, pk=key.pk, by=amy)
    assert not Authenticator.objects.exists()
    assert not factors.remove(amy, factors.PASSKEY, pk=key.pk, by=amy)
    assert not factors.new_codes(amy, by=amy), "codes stand in for a factor; there is none"


def test_somebody_elses_passkey_is_not_removed(amy):
    bob = User.objects.create(username="bob", role=Role.RESELLER)
    factors.add_passkey(bob, "Bob's", {"response": {}}, by=bob)
    assert not factors.remove(amy, factors.PASSKEY, pk=factors.of(bob).passkeys[0].pk, by=amy)
    assert factors.has_any(bob)


def test_new_codes_take_the_place_of_the_old_ones(amy, app):
    before = factors.codes(amy)
    assert factors.new_codes(amy, by=amy)
    assert not set(before) & set(factors.codes(amy))


def test_resetting_takes_all_and_ends_the_sessions(amy, app):
    session_of(amy)
    assert factors.reset(amy, by=None) == 2
    assert not Authenticator.objects.exists()
    assert not Session.objects.exists()
    assert factors.reset(amy, by=None) == 0


def test_who_lacks_one_is_counted(amy, app):
    bob = User.objects.create(username="bob", role=Role.ROOT)
    User.objects.create(username="gone", role=Role.ROOT, is_active=False)
    assert factors.lacking(amy) == (1, False)
    assert factors.lacking(bob) == (1, True), "who asks is told apart"


@pytest.mark.parametrize("pk", [9, 10, 36, 1_000_000])
def test_a_passkey_alone_says_whose_it_is(pk):
    """What a device is given as the handle of a person is read back as that person, whatever their number."""
    person = User.objects.create(pk=pk, username="cat", role=Role.RESELLER)
    handle = FactorAdapter().get_public_key_credential_user_entity(person)["id"]
    response = {"response": {"userHandle": websafe_encode(handle)}}
    assert auth.extract_user_from_response(response) == person
