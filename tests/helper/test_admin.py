"""An admin who saves a file at the worst moment: the edit is read and kept, never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from autossl_panel.helper.client import Client
from autossl_panel.helper.journal import Changes, Journal
from autossl_panel.helper.nginx import Nginx
from tests.helper.conftest import Web, helper_for

MARK = b"# the admin was here\n"


class Admin:
    """Saves the site's file once, when told to."""

    def __init__(self, path: Path) -> None:
        self.path, self.saved = path, False

    def save(self) -> None:
        if not self.saved:
            self.saved = True
            draft = self.path.with_name("draft~")
            draft.write_bytes(self.path.read_bytes() + MARK)
            draft.rename(self.path)


def _key(helper: Client) -> str:
    (site,) = helper.inventory().sites
    return site.key


@pytest.fixture
def admin(web: Web) -> Admin:
    web.put("a.example.com")
    web.start()
    return Admin(web.nginx.folder / "sites-available" / "a.example.com.conf")


def test_edit_between_plan_and_write(web: Web, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    original = admin.path.read_bytes()
    begin = Journal.begin

    def save_then_begin(journal: Journal, changes: Changes) -> None:
        begin(journal, changes)
        admin.save()

    monkeypatch.setattr(Journal, "begin", save_then_begin)
    with helper_for(web.settings) as helper:
        key = _key(helper)
        assert helper.attach([key])[key].ok
        assert admin.path.read_bytes() != original + MARK
        assert helper.detach()[key].ok
    assert admin.path.read_bytes() == original + MARK


def test_edit_between_write_and_undo(web: Web, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    original = admin.path.read_bytes()
    test = Nginx.test

    def save_then_refuse(nginx: Nginx) -> str | None:
        if b"snippets" in admin.path.read_bytes():
            admin.save()
            return "nginx: [emerg] refused for the test\n"
        return test(nginx)

    monkeypatch.setattr(Nginx, "test", save_then_refuse)
    with helper_for(web.settings) as helper:
        key = _key(helper)
        result = helper.attach([key])[key]
        assert (result.ok, result.code) == (False, "refused")
        assert "refused for the test" in result.text
        assert next(iter(helper.inventory().sites)).attached is False
    assert admin.path.read_bytes() == original + MARK


def test_file_that_never_rests_is_told(web: Web, admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Journal.begin

    def save_again_then_begin(journal: Journal, changes: Changes) -> None:
        begin(journal, changes)
        admin.saved = False
        admin.save()

    monkeypatch.setattr(Journal, "begin", save_again_then_begin)
    with helper_for(web.settings) as helper:
        key = _key(helper)
        assert helper.attach([key])[key].code == "busy"
        assert helper.status().unconfirmed == {}
    assert admin.path.read_bytes().count(MARK) == 5
