"""The real CA of these tests, one a test session and kind."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autossl_panel.ca import Client, new_account_key
from tests.ca.authority import Authority, MiniCa, authority


@pytest.fixture(scope="session")
def mini_ca() -> Iterator[MiniCa]:
    folder = Path(tempfile.mkdtemp(prefix="as"))
    yield MiniCa(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def pebble(mini_ca: MiniCa) -> Iterator[Authority]:
    with authority(mini_ca) as running:
        yield running


@pytest.fixture(scope="session")
def fussy_pebble(mini_ca: MiniCa) -> Iterator[Authority]:
    """Refuses every second nonce."""
    with authority(mini_ca, nonce_reject=50) as running:
        yield running


@pytest.fixture(scope="session")
def binding_pebble(mini_ca: MiniCa) -> Iterator[Authority]:
    """Wants an external account binding."""
    with authority(mini_ca, eab=True) as running:
        yield running


@pytest.fixture(scope="session")
def account(pebble: Authority) -> tuple[bytes, str]:
    """A registered account at `pebble`: key and URL."""
    key = new_account_key()
    with pebble.client(key) as client:
        return key, client.register(agree_terms=True)


@pytest.fixture
def client(pebble: Authority, account: tuple[bytes, str]) -> Iterator[Client]:
    with pebble.client(*account) as ready:
        yield ready
