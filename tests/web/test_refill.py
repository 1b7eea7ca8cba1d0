"""A page with a form filled in again: only the form that was sent, and nothing else of the page."""

from __future__ import annotations

import pytest

from autossl_panel.web import refill
from tests.web import rehearsed

FORM = '<form method="post" action="/a/">{}</form>'
# As other tools write HTML, and as nobody should
AS_IT_STANDS = (
    "<!DOCTYPE html>\n<?php x ?><P>a<br/>b<br />c<BR></P >\n<svg viewBox='0 0 1 1'><path d=\"M0 0\"/><g/></svg>"
    "<![CDATA[ <b> ]]><!-- <input name=a> --><p title=x&amp;y hidden>&copy &amp; &#38; & &#x26 AT&T é</>\r\n"
    "<script>if (a < b && '<form>') {}</script><textarea name=a><b>\n</textarea>"
)


def inside(html: str, **values: list[str]) -> str:
    """What is in the form when it was sent with these."""
    done, filled = refill.fill(AS_IT_STANDS + FORM.format(html) + AS_IT_STANDS, "/x/", "/a/", values)
    before, after = FORM.format("|").split("|")
    assert done.startswith(AS_IT_STANDS + before)
    assert done.endswith(after + AS_IT_STANDS)
    found = done.removeprefix(AS_IT_STANDS + before).removesuffix(after + AS_IT_STANDS)
    assert filled or found == html
    return found


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/users/", "/options/", "/providers/", "/providers/rehearse/", "/runs/", "/certificates/"),
        *("/problems/", "/pending/"),
    ],
)
def test_a_page_stays_to_the_byte_when_its_form_is_another(as_root, scene, path):
    rehearsed.read(scene)
    answer = as_root.get(path, follow=True)
    assert answer.status_code == 200
    html = answer.content.decode()
    assert html.count("<svg") > 3
    assert html.count("/>") > 3
    assert "<form" in html
    assert refill.fill(html, path, "/elsewhere/", {"q": ["z"], "name": ["z"]}) == (html, False)
    sent = {"q": ["z"], "name": ["z"]}
    done, filled = refill.fill(html + FORM.format('<input name="q">'), path, "/a/", sent)
    assert (done, filled) == (html + FORM.format('<input name="q" value="z">'), True)


def test_all_but_fields_passes_as_it_stands():
    assert inside(AS_IT_STANDS + '<input name="b">', b=["z"]) == AS_IT_STANDS + '<input name="b" value="z">'
    assert inside(f'{AS_IT_STANDS}<input name="b"/>') == f'{AS_IT_STANDS}<input name="b"/>'


def test_a_field_that_is_closed_at_once_is_one():
    assert inside('<input name="b" value="1"/><br/>', b=["2"]) == '<input name="b" value="2"><br/>'


def test_fields_of_one_name_get_what_each_had():
    html = '<input name="n"><input name="n" disabled><textarea name="n">x</textarea><input name="n" value="last">'
    assert inside(html, n=["one", "two"]) == (
        '<input name="n" value="one"><input name="n" disabled><textarea name="n">two</textarea>'
        '<input name="n" value="last">'
    )
    select = '<select name="s"><option value="1"><option value="2"></select>'
    first = '<select name="s"><option value="1"><option value="2" selected="selected"></select>'
    second = '<select name="s"><option value="1" selected="selected"><option value="2"></select>'
    assert inside(select + select, s=["2", "1"]) == first + second
    many = select.replace('"s"', '"s" multiple')
    assert inside(many, s=["1", "2"]).count("selected=") == 2
    boxes = '<input type="hidden" name="b" value=""><input type="checkbox" name="b" value="1">'
    assert inside(boxes, b=["", "1"]) == boxes.removesuffix(">") + ' checked="checked">'
    assert inside(boxes, b=[""]) == boxes


def test_a_first_empty_line_of_a_text_area_stays():
    assert inside('<textarea name="t"></textarea>', t=["\na"]) == '<textarea name="t">\n\na</textarea>'


def test_of_two_forms_to_one_path_the_one_that_was_sent_is_filled_in():
    box = '<input type="checkbox" name="c" value="1" checked>'
    token = '<input type="hidden" name="csrfmiddlewaretoken" value="other">'
    one, two = (
        FORM.format(f'{token}<input type="hidden" name="do" value="{do}"><input name="t">{box}')
        for do in ("read", "go")
    )
    sent = {"do": ["go"], "t": ["x"], "csrfmiddlewaretoken": ["mine"]}
    done = two.replace('name="t"', 'name="t" value="x"').replace(" checked", "")
    assert refill.fill(one + two, "/x/", "/a/", sent) == (one + done, True)
    assert refill.fill(two + one, "/x/", "/a/", sent) == (done + one, True)
    assert refill.fill(one + one, "/x/", "/a/", sent) == (one + one, False)
    bare = FORM.format(f'<input name="t">{box}')
    assert refill.fill(bare + two, "/x/", "/a/", sent) == (bare + done, True), "the one that hides most of it"
    # A lone form is it, though what it hides is another since; one that has nothing of what was sent is not.
    assert refill.fill(one, "/x/", "/a/", sent)[1]
    assert refill.fill(one, "/x/", "/a/", {"do": ["go"], "name": ["x"]}) == (one, False)


def test_the_rehearsals_form_that_was_sent(as_root, scene):
    rehearsed.read(scene)
    path = "/providers/rehearse/"
    html = as_root.get(path).content.decode()
    sent = {"provider": [str(scene.provider.pk)], "do": ["directory"], "directory_url": ["https://a.example/d"]}
    done, filled = refill.fill(html, path, path, sent)
    assert filled
    first, go = '<input type="hidden" name="do" value="directory">', '<input type="hidden" name="do" value="go">'
    assert 'value="https://a.example/d"' in done.partition(first)[2].partition("</form>")[0]
    assert done.partition(go)[2] == html.partition(go)[2]
    sent = {"provider": [str(scene.provider.pk)], "do": ["go"], "number": ["2"], "agree_terms": ["yes"]}
    done, filled = refill.fill(html, path, path, sent)
    assert filled
    assert done.partition(go)[0] == html.partition(go)[0]
    assert 'checked="checked"' in done.partition(go)[2]


def test_what_the_fields_had_shown_comes_back_with_them():
    html = '<input type="hidden" name="shown" data-shown value="{}"><input name="a" value="new">'
    found = inside(html, shown=["{old}"], a=["y"])
    assert found == '<input type="hidden" name="shown" data-shown="" value="{old}"><input name="a" value="y">'
    assert 'data-shown value="{}"' in inside(html, a=["y"]), "nothing was said of it"
