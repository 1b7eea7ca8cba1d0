"""Texts that rows keep as they were said: the panel's own in the language that is active, a stranger's as they are."""

from django.utils.translation import gettext

from autossl_panel import sentences


def spoken(text: str) -> str:
    """The text as it is shown."""
    found = sentences.heard(text)
    return text if found is None else gettext(found.template) % found.facts
