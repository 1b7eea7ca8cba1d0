"""Whoever follows the links of own pages meets none that is not there for that person."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.http import HttpResponseBase
from django.test import Client

from tests.web import own_scene
from tests.web.scene import Scene

# A page of a list is like the next one; so many of a kind are followed
OF_A_KIND = 1
LINK = re.compile(r'<(?:a|form|[a-z]+)\b[^>]*?\s(?:href|action|hx-get|hx-post)="([^"]*)"')


def kind(url: str) -> str:
    """The page that an address is of: numbers and what is searched for aside."""
    parts = urlsplit(url)
    names = sorted(one.partition("=")[0] for one in parts.query.split("&"))
    return re.sub(r"\d+", "n", parts.path) + "?" + "&".join(names)


def crawl(client: Client, start: str) -> dict[str, str]:
    """The pages that links and forms lead to from `start`, each with the page that named it first."""
    known, waiting, kinds = {start: ""}, [start], {kind(start): 1}
    while waiting:
        here = waiting.pop(0)
        answer: HttpResponseBase = client.get(here)
        # What only takes a post is there: the access table says who may post.
        assert answer.status_code in (200, 302, 405), f"{here}, named by {known[here]}: {answer.status_code}"
        if answer.status_code == 302:
            found = [answer["Location"]]
        elif "text/html" in answer.get("Content-Type", "") and not answer.streaming:
            found = LINK.findall(answer.content.decode())
        else:
            found = []
        for text in found:
            url = urldefrag(urljoin(here, unescape(text)))[0]
            parts = urlsplit(url)
            if parts.netloc or parts.scheme or parts.path.startswith("/static/") or parts.path == "/sign-out/":
                continue
            if url not in known and kinds.get(kind(url), 0) < OF_A_KIND:
                kinds[kind(url)] = kinds.get(kind(url), 0) + 1
                known[url] = here
                waiting.append(url)
    return known


@pytest.mark.parametrize("who", ["reseller", "login", "root"])
@pytest.mark.filterwarnings("ignore:.*Method Not Allowed.*")
def test_no_link_leads_nowhere(signed_in, troubled: Scene, who: str) -> None:
    own = own_scene.build(troubled)
    person = {"reseller": troubled.harborweb, "login": own.login, "root": troubled.root}[who]
    seen = crawl(signed_in(person), "/")
    assert len(seen) > 20, sorted(seen)
    assert any(url.startswith("/people/") for url in seen) == (who == "root")
