"""Every page of a small panel is got to by links, and asks few questions, however many rows it is about. Not timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import transaction

from bench import looking, page_rows
from bench.looking import PERSONS, Kind, kind_of
from bench.results import MAX_QUERIES
from tests.bench.test_pages import NOT_LOOKED_AT
from tests.web.test_access import TABLE, names

pytestmark = pytest.mark.django_db
# (who, what page): the most questions that any of its addresses asked
Asked = dict[tuple[str, Kind], int]


@contextmanager
def filled(users: int, each: int, jobs: int) -> Iterator[None]:
    """The rows of a panel of this size, for as long as it is looked at."""
    with transaction.atomic():
        page_rows.fill(users, each, jobs, datetime.now(UTC))
        yield
        transaction.set_rollback(True)


def looked_at() -> Asked:
    """By every person; with one filter at a time, since two ask what each of them does."""
    found: Asked = {}
    for who in PERSONS:
        for _client, page in looking.look(who, 1, set(), together=1, values=1):
            kind = kind_of(page["url"])
            assert kind is not None
            found[who, kind] = max(found.get((who, kind), 0), page["queries"])
    return found


def test_no_page_asks_more_questions_where_there_are_more_rows() -> None:
    with filled(users=110, each=1, jobs=40):
        few = looked_at()
    with filled(users=330, each=2, jobs=400):
        many = looked_at()
    assert {page: n for page, n in many.items() if n > MAX_QUERIES} == {}
    # The rows of a table that goes on over a page are counted, by one question
    assert {page: (few[page], n) for page, n in many.items() if page in few and n > few[page] + 1} == {}
    seen = {kind.name for _who, kind in many}
    with_page = {name for name in names() if "get" in TABLE[name]}
    assert with_page - seen == set(NOT_LOOKED_AT), "a page that no link leads to has its reason in the list"
    longest = {kind.name for who, kind in many if kind.size == looking.LONGEST and who == "root"}
    assert {"users", "certificates", "runs", "people", "people-users", "audit", "preview"} <= longest
