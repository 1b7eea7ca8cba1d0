"""Every page there is, in the states worth looking at, a line each: the walk and the pictures go by it."""

from __future__ import annotations

from dataclasses import dataclass

from autossl_panel.autossl.models import Channel, Installation, Problem, Provider, Rehearsal
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people import factors
from autossl_panel.people.models import User
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
    """An address with placeholders that `ids` fills, and the persons of the scene who open it; "" is nobody."""

    path: str
    who: tuple[str, ...] = OPERATORS


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
    "confirm": Place("/confirm/?next=/providers/disable/", EVERYBODY),
}
# URLs that answer GET with no page of their own: pieces, files, ways on
NO_PAGES = {
    *("home", "seen", "patterns-counts", "run-slot", "run-live", "provider-state", "channel-state", "mail-state"),
    *("run-text", "audit-csv", "audit-ndjson", "recovery-codes-text", "run-ndjson", "issued-pem", "preview-json"),
}


def build() -> Scene:
    """The scene with whatever a page of the table shows."""
    made = troubles.add(scenes.build())
    own = own_scene.build(made)
    scenes.morning(made)
    provider_scene.build(made)
    provider_scene.patterns(made)
    HostingUser.objects.filter(name="amberfield").update(login=own.login, suspended=True)
    queued(
        made.server,
        made.now,
        "gone@example.org",
        state="failed",
        problem={"code": "recipient", "text": "550 No such user"},
    )
    foreseen.add(made)
    rehearsed.add(made)
    wrong = {"code": "status", "text": "it answered 500."}
    Channel.objects.filter(pk=made.channel.pk).update(problem=wrong, problem_at=made.now)
    return made


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
        "list": FeatureList.objects.get(name="parked").pk,
    }
