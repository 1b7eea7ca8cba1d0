"""Tags whose outcome stands in the template: a text to translate, a sign. Worked out once a language, not once a row.

They are used as Django's and `panel`'s own are; what depends on anything else goes to those.
"""

from collections.abc import Callable

from django.template.base import Node, Parser, Token, Variable
from django.template.context import Context
from django.templatetags.i18n import TranslateNode, do_translate
from django.utils.safestring import SafeString
from django.utils.translation import get_language

Compile = Callable[[Parser, Token], Node]


class Said(Node):
    """A text of the template in the language of the page."""

    def __init__(self, text: TranslateNode) -> None:
        self._text = text
        self._said: dict[tuple[str | None, bool], SafeString] = {}

    def render(self, context: Context) -> SafeString:
        key = get_language(), context.autoescape
        found = self._said.get(key)
        if found is None:
            found = self._said[key] = self._text.render(context)
        return found


def translate(parser: Parser, token: Token) -> Node:
    """`{% trans %}` and `{% translate %}`."""
    node = do_translate(parser, token)
    text = node.filter_expression
    literal = isinstance(text.var, Variable) and isinstance(text.var.literal, str)
    if not literal or text.filters or node.noop or node.asvar or node.message_context:
        return node
    return Said(node)


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
