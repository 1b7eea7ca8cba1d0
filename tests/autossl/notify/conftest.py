"""Rows that tests of notifications begin with: the heart's, a mail server in the settings, an administrator."""

from collections.abc import Callable
from typing import Any

import pytest

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Message, Provider
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost
from tests.autossl.notify.rows import ADMIN, Runs


@pytest.fixture(autouse=True)
def _mail_is_set(settings: Any) -> None:
    settings.AUTOSSL_MAIL_FROM = "AutoSSL <autossl@panel.example>"
    settings.AUTOSSL_URL = "https://panel.example:2087"


@pytest.fixture
def admin(server: Server, provider: Provider) -> str:
    """The administrator is told of failures, warnings and deferrals, as is the default."""
    options.change(server, {"admin_addresses": ADMIN}, by=None)
    return ADMIN


@pytest.fixture
def made(server: Server, provider: Provider) -> Runs:
    return Runs(server, provider)


@pytest.fixture
def amber(admin: str, make_user: Callable[..., Any]) -> HostingUser:
    user: HostingUser = make_user("amber", email="amber@amber.example")
    return user


@pytest.fixture
def site(amber: HostingUser, make_site: Callable[..., Any]) -> VirtualHost:
    host: VirtualHost = make_site(amber, "amber.example.com", "shop.amber.example.com")
    return host


@pytest.fixture
def mails() -> Callable[[], list[tuple[str, dict[str, int]]]]:
    """The messages made since the last call: to whom, with which kinds."""

    def read() -> list[tuple[str, dict[str, int]]]:
        found = [
            (message.address or message.channel.name if message.channel else message.address, message.payload["counts"])
            for message in Message.objects.select_related("channel").order_by("address", "pk")
        ]
        Message.objects.all().delete()
        return found

    return read
