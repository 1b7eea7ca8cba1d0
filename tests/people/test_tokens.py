"""API tokens: made once, kept as a hash, found by their secret alone, gone at once."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from autossl_panel.people import persons, tokens
from autossl_panel.people.models import ApiToken, AuditEntry, Role, User
from autossl_panel.people.tokens import TokenProblem

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def amy() -> User:
    return User.objects.create(username="amy", role=Role.RESELLER)


def make(whose: User, name: str = "script", days: float | None = None, **more: bool) -> tuple[ApiToken, str]:
    until = NOW + timedelta(days=days) if days is not None else None
    return tokens.make(whose, name, expires_at=until, read_only=more.get("read_only", False), by=whose, now=NOW)


def test_the_secret_is_long_random_and_kept_as_a_hash_alone(amy):
    row, secret = make(amy)
    assert len(set(secret.removeprefix(tokens.PREFIX))) > 10
    assert len(tokens.ALPHABET) ** tokens.LENGTH > 2**256
    assert row.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert make(amy, "another")[1] != secret
    stored = str([*ApiToken.objects.values_list(), *AuditEntry.objects.values_list()])
    assert secret.removeprefix(tokens.PREFIX) not in stored


def test_it_is_found_by_its_secret_and_its_persons_name(amy):
    row, secret = make(amy)
    assert tokens.find("amy", secret, NOW) == row
    assert tokens.find("Amy", secret, NOW) is None
    assert tokens.find("amy", secret[:-1], NOW) is None
    assert tokens.find("amy", row.digest, NOW) is None, "what is kept opens nothing"


def test_it_expires_at_its_moment(amy):
    _row, secret = make(amy, days=30)
    end = NOW + timedelta(days=30)
    assert tokens.find("amy", secret, end - timedelta(seconds=1)) is not None
    assert tokens.find("amy", secret, end) is None
    with pytest.raises(TokenProblem) as problem:
        make(amy, "late", days=0)
    assert problem.value.field == "expires"


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x00b", "a\u202eb", "script", " script "])
def test_names_that_are_none(amy, name):
    make(amy)
    with pytest.raises(TokenProblem) as problem:
        make(amy, name)
    assert problem.value.field == "name"
    assert ApiToken.objects.count() == 1
    assert AuditEntry.objects.count() == 1


def test_another_person_may_use_the_same_name(amy):
    make(amy)
    make(User.objects.create(username="bob", role=Role.ROOT))
    assert ApiToken.objects.filter(name="script").count() == 2


def test_there_are_not_too_many(amy, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 2)
    make(amy, "one")
    make(amy, "two")
    with pytest.raises(TokenProblem, match="2 tokens"):
        make(amy, "three")


def test_who_sees_which(amy):
    root = User.objects.create(username="root", role=Role.ROOT)
    mine, theirs = make(amy)[0], make(root)[0]
    assert list(tokens.visible(root)) == [theirs, mine]
    assert list(tokens.of(root)) == [theirs]
    assert list(tokens.visible(amy)) == list(tokens.of(amy)) == [mine]


def test_revoking_is_told_once(amy):
    row, secret = make(amy, days=30, read_only=True)
    assert tokens.revoke(row, by=amy)
    assert not tokens.revoke(row, by=amy)
    assert tokens.find("amy", secret, NOW) is None
    entry = AuditEntry.objects.get(event="token:revoked")
    assert entry.before == {"name": "script", "expires": "2027-03-31 12:00", "read_only": True}


def test_a_removed_persons_tokens_go_along_and_are_told(amy):
    _row, secret = make(amy)
    User.objects.create(username="root", role=Role.ROOT)
    persons.remove(amy, by=None)
    assert tokens.find("amy", secret, NOW) is None
    assert AuditEntry.objects.filter(event="token:revoked", subject="amy").count() == 1


def test_a_use_is_written_once_of_many_at_once(amy, django_assert_num_queries):
    row, _secret = make(amy)
    stale = ApiToken.objects.get(pk=row.pk)
    tokens.used(row, "192.0.2.1", NOW)
    tokens.used(stale, "192.0.2.1", NOW + timedelta(seconds=1))
    assert ApiToken.objects.get().used_at == NOW, "the second of them finds it written"
    fresh = ApiToken.objects.get()
    with django_assert_num_queries(0):
        tokens.used(fresh, "192.0.2.1", NOW + timedelta(seconds=59))
    tokens.used(fresh, "192.0.2.2", NOW + timedelta(seconds=59))
    assert ApiToken.objects.get().address == "192.0.2.2"
