"""Answers of the API with what is in them, held against the schemas that the API itself declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpResponse

from autossl_panel.api.description import answer_schema, refusal_schema
from autossl_panel.api.houses import HOUSES

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "boolean": (bool,), "null": (type(None),)
}  # fmt: skip
# All that is judged here; a schema that uses more fails
WORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "format", "description"),
    "maxLength",
}


def faults(value: Any, schema: Mapping[str, Any], place: str = "$") -> Iterator[str]:
    """What of a value is not as its schema says."""
    assert set(schema) <= WORDS, schema
    if "anyOf" in schema:
        tried = [list(faults(value, one, place)) for one in schema["anyOf"]]
        if all(tried):
            yield from min(tried, key=len)
        return
    kind = schema["type"]
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind == "integer"):
        yield f"{place}: {value!r} is no {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    elif schema.get("format") == "date-time" and not MOMENT.fullmatch(value):
        yield f"{place}: {value!r} is no moment"
    elif kind == "object":
        yield from _members(value, schema, place)
    elif kind == "array":
        for n, one in enumerate(value):
            yield from faults(one, schema["items"], f"{place}[{n}]")


def _members(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    known = schema["properties"]
    assert schema["additionalProperties"] is False
    yield from (f"{place}: {name} is missing" for name in schema["required"] if name not in value)
    for name, one in value.items():
        if name not in known:
            yield f"{place}: {name} is not declared"
        else:
            yield from faults(one, known[name], f"{place}.{name}")


class Answer:
    """An answer of the API, which is JSON and as declared, or the test fails."""

    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        self.status = response.status_code
        assert response["Content-Type"] == "application/json"
        assert response["Cache-Control"] == "no-store"
        assert not response.cookies
        assert "Location" not in response
        assert "Cookie" not in response.get("Vary", "")
        self.body = json.loads(b"".join(response))
        self.is_whm = "command" in self.body.get("metadata", {})
        house, name = self._called()
        schema = answer_schema(house, house.functions[name]) if self.ok else refusal_schema(house)
        assert list(faults(self.body, schema)) == []

    def _called(self) -> tuple[Any, str]:
        path = self.response.request["PATH_INFO"]
        house = next(house for house in HOUSES if path.startswith(house.path))
        return house, path.removeprefix(house.path)

    @property
    def ok(self) -> bool:
        return bool(self.body["metadata"]["result"] if self.is_whm else self.body["status"])

    @property
    def reason(self) -> str:
        return str(self.body["metadata"]["reason"] if self.is_whm else (self.body["errors"] or [""])[0])

    @property
    def data(self) -> Any:
        return self.body["data"]
