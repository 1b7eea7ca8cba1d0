"""A fresh ground for each test."""

from collections.abc import Iterator

import pytest

from tests.webservers.nginx.ground import Ground


@pytest.fixture
def ground() -> Iterator[Ground]:
    made = Ground()
    yield made
    made.close()
