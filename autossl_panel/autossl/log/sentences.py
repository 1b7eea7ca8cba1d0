"""What sentences of advice are made of: the facts of a problem as text."""

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]

AGAIN = "AutoSSL tries again by itself."


def text(data: Facts, key: str) -> str:
    """A fact as text; several as “this or that”, a missing one as nothing."""
    value = data.get(key)
    if isinstance(value, list | tuple):
        return " or ".join(str(item) for item in value)
    return "" if value is None else str(value)


def name(data: Facts) -> str:
    """The name that a problem is about."""
    return text(data, "name") or "The name"


def told(data: Facts, what: str, fix: str) -> str:
    """What happened, the CA's own words where there are any, and the fix."""
    said = text(data, "text").rstrip(".")
    return f"{what}: {said}. {fix}" if said else f"{what}. {fix}"
