"""What parameters and answers look like, as JSON Schema 2020-12, in the small part of it that is used here."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def obj(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object of these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def array(of: Schema, about: str = "") -> Schema:
    """A list."""
    return _with(about, {"type": "array", "items": of})


def text(about: str = "", *, only: Sequence[str] = ()) -> Schema:
    """A text; `only` are the texts there are."""
    return _with(about, {"type": "string", **({"enum": list(only)} if only else {})})


def number(about: str = "", *, only: Sequence[int] = ()) -> Schema:
    """A whole number."""
    return _with(about, {"type": "integer", **({"enum": list(only)} if only else {})})


def yes(about: str = "") -> Schema:
    """true or false."""
    return _with(about, {"type": "boolean"})


def moment(about: str = "") -> Schema:
    """ISO 8601 in UTC, as 2027-01-22T20:13:00Z."""
    return _with(about, {"type": "string", "format": "date-time"})


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def _with(about: str, schema: dict[str, Any]) -> Schema:
    return {**schema, "description": about} if about else schema
