"""Looks at every page of a large panel and prints as JSON how long each took. Run as a program, on an empty database:
python -m bench.looking USERS EACH JOBS ROUNDS ALIKE.

The pages are those that the panel leads to: every URL without arguments, from there every link and every piece that is
fetched while one looks. A new page is looked at as soon as something leads there; a URL that nothing led to is said.
"""

from __future__ import annotations

import gzip
import html
import json
import logging
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from uuid import UUID

import django

if TYPE_CHECKING:
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

# Filters are combined in pairs; of one alone, more values are looked at than of a pair.
TOGETHER, VALUES = 2, 4
# Beside a filter, a table is looked at as it comes and at its longest
LONGEST = "100"
PERSONS = ("root", "reseller00", "u00000")
LINKED = re.compile(r'(?:href|hx-get)="([^"]+)"')
PARTS = re.compile(r'(?:<link rel="(?:stylesheet|icon)"|<script src=|<use) ?(?:href=)?"(/static/[^"#]+)')
NO_QUESTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", 'UPDATE "people_session"')
# What a run's page sends with its polls
SENT = re.compile(r'id="(cursor|failed)" name="\1" value="([^"]*)"')


def main(users: int, each: int, jobs: int, rounds: int, most: int) -> dict[str, Any]:
    """Fill the empty database and look at it; `most` of the pages that differ by what stands in the address only, and
    four times as many of those with one filter.
    """
    from autossl_panel.autossl.models import Run
    from bench import page_rows

    page_rows.fill(users, each, jobs, datetime.now(UTC))
    live = Run.objects.get(ended_at__isnull=True)
    led_to: set[str] = set()
    found = [one for person in PERSONS for one in look(person, most, led_to)]
    # All pages in turn, and again: what holds up the machine for a while then spoils one look at each, not all at some
    looks = [[timed(client, page["url"]) for client, page in found] for _round in range(rounds)]
    pages = [{**page, "ms": median(each)} for (_client, page), *each in zip(found, *looks, strict=True)]
    return {
        "pages": pages,
        "poll_ms": poll(live.pk, 3 * rounds),
        "first_load_kb": first_load(),
        "not_led_to": not_led_to(led_to),
    }


def look(
    username: str, most: int, led_to: set[str], together: int = TOGETHER, values: int = VALUES
) -> Iterator[tuple[Client, dict[str, Any]]]:
    """Each page that this person gets to and how often it asks the database, with the browser that has just been there.

    At most `together` filters are combined; of one alone, `values` times `most` values are looked at. Adds to `led_to`
    the names of the URLs.
    """
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    client = client_of(username)
    # New ones are linked as a file for as long as they are shown
    client.post("/security/recovery-codes/")
    waiting, seen = deque(_without_arguments()), set[str]()
    alike: Counter[Kind] = Counter()
    while waiting:
        url = waiting.popleft()
        kind = kind_of(url, together)
        if url in seen or kind is None or alike[kind] >= (values * most if len(kind.chosen) == 1 else most):
            continue
        seen.add(url)
        reset_queries()
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(url)
        if answer.status_code < 400:
            led_to.add(kind.name)
        if answer.status_code == 302:
            waiting.append(urljoin(url, answer["Location"]))
        if answer.status_code not in (200, 286) or answer.streaming:
            continue
        alike[kind] += 1
        waiting.extend(urljoin(url, html.unescape(found)).partition("#")[0] for found in LINKED.findall(plain(answer)))
        kb = len(answer.content) / 1000
        yield client, {"name": kind.name, "who": username, "url": url, "queries": _number(asked), "kb": kb}


def _number(asked: CaptureQueriesContext) -> int:
    """How many questions they are: not where a transaction begins and ends, nor what a session notes each minute."""
    return sum(not query["sql"].startswith(NO_QUESTION) for query in asked)


def _without_arguments() -> Sequence[str]:
    from django.urls import get_resolver

    found = get_resolver().reverse_dict
    return sorted({"/" + found[name][0][0][0] for name in found if isinstance(name, str) and not found[name][0][0][1]})


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes an address another page: the URL's name, what it chooses by, and whether the table is at its longest.

    The page of a table counts for nothing.
    """

    name: str
    chosen: tuple[str, ...]
    size: str


def kind_of(url: str, together: int = TOGETHER) -> Kind | None:
    """None for what is no page of the panel, and for combinations that are not looked at."""
    from django.http import Http404
    from django.urls import resolve

    parts = urlsplit(url)
    if parts.netloc or parts.path.startswith("/static/"):
        return None
    try:
        name = resolve(parts.path).url_name
    except Http404:
        return None
    query = dict(parse_qsl(parts.query))
    size = query.pop("size", "")
    query.pop("page", None)
    if len(query) > together or (query and size not in ("", LONGEST)):
        return None
    return Kind(name or "", tuple(sorted(query)), size)


def poll(run: int, rounds: int) -> float:
    """Milliseconds of one poll of a live run's page."""
    client = client_of("root")
    sent = dict(SENT.findall(plain(client.get(f"/runs/{run}/"))))
    assert "cursor" in sent, "the run does not live"
    url = f"/runs/{run}/live/?{urlencode(sent)}"
    return median(timed(client, url, htmx=True) for _round in range(rounds))


def first_load() -> float:
    """Compressed kB of the first page after signing in, with everything that it loads."""
    client = client_of("root")
    page = client.get("/users/")
    size = len(page.content)
    for part in sorted(set(PARTS.findall(plain(page)))):
        answer = client.get(html.unescape(part))
        assert answer.status_code == 200, part
        size += int(answer["Content-Length"])
    return size / 1000


def not_led_to(led_to: set[str]) -> list[str]:
    """Names of URLs with a page that nobody got to."""
    from django.urls import get_resolver

    client = client_of("root")
    missing = []
    found = get_resolver().reverse_dict
    for name in sorted({key for key in found if isinstance(key, str)} - led_to):
        pattern, arguments = found[name][0][0]
        values = {argument: UUID(int=1) if argument == "ident" else 1 for argument in arguments}
        # What takes posts only, leads elsewhere or is called by scripts with a token is no page.
        if client.get("/" + pattern % values).status_code not in (302, 401, 405):
            missing.append(name)
    return missing


def client_of(username: str) -> Client:
    """A browser of this person."""
    from django.test import Client

    from autossl_panel.people.adapter import PROVED_AT
    from autossl_panel.people.models import User
    from autossl_panel.web.requirement import LOOKED

    client = Client(SERVER_NAME="localhost", headers={"Accept-Encoding": "gzip"})
    client.force_login(User.objects.get(username=username))
    # Who has just proved who it is is not asked again before each page that leads to a dangerous act.
    session = client.session
    session[PROVED_AT] = time.time()
    # Asked once a minute for a session
    session[LOOKED] = time.time() + 86400
    session.save()
    return client


def timed(client: Client, url: str, *, htmx: bool = False) -> float:
    """Milliseconds from the request to the whole answer."""
    headers = {"HX-Request": "true"} if htmx else {}
    start = time.perf_counter()
    answer = client.get(url, headers=headers)
    ms = 1000 * (time.perf_counter() - start)
    assert answer.status_code in (200, 286), (answer.status_code, url)
    return ms


def plain(answer: Any) -> str:
    """The answer's text, uncompressed."""
    body: bytes = answer.content
    return (gzip.decompress(body) if answer.get("Content-Encoding") == "gzip" else body).decode()


if __name__ == "__main__":
    # It opens what takes no GET as well: that is no news.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    django.setup()
    print(json.dumps(main(*map(int, sys.argv[1:]))))
