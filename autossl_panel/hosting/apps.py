from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


class HostingConfig(AppConfig):
    name = "autossl_panel.hosting"
    label = "hosting"

    def ready(self) -> None:
        connection_created.connect(questions_are_short)


def questions_are_short(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    """Tell PostgreSQL what its defaults do not know of our questions.

    A page of an index costs no more than one in sequence; by the default, which is of spinning disks, it reads whole
    tables where an index says it all. And it is not to compile plans (`jit`): that took a third of the time of counts
    over all sites, again with each page. Not parameters of the connection, which a pooler may refuse.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET random_page_cost = 1.1; SET jit = off")
