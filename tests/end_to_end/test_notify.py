"""From a failing site to the mail in somebody's box: a real panel, its workers, a real mail server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Points, Site
from tests.support.server import PanelOnBox
from tests.support.smtp import SmtpServer, Taken

LOST = ("lost.example", "www.lost.example")
# Longer than two sweeps are apart
SECONDS = 150


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as started:
        yield started


@pytest.fixture
def panel(smtp: SmtpServer) -> Iterator[PanelOnBox]:
    sites = [Site("amber", ("amber.example",)), Site("hanna", LOST, dns=dict.fromkeys(LOST, Points.NOWHERE))]
    more = {"AUTOSSL_SMTP_URL": smtp.url, "AUTOSSL_MAIL_FROM": "AutoSSL <autossl@panel.example>"}
    with Box(sites=sites) as box, PanelOnBox(box, **more) as found:
        found.set_up()
        found.run("discover")
        found.run("options", "set", "admin_addresses=admin@example.org", "notify_admin=all")
        yield found


def wait_for(smtp: SmtpServer, number: int) -> dict[str, Taken]:
    deadline = time.monotonic() + SECONDS
    while len(smtp.postbox.taken) < number:
        assert time.monotonic() < deadline, smtp.postbox.steps
        time.sleep(0.2)
    return {mail.recipient: mail for mail in smtp.postbox.taken}


def is_told(mail: Taken, url: str) -> None:
    """Both forms say which site, why, what to do, when it is tried again, and where to look."""
    for form in (mail.part("text/plain"), mail.part("text/html")):
        assert "lost.example" in form
        assert "does not exist in DNS" in form or "has no address in DNS" in form
        assert "What to do:" in form
        assert "Next try:" in form
        assert f"{url}/" in form


@pytest.mark.slow
def test_a_failing_site_is_told_once_to_each(panel: PanelOnBox, smtp: SmtpServer) -> None:
    # No worker runs: the command does their part. The second time nothing has changed.
    for _again in range(2):
        assert panel.command("autossl_check", "--all").returncode == 1
    [mail] = smtp.postbox.taken
    assert mail.recipient == "admin@example.org"
    is_told(mail, panel.url)
    assert "amber.example" in mail.part("text/plain"), "the good news too, to who wants all"
    assert "admin@example.org: sent" in panel.run("notify", "test")

    panel.run("user", "email", "hanna", "hanna@example.org")
    panel.serve()
    assert panel.command("autossl_check", "--all").returncode == 1
    mail = wait_for(smtp, 3)["hanna@example.org"]
    is_told(mail, panel.url)
    assert "amber.example" not in mail.part("text/plain")
    assert "waiting" not in panel.run("notify", "list")
    assert len(smtp.postbox.taken) == 3
