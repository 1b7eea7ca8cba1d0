"""A CA that cannot be asked: what happened and what to do, on Providers and above every page, before an order fails."""

import re
from pathlib import Path

import pytest
from django.utils import timezone

from autossl_panel.autossl.models import Provider, ProviderState
from autossl_panel.web import provider_words
from tests.web.scene import Scene
from tests.web.test_pages import check

CA = Path(provider_words.__file__).parents[1] / "ca"
KINDS = {
    "dns": "Its name was not found in DNS",
    "refused": "It refuses connections",
    "timeout": "It did not answer in time",
    "certificate": "Its own certificate is not trusted",
    "not_acme": "What answers is no ACME directory",
    "tls": "It does not speak TLS properly",
}


def problem(kind: str) -> dict[str, str]:
    return {"field": "directory_url", "code": "unreachable", "type": kind, "text": f"The {kind} sentence."}


@pytest.mark.parametrize(("kind", "words"), KINDS.items())
def test_a_provider_that_was_never_read_says_what_happened_and_what_to_do(kind, words, as_root, scene: Scene):
    row = Provider.objects.get(name="zerossl")
    Provider.objects.filter(pk=row.pk).update(state=ProviderState.REFUSED, problem=problem(kind))
    html = as_root.get(f"/providers/?choose={row.pk}").content.decode()
    check(html)
    assert words in html
    assert f"The {kind} sentence." in html
    assert provider_words.to_do(problem(kind)).replace("’", "’") in html
    assert "was refused" not in html


def test_the_one_in_use_that_does_not_answer_is_told_on_every_page_at_once(as_root, as_reseller, scene: Scene):
    at = timezone.now().isoformat()
    told = {"at": at, "ms": None, "text": "acme.example refuses connections on port 443.", "type": "refused"}
    Provider.objects.filter(pk=scene.provider.pk).update(answer={**told, "code": "unreachable"})
    for url in ("/users/", "/providers/"):
        html = as_root.get(url).content.decode()
        check(html)
        banner = re.search(r'<div class="note bad banner">(.*?)</div>', html, re.DOTALL)
        assert banner, url
        assert "its directory could not be read." in banner[1]
        assert "refuses connections on port 443. Check the port" in banner[1]
    assert "could not be read" not in as_reseller.get("/users/").content.decode()
    Provider.objects.filter(pk=scene.provider.pk).update(answer={"at": at, "ms": 12, "text": ""})
    assert "could not be read" not in as_root.get("/users/").content.decode()


def test_every_trouble_that_our_own_client_names_has_words():
    text = "".join((CA / name).read_text() for name in ("transport.py", "directory.py"))
    named = set(re.findall(r'UNREACHABLE,\s+"(\w+)"', text)) | set(re.findall(r'return "(\w+)", say', text))
    assert named >= {"dns", "refused", "timeout", "certificate", "not_acme", "url", "bundle"}
    otherwise = provider_words.happened({})
    for kind in named:
        assert provider_words.happened({"type": kind}) != otherwise, kind


def test_what_a_ca_says_of_itself_and_older_rows_have_words_too():
    assert provider_words.happened({"code": "server", "type": "serverInternal"}) == "It has trouble of its own"
    assert provider_words.happened({"code": "unreachable"}) == "It cannot be reached"
