"""Sentences with a moment in them, which keeps its exact form in its title; all else that is filled in is escaped."""

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString


def fill(text: str, **values: int | str) -> SafeString:
    """`text`, in the language of the page, with its named places filled: “expires on %(day)s” with `panel.day`."""
    escaped = {name: value if isinstance(value, int) else conditional_escape(value) for name, value in values.items()}
    return SafeString(conditional_escape(text) % escaped)
