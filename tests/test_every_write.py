"""Every function that changes something in somebody's name (`by`) leaves its entry in the trail, without a secret.

A new function with `by` that has no row here fails the test, and so does an event that has no words.
"""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

import autossl_panel.autossl
import autossl_panel.hosting
import autossl_panel.people
from autossl_panel.autossl import (
    choices,
    holds,
    limits,
    options,
    profiles,
    providers,
    recheck,
    rehearsal,
    renewing,
    revocation,
    runs,
    takeover,
)
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits import changing
from autossl_panel.autossl.models import (
    Account,
    Bucket,
    Certificate,
    Message,
    MessageState,
    Options,
    Provider,
    ProviderState,
    Verdict,
    Way,
)
from autossl_panel.autossl.notify import channels
from autossl_panel.autossl.rehearsal import Wish
from autossl_panel.hosting import editing, excluded_names, exclusion_patterns, feature_lists, ownership, users
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people import audit, audit_details, audit_words, factors, persons, sessions, tokens
from autossl_panel.people.factors import hotp_value, yield_hotp_counters_from_time
from autossl_panel.people.models import ApiToken, AuditEntry, Role, Session, User
from tests.web.scene import ONCE, Scene, person

ROOMS = (autossl_panel.people, autossl_panel.hosting, autossl_panel.autossl)
SOURCE = Path(autossl_panel.__path__[0])
# What events are about
SUBJECTS = (
    "person", "session", "second_factor", "token", "provider", "account", "limits", "options", "run", "site",
    "certificate", "user", "feature_list", "name", "pattern", "autossl", "channel", "messages", "rehearsal",
)  # fmt: skip
# What no entry may hold
PASSWORD, HMAC_KEY = "a password that nobody guesses", "c2VjcmV0LWhtYWMta2V5"
HOOK, HOOK_SECRET = "https://hooks.example/a-token-in-the-path", "whsec_" + "QUJD" * 10
SECRETS = (PASSWORD, HMAC_KEY, "a-token-in-the-path", HOOK_SECRET.removeprefix("whsec_"))


def amber() -> HostingUser:
    return HostingUser.objects.get(name="amberfield")


def users_named(*names: str):
    return HostingUser.objects.filter(name__in=names)


def feature_list(name: str) -> FeatureList:
    return FeatureList.objects.get(name=name)


def draft(name: str, **more: object) -> Provider:
    wish = providers.Draft(name=name, directory_url="https://ca.example/dir", **more)  # type: ignore[arg-type]
    return providers.draft(wish, by=None, ring=False)


def code(secret: str) -> str:
    return f"{hotp_value(secret, next(iter(yield_hotp_counters_from_time()))):06}"


def add_app(by: User) -> None:
    secret = factors.new_secret()
    factors.add_app(by, secret, code(secret), by=by)


def a_passkey(whose: User, by: User | None = None) -> int:
    factors.add_passkey(whose, "Laptop", {"response": {}}, by=by)
    return factors.passkeys(whose).get().pk


def session_of(whose: User) -> Session:
    now = timezone.now()
    return Session.objects.create(
        session_key="k" * 32, session_data="", person=whose, began_at=now, seen_at=now, expire_date=now, address="::1"
    )


def a_token(whose: User, by: User | None = None) -> ApiToken:
    now = timezone.now()
    made, secret = tokens.make(whose, "monitoring", expires_at=None, read_only=False, by=by, now=now)
    assert secret not in json.dumps(list(AuditEntry.objects.values()), default=str)
    return made


def paused(scene: Scene) -> Account:
    """The account in use, with a name that its CA has paused."""
    account = Account.objects.get(provider=scene.provider)
    values = {"kind": Kind.CONSECUTIVE, "subject": "amberfield.example", "blocked_until": scene.now}
    Bucket.objects.create(owner=f"a:{account.pk}", **values)
    return account


def clear_a_pause(by: User, scene: Scene) -> None:
    paused(scene)
    mine = VirtualHost.objects.filter(name="amberfield.example")
    mine.update(held_reason="ca_paused", held_provider=scene.provider.name)
    holds.clear(mine, Verdict.objects.none(), scene.now, by=by)


def left_alone(scene: Scene) -> Account:
    """The account in use, whose CA has failed."""
    account = Account.objects.get(provider=scene.provider)
    Account.objects.update(faults=3, down_since=scene.now, down_until=scene.now + timedelta(hours=1))
    return account


def hook(**more: object) -> channels.Wish:
    return channels.Wish("Ops hook", Way.WEBHOOK, HOOK, secret=HOOK_SECRET, **more)  # type: ignore[arg-type]


def mail_test(by: User, scene: Scene) -> None:
    Options.objects.filter(server=scene.server).update(admin_addresses=["ops@b.example"])
    with override_settings(AUTOSSL_MAIL_FROM="panel@b.example"):
        channels.ask_mail_test(scene.server, by=by, now=scene.now)


def send_again(by: User, scene: Scene) -> None:
    channels.ask_test(scene.channel, by=None, now=scene.now)
    Message.objects.update(state=MessageState.FAILED, test=False)
    channels.send_again(scene.server, by=by, now=scene.now)


def pattern(scene: Scene, by: User | None = None) -> ExclusionPattern:
    return exclusion_patterns.add_pattern("*.amberfield.example", Level(scene.server), by=by, now=scene.now)


def cancel_live(by: User, scene: Scene) -> None:
    runs.cancel(scene.live, by=by)


def with_staging(scene: Scene) -> Provider:
    """It is known where one rehearses with the provider in use."""
    rehearsal.set_directory(scene.provider, "https://staging.example/dir", by=None)
    return scene.provider


def read_staging(scene: Scene) -> Provider:
    row = rehearsal.read_directory(with_staging(scene), by=None, ring=False)
    Provider.objects.filter(pk=row.pk).update(state=ProviderState.READY, terms_url="https://staging.example/terms")
    return scene.provider


Act = Callable[[User, Scene], object]
# function: (what calls it, {(event, subject)} of the entries that it leaves)
WRITES: dict[str, tuple[Act, set[tuple[str, str]]]] = {
    "people.factors.add_app": (
        lambda by, _scene: add_app(by),
        {("second_factor:added", "root")},
    ),
    "people.factors.add_passkey": (lambda by, _scene: a_passkey(by, by), {("second_factor:added", "root")}),
    "people.factors.rename_passkey": (
        lambda by, _scene: factors.rename_passkey(factors.passkeys(by).get(pk=a_passkey(by)), "Desk", by=by),
        {("second_factor:renamed", "root")},
    ),
    "people.factors.remove": (
        lambda by, _scene: factors.remove(by, factors.PASSKEY, pk=a_passkey(by), by=by),
        {("second_factor:removed", "root")},
    ),
    "people.factors.reset": (
        lambda by, scene: (a_passkey(scene.harborweb), factors.reset(scene.harborweb, by=by)),
        {("second_factor:reset", "harborweb")},
    ),
    "people.factors.new_codes": (
        lambda by, _scene: (a_passkey(by), factors.new_codes(by, by=by)),
        {("second_factor:added", "root")},
    ),
    "people.persons.add": (
        lambda by, _scene: persons.add("amy", "reseller", PASSWORD, by=by),
        {("person:added", "amy")},
    ),
    "people.persons.add_new": (
        lambda by, _scene: persons.add_new("amy", "reseller", PASSWORD, by=by),
        {("person:added", "amy")},
    ),
    "people.persons.change_password": (
        lambda by, scene: persons.change_password(scene.harborweb, PASSWORD, by=by),
        {("person:password_changed", "harborweb")},
    ),
    "people.sessions.end": (
        lambda by, scene: sessions.end(session_of(scene.harborweb), by=by),
        {("session:ended", "harborweb")},
    ),
    "people.sessions.end_all": (
        lambda by, scene: (session_of(scene.harborweb), sessions.end_all(scene.harborweb, by=by)),
        {("session:ended", "harborweb")},
    ),
    "people.tokens.make": (lambda by, scene: a_token(scene.harborweb, by), {("token:added", "harborweb")}),
    "people.tokens.revoke": (
        lambda by, scene: tokens.revoke(a_token(scene.harborweb), by=by),
        {("token:revoked", "harborweb")},
    ),
    "people.tokens.revoke_all": (
        lambda by, scene: (a_token(scene.harborweb), tokens.revoke_all(scene.harborweb, by=by)),
        {("token:revoked", "harborweb")},
    ),
    "hosting.users.set_autossl": (
        lambda by, scene: users.set_autossl(users_named("amberfield", "ateliermo"), "off", by=by, now=scene.now),
        {("user:autossl_set", "amberfield"), ("user:autossl_set", "ateliermo")},
    ),
    "hosting.users.undo_autossl": (
        lambda by, scene: users.undo_autossl(
            HostingUser.objects.all(),
            users.set_autossl(users_named("amberfield"), "off", by=None, now=scene.now),
            by=by,
            now=scene.now,
        ),
        {("user:autossl_set", "amberfield")},
    ),
    "hosting.users.set_suspended": (
        lambda by, scene: users.set_suspended(amber(), True, by=by, now=scene.now),
        {("user:suspended", "amberfield")},
    ),
    "people.persons.set_role": (
        lambda by, scene: persons.set_role(scene.harborweb, Role.USER, by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.set_email": (
        lambda by, scene: persons.set_email(scene.harborweb, "a@b.example", by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.set_active": (
        lambda by, scene: persons.set_active(scene.harborweb, False, by=by),
        {("person:changed", "harborweb")},
    ),
    "people.persons.remove": (
        lambda by, scene: persons.remove(scene.harborweb, by=by),
        {("person:removed", "harborweb")},
    ),
    "hosting.ownership.give": (
        lambda by, scene: ownership.give(users_named("amberfield", "greenmile"), scene.harborweb, by=by),
        {("user:owner_set", "amberfield"), ("user:owner_set", "greenmile")},
    ),
    "hosting.ownership.undo_give": (
        lambda by, scene: ownership.undo_give(
            HostingUser.objects.all(), ownership.give(users_named("amberfield"), scene.harborweb, by=None), by=by
        ),
        {("user:owner_set", "amberfield")},
    ),
    "hosting.ownership.set_owner": (
        lambda by, scene: ownership.set_owner(amber(), scene.harborweb, by=by),
        {("user:owner_set", "amberfield")},
    ),
    "hosting.ownership.set_login": (
        lambda by, _scene: ownership.set_login(amber(), person("anna", Role.USER), by=by),
        {("user:login_set", "amberfield")},
    ),
    "hosting.ownership.set_logins": (
        lambda by, _scene: ownership.set_logins(person("anna", Role.USER), [amber()], by=by),
        {("user:login_set", "amberfield")},
    ),
    "hosting.ownership.change_role": (
        lambda by, scene: ownership.change_role(scene.brightpeak, Role.USER, by=by),
        {("person:changed", "brightpeak"), ("user:owner_set", "greenmile"), ("user:owner_set", "hallsteadt")},
    ),
    "hosting.ownership.remove_person": (
        lambda by, scene: ownership.remove_person(scene.brightpeak, by=by),
        {("person:removed", "brightpeak"), ("user:owner_set", "greenmile"), ("user:owner_set", "hallsteadt")},
    ),
    "hosting.users.set_email": (
        lambda by, _scene: users.set_email(amber(), "a@b.example", by=by),
        {("user:changed", "amberfield")},
    ),
    "hosting.editing.change": (
        lambda by, scene: editing.change(
            amber(), editing.Wish(None, None, feature_list("parked"), "", False), by=by, now=scene.now
        ),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.excluded_names.exclude_names": (
        lambda by, scene: excluded_names.exclude_names(amber(), ["amberfield.example"], by=by, now=scene.now),
        {("name:excluded", "amberfield")},
    ),
    "hosting.excluded_names.include_names": (
        lambda by, scene: (
            excluded_names.exclude_names(amber(), ["amberfield.example"], by=None, now=scene.now),
            excluded_names.include_names(amber(), ["amberfield.example"], by=by, now=scene.now),
        ),
        {("name:included", "amberfield")},
    ),
    "hosting.feature_lists.add": (
        lambda by, _scene: feature_lists.add("basic", True, by=by),
        {("feature_list:added", "basic")},
    ),
    "hosting.feature_lists.rename": (
        lambda by, _scene: feature_lists.rename(feature_list("parked"), "kept", by=by),
        {("feature_list:changed", "parked")},
    ),
    "hosting.feature_lists.set_autossl": (
        lambda by, scene: feature_lists.set_autossl(feature_list("parked"), True, by=by, now=scene.now),
        {("feature_list:changed", "parked")},
    ),
    "hosting.feature_lists.move": (
        lambda by, scene: feature_lists.move(users_named("amberfield"), feature_list("parked"), by=by, now=scene.now),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.feature_lists.undo_move": (
        lambda by, scene: feature_lists.undo_move(
            HostingUser.objects.all(),
            feature_lists.move(users_named("amberfield"), feature_list("parked"), by=None, now=scene.now),
            by=by,
            now=scene.now,
        ),
        {("user:feature_list_set", "amberfield")},
    ),
    "hosting.feature_lists.remove": (
        lambda by, scene: feature_lists.remove(
            feature_list("parked"), move_to=feature_list("starter"), by=by, now=scene.now
        ),
        {("feature_list:removed", "parked"), *{("user:feature_list_set", name) for name in ("eastgate", "northwind")}},
    ),
    "hosting.feature_lists.set_feature_list": (
        lambda by, scene: users.set_feature_list("parked", True, by=by, now=scene.now),
        {("feature_list:changed", "parked")},
    ),
    "hosting.users.exclude": (
        lambda by, scene: users.exclude(["amberfield.example"], by=by, now=scene.now),
        {("name:excluded", "amberfield.example")},
    ),
    "hosting.users.include": (
        lambda by, scene: (
            users.exclude(["amberfield.example"], by=None, now=scene.now),
            users.include(["amberfield.example"], by=by, now=scene.now),
        ),
        {("name:included", "amberfield.example")},
    ),
    "hosting.excluded_names.set_names": (
        lambda by, scene: (
            excluded_names.exclude_names(amber(), ["amberfield.example"], by=None, now=scene.now),
            excluded_names.set_names(amber(), ["www.amberfield.example"], by=by, now=scene.now),
        ),
        {("name:changed", "amberfield")},
    ),
    "hosting.exclusion_patterns.add_pattern": (
        lambda by, scene: pattern(scene, by),
        {("pattern:added", "*.amberfield.example")},
    ),
    "hosting.exclusion_patterns.remove_pattern": (
        lambda by, scene: exclusion_patterns.remove_pattern(pattern(scene), by=by, now=scene.now),
        {("pattern:removed", "*.amberfield.example")},
    ),
    "autossl.choices.choose_for_user": (
        lambda by, scene: choices.choose_for_user(amber(), scene.provider, by=by, now=scene.now),
        {("user:provider_set", "amberfield")},
    ),
    "autossl.choices.choose_for_feature_list": (
        lambda by, scene: choices.choose_for_feature_list(feature_list("parked"), scene.provider, by=by, now=scene.now),
        {("feature_list:provider_set", "parked")},
    ),
    "autossl.choices.set_fallbacks": (
        lambda by, scene: choices.set_fallbacks([scene.provider], by=by, server=scene.server),
        {("provider:fallbacks_set", "web03.harbor-hosting.example")},
    ),
    "autossl.holds.clear": (
        clear_a_pause,
        {("limits:unpaused", "amberfield.example")},
    ),
    "autossl.choices.try_now": (
        lambda by, scene: choices.try_now(left_alone(scene), by=by, now=scene.now),
        {("provider:tried", "letsencrypt")},
    ),
    "autossl.renewing.set_percent": (
        lambda by, scene: renewing.set_percent(scene.provider, "25", by=by, now=scene.now),
        {("provider:renewal", "letsencrypt")},
    ),
    "autossl.recheck.ask": (
        lambda by, scene: recheck.ask(
            scene.server, VirtualHost.objects.filter(name="amberfield.example"), by=by, now=scene.now
        ),
        {("site:rechecked", "amberfield.example")},
    ),
    "autossl.takeover.set_takeover": (
        lambda by, scene: takeover.set_takeover(
            VirtualHost.objects.get(name="amberfield.example"), True, by=by, now=scene.now
        ),
        {("site:takeover", "amberfield.example")},
    ),
    "autossl.options.pause": (
        lambda by, scene: options.pause(scene.server, by=by, now=scene.now),
        {("autossl:paused", "web03.harbor-hosting.example")},
    ),
    "autossl.options.resume": (
        lambda by, scene: (
            options.pause(scene.server, by=None, now=scene.now),
            options.resume(scene.server, by=by, now=scene.now),
        ),
        {("autossl:resumed", "web03.harbor-hosting.example")},
    ),
    "autossl.notify.channels.add": (
        lambda by, scene: channels.add(scene.server, hook(), by=by),
        {("channel:added", "Ops hook")},
    ),
    "autossl.notify.channels.change": (
        lambda by, scene: channels.change(channels.add(scene.server, hook(), by=None), hook(enabled=False), by=by),
        {("channel:changed", "Ops hook")},
    ),
    "autossl.notify.channels.remove": (
        lambda by, scene: channels.remove(channels.add(scene.server, hook(), by=None), by=by),
        {("channel:removed", "Ops hook")},
    ),
    "autossl.notify.channels.ask_test": (
        lambda by, scene: channels.ask_test(channels.add(scene.server, hook(), by=None), by=by, now=scene.now),
        {("channel:tested", "Ops hook")},
    ),
    "autossl.notify.channels.ask_mail_test": (mail_test, {("channel:tested", "e-mail")}),
    "autossl.notify.channels.send_again": (
        send_again,
        {("messages:sent_again", "web03.harbor-hosting.example")},
    ),
    "autossl.options.change": (
        lambda by, scene: options.change(scene.server, {"log_days": "60"}, by=by),
        {("options:changed", "web03.harbor-hosting.example")},
    ),
    "autossl.providers.draft": (
        lambda by, _scene: providers.draft(
            providers.Draft("New", "https://ca.example/dir", eab_kid="kid", eab_hmac_key=HMAC_KEY), by=by, ring=False
        ),
        {("provider:added", "New")},
    ),
    "autossl.providers.bind": (
        lambda by, _scene: providers.bind(Provider.objects.get(name="google"), "kid", HMAC_KEY, by=by),
        {("provider:bound", "google")},
    ),
    "autossl.providers.check_again": (
        lambda by, _scene: providers.check_again(Provider.objects.get(name="zerossl"), by=by),
        {("provider:check_asked", "zerossl")},
    ),
    "autossl.providers.ask_to_use": (
        lambda by, scene: providers.ask_to_use(scene.provider, scene.server, agree_terms=True, by=by),
        {("provider:chosen", "letsencrypt")},
    ),
    "autossl.profiles.set_profile": (
        lambda by, scene: profiles.set_profile(scene.provider, "shortlived", by=by),
        {("provider:profile", "letsencrypt")},
    ),
    "autossl.providers.ask_to_roll": (
        lambda by, scene: providers.ask_to_roll(scene.provider, scene.server, by=by),
        {("account:roll_key", "letsencrypt")},
    ),
    "autossl.providers.ask_to_register_anew": (
        lambda by, scene: providers.ask_to_register_anew(scene.provider, scene.server, agree_terms=True, by=by),
        {("account:register_anew", "letsencrypt")},
    ),
    "autossl.providers.agree_again": (
        lambda by, scene: providers.agree_again(scene.provider, scene.server, by=by),
        {("account:agree_terms", "letsencrypt")},
    ),
    "autossl.revocation.ask": (
        lambda by, scene: revocation.ask(Certificate.objects.filter(ours=True).first(), "superseded", by=by),
        {("certificate:revoke", "amberfield.example")},
    ),
    "autossl.limits.changing.change": (
        lambda by, scene: changing.change(scene.provider, {"orders": "10/1h"}, by=by),
        {("provider:limits", "letsencrypt")},
    ),
    "autossl.limits.changing.reset": (
        lambda by, scene: (
            changing.change(scene.provider, {"orders": "10/1h"}, by=None),
            changing.reset(scene.provider, by=by),
        ),
        {("provider:limits", "letsencrypt")},
    ),
    "autossl.limits.permits.unpause": (
        lambda by, scene: limits.unpause(paused(scene), "amberfield.example", by=by),
        {("limits:unpaused", "amberfield.example")},
    ),
    "autossl.limits.stamps.start_spent": (
        lambda by, scene: limits.start_spent(Account.objects.get(provider=scene.provider), by=by, now=scene.now),
        {("limits:started_spent", "letsencrypt")},
    ),
    "autossl.providers.disable": (
        lambda by, _scene: providers.disable(by=by),
        {("provider:disabled", "letsencrypt")},
    ),
    "autossl.providers.remove": (
        lambda by, _scene: providers.remove(Provider.objects.get(name="zerossl"), by=by),
        {("provider:removed", "zerossl")},
    ),
    "autossl.providers.take_back": (
        lambda by, _scene: providers.take_back(draft("New", eab_kid="k", eab_hmac_key=HMAC_KEY), None, by=by),
        {("provider:removed", "New")},
    ),
    "autossl.rehearsal.set_directory": (
        lambda by, scene: rehearsal.set_directory(scene.provider, "https://staging.example/dir", by=by),
        {("provider:staging_set", "letsencrypt")},
    ),
    "autossl.rehearsal.read_directory": (
        lambda by, scene: rehearsal.read_directory(with_staging(scene), by=by),
        {("provider:added", "letsencrypt-staging")},
    ),
    "autossl.rehearsal.ask": (
        lambda by, scene: rehearsal.ask(
            read_staging(scene), scene.server, Wish(agree_terms=True), by=by, now=scene.now
        ),
        {("provider:registered", "letsencrypt-staging"), ("rehearsal:started", "letsencrypt")},
    ),
    "autossl.runs.start": (
        lambda by, scene: runs.start("user:thistle", by=by, asked_from="panel", server=scene.server),
        {("run:started", "user:thistle")},
    ),
    "autossl.runs.cancel": (cancel_live, {("run:cancelled", "*")}),
}
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
