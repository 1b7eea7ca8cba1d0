"""What every page has to have so that nothing jumps and every key acts."""

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.test import Client

from autossl_panel.autossl.models import Beat, Provider, Run
from autossl_panel.hosting.models import HostingUser
from tests.web.scene import Scene
from tests.web.test_pages import check as check_html

# What is appended takes nobody's place; what is for no script is not there.
APART = re.compile(r'<(noscript)>.*?</noscript>|<(ol)[^>]* hx-swap-oob="beforeend">.*?</ol>', re.DOTALL)
PAGES = ["/users/", "/runs/{live}/", "/providers/", "/status/{user}/"]


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def elements(client: Client, url: str, **headers: str) -> list[tuple[str, dict[str, str]]]:
    return Elements(APART.sub("", client.get(url, headers=headers).content.decode())).found


@pytest.mark.parametrize("url", PAGES)
def test_what_is_swapped_while_one_looks_keeps_the_focus(url: str, scene: Scene, as_root: Client):
    """htmx gives the focus back to what has the same id."""
    Provider.objects.filter(state="new").update(state="checking")
    polls = [
        attributes["hx-get"]
        for _tag, attributes in elements(
            as_root, url.format(live=scene.live.pk, user=HostingUser.objects.get(name="lindner").pk)
        )
        if "every" in attributes.get("hx-trigger", "")
    ]
    assert polls
    for poll in polls:
        swapped = elements(as_root, poll, **{"HX-Request": "true"})
        assert swapped
        without = [
            (tag, attributes)
            for tag, attributes in swapped
            if (tag in ("button", "summary", "select", "textarea") or (tag == "a" and "href" in attributes))
            and "id" not in attributes
        ]
        assert without == [], poll


@pytest.mark.parametrize("who", ["root", "reseller"])
def test_every_tab_has_a_key_of_its_own(who: str, scene: Scene, as_root: Client, as_reseller: Client):
    html = (as_root if who == "root" else as_reseller).get("/users/").content.decode()
    tabs = re.search(r'<nav class="tabs".*?</nav>', html, re.DOTALL)
    assert tabs
    keys = [attributes.get("data-go") for tag, attributes in Elements(tabs[0]).found if tag == "a"]
    assert None not in keys
    assert len(keys) == len(set(keys)) >= 2
    assert set(keys) <= set(re.findall(r'data-for="(\w)"', html)), "the list under ? names every tab"


def test_the_list_of_keys_is_not_there_where_they_are_off(as_root: Client):
    as_root.post("/preferences/", {"shortcuts": "off"})
    html = as_root.get("/users/").content.decode()
    assert 'id="keys"' not in html


def test_what_is_too_large_is_told_in_words(as_root: Client):
    answer = as_root.post("/options/", {"resolvers": "x" * 2_700_000})
    assert answer.status_code == 413
    assert "larger than the panel takes" in answer.content.decode()


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("put", "/options/", 405, "takes no request of this kind"),
        ("get", "/users/undo/", 405, "takes no request of this kind"),
        ("post", "/theme/", 302, ""),
        ("get", "/no/such/page/", 404, "nothing at this address"),
    ],
)
def test_what_cannot_be_taken_is_a_page_in_words(method, path, status, words, as_root: Client):
    answer = getattr(as_root, method)(path)
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_a_wrong_choice_is_a_page_in_words_and_for_htmx_a_status(as_root: Client):
    answer = as_root.post("/theme/", {"theme": "purple"})
    assert answer.status_code == 400
    assert "cannot read what the browser sent" in answer.content.decode()
    assert as_root.post("/theme/", {"theme": "purple"}, headers={"HX-Request": "true"}).content == b""


def test_a_form_of_another_session_is_told_in_words(scene: Scene):
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.root)
    answer = client.post("/options/", {"log_days": "5"})
    assert answer.status_code == 403
    assert "The form was opened in another session" in answer.content.decode()


def test_an_error_of_ours_is_told_in_words(as_root: Client, scene: Scene):
    # A row that nothing of ours writes
    Run.objects.update(ended_at=scene.now, counts=[])
    as_root.raise_request_exception = False
    answer = as_root.get("/options/")
    assert answer.status_code == 500
    assert "Runs go on regardless." in answer.content.decode()


def test_the_foot_of_an_open_page_is_kept_true(as_root: Client, scene: Scene):
    Beat.objects.update(at=scene.now - timedelta(hours=2))
    html = as_root.get("/seen/").content.decode()
    assert 'class="is-bad"' in html
    assert ">2 h ago</time>" in html


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/users/?q=north&state=disabled", "2 users were searched by name and site."),
        ("/people/users/?q=north&list=1&state=suspended", "0 hosting users were searched."),
        ("/people/?q=nobody&state=reseller", "2 persons were searched"),
        ("/certificates/?q=norhtwind&state=partly", "searched by name, user, issuer and serial"),
        ("/problems/?q=norhtwind&kind=dns", "searched by name, user and code"),
        ("/runs/?q=norhtwind&state=person", "searched."),
    ],
)
def test_an_empty_list_says_what_was_searched_and_what_filters_left_out(as_root, path, said):
    html = as_root.get(path).content.decode()
    check_html(html)
    empty = html.split('class="empty rule"')[1].split("</div>\n</div>")[0]
    assert said in empty
    assert "The filters leave out all others." in empty
    page, words = path.split("?")[0], re.search(r"q=(\w+)", path)[1]
    assert f'href="{page}?q={words}">Search without the filters' in empty
    without = re.search(r'href="([^"]*)">Clear the search', empty)[1]
    assert "q=" not in without
    assert as_root.get(f"{page}{without}".replace("&amp;", "&")).status_code == 200
    html = as_root.get(f"{page}?q=norhtwind").content.decode()
    assert "Search without the filters" not in html


def test_what_the_filters_hide_is_found_without_them(as_root):
    html = as_root.get("/users/?q=north&state=disabled").content.decode()
    assert ">northwind<" not in html
    assert ">northwind<" in as_root.get("/users/?q=north").content.decode()
