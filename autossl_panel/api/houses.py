"""The two forms of the API: how a call is signed in, and how an answer is wrapped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autossl_panel.people.models import Role

from . import catalogue, schema
from .functions import LOGINS, OPERATORS, Function
from .schema import Schema

ZERO_OR_ONE = schema.number(only=(0, 1))
TEXTS = schema.or_null(schema.array(schema.text()))


@dataclass(frozen=True, slots=True)
class House:
    """One of them. `scheme` is that of the header Authorization; `path` is before the name of a function.

    `wrap` gives all of an answer but its data, by the function's name and, where it failed, the reason.
    """

    scheme: str
    path: str
    example: str
    roles: tuple[Role, ...]
    whose: str
    functions: Mapping[str, Function]
    wrap: Callable[[str, str], dict[str, Any]]
    around: Mapping[str, Schema]
    # It has to be said which version of the API is meant
    versioned: bool = False
    # What `data` is where a call has failed; no such member at all where it is left empty
    failed: Mapping[str, Any] = field(default_factory=dict)


def _whm(name: str, reason: str) -> dict[str, Any]:
    return {"metadata": {"version": 1, "command": name, "result": int(not reason), "reason": reason or "OK"}}


def _uapi(_name: str, reason: str) -> dict[str, Any]:
    return {
        "status": int(not reason),
        "errors": [reason] if reason else None,
        "messages": None,
        "warnings": None,
        "metadata": {},
    }


WHM = House(
    scheme="whm",
    path="/json-api/",
    example="Authorization: whm USER:TOKEN",
    roles=OPERATORS,
    whose="root and resellers",
    functions=catalogue.WHM,
    wrap=_whm,
    around={
        "metadata": schema.obj(
            {
                "version": schema.number(only=(1,)),
                "command": schema.text("The function"),
                "result": ZERO_OR_ONE,
                "reason": schema.text("“OK”, or why it failed"),
            }
        )
    },
    versioned=True,
)
UAPI = House(
    scheme="cpanel",
    path="/execute/SSL/",
    example="Authorization: cpanel USER:TOKEN",
    roles=LOGINS,
    whose="hosting users' logins",
    functions=catalogue.SSL,
    wrap=_uapi,
    around={
        "status": ZERO_OR_ONE,
        "errors": TEXTS,
        "messages": TEXTS,
        "warnings": TEXTS,
        "metadata": schema.obj({}),
    },
    failed={"data": None},
)
HOUSES = (WHM, UAPI)
