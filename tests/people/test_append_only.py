"""No entry of the audit trail is changed, and none of the last year lost, whoever asks the database."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from autossl_panel.people import append_only, audit
from autossl_panel.people.models import AuditEntry, Role, User
from tests.support.postgresql import PostgreSQL

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def held(db: None) -> Iterator[None]:
    """The triggers as the migration makes them, for one test."""
    append_only.install(connection)
    yield
    append_only.remove(connection)


def entry(**fields: object) -> AuditEntry:
    audit.record(None, "options:changed", "web03", before={"log_days": "30"}, after={"log_days": "60"})
    made = AuditEntry.objects.latest("pk")
    if fields:
        # As if it had been made so
        append_only.remove(connection)
        AuditEntry.objects.filter(pk=made.pk).update(**fields)
        append_only.install(connection)
    return made


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DatabaseError) as raised, transaction.atomic():
        act()
    return str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "options:read"},
        {"subject": "web04"},
        {"person_name": "somebody"},
        {"before": None},
        {"after": {"log_days": "61"}},
        {"address": "192.0.2.1"},
        {"source": "api"},
        {"at": timezone.now() - timedelta(days=800)},
    ],
)
def test_an_entry_is_never_changed(change, held):
    made = entry()
    rows = AuditEntry.objects.filter(pk=made.pk)
    assert "cannot be changed" in refused(lambda: rows.update(**change))
    made.refresh_from_db()
    assert made.after == {"log_days": "60"}


def test_an_entry_is_given_to_nobody_else(held):
    amy, bob = (User.objects.create(username=name, role=Role.ROOT) for name in ("amy", "bob"))
    audit.record(amy, "run:started", "*")
    assert "cannot be changed" in refused(lambda: AuditEntry.objects.update(person=bob))


def test_a_removed_person_stays_by_name(held):
    amy = User.objects.create(username="amy", role=Role.ROOT)
    audit.record(amy, "run:started", "*")
    amy.delete()
    made = AuditEntry.objects.get()
    assert (made.person, made.person_name) == (None, "amy")


def test_no_entry_of_the_last_year_is_lost(held):
    entry()
    entry(at=timezone.now() - timedelta(days=364))
    assert "kept for a year" in refused(lambda: AuditEntry.objects.all().delete())
    assert AuditEntry.objects.count() == 2


def test_older_ones_are_removed_by_the_sweep_as_the_option_says(held):
    now = timezone.now()
    entry(at=now - timedelta(days=399))
    old = entry(at=now - timedelta(days=401))
    assert audit.forget(now - timedelta(days=400), now=now) == 1
    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.count() == 1


def test_forgetting_too_much_forgets_what_the_database_lets_go(held):
    now = timezone.now()
    entry(at=now - timedelta(days=400))
    entry(at=now - timedelta(days=300))
    assert audit.forget(now, now=now) == 1


ATTACK = """
import django; django.setup()
from django.db import DatabaseError, connection, transaction
from autossl_panel.people import audit
audit.record(None, "options:changed", "web03")
for sql in ("UPDATE {0} SET subject = 'x'", "DELETE FROM {0}", "TRUNCATE {0}"):
    sql = sql.format("people_auditentry")
    if sql.startswith("TRUNCATE") and connection.vendor == "sqlite":
        continue
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    except DatabaseError as error:
        print(type(error).__name__, str(error).splitlines()[0])
    else:
        print("DONE", sql)
"""


def in_an_installation(environment: dict[str, str]) -> list[str]:
    """What a migrated database says to the attack."""
    kept = {**os.environ, "DJANGO_SETTINGS_MODULE": "autossl_panel.settings", **environment}
    kept.update({} if "DATABASE_URL" in environment else {"DATABASE_URL": ""})
    python = [sys.executable]
    subprocess.run([*python, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=kept, check=True, timeout=300)
    done = subprocess.run(
        [*python, "-c", ATTACK], cwd=ROOT, env=kept, check=True, timeout=300, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_an_installation_on_sqlite_holds_its_trail(tmp_path):
    said = in_an_installation({"AUTOSSL_STATE_DIR": str(tmp_path)})
    assert len(said) == 2
    assert all("append-only" in line for line in said), said


def test_an_installation_on_postgresql_holds_its_trail(tmp_path, postgresql: PostgreSQL):
    said = in_an_installation({"AUTOSSL_STATE_DIR": str(tmp_path), "DATABASE_URL": postgresql.url("trail")})
    assert len(said) == 3
    assert all("append-only" in line for line in said), said
