"""Names are found by any part of them as it is read; what is there already, the migration fills in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from autossl_panel.hosting import name_search
from autossl_panel.hosting.models import Domain, HostingUser, VirtualHost

KITCHEN = "xn--grne-kche-r9ae.example"


@pytest.fixture
def names(make_user: Callable[..., HostingUser], make_site: Callable[..., VirtualHost]) -> VirtualHost:
    return make_site(make_user("amber"), KITCHEN, f"www.{KITCHEN}", "amber.example", "xn--.example")


def found(text: str) -> list[str]:
    return sorted(Domain.objects.filter(name_search.has("name", text)).values_list("name", flat=True))


@pytest.mark.parametrize(
    "typed",
    [
        "grüne",
        "KÜCHE",
        "ü",
        "gru\u0308ne",
        "grüne-k",
        "Grüne-Küche.example",
        "küche.exa",
        "che.exam",
        "grne-kche",
        " xn--g ",
    ],
)
def test_any_part_as_it_is_read_or_written(names: VirtualHost, typed: str):
    assert found(typed) == [f"www.{KITCHEN}", KITCHEN]


def test_the_dot_of_other_scripts_is_one(names: VirtualHost):
    assert found("www。grüne") == [f"www.{KITCHEN}"]


@pytest.mark.parametrize("typed", ["grüner", "kü_che", "kü%", "küche\\", "\ud7ff\u0378"])
def test_nothing_else_is(names: VirtualHost, typed: str):
    assert found(typed) == []


def test_names_that_are_read_as_they_are_written_cost_nothing(names: VirtualHost):
    kept = dict(Domain.objects.values_list("name", "read_as"))
    assert kept[KITCHEN] == "grüne-küche.example"
    assert kept["amber.example"] is kept["xn--.example"] is None, "what does not decode is read as it is"
    assert found("amb") == ["amber.example"]


@pytest.mark.django_db(transaction=True)
def test_what_is_there_already_is_filled_in(names: VirtualHost):
    executor = MigrationExecutor(connection)
    heads = executor.loader.graph.leaf_nodes()
    executor.migrate([("hosting", "0002_rules_and_screens")])
    try:
        MigrationExecutor(connection).migrate([("hosting", "0003_name_as_read")])
    finally:
        MigrationExecutor(connection).migrate(heads)
    assert found("grüne") == [f"www.{KITCHEN}", KITCHEN]
    assert Domain.objects.filter(read_as__isnull=True).count() == 2
