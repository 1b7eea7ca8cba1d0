"""Which problems a person may see, and what of each it may know; for pages and the API alike. Reads only."""

from typing import Any

from django.db.models import QuerySet

from autossl_panel.hosting import visible as hosting_visible
from autossl_panel.people.models import User

from .log import causes
from .models import Problem

# What the helper and the CA said may name files of others, or the whole server's account
TOLD_TO_ROOT = ("text", "file", "line", "where")


def visible(person: User) -> QuerySet[Problem]:
    """The problems that a person may see."""
    rows = Problem.objects.all()
    return rows if person.is_root else rows.filter(user__in=hosting_visible.users(person))


def facts(row: Problem, person: User) -> dict[str, Any]:
    """What a person may know of a problem."""
    told = {"name": row.name, **row.data}
    if not person.is_root and causes.kind(row.code) in ("server", "ca") and row.code != "ca_refused":
        told = {name: value for name, value in told.items() if name not in TOLD_TO_ROOT}
    return told
