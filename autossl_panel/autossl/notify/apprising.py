"""The hundred services of apprise, an extra that need not be installed. Its URLs are secrets as a whole: nothing that
it says is kept without them taken out. Workers and commands only.
"""

import logging
import re
from types import ModuleType

from ..models import Channel, Message
from . import extras, render
from .outbox import Trouble
from .texts import clean

# Tokens of a URL that are shorter than this hide nothing worth hiding
SHORTEST = 4


def send(message: Message, channel: Channel) -> None:
    """Return when the service took it; raises Trouble."""
    apprise = _load()
    said = _Said(channel.target)
    service = apprise.Apprise()
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    before, logger.propagate = logger.propagate, False
    try:
        if not service.add(channel.target):
            raise Trouble("url", said.text("apprise knows no such service, or its URL lacks something"))
        taken = service.notify(title=render.subject(message.payload), body=render.brief(message.payload))
    except (OSError, TypeError, ValueError) as error:
        raise Trouble("service", said.hide(f"{type(error).__name__}: {error}")) from error
    finally:
        logger.removeHandler(said)
        logger.propagate = before
    if not taken:
        raise Trouble("service", said.text("the service did not take the message"))


def _load() -> ModuleType:
    if not extras.has_apprise():
        raise Trouble("not_installed", extras.APPRISE_MISSING)
    import apprise  # noqa: PLC0415 - an extra, and slow to load

    return apprise


class _Said(logging.Handler):
    """What apprise said last that somebody might need, without the parts of its URL."""

    def __init__(self, url: str) -> None:
        super().__init__(logging.WARNING)
        self._parts = sorted(
            {part for part in re.split(r"[:/?&=@,]+", url) if len(part) >= SHORTEST}, key=len, reverse=True
        )
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self._last = record.getMessage()

    def text(self, otherwise: str) -> str:
        return self.hide(self._last or otherwise)

    def hide(self, text: str) -> str:
        for part in self._parts:
            text = text.replace(part, "…")
        return clean(text)
