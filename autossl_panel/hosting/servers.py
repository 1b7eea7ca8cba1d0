"""The server that this process works for."""

import os
import socket

from django.db.models import QuerySet

from .models import Server


def this(rows: QuerySet[Server] | None = None) -> Server:
    """This machine's row: the one AUTOSSL_SERVER names, else the first there is, else a new one by the host's name.

    `rows` may ask for more with it; a row that is made here comes without that.
    """
    rows = Server.objects.all() if rows is None else rows
    name = os.environ.get("AUTOSSL_SERVER")
    found = rows.filter(name=name.lower()).first() if name else rows.order_by("pk").first()
    if found is not None:
        return found
    name = name or socket.getfqdn() or socket.gethostname()
    return Server.objects.get_or_create(name=name.lower())[0]
