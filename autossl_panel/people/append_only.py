"""The audit trail is append-only: the database itself refuses to change an entry or to lose one of the last year.

Two things pass: an entry forgets the row of a person who was removed (the name stays), and entries older than a year
may be deleted. On PostgreSQL the table cannot be truncated either. A later migration that changes the table makes it
anew on SQLite, without its triggers: it has to run `install` again.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "people_auditentry"
COLUMNS = ("id", "at", "person_name", "source", "address", "event", "subject", "before", "after")
CHANGED = "the audit trail is append-only: an entry cannot be changed"
LOST = "the audit trail is append-only: an entry is kept for a year"

SQLITE = [
    f"""
    CREATE TRIGGER {TABLE}_keep_update BEFORE UPDATE ON {TABLE}
    WHEN NEW.person_id IS NOT NULL AND NEW.person_id IS NOT OLD.person_id
      OR {" OR ".join(f'NEW."{name}" IS NOT OLD."{name}"' for name in COLUMNS)}
    BEGIN SELECT RAISE(ABORT, '{CHANGED}'); END
    """,
    f"""
    CREATE TRIGGER {TABLE}_keep_delete BEFORE DELETE ON {TABLE}
    WHEN OLD.at > datetime('now', '-365 days')
    BEGIN SELECT RAISE(ABORT, '{LOST}'); END
    """,
]
SQLITE_BACK = [f"DROP TRIGGER IF EXISTS {TABLE}_keep_update", f"DROP TRIGGER IF EXISTS {TABLE}_keep_delete"]

POSTGRESQL = [
    f"""
    CREATE FUNCTION {TABLE}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION '{LOST}';
      ELSIF TG_OP = 'DELETE' THEN
        IF OLD.at > now() - interval '365 days' THEN
          RAISE EXCEPTION '{LOST}';
        END IF;
        RETURN OLD;
      END IF;
      IF NEW.person_id IS NOT NULL AND NEW.person_id IS DISTINCT FROM OLD.person_id
         OR {" OR ".join(f'NEW."{name}" IS DISTINCT FROM OLD."{name}"' for name in COLUMNS)} THEN
        RAISE EXCEPTION '{CHANGED}';
      END IF;
      RETURN NEW;
    END $$
    """,
    f"CREATE TRIGGER {TABLE}_keep_rows BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_keep()",
    f"CREATE TRIGGER {TABLE}_keep_table BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_keep()",
]
POSTGRESQL_BACK = [
    f"DROP TRIGGER IF EXISTS {TABLE}_keep_rows ON {TABLE}",
    f"DROP TRIGGER IF EXISTS {TABLE}_keep_table ON {TABLE}",
    f"DROP FUNCTION IF EXISTS {TABLE}_keep()",
]


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the triggers, in place of those that are there."""
    remove(connection)
    _run(connection, {"sqlite": SQLITE, "postgresql": POSTGRESQL})


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away."""
    _run(connection, {"sqlite": SQLITE_BACK, "postgresql": POSTGRESQL_BACK})


def _run(connection: BaseDatabaseWrapper, statements: dict[str, list[str]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
