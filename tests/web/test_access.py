"""Who may open what: every URL by method, role and object. A URL that is not in the table fails the test."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from django.urls.resolvers import RegexPattern
from django.utils import timezone

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Beat, Installation, Problem, Provider, Rehearsal
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import FeatureList, HostingUser, VirtualHost
from autossl_panel.people import tokens
from autossl_panel.people.models import ApiToken, Role, Session, User
from autossl_panel.web import users
from autossl_panel.web.requirement import LOOKED
from tests.web import rehearsed
from tests.web.scene import Scene, person

OK, AWAY, NONE, NOT_SO = 200, 302, 404, 405
# An answer by role: nobody, the login of the object's user, a reseller with the object, another reseller, root.
ROLES = ("nobody", "login", "owner", "stranger", "root")
SIGN_IN = AWAY
# name of the URL: {method: answers in the order of ROLES}; a method that is left out is 405 for whom the page is there.
# A poll that has ended answers 286. Forms that are posted empty answer with what is wrong, or go back.
Answers = dict[str, tuple[int, ...]]
OWN: Answers = {"get": (SIGN_IN, OK, OK, OK, OK)}
OWN_FORM: Answers = {"get": (SIGN_IN, OK, OK, OK, OK), "post": (SIGN_IN, OK, OK, OK, OK)}
ROOT: Answers = {"get": (SIGN_IN, NONE, NONE, NONE, OK)}
ROOT_FORM: Answers = {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)}
ROOT_ACT: Answers = {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)}
OPERATORS: Answers = {"get": (SIGN_IN, NONE, OK, OK, OK)}
# What belongs to a user of the owner
OF_ONE: Answers = {"get": (SIGN_IN, NONE, OK, NONE, OK)}
ACT_ON_ONE: Answers = {"post": (SIGN_IN, NONE, AWAY, NONE, AWAY)}
TABLE: dict[str, Answers] = {
    "home": {"get": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "sign-in": {"get": (OK, AWAY, AWAY, AWAY, AWAY), "post": (OK, OK, OK, OK, OK)},
    "sign-in-passkey": {"post": (OK, OK, OK, OK, OK)},
    "second-factor": {"get": (AWAY, AWAY, AWAY, AWAY, AWAY), "post": (AWAY, AWAY, AWAY, AWAY, AWAY)},
    "sign-out": {"post": (AWAY, AWAY, AWAY, AWAY, AWAY)},
    "confirm": OWN_FORM,
    "passkey-options": {"post": (OK, OK, OK, OK, OK)},
    "theme": {"post": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "seen": {"get": (SIGN_IN, OK, OK, OK, OK)},
    "toast-close": {"post": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "preferences": {"get": (SIGN_IN, OK, OK, OK, OK), "post": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "security": OWN,
    "password": OWN_FORM,
    "factor-app": OWN_FORM,
    "factor-app-remove": {"get": (SIGN_IN, NONE, NONE, NONE, NONE), "post": (SIGN_IN, NONE, NONE, NONE, NONE)},
    "passkey-add": OWN_FORM,
    "passkey-new-options": {"post": (SIGN_IN, OK, OK, OK, OK)},
    # A passkey is its person's alone: root resets, but never renames or uses one.
    "passkey-rename": {"get": (SIGN_IN, NONE, OK, NONE, NONE), "post": (SIGN_IN, NONE, OK, NONE, NONE)},
    "passkey-remove": {"get": (SIGN_IN, NONE, OK, NONE, NONE), "post": (SIGN_IN, NONE, AWAY, NONE, NONE)},
    # Nobody has a second factor here, so there are no codes.
    "recovery-codes": {"get": (SIGN_IN, AWAY, AWAY, AWAY, AWAY), "post": (SIGN_IN, NONE, NONE, NONE, NONE)},
    "recovery-codes-text": {"get": (SIGN_IN, NONE, NONE, NONE, NONE)},
    "sessions": OWN,
    "sessions-end-others": {"post": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "session-end": {"post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "tokens": OWN,
    "token-add": OWN_FORM,
    "token-revoke": {"get": (SIGN_IN, NONE, OK, NONE, OK), "post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "people-tokens": ROOT,
    # What scripts call: a session counts for nothing, and a redirect would only mislead them.
    "json-api": {"get": (401, 401, 401, 401, 401), "post": (401, 401, 401, 401, 401)},
    "uapi": {"get": (401, 401, 401, 401, 401), "post": (401, 401, 401, 401, 401)},
    "openapi": {"get": (401, OK, OK, OK, OK)},
    "audit": ROOT,
    "audit-csv": ROOT,
    "audit-ndjson": ROOT,
    "providers": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "rehearse": ROOT_FORM,
    "rehearsals": ROOT,
    "rehearsal": ROOT,
    "provider-add": ROOT_FORM,
    "providers-disable": ROOT_FORM,
    "provider-edit": ROOT_FORM,
    "provider-state": {"get": (SIGN_IN, NONE, NONE, NONE, 204)},
    "provider-check": ROOT_ACT,
    "provider-register": ROOT_ACT,
    "provider-remove": ROOT_FORM,
    "provider-roll": ROOT_ACT,
    "provider-anew": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "provider-agree": ROOT_ACT,
    "provider-try": ROOT_ACT,
    "provider-fallbacks": ROOT_ACT,
    "provider-profile": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "provider-limits": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "provider-unpause": ROOT_ACT,
    "options": ROOT_FORM,
    "channel-add": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "channel-edit": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "channel-remove": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "channel-test": {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "channel-state": {"get": (SIGN_IN, NONE, NONE, NONE, OK)},
    "mail-test": {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "mail-state": {"get": (SIGN_IN, NONE, NONE, NONE, OK)},
    "messages-again": {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "patterns": {"get": (SIGN_IN, NONE, OK, OK, OK), "post": (SIGN_IN, NONE, OK, OK, OK)},
    "patterns-undo": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "patterns-counts": OPERATORS,
    "pattern-remove": {"get": (SIGN_IN, NONE, OK, NONE, OK), "post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "pause": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "resume": ROOT_ACT,
    "preview": {"get": (SIGN_IN, NONE, OK, OK, OK), "post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    # Nobody has asked for one here, so there is none; test_preview.py reads those that there are.
    "preview-json": {"get": (SIGN_IN, NONE, NONE, NONE, NONE)},
    "users": {"get": (SIGN_IN, NONE, OK, OK, OK), "post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "users-undo": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "user-autossl": {"post": (SIGN_IN, NONE, 400, NONE, 400)},
    "user-check": {"post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "runs": {"get": (SIGN_IN, OK, OK, OK, OK), "post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "run-slot": {"get": (SIGN_IN, OK, OK, 286, OK)},
    "run": {"get": (SIGN_IN, OK, OK, NONE, OK)},
    "run-live": {"get": (SIGN_IN, 286, 286, NONE, 286)},
    "run-text": {"get": (SIGN_IN, OK, OK, NONE, OK)},
    "run-cancel": {"get": (SIGN_IN, NONE, AWAY, NONE, AWAY), "post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "run-ndjson": {"get": (SIGN_IN, OK, OK, NONE, OK)},
    "certificates": OPERATORS,
    "certificate": OF_ONE,
    "certificate-check": ACT_ON_ONE,
    "certificate-takeover": ACT_ON_ONE,
    "issued-pem": OF_ONE,
    "issued-revoke": {"get": (SIGN_IN, NONE, OK, NONE, OK), "post": (SIGN_IN, NONE, OK, NONE, OK)},
    "pending": OPERATORS,
    "pending-try": ACT_ON_ONE,
    "problems": OPERATORS,
    "problems-recheck": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "problem": OF_ONE,
    "problem-recheck": ACT_ON_ONE,
    "history": OPERATORS,
    "status": {"get": (SIGN_IN, AWAY, AWAY, AWAY, AWAY)},
    "status-user": {"get": (SIGN_IN, OK, OK, NONE, OK), "post": (SIGN_IN, 400, 400, NONE, 400)},
    "status-run": {"post": (SIGN_IN, AWAY, AWAY, NONE, AWAY)},
    "status-live": {"get": (SIGN_IN, NONE, NONE, NONE, NONE)},
    "status-undo": {"post": (SIGN_IN, AWAY, AWAY, NONE, AWAY)},
    "people": ROOT,
    "people-undo": ROOT_ACT,
    "people-users": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, 400)},
    "people-user": ROOT_FORM,
    "user-provider": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "person": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "person-add": ROOT_FORM,
    "person-password": {"get": (SIGN_IN, NONE, NONE, NONE, AWAY), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "person-active": ROOT_ACT,
    "person-remove": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "person-factors": {"get": (SIGN_IN, NONE, NONE, NONE, AWAY), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "feature-lists": ROOT,
    "feature-list-provider": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "feature-list": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "feature-list-add": ROOT_FORM,
    "feature-list-remove": ROOT_FORM,
}
# The run for all is everybody's to read in part, and root's alone to cancel.
COMMON_RUN: dict[str, Answers] = {
    "run": {"get": (SIGN_IN, OK, OK, OK, OK)},
    "run-live": {"get": (SIGN_IN, OK, OK, OK, OK)},
    "run-text": {"get": (SIGN_IN, OK, OK, OK, OK)},
    "run-ndjson": {"get": (SIGN_IN, OK, OK, OK, OK)},
    "run-cancel": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
}
METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
# Of the API: signed in to by a token alone
CALLED = {"json-api", "uapi"}
# Open to who is not signed in
PUBLIC = {"sign-in", "sign-in-passkey", "second-factor", "sign-out", "passkey-options", "openapi", *CALLED}
# What asks first who it is, where that was not proven for a while: dangerous acts, and pages that lead to one only
ASKS = {
    ("providers", "post"),
    ("provider-add", "post"),
    ("provider-edit", "post"),
    ("provider-register", "post"),
    ("provider-agree", "post"),
    ("rehearse", "post"),
    *((f"provider-{what}", "post") for what in ("fallbacks", "profile", "limits")),
    *((f"channel-{act}", "post") for act in ("add", "edit", "remove")),
    ("provider-roll", "post"),
    *((name, method) for name in ("providers-disable", "provider-remove", "password") for method in ("get", "post")),
    *(("provider-anew", method) for method in ("get", "post")),
    *((name, method) for name in ("factor-app", "factor-app-remove", "passkey-add") for method in ("get", "post")),
    *((name, method) for name in ("passkey-rename", "passkey-remove", "recovery-codes") for method in ("get", "post")),
    ("passkey-new-options", "post"),
    ("recovery-codes-text", "get"),
    ("token-add", "post"),
    ("issued-revoke", "post"),
    *((name, "post") for name in ("people-users", "people-user", "user-provider")),
    *((f"person{act}", "post") for act in ("", "-add", "-password", "-active", "-remove", "-factors")),
    *((f"feature-list{act}", "post") for act in ("", "-add", "-remove", "-provider")),
}
# Open to who has to set up a second factor first
OPEN = PUBLIC | {
    "confirm",
    "security",
    "theme",
    "preferences",
    "factor-app",
    "passkey-add",
    "passkey-new-options",
}


def addresses(resolver: URLResolver) -> Iterator[URLPattern]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from addresses(one)
        else:
            yield one


def names() -> set[str]:
    return {str(one.name) for one in addresses(get_resolver())}


def test_the_table_is_complete():
    """Also an address without a name, or a second one of a name, would be one that nobody looks at."""
    assert sorted(str(one.name) for one in addresses(get_resolver())) == sorted(TABLE)
    assert {name for name, _method in ASKS} | OPEN | set(COMMON_RUN) <= set(TABLE)


@pytest.mark.parametrize("name", [None, "users"], ids=["without a name", "a second of a name"])
def test_an_address_that_is_not_in_the_table_is_found(name: str | None):
    added = path("not-in-the-table/", include([path("here/", users.home, name=name)]))
    more = URLResolver(RegexPattern(r"^/"), [*get_resolver().url_patterns, added])
    assert len(list(addresses(more))) == len(TABLE) + 1
    assert sorted(str(one.name) for one in addresses(more)) != sorted(TABLE)


def test_nothing_of_allauths_own_can_be_reached():
    """Its pages for sign-up, mail addresses and social accounts have no address here, whatever it is called."""
    assert not [name for name in names() if name.startswith(("account_", "mfa_", "socialaccount_"))]
    for where in ("accounts/signup/", "accounts/login/", "signup/", "accounts/email/", "accounts/2fa/", "accounts/"):
        assert Client().get(f"/{where}").status_code in (NONE, AWAY), where


@pytest.fixture
def clients(scene: Scene, signed_in: Callable[[User], Client]) -> dict[str, Client]:
    # The stranger's part of the run for all has ended.
    login = person("northwind", Role.USER)
    HostingUser.objects.filter(name="northwind").update(login=login)
    return {
        "nobody": Client(),
        "login": signed_in(login),
        "owner": signed_in(scene.harborweb),
        "stranger": signed_in(scene.brightpeak),
        "root": signed_in(scene.root),
    }


def object_of(name: str, scene: Scene) -> object:
    """Of harborweb, or of a user that it owns; of the provider in use. Made anew where an act takes it away."""
    if name.startswith("passkey-"):
        Authenticator.objects.all().delete()
        credential = {"clientExtensionResults": {"credProps": {"rk": True}}}
        kept = {"name": "Laptop", "credential": credential}
        return Authenticator.objects.create(user=scene.harborweb, type="webauthn", data=kept).pk
    if name in ("token-revoke", "session-end"):
        return _token(scene) if name == "token-revoke" else _session(scene)
    if name.startswith("channel-"):
        return scene.channel.pk
    if name == "pattern-remove":
        level = Level(scene.server, owner=scene.harborweb)
        return exclusion_patterns.add_pattern("*.dev.example", level, by=None, now=scene.now).pk
    if name.startswith("person-") or name == "person":
        return User.objects.get_or_create(username="somebody", role=Role.RESELLER)[0].pk
    if name.startswith("feature-list-") or name == "feature-list":
        return FeatureList.objects.get(name="parked").pk
    if name.startswith(("user-", "status-", "people-user")):
        return HostingUser.objects.get(name="northwind").pk
    if name.startswith(("certificate", "pending-")):
        return VirtualHost.objects.get(name="northwind.example").pk
    if name.startswith("issued-"):
        return Installation.objects.get(virtual_host__name="northwind.example").certificate_id
    if name.startswith("problem"):
        return _problem(VirtualHost.objects.get(name="northwind.example"), scene).cause
    if name.startswith("run"):
        return scene.server.runs.get(scope="user:northwind").pk
    return Provider.objects.get(active=True).pk


def _token(scene: Scene) -> int:
    ApiToken.objects.all().delete()
    return tokens.make(scene.harborweb, "script", expires_at=None, read_only=False, by=None, now=scene.now)[0].pk


def _session(scene: Scene) -> uuid.UUID:
    now = timezone.now()
    found, _made = Session.objects.get_or_create(
        session_key="another-browsers",
        defaults={
            "session_data": "",
            "person": scene.harborweb,
            "began_at": now,
            "seen_at": now,
            "expire_date": now + timedelta(days=1),
        },
    )
    return found.ident


def with_object(name: str) -> bool:
    return bool(arguments_of(name))


def arguments_of(name: str) -> list[str]:
    (_pattern, arguments), *_more = get_resolver().reverse_dict.getlist(name)[0][0]
    return list(arguments)


def _problem(host: VirtualHost, scene: Scene) -> Problem:
    return Problem.objects.get_or_create(
        virtual_host=host, user=host.user, name=host.name, code="nxdomain", cause="nxdomain-0", since=scene.now
    )[0]


def url_of(name: str, pk: object) -> str:
    (pattern, arguments), *_more = get_resolver().reverse_dict.getlist(name)[0][0]
    return "/" + pattern % {argument: pk for argument in arguments}


def url_for(name: str, scene: Scene) -> str:
    if name == "rehearsal":
        return url_of(name, (Rehearsal.objects.first() or rehearsed.add(scene)).pk)
    return url_of(name, object_of(name, scene) if with_object(name) else None)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_url_for_every_role_and_method(name, scene, clients):
    for place, role in enumerate(ROLES):
        for method in METHODS:
            url = url_for(name, scene)
            answer = getattr(clients[role], method)(url)
            answers = TABLE[name].get("get" if method == "head" else method)
            if answers is not None:
                # Where HEAD is not refused, it says what GET says.
                right = {answers[place], NOT_SO} if method == "head" else {answers[place]}
                assert answer.status_code in right, (role, method, url)
            else:
                assert answer.status_code in (AWAY, NONE, NOT_SO), (role, method, url)
            if role == "nobody" and name not in PUBLIC and answer.status_code == AWAY:
                assert answer["Location"].startswith("/sign-in/?next="), (role, method, url)
        if name == "sign-out":
            assert clients[role].get("/users/").status_code == AWAY


def test_a_lost_worker_shows_on_every_page_of_everybody(scene, clients):
    """Every page, but for the question who it is, which has nothing around it."""
    Beat.objects.update(at=scene.now - timedelta(minutes=6))
    looked_at = set()
    for name, role in itertools.product(sorted(set(TABLE) - {"confirm"}), ROLES[1:]):
        if OK not in TABLE[name].get("get", ()):
            continue
        answer = clients[role].get(url_for(name, scene))
        text = b"".join(answer).decode()
        if answer.status_code == OK and "<main" in text:
            looked_at.add(name)
            assert "Workers last seen" in text, (role, name)
            assert "Runs wait until they are back." in text, (role, name)
    assert {"audit", "people", "security", "sessions", "status-user", "users"} <= looked_at


@pytest.mark.parametrize("name", sorted(COMMON_RUN))
def test_the_run_for_all(name, scene, clients):
    url = url_of(name, scene.live.pk)
    for method, answers in COMMON_RUN[name].items():
        for place, role in enumerate(ROLES):
            assert getattr(clients[role], method)(url).status_code == answers[place], (role, method, url)


def test_another_users_login_sees_and_does_nothing_with_what_is_not_its_own(scene, clients, signed_in):
    """The hosting users beside it, of the same reseller and of others, are not there for it."""
    neighbour = person("bluefjord", Role.USER)
    HostingUser.objects.filter(name="bluefjord").update(login=neighbour)
    client = signed_in(neighbour)
    for name in WITH_OBJECT:
        for method in TABLE[name]:
            url = url_for(name, scene)
            assert getattr(client, method)(url).status_code == NONE, (name, method, url)


# A name of a function is no object: who has no token learns nothing of any.
WITH_OBJECT = sorted(name for name in TABLE if with_object(name) and name not in CALLED)


def test_an_unknown_id_is_404_for_everybody_who_is_signed_in(clients):
    # Nothing is done to anything, so that all may follow each other
    for name in WITH_OBJECT:
        missing = uuid.uuid4() if arguments_of(name) == ["ident"] else 999_999
        for role in ROLES[1:]:
            for method in TABLE[name]:
                answer = getattr(clients[role], method)(url_of(name, missing))
                assert answer.status_code == NONE, (name, role, method)


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"confirm"}))
def test_what_asks_first_who_it_is(name, scene, signed_in):
    """Signed in an hour ago: exactly the dangerous acts ask, whatever is posted and whatever the role may do."""
    for who in (scene.root, scene.harborweb):
        for method in TABLE[name]:
            url = url_for(name, scene)
            answer = getattr(signed_in(who, ago=3600), method)(url)
            asked = b"Is it you?" in b"".join(answer)
            asked = asked or (answer.status_code == AWAY and answer["Location"].startswith("/confirm/?next="))
            expected = (name, method) in ASKS and answer.status_code != NONE
            assert asked == expected, (who.username, method, url)


# What does not open does nothing, so that all of it may follow each other; of what opens each begins anew.
@pytest.mark.parametrize("names", [sorted(set(TABLE) - OPEN), *([name] for name in sorted(OPEN))], ids=lambda it: it[0])
def test_without_a_required_second_factor_nothing_else_opens(names, scene, clients):
    options.change(scene.server, {"second_factor": "everybody"}, by=None)
    for name, role in itertools.product(names, ROLES[1:]):
        client = clients[role]
        session = client.session
        session.pop(LOOKED, None)
        session.save()
        for method in TABLE[name]:
            url = url_for(name, scene)
            Authenticator.objects.all().delete()
            answer = getattr(client, method)(url)
            led = answer.status_code == AWAY and answer["Location"] == "/security/"
            assert led == (name not in OPEN), (role, method, url)
            if name in OPEN and name not in PUBLIC:
                assert answer.status_code == TABLE[name][method][ROLES.index(role)], (role, method, url)


def test_a_poll_without_a_required_second_factor_leads_the_whole_page(scene, signed_in):
    options.change(scene.server, {"second_factor": "root"}, by=None)
    client = signed_in(scene.root)
    session = client.session
    del session[LOOKED]
    session.save()
    answer = client.get("/runs/slot/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/security/")
