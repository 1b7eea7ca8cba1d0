"""A site's states in turn, and who gets one digest: for any history and any addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.models import Kind, Options
from autossl_panel.autossl.notify import recipients
from autossl_panel.autossl.notify.changes import Stage
from autossl_panel.autossl.notify.kinds import SITE_STATES, Audience, Reach
from autossl_panel.autossl.notify.matters import Matter
from autossl_panel.autossl.notify.memory import Key, Memory, Told
from autossl_panel.autossl.notify.recipients import Owner

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVERYBODY = Reach(frozenset({3}), frozenset(Kind), frozenset(Kind))


def matter(kind: Kind, names: Any = ("a",), user: int = 3, host: int = 7) -> Matter:
    facts = frozenset((name, "dns") for name in names)
    return Matter(kind, f"site:{host}", facts, code="nxdomain", host_id=host, site="a.example.com", user_id=user)


class History:
    """One site, looked at again and again, its memory kept between."""

    def __init__(self) -> None:
        self.known: dict[Key, Any] = {}
        self.now = NOW

    def look(self, state: Matter | None, after: timedelta = HOUR) -> list[Told]:
        self.now += after
        memory = Memory(self.now, EVERYBODY)
        memory.known.update(self.known)
        memory.site("site:7", state)
        for key in memory._ended:
            self.known.pop(key, None)
        self.known |= {key: known for key, (known, _host) in memory._changed.items()}
        return memory.told


def test_a_lesser_state_is_no_news_when_a_worse_one_is_over():
    history = History()
    assert history.look(matter(Kind.UNCOVERED))
    assert history.look(matter(Kind.EXPIRING))
    for _day in range(9):
        assert not history.look(matter(Kind.EXPIRING), DAY)
    assert not history.look(matter(Kind.UNCOVERED), DAY), "it was so all the time"
    assert history.look(matter(Kind.EXPIRING), 2 * DAY), "that was over for two days"


def test_a_worse_state_is_always_news():
    history = History()
    for kind in reversed(SITE_STATES):
        assert [one.matter.kind for one in history.look(matter(kind))] == [kind]


STATES = st.one_of(
    st.none(),
    st.tuples(st.sampled_from(SITE_STATES), st.frozensets(st.sampled_from("abc"), min_size=1)),
)


@given(steps=st.lists(st.tuples(st.integers(min_value=1, max_value=40), STATES), max_size=30))
def test_for_any_history_of_states(steps):
    history = History()
    seen: set[Kind] = set()
    told_at: dict[tuple[Kind, str], datetime] = {}
    for hours, state in steps:
        current = matter(*state) if state is not None else None
        said = history.look(current, hours * HOUR)
        assert len(said) <= 1
        if current is None:
            assert not said
            continue
        if current.kind not in seen:
            assert said, "never silent on a state that is new"
        seen.add(current.kind)
        for one in said:
            assert (one.user, one.admin) == (Stage.FIRST, Stage.FIRST)
            pairs = [(current.kind, name) for name, _cause in current.facts]
            assert any(history.now - told_at.get(pair, NOW - 9 * DAY) >= DAY for pair in pairs), "not twice in a day"
            told_at |= dict.fromkeys(pairs, history.now)
        assert not history.look(current, timedelta(0)), "looked at twice, told once"


POOL = ["a@x.example", "A@X.example", "b@x.example", "c@x.example", ""]


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=st.lists(st.sampled_from(POOL), min_size=1, max_size=8),
    admins=st.lists(st.sampled_from(POOL[:-1]), max_size=3, unique_by=str.casefold),
    levels=st.tuples(*[st.sampled_from(["all", "warnings", "failures", "none"])] * 2),
    kinds=st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=8),
)
def test_one_digest_for_each_address_with_all_that_it_is_to_have(server, users, admins, levels, kinds):
    owners = {pk: Owner(f"u{pk}", address, Audience.USER) for pk, address in enumerate(users)}
    told = [
        Told(matter(kind, user=place % len(users), host=place), Stage.FIRST, Stage.FIRST)
        for place, kind in enumerate(kinds)
    ]
    options = Options(notify_user=levels[0], notify_admin=levels[1], admin_addresses=admins)
    found = recipients.who(told, server, options, owners)
    addresses = [recipient.address.casefold() for recipient in found]
    assert len(addresses) == len(set(addresses))
    got = {recipient.address.casefold(): set(recipient.entries) for recipient in found}
    wished: dict[str, set[Key]] = {}
    for one in told:
        key = (one.matter.kind, one.matter.subject)
        for address in admins:
            if recipients.wanted(one.matter.kind, levels[1], Audience.ADMIN):
                wished.setdefault(address.casefold(), set()).add(key)
        assert one.matter.user_id is not None
        address = users[one.matter.user_id]
        if address and recipients.wanted(one.matter.kind, levels[0], Audience.USER):
            wished.setdefault(address.casefold(), set()).add(key)
    assert got == wished
