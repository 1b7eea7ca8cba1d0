"""Every page there is, in the states worth looking at, a line each: the walk and the pictures go by it."""

from __future__ import annotations

from dataclasses import dataclass

from autossl_panel.autossl.models import Provider
from tests.web.scene import Scene

ROOT = ("root",)
OPERATORS = ("root", "harborweb")
NOBODY = ("",)


@dataclass(frozen=True, slots=True)
class Place:
    """An address with placeholders that `ids` fills, and the persons of the scene who open it; "" is nobody."""

    path: str
    who: tuple[str, ...] = OPERATORS


PAGES: dict[str, Place] = {
    "sign-in": Place("/sign-in/", NOBODY),
    "not-found": Place("/no/such/page/", NOBODY),
    "users": Place("/users/"),
    "users-selected": Place("/users/?select=page&state=problems"),
    "users-none": Place("/users/?q=norhtwind"),
    "options": Place("/options/", ROOT),
    "preferences": Place("/preferences/"),
    "providers": Place("/providers/", ROOT),
    "provider-add": Place("/providers/add/", ROOT),
    "provider-refused": Place("/providers/{refused}/edit/", ROOT),
    "provider-disable": Place("/providers/disable/", ROOT),
    "provider-remove": Place("/providers/{refused}/remove/", ROOT),
    "runs": Place("/runs/"),
    "runs-none": Place("/runs/?q=nothingofthekind"),
    "run-live": Place("/runs/{live}/"),
    "run-past": Place("/runs/{past}/"),
    "run-lines": Place("/runs/{past}/?level=failure"),
    "run-cancel": Place("/runs/{live}/cancel/", ROOT),
}
# URLs that answer GET with no page of their own: pieces, files, ways on
NO_PAGES = {"home", "seen", "run-slot", "run-live", "run-text", "provider-state"}


def ids(scene: Scene) -> dict[str, int]:
    """What the placeholders stand for."""
    return {
        "live": scene.live.pk,
        "past": scene.past.pk,
        "refused": Provider.objects.get(state="refused").pk,
    }
