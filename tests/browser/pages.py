"""Every page there is, in the states worth looking at, a line each: the walk and the pictures go by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from autossl_panel.autossl import standing
from autossl_panel.autossl.models import Account, Channel, Installation, Problem, Provider, Rehearsal
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people import factors, tokens
from autossl_panel.people.models import ApiToken, User
from tests.autossl.notify.rows import queued
from tests.web import foreseen, own_scene, provider_scene, rehearsed, troubles
from tests.web import scene as scenes
from tests.web.scene import Scene

ROOT = ("root",)
OPERATORS = ("root", "harborweb")
LOGIN = ("lindner",)
EVERYBODY = (*OPERATORS, *LOGIN)
NOBODY = ("",)


@dataclass(frozen=True, slots=True)
class Place:
    """An address with placeholders that `ids` fills, and the persons of the scene who open it; "" is nobody.

    `post` is sent there, from its own page or from `start`; `press` are selectors clicked one after the other once
    it is open; `before` makes the rows that it takes, for what comes after it too."""

    path: str
    who: tuple[str, ...] = OPERATORS
    post: Mapping[str, str] | None = None
    press: tuple[str, ...] = ()
    start: str = ""
    before: Callable[[], object] | None = None


PAGES: dict[str, Place] = {
    "sign-in": Place("/sign-in/", NOBODY),
    "second-factor": Place("/sign-in/second-factor/", NOBODY),
    "not-found": Place("/no/such/page/", NOBODY),
    "users": Place("/users/"),
    "users-selected": Place("/users/?select=page&state=problems"),
    "users-none": Place("/users/?q=norhtwind"),
    "options": Place("/options/", ROOT),
    "channel-add": Place("/options/channels/add/", ROOT),
    "channel": Place("/options/channels/{channel}/", ROOT),
    "channel-remove": Place("/options/channels/{channel}/remove/", ROOT),
    "preferences": Place("/preferences/", EVERYBODY),
    "providers": Place("/providers/", ROOT),
    "provider-add": Place("/providers/add/", ROOT),
    "provider-refused": Place("/providers/{refused}/edit/", ROOT),
    "provider-disable": Place("/providers/disable/", ROOT),
    "provider-remove": Place("/providers/{refused}/remove/", ROOT),
    "provider-chosen": Place("/providers/?choose={second}", ROOT),
    "provider-profile": Place("/providers/{provider}/profile/", ROOT),
    "provider-limits": Place("/providers/{provider}/limits/", ROOT),
    "provider-anew": Place("/providers/{provider}/anew/", ROOT),
    "patterns": Place("/patterns/"),
    "patterns-none": Place("/patterns/?q=nothingofthekind&whose=user&user=lindner"),
    "pattern-remove": Place("/patterns/{pattern}/remove/"),
    "pause": Place("/pause/", ROOT),
    "certificates": Place("/certificates/"),
    "certificates-held": Place("/certificates/?more=held"),
    "certificates-none": Place("/certificates/?q=norhtwind"),
    "certificate": Place("/certificates/{site}/", ROOT),
    "certificate-own": Place("/certificates/{own}/", ("harborweb",)),
    "certificate-foreign": Place("/certificates/{foreign}/", ROOT),
    "revoke": Place("/certificates/issued/{issued}/revoke/", ROOT),
    "pending": Place("/pending/"),
    "rehearse": Place("/providers/rehearse/", ROOT),
    "rehearse-unknown": Place("/providers/rehearse/?provider={other}", ROOT),
    "rehearsals": Place("/rehearsals/", ROOT),
    "rehearsal": Place("/rehearsals/{rehearsal}/", ROOT),
    "preview": Place("/preview/"),
    "preview-waits": Place("/preview/?action=wait"),
    "preview-nothing": Place("/preview/?q=norhtwind"),
    "preview-none": Place("/preview/?user=dockside"),
    "preview-at-work": Place("/preview/?user=quarrybank", ROOT),
    "preview-unknown": Place("/preview/?user=norhtwind"),
    "problems": Place("/problems/"),
    "problems-none": Place("/problems/?q=nothingofthekind"),
    "problem": Place("/problems/{cause}/"),
    "history": Place("/history/?name=northwind.example"),
    "history-like": Place("/history/?name=northwind"),
    "runs": Place("/runs/", EVERYBODY),
    "runs-none": Place("/runs/?q=nothingofthekind"),
    "run-live": Place("/runs/{live}/", EVERYBODY),
    "run-past": Place("/runs/{past}/", EVERYBODY),
    "run-lines": Place("/runs/{past}/?level=failure"),
    "run-warnings": Place("/runs/{past}/?level=warn", LOGIN),
    "run-cancel": Place("/runs/{live}/cancel/", ROOT),
    "status": Place("/status/{user}/", ("root", "lindner")),
    "status-selected": Place("/status/{user}/?state=needs&select=page", LOGIN),
    "status-none": Place("/status/{user}/?q=zzz", LOGIN),
    "status-suspended": Place("/status/{suspended}/", LOGIN),
    "status-nobody": Place("/status/", ("nobody",)),
    "people": Place("/people/", ROOT),
    "people-none": Place("/people/?q=zzz", ROOT),
    "person-add": Place("/people/add/", ROOT),
    "person": Place("/people/{person}/", ROOT),
    "person-remove": Place("/people/{person}/remove/", ROOT),
    "people-users": Place("/people/users/?select=page", ROOT),
    "people-user": Place("/people/users/{user}/", ROOT),
    "user-provider": Place("/people/users/{user}/provider/", ROOT),
    "feature-lists": Place("/people/lists/", ROOT),
    "feature-list-add": Place("/people/lists/add/", ROOT),
    "feature-list": Place("/people/lists/{list}/", ROOT),
    "feature-list-provider": Place("/people/lists/{list}/provider/", ROOT),
    "feature-list-remove": Place("/people/lists/{list}/remove/", ROOT),
    "audit": Place("/people/audit/", ROOT),
    "audit-nothing": Place("/people/audit/?who=nobody&since=2026-11-01", ROOT),
    "security": Place("/security/", EVERYBODY),
    "password": Place("/security/password/", EVERYBODY),
    "factor-app": Place("/security/app/", EVERYBODY),
    "passkey-add": Place("/security/passkeys/add/", ROOT),
    "passkey-rename": Place("/security/passkeys/{passkey}/rename/", ROOT),
    "passkey-remove": Place("/security/passkeys/{passkey}/remove/", ROOT),
    "recovery-codes": Place("/security/recovery-codes/", ROOT),
    "sessions": Place("/security/sessions/", EVERYBODY),
    "sessions-everybody": Place("/security/sessions/?whose=everybody", ROOT),
    "tokens": Place("/security/tokens/", EVERYBODY),
    "token-add": Place("/security/tokens/add/", ROOT),
    "token-revoke": Place("/security/tokens/{token}/revoke/", ("root", "harborweb")),
    "people-tokens": Place("/people/tokens/", ROOT),
    "people-tokens-none": Place("/people/tokens/?q=zzz", ROOT),
    "people-token-revoke": Place("/security/tokens/{token}/revoke/?whose=everybody", ROOT),
    "confirm": Place("/confirm/?next=/providers/disable/", EVERYBODY),
}
OPTIONS = {
    "server_addresses": "203.0.113.10",
    "key_type": "p384",
    "daily_at": "04:21",
    "log_days": "90",
    "reload_gap": "5",
    "replace_foreign": "on",
    "second_factor": "nobody",
    "audit_days": "400",
    "notify_user": "none",
    "notify_admin": "none",
}


def _account(**values: object) -> None:
    Account.objects.filter(provider__active=True).update(**values)


def _unread(name: str) -> None:
    answer = {
        "at": timezone.now().isoformat(),
        "ms": None,
        "code": "unreachable",
        "type": "timeout",
        "text": "No answer.",
    }
    Provider.objects.filter(name=name).update(answer=answer)


REFUSED = {"code": "ca_account", "field": "", "text": "The account is deactivated.", "link": "https://ca.example/why"}
# What is there after an answer or a click only: questions, mistakes at their fields, dialogs, menus, what is opened.
STATES: dict[str, Place] = {
    "sign-in-wrong": Place("/sign-in/", NOBODY, {"username": "root", "password": "no"}),
    "second-factor-wrong": Place("/sign-in/second-factor/", NOBODY, {"code": "000000"}),
    "confirm-wrong": Place("/confirm/", LOGIN, {"password": "no", "next": "/"}),
    "users-menu": Place("/users/", ROOT, press=("#person summary",)),
    "users-keys": Place("/users/", ROOT, press=("#person summary", "[data-keys-list]")),
    "users-more": Place("/users/", press=("thead .menu summary",)),
    "users-toast": Place("/users/?q=amber", ROOT, press=(".three input[value=off]", "#undo")),
    "pause-dialog": Place("/users/?state=problems&sort=-name", ROOT, press=("#slot-cancel",)),
    "options-question": Place("/options/", ROOT, OPTIONS),
    "options-wrong": Place(
        "/options/", ROOT, {**OPTIONS, "server_addresses": "x", "daily_at": "25:00", "log_days": "0"}
    ),
    "channel-wrong": Place("/options/channels/add/", ROOT, {}),
    "channel-secret": Place(
        "/options/channels/add/",
        ROOT,
        {"name": "Hook", "kind": "webhook", "target": "https://hooks.example/in", "level": "failures", "enabled": "on"},
    ),
    "pattern-question": Place("/patterns/", ROOT, {"pattern": "blog*.brandtlaw.example", "whose": "server"}),
    "pattern-question-all": Place("/patterns/", ROOT, {"pattern": "*", "whose": "server"}),
    "pattern-wrong": Place("/patterns/", OPERATORS, {"pattern": "a b", "whose": "user", "user": "nobody"}),
    "provider-wrong": Place("/providers/add/", ROOT, {"name": "", "directory_url": "ftp://x"}),
    "provider-unagreed": Place("/providers/", ROOT, {"provider": "{second}", "agree_terms-{second}": ""}),
    "provider-disable-wrong": Place("/providers/disable/", ROOT, {"server": "no"}),
    "provider-limits-wrong": Place("/providers/{provider}/limits/", ROOT, {"orders": "many", "domain": "none"}),
    "provider-limits-table": Place("/providers/{provider}/limits/", ROOT, press=(".behind > summary",)),
    "rehearse-wrong": Place(
        "/providers/rehearse/", ROOT, {"provider": "{provider}", "do": "directory", "directory_url": "x"}
    ),
    "revoke-unreasoned": Place("/certificates/issued/{issued}/revoke/", ROOT, {}),
    "certificate-detail": Place("/certificates/?q=junipershop", ROOT, press=("a[data-detail]",)),
    "certificates-table": Place("/certificates/?sort=name", press=(".behind > summary",)),
    "problems-open": Place("/problems/?kind=", press=("details.prob:not([open]) > summary",)),
    "run-done": Place("/runs/{past}/", press=("details.grp > summary",)),
    "runs-menus": Place("/runs/", press=("main details.menu summary",)),
    "status-off": Place("/status/{user}/?q=mail", LOGIN, press=("td button[name=exclude]",)),
    "person-wrong": Place("/people/add/", ROOT, {"username": "", "role": "user", "hosting_users": "nosuch"}),
    "person-role": Place("/people/{person}/", ROOT, {"username": "brightpeak", "role": "root"}),
    "person-password": Place("/people/{person}/password/", ROOT, {"generate": "yes"}, start="/people/{person}/"),
    "person-password-wrong": Place("/people/{person}/password/", ROOT, {"password": "x"}, start="/people/{person}/"),
    "people-users-unsaid": Place("/people/users/?q=a", ROOT, {"bulk": "owner", "owner": ""}),
    "person-factors": Place("/people/{with_app}/second-factor/", ROOT),
    "list-wrong": Place("/people/lists/add/", ROOT, {"name": ""}),
    "people-user-wrong": Place("/people/users/{user}/", ROOT, {"owner": "nobody", "email": "x", "login": "nosuch"}),
    "token-wrong": Place("/security/tokens/add/", LOGIN, {"name": "", "expires": "7"}),
    "token-made": Place("/security/tokens/add/", ("harborweb", "lindner"), {"name": "deploy script", "expires": "90"}),
    "password-wrong": Place("/security/password/", EVERYBODY, {"password": "a", "again": "b"}),
    "provider-terms": Place("/providers/", ROOT, before=lambda: _account(terms_url="https://ca.example/old-terms")),
    "provider-problem": Place("/providers/", ROOT, before=lambda: _account(problem=REFUSED)),
    "provider-unread": Place("/providers/?choose={second}", ROOT, before=lambda: _unread("zerossl")),
}
# Refusals, by their templates; a browser shows them whatever was asked for.
REFUSALS = ("400", "403", "403_csrf", "404", "405", "413", "500", "nul")
# URLs that answer GET with no page of their own: pieces, files, ways on
NO_PAGES = {
    *("home", "seen", "patterns-counts", "run-slot", "run-live", "provider-state", "channel-state", "mail-state"),
    *("run-text", "audit-csv", "audit-ndjson", "recovery-codes-text", "run-ndjson", "issued-pem", "preview-json"),
    *("json-api", "uapi", "openapi"),
}


def build() -> Scene:
    """The scene with whatever a page of the table shows."""
    made = troubles.add(scenes.build())
    own = own_scene.build(made)
    scenes.morning(made)
    provider_scene.build(made)
    provider_scene.patterns(made)
    HostingUser.objects.filter(name="amberfield").update(login=own.login, suspended=True)
    changed = VirtualHost.objects.filter(user__login=own.login)
    standing.show(made.server, list(changed.values_list("pk", flat=True)), made.now)
    queued(
        made.server,
        made.now,
        "gone@example.org",
        state="failed",
        problem={"code": "recipient", "text": "550 No such user"},
    )
    # Of which four in five are used, as the ledger of the providers has it
    foreseen.add(made, orders=120)
    rehearsed.add(made)
    factors.add_passkey(made.harborweb, "Phone", {}, by=made.root)
    _tokens(made)
    wrong = {"code": "status", "text": "it answered 500."}
    Channel.objects.filter(pk=made.channel.pk).update(problem=wrong, problem_at=made.now)
    return made


def _tokens(made: Scene) -> None:
    """Used, never used, about to expire, expired, one that only reads."""

    def token(whose: User, name: str, ago: int, days: int | None, *, read_only: bool = False) -> ApiToken:
        at = made.now - timedelta(days=ago)
        until = at + timedelta(days=days) if days else None
        return tokens.make(whose, name, expires_at=until, read_only=read_only, by=None, now=at)[0]

    token(made.root, "billing", 200, None)
    token(made.root, "restore test", 40, 30)
    monitor = token(made.harborweb, "monitoring", 25, 30, read_only=True)
    tokens.used(monitor, "2001:db8:4::17", made.now - timedelta(minutes=4))
    token(made.brightpeak, "nightly", 3, 365)


def ids(made: Scene) -> dict[str, object]:
    """What the placeholders stand for."""
    passkey = factors.passkeys(made.root).first()
    assert passkey
    juniper = Installation.objects.get(virtual_host__name="junipershop.example", until__isnull=True)
    return {
        "site": juniper.virtual_host_id,
        "issued": juniper.certificate_id,
        "own": VirtualHost.objects.get(name="northwind.example").pk,
        "foreign": Installation.objects.get(
            certificate__ours=False, virtual_host__user__name="dockside"
        ).virtual_host_id,
        "cause": Problem.objects.filter(code="elsewhere").values_list("cause", flat=True).first(),
        "live": made.live.pk,
        "rehearsal": Rehearsal.objects.filter(problem__isnull=True).latest("asked_at").pk,
        "other": Provider.objects.get(name="zerossl").pk,
        "past": made.past.pk,
        "provider": Provider.objects.get(name="letsencrypt").pk,
        "second": Provider.objects.get(name="zerossl").pk,
        "pattern": ExclusionPattern.objects.get(owner=made.harborweb).pk,
        "refused": Provider.objects.get(state="refused").pk,
        "channel": made.channel.pk,
        "passkey": passkey.pk,
        "user": HostingUser.objects.get(name="lindner").pk,
        "suspended": HostingUser.objects.get(name="amberfield").pk,
        "person": User.objects.get(username="brightpeak").pk,
        "with_app": made.harborweb.pk,
        "token": ApiToken.objects.get(name="monitoring").pk,
        "list": FeatureList.objects.get(name="parked").pk,
    }
