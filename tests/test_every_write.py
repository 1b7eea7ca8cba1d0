"""Every function that changes something in somebody's name (`by`) leaves its entry in the trail, without a secret.

A new function with `by` that has no row here fails the test, and so does an event that has no words.
"""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from django.db import connection

import autossl_panel.autossl
import autossl_panel.hosting
import autossl_panel.people
from autossl_panel.autossl import (
    options,
    providers,
    runs,
)
from autossl_panel.autossl.models import (
    Provider,
)
from autossl_panel.hosting import users
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import audit, audit_details, audit_words, persons
from autossl_panel.people.models import AuditEntry, Role, User
from tests.web.scene import ONCE, Scene, person
from tests.writes import autossl, hosting, people
from tests.writes.acts import (
    HMAC_KEY,
    PASSWORD,
    SECRETS,
    amber,
    draft,
    users_named,
)

ROOMS = (autossl_panel.people, autossl_panel.hosting, autossl_panel.autossl)
SOURCE = Path(autossl_panel.__path__[0])
# What events are about
SUBJECTS = (
    "person", "session", "second_factor", "token", "provider", "account", "limits", "options", "run", "site",
    "certificate", "user", "feature_list", "name", "pattern", "autossl", "channel", "messages", "rehearsal",
)  # fmt: skip
# function: (what calls it, {(event, subject)} of the entries that it leaves)
WRITES = {**people.WRITES, **hosting.WRITES, **autossl.WRITES}
# They write the trail itself.
RECORDERS = {"people.audit.record", "people.audit.record_each"}


def modules() -> Iterator[ModuleType]:
    for room in ROOMS:
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if ".migrations" not in found.name and ".management" not in found.name:
                yield importlib.import_module(found.name)


def functions_with_by() -> Iterator[str]:
    for module in modules():
        for name, function in vars(module).items():
            if not inspect.isfunction(function) or function.__module__ != module.__name__ or name.startswith("_"):
                continue
            if "by" in inspect.signature(function).parameters:
                yield f"{module.__name__.removeprefix('autossl_panel.')}.{name}"


def test_the_table_is_complete():
    assert set(functions_with_by()) == set(WRITES) | RECORDERS


@pytest.fixture
def scene(db: None) -> Scene:
    return ONCE.put()


def mine(by: User) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(person=by).order_by("pk"))


def depth() -> int:
    """How many transactions stand in one another now."""
    return sum(savepoint is not None for savepoint in connection.savepoint_ids)


@pytest.mark.parametrize("name", sorted(WRITES))
def test_each_leaves_its_entry(name, scene: Scene):
    act, expected = WRITES[name]
    depths = []

    def watch(execute, sql, params, many, context):
        if sql.startswith("INSERT") and AuditEntry._meta.db_table in sql:
            depths.append(depth())
        return execute(sql, params, many, context)

    with audit.coming_from("panel", "192.0.2.7"), connection.execute_wrapper(watch):
        act(scene.root, scene)
    assert min(depths) > depth(), "in the transaction of the change: both or neither"
    entries = mine(scene.root)
    assert {(entry.event, entry.subject) for entry in entries} == expected
    for entry in entries:
        assert (entry.person_name, entry.source, entry.address) == ("root", "panel", "192.0.2.7")
        assert entry.event in audit_words.EVENTS
        assert {*(entry.before or {}), *(entry.after or {})} <= set(audit_details.FIELDS)
        said = json.dumps([entry.before, entry.after])
        assert not [secret for secret in SECRETS if secret in said]


def test_before_and_after_are_what_differs(scene: Scene):
    options.change(scene.server, {"log_days": "60", "reload_gap": "30"}, by=scene.root)
    (entry,) = mine(scene.root)
    assert (entry.before, entry.after) == ({"log_days": "30"}, {"log_days": "60"})
    users.set_owner(amber(), scene.harborweb, by=scene.root)
    entry = mine(scene.root)[-1]
    assert (entry.before, entry.after) == ({"owner": "root"}, {"owner": "harborweb"})
    persons.add("harborweb", "root", PASSWORD, by=scene.root)
    entry = next(entry for entry in mine(scene.root) if entry.event == "person:changed")
    assert (entry.before, entry.after) == ({"role": "reseller"}, {"role": "root"})


def test_what_changes_nothing_leaves_nothing(scene: Scene):
    options.change(scene.server, {"log_days": "30"}, by=scene.root)
    users.set_owner(amber(), None, by=scene.root)
    users.set_autossl(users_named("amberfield"), "feature-list", by=scene.root, now=scene.now)
    users.set_feature_list("parked", False, by=scene.root, now=scene.now)
    runs.start("*", by=scene.root, asked_from="panel", server=scene.server)
    assert mine(scene.root) == []


def test_a_replaced_key_is_told_without_being_shown(scene: Scene):
    draft("New", eab_kid="kid", eab_hmac_key="Zmlyc3Q")
    wish = providers.Draft("New", "https://ca.example/dir", eab_kid="kid", eab_hmac_key=HMAC_KEY)
    providers.draft(wish, by=scene.root, ring=False)
    (entry,) = mine(scene.root)
    assert entry.event == "provider:changed"
    assert list(entry.after) == ["eab_hmac_key"]
    assert HMAC_KEY not in json.dumps(entry.after)
    providers.draft(wish, by=scene.root, ring=False)
    assert mine(scene.root)[-1].event == "provider:check_asked"


def test_what_the_panel_does_by_itself_is_the_systems(scene: Scene):
    providers.activate(Provider.objects.get(name="google"))
    runs.start("due", by=None, asked_from="sweep", server=scene.server)
    entries = AuditEntry.objects.exclude(event__startswith="person:")
    entry = entries.get()
    assert (entry.event, entry.subject, entry.source, entry.person) == ("provider:used", "google", "system", None)
    assert (entry.before, entry.after) == ({"in_use": "letsencrypt"}, {"in_use": "google"})


def test_a_thousand_users_at_once_are_a_thousand_entries(scene: Scene, django_assert_max_num_queries):
    lists = HostingUser.objects.get(name="amberfield").feature_list
    HostingUser.objects.bulk_create(
        HostingUser(server=scene.server, name=f"u{n}", feature_list=lists) for n in range(1000)
    )
    with django_assert_max_num_queries(20):
        users.set_autossl(HostingUser.objects.filter(name__regex=r"^u\d"), "off", by=scene.root, now=scene.now)
    assert len(mine(scene.root)) == 1000
    assert AuditEntry.objects.filter(subject="u517").get().before == {"autossl": "feature-list"}


def test_every_event_has_words_and_every_word_an_event():
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.name != "audit_words.py")
    recorded = set(re.findall(rf'"((?:{"|".join(SUBJECTS)}):[a-z_]+)"', text))
    log_events = set(importlib.import_module("autossl_panel.autossl.log.events").EVENTS)
    assert set(audit_words.EVENTS) <= recorded
    missing = {event for event in recorded - set(audit_words.EVENTS) if event not in log_events}
    assert missing == set()


def test_a_person_is_not_needed_for_an_entry(scene: Scene):
    """A removed person's entries stay, by name."""
    bob = person("bob", Role.RESELLER)
    users.set_suspended(amber(), True, by=bob, now=scene.now)
    bob.delete()
    entry = AuditEntry.objects.get(event="user:suspended")
    assert (entry.person, entry.person_name) == (None, "bob")
