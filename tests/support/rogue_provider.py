"""A badly behaved CA as the provider in use: it registers whoever comes, and answers orders as a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autossl_panel.autossl import providers, registration
from autossl_panel.autossl.models import Account, Provider
from tests.autossl.parts import Parts
from tests.ca.rogue import Asked, Reply, RogueCa, answer, problem


def use(parts: Parts, rogue: RogueCa, **fields: Any) -> Account:
    """Register with it and use it; `fields` of its row are set. One order at a time."""
    rogue.script(
        "/account",
        lambda asked: answer(201, {"status": "valid"}, Location=f"{rogue.url}/account/1", **rogue.nonce()),
    )
    wish = providers.Draft(
        name="rogue", directory_url=f"{rogue.url}/dir", ca_bundle=rogue._mini_ca.bundle.read_text(), private_ca=True
    )
    provider = registration.probe(providers.draft(wish, by=None, ring=False))
    registration.register(providers.ask_to_use(provider, parts.server, agree_terms=True, by=None, ring=False))
    Provider.objects.filter(pk=provider.pk).update(max_in_flight=1, **fields)
    return Account.objects.select_related("provider").get(provider=provider)


def names_of(asked: Asked) -> list[str]:
    """The names of a newOrder."""
    return [one["value"] for one in asked.payload["identifiers"]]


def asked_for(rogue: RogueCa) -> list[list[str]]:
    """The names of each newOrder so far."""
    return [names_of(asked) for asked in rogue.posts("/order")]


def refuse(rogue: RogueCa, detail: str, when: Callable[[list[str]], bool], **headers: str) -> None:
    """Answer newOrder with this limit for names of which `when` holds, and with “malformed” for all others."""

    def reply(asked: Asked) -> Reply:
        nonce = rogue.nonce()
        if when(names_of(asked)):
            return problem(429, "rateLimited", detail, headers={"Retry_After": "7200", **headers, **nonce})
        return problem(400, "malformed", "Not today.", headers=nonce)

    rogue.script("/order", reply)
