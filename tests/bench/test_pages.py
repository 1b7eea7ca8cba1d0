"""A small panel, both databases: every page is got to by links, timed and counted."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.urls import get_resolver, resolve

from bench import pages
from bench.results import MAX_QUERIES
from tests.web.test_access import OK, TABLE

# Pages that no link leads to in the state that the rows are in, and files, whose size is that of what they hold
NOT_LOOKED_AT = {
    "home": "leads elsewhere",
    "sign-in": "its session is there",
    "second-factor": "its session is there",
    "status": "leads elsewhere",
    "person-password": "leads elsewhere",
    "run-text": "a file, streamed",
    "run-ndjson": "a file, streamed",
    "audit-csv": "a file, streamed",
    "audit-ndjson": "a file, streamed",
    "preview-json": "a file",
    "json-api": "for programs",
    "uapi": "for programs",
}


@pytest.mark.slow
def test_every_page_is_looked_at_on_both_databases() -> None:
    found = list(pages.run(1, users=60, each=2, jobs=40, alike=1))
    assert [one.database for one in found] == ["SQLite", "PostgreSQL"]
    opened = {name for name, methods in TABLE.items() if methods.get("get", ())[-1:] == (OK,)}
    for one in found:
        assert (one.users, one.sites, one.jobs) == (60, 120, 40)
        seen = {page.name for page in one.pages}
        assert opened - seen <= set(NOT_LOOKED_AT), "what links lead to is looked at"
        assert one.not_led_to == []
        for page in one.pages:
            assert page.ms > 0
            assert 0 < page.queries <= MAX_QUERIES, page.url
            assert 0 < page.kb < 60
            assert resolve(urlsplit(page.url).path).url_name == page.name
        assert {page.who for page in one.pages} == {"root", "reseller00", "u00000"}
        assert one.poll_ms > 0
        assert 10 < one.first_load_kb < 150
    assert seen <= {name for name in get_resolver().reverse_dict if isinstance(name, str)}
