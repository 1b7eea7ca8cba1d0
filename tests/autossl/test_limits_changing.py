"""What an admin says that a CA allows: as typed, refused with the field and the cause, audited; and the command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from autossl_panel import ca
from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import Asked, Kind, Limit, OrderKind
from autossl_panel.autossl.limits import LimitProblem, changing
from autossl_panel.autossl.models import Account, Provider
from autossl_panel.people.models import AuditEntry, User
from tests.autossl.limits_rows import LETS_ENCRYPT, again, take

pytestmark = pytest.mark.django_db


def one(provider: Provider, kind: Kind) -> Limit | None:
    return next((limit for limit in limits.limits_of(provider) if limit.kind is kind), None)


@pytest.mark.parametrize(
    ("kind", "text", "limit"),
    [
        ("orders", "300/3h", Limit(Kind.ORDERS, 300, 10800)),
        ("orders", " 300 / 3 h ", Limit(Kind.ORDERS, 300, 10800)),
        ("orders", "300/10800/continuous", Limit(Kind.ORDERS, 300, 10800, True)),
        ("domain", "50/7D/window", Limit(Kind.DOMAIN, 50, 7 * 86400)),
        ("requests", "20/1s", Limit(Kind.REQUESTS, 20, 1)),
        ("failures", "5/90m", Limit(Kind.FAILURES, 5, 5400)),
        ("consecutive", "1152", Limit(Kind.CONSECUTIVE, 1152, 0)),
        ("set", "none", None),
        ("set", "", None),
    ],
)
def test_a_limit_as_typed(provider: Provider, kind: str, text: str, limit: Limit | None) -> None:
    changing.change(provider, {kind: text}, by=None)
    assert one(provider, Kind(kind)) == limit
    assert one(Provider.objects.get(pk=provider.pk), Kind(kind)) == limit
    # What is shown can be typed.
    shown = changing.texts(provider)
    assert limits.limits_of(provider) == changing.change(provider, shown, by=None)


@pytest.mark.parametrize(
    ("kind", "text", "cause"),
    [
        ("orders", "many", "“many” is not a limit"),
        ("orders", "300", "does not say within which time"),
        ("orders", "0/3h", "not a number from 1 to 100000"),
        ("orders", "300000/3h", "not a number from 1 to 100000"),
        ("orders", "-5/3h", "is not a limit"),
        ("orders", "5/0s", "not a time"),
        ("orders", "5/400d", "not a time"),
        ("orders", "5/3h/sometimes", "is not a limit"),
        ("consecutive", "5/3h", "have no window"),
        ("certificates", "5/3h", "There is no limit “certificates”"),
        ("account", "5/3h", "There is no limit “account”"),
    ],
)
def test_bad_input_names_the_field_and_the_cause_and_changes_nothing(
    provider: Provider, kind: str, text: str, cause: str
) -> None:
    with pytest.raises(LimitProblem, match=cause) as raised:
        changing.change(provider, {"domain": "50/7d", kind: text}, by=None)
    assert raised.value.field == kind
    assert Provider.objects.get(pk=provider.pk).limits is None


def test_what_is_not_named_stays_and_each_change_is_audited(provider: Provider, root: User) -> None:
    Provider.objects.filter(pk=provider.pk).update(stated={"limits": LETS_ENCRYPT})
    provider.refresh_from_db()
    assert one(provider, Kind.ORDERS) == Limit(Kind.ORDERS, 300, 10800, True), "what the preset publishes"
    changing.change(provider, {"orders": "1000/3h"}, by=root)
    assert one(provider, Kind.ORDERS) == Limit(Kind.ORDERS, 1000, 10800, True), "given back as before"
    assert one(provider, Kind.DOMAIN) == Limit(Kind.DOMAIN, 50, 7 * 86400, True)
    [entry] = AuditEntry.objects.filter(event="provider:limits")
    assert (entry.person, entry.subject) == (root, "pebble")
    assert (entry.before, entry.after) == ({"orders": "300/3h/continuous"}, {"orders": "1000/3h/continuous"})
    changing.change(provider, {"orders": "1000/3h"}, by=root)
    assert AuditEntry.objects.count() == 1, "no change, no entry"
    changing.reset(provider, by=root)
    assert one(provider, Kind.ORDERS) == Limit(Kind.ORDERS, 300, 10800, True)
    assert Provider.objects.get(pk=provider.pk).limits is None


def test_none_at_all(provider: Provider) -> None:
    Provider.objects.filter(pk=provider.pk).update(stated={"limits": LETS_ENCRYPT})
    provider.refresh_from_db()
    changing.change(provider, dict.fromkeys(changing.texts(provider), "none"), by=None)
    assert limits.limits_of(provider) == ()
    assert Provider.objects.get(pk=provider.pk).limits == []


# --- the command -----------------------------------------------------------------------------------------------------


def provider_limits(*words: str) -> str:
    out = StringIO()
    call_command("provider", "limits", "pebble", *words, stdout=out)
    return out.getvalue()


def test_the_command_shows_what_is_used(account: Account) -> None:
    now = datetime.now(UTC)
    take(account, "a.com", "www.a.com", now=now)
    take(account, "b.com", now=now)
    shown = provider_limits().splitlines()
    assert shown[0].split() == ["LIMIT", "CA", "ALLOWS", "USED", "OF", "FREES", "FULLEST"]
    lines = {line.split()[0]: line for line in shown[1:]}
    assert lines["orders"].split()[1:6] == ["300", "in", "3h", "2", "240"]
    assert lines["domain"].endswith("a.com (of 2 domains)")
    assert "a.com, www.a.com (of 2 sets)" in lines["set"]
    assert lines["consecutive"].split()[1:] == ["1152", "in", "a", "row", "0", "921", "-"]


def test_the_command_shows_losses_and_refusals_and_lifts_a_pause(account: Account) -> None:
    now = datetime.now(UTC)
    Account.objects.update(ledger_spent_at=now, ledger_lost=3)
    detail = "Your account is temporarily prevented from requesting certificates for a.com and possibly others. "
    paused = ca.CaProblem(ca.ProblemKind.RATE, type="x", detail=detail + "Please visit: https://portal.example/u")
    limits.heard(account.provider, paused, Asked.NEW_ORDER, account=account, names=["a.com"], now=now)
    shown = provider_limits()
    assert "3 permits that this database does not know" in shown
    assert "The CA refuses consecutive of a.com until somebody acts: https://portal.example/u" in shown
    assert "refuses" not in provider_limits("--unpause", "A.com")
    assert isinstance(take(again(account), "a.com", kind=OrderKind.ARI, now=now), limits.Permit)
    with pytest.raises(CommandError, match="is not paused at pebble") as raised:
        provider_limits("--unpause", "a.com")
    assert raised.value.returncode == 2


def test_who_set_the_whole_machine_back_says_so(account: Account) -> None:
    assert "Counted as spent since" in provider_limits("--start-spent")
    assert isinstance(take(again(account), "a.com", now=datetime.now(UTC)), limits.Wait)
    assert AuditEntry.objects.filter(event="limits:started_spent", after={"permits_lost": None}).exists()
    Account.objects.all().delete()
    with pytest.raises(CommandError, match="no account yet"):
        provider_limits("--start-spent")


def test_the_command_changes_and_resets(account: Account) -> None:
    assert "1000 in 1d" in provider_limits("--set", "orders=1000/1d", "domain=none")
    kinds = {limit.kind for limit in limits.limits_of(again(account).provider)}
    assert Kind.DOMAIN not in kinds
    assert "no limits are known" in provider_limits("--reset")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "orders"], "--set orders: write it like orders=300/3h."),
        (["--set", "orders=x"], "orders: “x” is not a limit"),
        (["--set", "orders=1/1h", "--reset"], "do not go together"),
    ],
)
def test_wrong_usage(account: Account, words: list[str], said: str) -> None:
    with pytest.raises(CommandError) as raised:
        provider_limits(*words)
    assert said in str(raised.value)
    assert raised.value.returncode == 2


def test_without_an_account_it_shows_what_the_ca_allows(provider: Provider) -> None:
    Account.objects.all().delete()
    Provider.objects.filter(pk=provider.pk).update(limits=LETS_ENCRYPT)
    assert provider_limits().splitlines()[1].split() == ["orders", "300", "in", "3h", "240"]


def test_the_page_pays_few_queries(account: Account, django_assert_max_num_queries: Any) -> None:
    for number in range(3):
        take(account, f"s{number}.com", now=datetime.now(UTC) - timedelta(minutes=number))
    with django_assert_max_num_queries(9):
        limits.usage(account, now=datetime.now(UTC))
