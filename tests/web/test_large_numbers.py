"""Numbers that no database takes, wherever an address or a form has one: 404, a page, a word; never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from django.db import transaction
from django.test import Client

from tests.web import own_scene
from tests.web.scene import Scene
from tests.web.test_access import CALLED, TABLE, arguments_of, url_for, url_of, with_object
from tests.web.test_every_link import crawl, kind

# Over 32 and 64 bits, in one digit more than is read, in more digits than int() takes; and the least that is none
LARGE = (str(2**31), "9" * 18, str(2**63), "9" * 25, "9" * 5000, "-1")
TOO_LARGE = str(2**63)
# What an address may say, all at once: a word that is none of its words counts for nothing
NUMBERS = (
    "page", "size", "list", "owner", "user", "job", "run", "choose", "provider", "shown", "except", "failed", "id",
)  # fmt: skip
# What narrows a page to such a number, and would hide it elsewhere
ONE_AT_A_TIME = ("page", "size", "list", "user", "job", "run")


def queries() -> Iterator[dict[str, str]]:
    for number in LARGE:
        yield dict.fromkeys(NUMBERS, number) | {"select": "match", "cursor": f"{number}:{number},0:{number}"}
    for name in ONE_AT_A_TIME:
        yield {name: TOO_LARGE}


def read(client: Client, url: str, query: dict[str, str] | None = None) -> int:
    """The status, once the whole answer is there."""
    answer = client.get(url, query)
    if answer.streaming:
        b"".join(answer)
    return int(answer.status_code)


# Root is shown all that others are.
@pytest.mark.parametrize(
    "who",
    ["root", pytest.param("reseller", marks=pytest.mark.slow), pytest.param("login", marks=pytest.mark.slow)],
)
def test_no_address_with_a_large_number_is_an_exception(signed_in, troubled: Scene, who: str) -> None:
    own = own_scene.build(troubled)
    client = signed_in({"reseller": troubled.harborweb, "login": own.login, "root": troubled.root}[who])
    seen = set()
    for name in sorted(set(TABLE) - CALLED - {"sign-out"}):
        if "get" not in TABLE[name]:
            continue
        if with_object(name) and arguments_of(name) == ["pk"]:
            assert {read(client, url_of(name, number)) for number in LARGE} == {404}, name
        url = url_for(name, troubled)
        seen |= {read(client, url, query) for query in queries()}
    assert seen <= {200, 204, 286, 302, 400, 404}, seen


class Forms(HTMLParser):
    """The forms of a page that post: where to, and with which values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._in: tuple[str, dict[str, str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and said.get("method", "").lower() == "post":
            self._in = (said.get("action", ""), {})
            self.found.append(self._in)
        elif self._in is not None and tag in ("input", "select", "textarea", "button") and said.get("name"):
            self._in[1].setdefault(said["name"], said.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in = None


def forms_of(client: Client) -> dict[tuple[str, frozenset[str]], dict[str, str]]:
    """The forms of all pages that links lead to, each kind once: where it posts, and what it says."""
    found: dict[tuple[str, frozenset[str]], dict[str, str]] = {}
    kinds = set()
    for page in crawl(client, "/"):
        answer = client.get(page)
        if answer.status_code != 200 or answer.streaming or "text/html" not in answer["Content-Type"]:
            continue
        reader = Forms()
        reader.feed(answer.content.decode())
        for action, values in reader.found:
            values.pop("csrfmiddlewaretoken", None)
            one = (kind(action or page), frozenset(map(kind, values)))
            if one not in kinds and not action.startswith("/sign-out/"):
                kinds.add(one)
                found[action or page, frozenset(values)] = values
    return found


@pytest.mark.parametrize("who", [pytest.param("root", marks=pytest.mark.slow), "login"])
@pytest.mark.filterwarnings("ignore:.*Method Not Allowed.*")
def test_no_form_with_a_large_number_is_an_exception(signed_in, troubled: Scene, who: str) -> None:
    own = own_scene.build(troubled)
    client = signed_in({"login": own.login, "root": troubled.root}[who])
    posted = 0
    for (action, _names), values in forms_of(client).items():
        for field in values:
            for number in (TOO_LARGE, "9" * 5000):
                with transaction.atomic():
                    status = client.post(action, values | {field: number}).status_code
                    transaction.set_rollback(True)
                assert status in (200, 204, 302, 400, 403, 404, 409, 429), (action, field, number, status)
                posted += 1
    assert posted > 20
