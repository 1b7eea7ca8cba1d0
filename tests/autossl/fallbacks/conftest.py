"""One real CA stands for two providers, with an account each; what one does not do is said by a patched method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autossl_panel.autossl import (
    choices,
    limits,
    providers,
    registration,
)
from autossl_panel.autossl.models import (
    Provider,
)
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.fallbacks.world import MAIN, OTHER, WWW, Trouble
from tests.autossl.parts import Parts, parts_of


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN, WWW)), Site("birch", (OTHER,))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


@pytest.fixture
def second(parts: Parts) -> Provider:
    """A fallback; the same CA, but not the same directory to the eye."""
    wish = providers.Draft(
        name="second",
        directory_url=f"{parts.box.directory_url}?second",
        ca_bundle=parts.box.ca_bundle.read_text(),
        private_ca=True,
    )
    provider = registration.probe(providers.draft(wish, by=None, ring=False))
    registration.register(providers.ask_to_use(provider, parts.server, agree_terms=True, by=None, ring=False))
    providers.activate(parts.provider)
    choices.set_fallbacks([provider], by=None, server=parts.server)
    provider.refresh_from_db()
    return provider


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    yield Trouble(monkeypatch)
    limits.stops._stops.clear()
