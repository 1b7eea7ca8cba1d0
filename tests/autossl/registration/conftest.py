"""A real CA, a state directory of the test's own, an account there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl import providers, registration
from autossl_panel.autossl.models import Account, AccountStatus, ProviderState
from autossl_panel.hosting.models import Server
from tests.ca.authority import Authority, MiniCa, authority


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(MiniCa(tmp_path_factory.mktemp("as"))) as running:
        yield running


@pytest.fixture(autouse=True)
def state_dir(settings: Any, tmp_path: Path) -> Path:
    settings.AUTOSSL_STATE_DIR = tmp_path
    return tmp_path


@pytest.fixture
def account(server: Server, pebble: Authority) -> Account:
    """Registered at Pebble."""
    wish = providers.Draft(
        name="pebble", directory_url=pebble.directory_url, ca_bundle=pebble.bundle.read_text(), private_ca=True
    )
    row = registration.probe(providers.draft(wish, by=None, ring=False))
    assert row.state == ProviderState.READY
    found = registration.register(
        providers.ask_to_use(row, server, agree_terms=True, contact="a@example.com", by=None, ring=False)
    )
    assert (found.status, found.problem) == (AccountStatus.VALID, None)
    assert found.registered_at is not None
    return found
