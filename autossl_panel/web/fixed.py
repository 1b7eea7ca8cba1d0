"""Tags whose outcome, or nearly all of it, stands in the template: worked out once a language and not once a row.

They are written like Django's and `panel`'s own. What they cannot do in advance, those do as ever.
"""

from collections.abc import Callable
from functools import lru_cache

from django.template.base import Node, Parser, Token, Variable, render_value_in_context
from django.template.context import Context
from django.template.defaulttags import URLNode, url
from django.templatetags.i18n import BlockTranslateNode, TranslateNode, do_block_translate, do_translate
from django.urls import get_script_prefix, reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

Compile = Callable[[Parser, Token], Node]
# A number that stands in an address where a row's own will
PLACE = 10**17 + 1


class Text(Node):
    """A text of the template in the language of the page."""

    def __init__(self, node: TranslateNode) -> None:
        self._node = node
        self._said: dict[tuple[str | None, bool], SafeString] = {}

    def render(self, context: Context) -> SafeString:
        key = get_language(), context.autoescape
        if key not in self._said:
            self._said[key] = SafeString(self._node.render(context))
        return self._said[key]


def translate(parser: Parser, token: Token) -> Node:
    """`{% trans "Names" %}`."""
    node = do_translate(parser, token)
    text = node.filter_expression
    literal = isinstance(text.var, Variable) and isinstance(text.var.literal, str)
    if not literal or text.filters or node.noop or node.asvar or node.message_context:
        return node
    return Text(node)


class Phrase(Node):
    """A text with names in it."""

    def __init__(self, node: BlockTranslateNode) -> None:
        self._node = node
        self._text, self._names = node.render_token_list(node.singular)
        self._said: dict[str | None, str] = {}

    def render(self, context: Context) -> SafeString:
        language = get_language()
        if language not in self._said:
            self._said[language] = gettext(self._text)
        given = self._node.extra_context
        try:
            values = {
                name: render_value_in_context(given[name].resolve(context) if name in given else context[name], context)
                for name in self._names
            }
            return SafeString(self._said[language] % values)
        except (KeyError, ValueError):
            # A name that is not there, or a translation that does not fit: Django knows what to do
            return SafeString(self._node.render(context))


def block_translate(parser: Parser, token: Token) -> Node:
    """`{% blocktrans with name=host.name %}Details of {{ name }}{% endblocktrans %}`."""
    node = do_block_translate(parser, token)
    return node if node.plural or node.asvar or node.message_context else Phrase(node)


class Sign(Node):
    """A sign that is always the same."""

    def __init__(self, drawn: Callable[[], SafeString]) -> None:
        self._drawn = drawn

    def render(self, context: Context) -> SafeString:
        return self._drawn()


def sign(drawn: Callable[..., SafeString], otherwise: Compile) -> Compile:
    """`{% icon "ok" %}`: `drawn` with the words that stand there; with a variable among them it is `otherwise`'s."""

    def compiled(parser: Parser, token: Token) -> Node:
        words = token.split_contents()[1:]
        if not all(word[0] == word[-1] and word[0] in "\"'" for word in words):
            return otherwise(parser, token)
        names = [word[1:-1] for word in words]
        return Sign(lambda: drawn(*names))

    return compiled


class Address(Node):
    """The address of one row's page."""

    def __init__(self, node: URLNode, name: str) -> None:
        self._node = node
        self._name = name
        (self._number,) = node.args

    def render(self, context: Context) -> SafeString:
        number = self._number.resolve(context)
        if type(number) is not int or number < 0:
            return SafeString(self._node.render(context))
        before, after = _around_number(self._name, get_script_prefix())
        return SafeString(f"{before}{number}{after}")


@lru_cache(maxsize=256)
def _around_number(name: str, _prefix: str) -> tuple[str, str]:
    before, _place, after = conditional_escape(reverse(name, args=[PLACE])).partition(str(PLACE))
    return before, after


def address(parser: Parser, token: Token) -> Node:
    """`{% url 'certificate' host.pk %}`: reversed once for all numbers."""
    node = url(parser, token)
    name = node.view_name.var
    if len(node.args) != 1 or node.kwargs or node.asvar or not isinstance(name, str) or node.view_name.filters:
        return node
    return Address(node, name)
