"""A server whose daily check is done, and a site of it."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from autossl_panel.autossl import options
from autossl_panel.autossl.models import (
    Options,
    Provider,
)
from autossl_panel.hosting.models import Server, VirtualHost
from tests.autossl.sweep.world import NOON, Make


@pytest.fixture(autouse=True)
def _daily_is_done(server: Server) -> None:
    options.current(server)
    Options.objects.update(daily_at=time(3), daily_done_on=NOON.date())


@pytest.fixture
def host(provider: Provider, make_user: Make, make_site: Make) -> VirtualHost:
    made: VirtualHost = make_site(make_user("amber"), "amber.example", next_at=NOON - timedelta(minutes=1))
    return made
