"""What entries of the audit trail say, in the reader's language; names that people gave stay."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from autossl_panel.autossl.ledger import COUNTED
from autossl_panel.autossl.models import NotifyLevel, SecondFactorRule
from autossl_panel.autossl.options import READERS
from autossl_panel.hosting.models import Setting
from autossl_panel.people import audit_details, audit_words
from autossl_panel.people.models import AuditEntry, Role
from autossl_panel.people.trail import differences


def said(**after: object) -> str:
    return "; ".join(f"{one.name}: {one.after}" for one in differences(AuditEntry(event="x:y", after=after)))


@pytest.mark.parametrize(
    ("fact", "german"),
    [
        ({"directory_url": "https://ca.example/dir"}, "Verzeichnis-URL: https://ca.example/dir"),
        ({"factors": ["passkey", "recovery codes"]}, "zweite Faktoren: Passkey, Wiederherstellungscodes"),
        ({"level": "user quarrybank"}, "Stufe: Benutzer quarrybank"),
        ({"level": "server"}, "Stufe: der ganze Server"),
        (
            {"eab_hmac_key": "kept for the next registration"},
            "EAB-HMAC-Schlüssel: für die nächste Registrierung bereit",
        ),
        ({"autossl": "on"}, "AutoSSL: Aktiv"),
        ({"replace_foreign": "yes"}, "fremde Zertifikate ersetzen: ja"),
        ({"orders": "none"}, "neue Bestellungen: keine Grenze"),
        ({"name": "user"}, "Name: user"),
    ],
)
def test_in_german(fact: dict[str, object], german: str):
    with translation.override("de"):
        assert said(**fact) == german


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ({"paused": "2026-07-01T22:30:00+00:00"}, "paused since: 2026-07-01 22:30 UTC"),
        ({"paused": "2026-07-02T00:30:00+02:00"}, "paused since: 2026-07-01 22:30 UTC"),
        ({"expires": "2027-11-23 20:16"}, "expires: 2027-11-23 20:16 UTC"),
        ({"since": "2026-07-01 22:30"}, "since: 2026-07-01 22:30 UTC"),
        ({"paused": "some day"}, "paused since: some day"),
    ],
)
def test_moments_are_in_utc_and_say_so(fact: dict[str, object], text: str):
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert said(**fact) == text


def test_old_rows_say_what_they_have():
    assert said(old_thing="x") == "old thing: x"


def test_everything_that_is_recorded_by_name_is_known():
    assert {*READERS, *map(str, COUNTED)} <= set(audit_details.FIELDS)
    assert {code.partition(":")[0] for code in audit_words.EVENTS} == set(audit_details.SUBJECTS)
    for field, choices in {
        "notify_user": NotifyLevel, "second_factor": SecondFactorRule, "autossl": Setting, "role": Role,
    }.items():  # fmt: skip
        assert set(choices.values) <= set(audit_details.VALUES[field])
