"""What is worked out once says the same as what Django and `panel` work out each time."""

from __future__ import annotations

import pytest
from django.template import Context, Template, engines
from django.test import RequestFactory
from django.urls import NoReverseMatch, set_script_prefix
from django.utils import translation

from autossl_panel.web.templatetags import panel

# Django's tags as they are, and ours over them
DJANGO, OURS = "{% load i18n %}", "{% load i18n panel %}"
GIVEN = {"name": "<b>a.example</b>", "n": 1234567, "pk": 42, "text": "12", "below": -1, "lang": "de"}
TEXTS = (
    *('{% trans "Names" %}', "{% trans 'Names' %}", '{% trans "50 %% of <names>" %}', "{% trans name %}"),
    *('{% trans "Names"|upper %}', '{% trans "Names" as word %}[{{ word }}]', '{% trans "Names" noop %}'),
    *('{% trans "j M" context "date format" %}', '{% autoescape off %}{% trans "R & B" %}{% endautoescape %}'),
    *('{% trans "R & B" %}', "{% blocktrans %}Names{% endblocktrans %}"),
    *(
        "{% blocktrans %}Details of {{ name }}{% endblocktrans %}",
        "{% blocktrans %}50 % of {{ name }}{% endblocktrans %}",
    ),
    *("{% blocktrans with who=name|lower n=n %}Details of {{ who }}, {{ n }}{% endblocktrans %}",),
    *("{% blocktrans with name=lang %}Details of {{ name }}{% endblocktrans %}{{ name }}",),
    *(
        "{% blocktrans %}Details of {{ nobody }}{% endblocktrans %}",
        "{% blocktrans trimmed %}\n Names\n{% endblocktrans %}",
    ),
    *("{% blocktrans count n=n %}{{ n }} site{% plural %}{{ n }} sites{% endblocktrans %}",),
    *("{% blocktrans asvar word %}Names of {{ name }}{% endblocktrans %}[{{ word }}]",),
    *("{% autoescape off %}{% blocktrans %}Details of {{ name }}{% endblocktrans %}{% endautoescape %}",),
    *(
        "{% url 'certificate' pk %}",
        "{% url 'certificate' 7 %}",
        "{% url 'certificate' text %}",
        "{% url 'problem' name|slugify %}",
    ),
    *("{% url 'certificates' %}", "{% url 'certificate' pk=pk %}", "{% url 'certificate' pk as there %}[{{ there }}]"),
    *("{% url lang|add:'x' as there %}[{{ there }}]", "{% url 'problem' pk %}"),
)


def rendered(loads: str, text: str) -> str:
    return Template(loads + text).render(Context(GIVEN))


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_what_django_says_in_every_language_and_again(text: str):
    ours = Template(OURS + text)
    for language in ("en", "de", "en"):
        with translation.override(language):
            assert ours.render(Context(GIVEN)) == rendered(DJANGO, text)
    with translation.override(None):
        assert ours.render(Context(GIVEN)) == rendered(DJANGO, text)


def test_texts_are_in_the_language_of_the_page():
    both = Template(OURS + '{% trans "Names" %}|{% blocktrans %}Details of {{ name }}{% endblocktrans %}')
    with translation.override("en"):
        assert both.render(Context({"name": "x"})) == "Names|Details of x"
    with translation.override("de"):
        assert both.render(Context({"name": "x"})).startswith("Namen|")


def test_an_address_that_there_is_not_is_refused_as_ever():
    for text in ("{% url 'certificate' below %}", "{% url 'nowhere' pk %}", "{% url 'certificates' pk %}"):
        with pytest.raises(NoReverseMatch):
            rendered(OURS, text)


def test_an_address_stands_where_the_panel_does():
    template = Template(OURS + "{% url 'certificate' pk %}")
    assert template.render(Context({"pk": 1})) == "/certificates/1/"
    set_script_prefix("/panel/")
    try:
        assert template.render(Context({"pk": 1})) == "/panel/certificates/1/"
    finally:
        set_script_prefix("/")
    assert template.render(Context({"pk": 2})) == "/certificates/2/"


def test_signs_are_drawn_whether_their_name_is_known_or_comes():
    assert rendered(OURS, '{% icon "ok" %}') == panel.icon("ok")
    assert rendered(OURS, "{% icon 'ok' 'big' %}") == panel.icon("ok", "big")
    assert rendered(OURS, "{% icon lang %}") == panel.icon("de")
    assert rendered(OURS, '{% icon "ok" as drawn %}[{{ drawn }}]') == f"[{panel.icon('ok')}]"


@pytest.mark.parametrize(
    ("query", "changes", "url"),
    [
        ("a=1&b=2&page=3", "b=None", "?a=1"),
        ("a=1&b=2", "a='x y'", "?a=x+y&amp;b=2"),
        ("a=1&a=2&select=page", "c='ü&'", "?a=1&amp;a=2&amp;c=%C3%BC%26"),
        ("size=50&select=page", "page=2 select='match'", "?size=50&amp;page=2&amp;select=match"),
        ("page=2", "q=None", "?"),
    ],
)
def test_links_to_here_keep_the_rest_of_the_address(query: str, changes: str, url: str):
    template = engines["django"].from_string(OURS + "{% here_with " + changes + " %}")
    assert template.render({}, RequestFactory().get(f"/users/?{query}")) == url
