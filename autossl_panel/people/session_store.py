"""How sessions are kept: Django's store in the database, with rows that say whose, from where, and since when."""

import uuid
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from .models import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a request comes from, with which browser."""

    address: str
    browser: str


class SessionStore(DatabaseStore):
    """The store that settings.SESSION_ENGINE names; `row` is what the database says, once it was asked."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self.visit: Visit | None = None
        self.row: Session | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def _get_session_from_db(self) -> Session | None:
        self.row = super()._get_session_from_db()  # type: ignore[misc]
        return self.row

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row to save: a new key gets a row of its own, a known one keeps when it began and what pages call it."""
        row = cast(Session, super().create_model_instance(data))
        now = timezone.now()
        known = self.row if self.row is not None and self.row.pk == row.pk else None
        person = data.get(SESSION_KEY)
        row.person_id = int(person) if person is not None else None
        row.ident = known.ident if known else uuid.uuid4()
        row.began_at = known.began_at if known else now
        row.seen_at = now
        from_where = self.visit or known
        if from_where is not None:
            row.address, row.browser = from_where.address, from_where.browser
        self.row = row
        return row
