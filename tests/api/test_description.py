"""The description of the API: complete, consistent, for who is known; and the documents beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.test import Client

from autossl_panel.api.catalogue import SSL, WHM
from autossl_panel.api.houses import HOUSES, House
from autossl_panel.people.models import Role
from tests.api.schemas import faults

ROOT = Path(__file__).resolve().parents[2]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
URL = "/api/openapi.json"
FUNCTIONS = [*WHM.values(), *SSL.values()]


@pytest.fixture
def document(root) -> dict:
    return Client().get(URL, headers=root.header).json()


def test_it_is_for_who_has_a_token_or_is_signed_in(scene, root, user):
    nobody = Client().get(URL)
    assert (nobody.status_code, nobody.json()) == (401, {"reason": "Send the header “Authorization: whm USER:TOKEN”."})
    assert Client().get(URL, headers={"Authorization": "whm root:nonsense"}).status_code == 401
    client = Client()
    client.force_login(scene.harborweb)
    answers = [Client().get(URL, headers=one.header) for one in (root, user)] + [client.get(URL)]
    for answer in answers:
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
        assert (answer["Cache-Control"], answer.cookies) == ("no-store", {})
    assert len({answer.content for answer in answers}) == 1


def test_every_function_is_in_it_and_nothing_else(document):
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {f"{house.path}{name}" for house in HOUSES for name in house.functions}
    assert set(document["components"]["securitySchemes"]) == {"whm", "cpanel"}


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.scheme)
def test_each_says_what_it_takes_and_who_may(house, document):
    for name, function in house.functions.items():
        path = document["paths"][f"{house.path}{name}"]
        versioned = ["api.version"] if house.versioned else []
        names = versioned + [parameter.name for parameter in function.parameters]
        assert [one["name"] for one in path["get"]["parameters"]] == names
        form = path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        assert list(form["properties"]) == names
        required = [one["name"] for one in path["get"]["parameters"] if one["required"]]
        assert form["required"] == required
        for method in ("get", "post"):
            assert path[method]["security"] == [{house.scheme: []}]
            assert all(role in path[method]["description"] for role in function.roles)
        assert set(function.roles) <= set(house.roles)
        assert function.about.endswith(".")


def test_operations_have_names_of_their_own(document):
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(names)) == len(names) == 2 * len(FUNCTIONS)


def test_the_judge_of_schemas_finds_what_is_wrong():
    pid = WHM["start_autossl_check_for_all_users"].answers
    assert list(faults({"pid": 3}, pid)) == []
    assert list(faults({"pid": True}, pid)) == ["$.pid: True is no integer"]
    assert list(faults({"pid": 3, "x": 1}, pid)) == ["$: x is not declared"]
    assert list(faults({}, pid)) == ["$: pid is missing"]
    preview = WHM["get_autossl_preview"].answers
    said = {"state": "odd", "ask_again_in": "2", "preview": None}
    assert list(faults(said, preview)) == [
        "$.state: 'odd' is none of ['working', 'ready', 'failed']",
        "$.ask_again_in: '2' is no integer",
    ]
    with pytest.raises(AssertionError):
        list(faults(1, {"type": "integer", "minimum": 0}))


# --- docs/api.md ------------------------------------------------------------------------------------------------------


CHAPTERS = {"whm": "For root and resellers", "cpanel": "For hosting users"}
EACH = [(house, function) for house in HOUSES for function in house.functions.values()]


def chapter(house: House) -> str:
    found = re.search(rf"^## {CHAPTERS[house.scheme]}\n(.*?)(?=^## |\Z)", API, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(("house", "function"), EACH, ids=lambda one: getattr(one, "name", None))
def test_every_function_is_explained_with_an_example_as_declared(house, function):
    section = re.search(rf"^### `{function.name}`\n(.*?)(?=^###|\Z)", chapter(house), re.MULTILINE | re.DOTALL)
    assert section is not None
    for parameter in function.parameters:
        assert f"`{parameter.name}`" in section[1], parameter.name
    example = re.search(r"```json\n(.*?)```", section[1], re.DOTALL)
    assert example is not None
    assert list(faults(json.loads(example[1]), function.answers)) == []


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.scheme)
def test_no_function_is_explained_that_there_is_not(house):
    assert re.findall(r"^### `(\w+)`$", chapter(house), re.MULTILINE) == list(house.functions)


def test_roles_are_known():
    assert {role for function in FUNCTIONS for role in function.roles} == set(Role)
