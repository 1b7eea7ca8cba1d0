"""The API described in OpenAPI 3.1, out of the declarations alone: what is not declared is not in it."""

from functools import cache
from typing import Any

from django.conf import settings

from . import houses, schema
from .functions import Function
from .houses import House
from .parameters import Kind, Parameter
from .schema import Schema

VERSION = schema.number(only=(1,))
REFUSED = {
    "400": "The version is missing, or the parameters cannot be read.",
    "401": "There is no token, or it does not open anything.",
    "403": "The function is not for this role, or it changes something and the token only reads.",
    "404": "There is no such function.",
    "429": "Too many wrong tokens from this address.",
}


@cache
def described() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AutoSSL Panel",
            "version": "1",
            "description": "Functions in the forms of WHM's API 1 and cPanel's UAPI. A call that a function could not"
            " do is answered with 200 and a result, or status, of 0; everything else that fails by its HTTP status.",
        },
        "servers": [{"url": settings.AUTOSSL_URL}],
        "components": {"securitySchemes": {house.scheme: _scheme(house) for house in houses.HOUSES}},
        "paths": {
            f"{house.path}{function.name}": _methods(house, function)
            for house in houses.HOUSES
            for function in house.functions.values()
        },
    }


def answer_schema(house: House, function: Function) -> Schema:
    """What the function answers where nothing failed, wrapping and all."""
    return schema.obj({**house.around, "data": function.answers})


def refusal_schema(house: House) -> Schema:
    """What is answered where something did."""
    nothing = {name: {"type": "null"} for name in house.failed}
    return schema.obj({**house.around, **nothing})


def _scheme(house: House) -> dict[str, str]:
    about = f"{house.example}. Tokens of {house.whose}."
    return {"type": "apiKey", "in": "header", "name": "Authorization", "description": about}


def _methods(house: House, function: Function) -> dict[str, Any]:
    query = [_in_query(parameter) for parameter in function.parameters]
    if house.versioned:
        query.insert(0, {"name": "api.version", "in": "query", "required": True, "schema": VERSION})
    common = {
        "summary": function.about.partition(". ")[0].rstrip(".") + ".",
        "description": _about(function),
        "tags": [house.scheme],
        "security": [{house.scheme: []}],
        "responses": _responses(house, function),
    }
    form: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: _form_schema(one) for one in function.parameters},
        "required": [one.name for one in function.parameters if one.required],
    }
    if house.versioned:
        form["properties"] = {"api.version": VERSION, **form["properties"]}
        form["required"] = ["api.version", *form["required"]]
    body = {"content": {"application/x-www-form-urlencoded": {"schema": form}}, "required": house.versioned}
    return {
        "get": {"operationId": f"{house.scheme}.{function.name}", **common, "parameters": query},
        "post": {"operationId": f"{house.scheme}.{function.name}.post", **common, "requestBody": body},
    }


def _about(function: Function) -> str:
    told = [function.about, f"For {' and '.join(function.roles)}."]
    if function.changes:
        told.append("A token that only reads is refused.")
    if function.ours:
        told.append("WHM has no function of this name.")
    return " ".join(told)


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": _about_parameter(parameter),
        "required": parameter.required,
        "schema": _form_schema(parameter),
    }


def _form_schema(parameter: Parameter) -> Schema:
    return schema.array(parameter.schema) if parameter.repeated else parameter.schema


def _about_parameter(parameter: Parameter) -> str:
    more = f" Several times, or as {parameter.name}, {parameter.name}-1 and so on." if parameter.repeated else ""
    return parameter.about + more + (" 1 or 0." if parameter.kind == Kind.FLAG else "")


def _responses(house: House, function: Function) -> dict[str, Any]:
    refused = {"application/json": {"schema": refusal_schema(house)}}
    done = {"anyOf": [answer_schema(house, function), refusal_schema(house)]}
    return {
        "200": {"description": "What the function says.", "content": {"application/json": {"schema": done}}},
        **{status: {"description": text, "content": refused} for status, text in REFUSED.items()},
    }
