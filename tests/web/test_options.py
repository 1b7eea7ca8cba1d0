"""The Options tab: saved together or not at all, with what is wrong at its field."""

from datetime import time

import pytest

from autossl_panel.autossl import options
from tests.web.scene import Scene

GOOD = {
    "resolvers": "192.0.2.53, 2001:db8::53",
    "server_addresses": "203.0.113.10",
    "key_type": "p384",
    "daily_at": "04:21",
    "log_days": "90",
    "reload_gap": "5",
    "replace_foreign": "on",
    "second_factor": "nobody",
    "audit_days": "400",
    "notify_user": "failures",
    "notify_admin": "all",
    "admin_addresses": "a@example.org, b@example.org",
}


def test_options_are_saved(as_root, scene: Scene):
    assert as_root.post("/options/", GOOD)["Location"] == "/options/"
    row = options.current(scene.server)
    assert row.resolvers == ["192.0.2.53", "2001:db8::53"]
    assert (row.key_type, row.daily_at, row.log_days, row.reload_gap) == ("p384", time(4, 21), 90, 5)
    assert row.replace_foreign
    assert (row.notify_user, row.notify_admin) == ("failures", "all")
    assert row.admin_addresses == ["a@example.org", "b@example.org"]
    assert not row.serve_www, "a checkbox that is not sent is off"
    assert "The options are saved." in as_root.get("/options/").content.decode()


def test_a_reissue_is_confirmed_with_its_number_in_sight(as_root, scene: Scene):
    as_root.post("/options/", {**GOOD, "reissue": "on", "reissue_seen": "p256"})
    assert not options.current(scene.server).reissue, "the number that was seen was another key type's"
    html = as_root.get("/options/").content.decode()
    assert 'name="reissue_seen" value="p384"' in html
    assert "Re-issue the " in html
    as_root.post("/options/", {**GOOD, "reissue": "on", "reissue_seen": "p384"})
    assert options.current(scene.server).reissue
    as_root.post("/options/", {**GOOD, "reissue": "on", "reissue_seen": "p384", "key_type": "rsa2048"})
    assert not options.current(scene.server).reissue


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("server_addresses", "203.0.113.10, 203.0.113.300", "the last number is above 255"),
        ("resolvers", "dns.example", "is not a resolver"),
        ("daily_at", "25:00", "is not a time of day"),
        ("log_days", "0", "is not a number of days from 1 to 3650"),
        ("reload_gap", "soon", "is not a number of seconds"),
        ("key_type", "dsa", "is not a key type"),
        ("notify_user", "", "is not a level"),
        ("notify_admin", "loud", "is not a level"),
        ("admin_addresses", "a@example.org, nowhere", "“nowhere” is not an e-mail address"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(field, value, said, as_root, scene: Scene):
    before = options.texts(options.current(scene.server))
    answer = as_root.post("/options/", {**GOOD, field: value})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert said in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert f'id="{field}-e"' in html
    assert options.texts(options.current(scene.server)) == before
    assert 'value="04:21"' in html or field == "daily_at", "what was typed is kept"


def test_every_wrong_field_is_told_at_once_and_focus_goes_to_the_first(as_root):
    html = as_root.post("/options/", {**GOOD, "resolvers": "x", "log_days": "y"}).content.decode()
    assert html.count('aria-invalid="true"') == 2
    assert html.count("autofocus") == 1


def test_it_says_how_many_foreign_certificates_are_concerned(as_root):
    html = as_root.get("/options/").content.decode()
    assert "0 of 1 would be replaced at the next check." in html
    assert "Installed now: 81 P-256." in html
