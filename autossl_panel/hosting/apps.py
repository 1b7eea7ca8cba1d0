from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


class HostingConfig(AppConfig):
    name = "autossl_panel.hosting"
    label = "hosting"

    def ready(self) -> None:
        connection_created.connect(indexes_are_near)


def indexes_are_near(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Tell PostgreSQL that a page of an index costs no more than one in sequence: its default is of spinning disks.

    Else it reads whole tables where an index says it all. Not a parameter of the connection, which a pooler may refuse.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET random_page_cost = 1.1")
