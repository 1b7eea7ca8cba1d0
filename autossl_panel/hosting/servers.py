"""The server that this process works for."""

import os
import socket

from .models import Server


def this() -> Server:
    """This machine's row: the one AUTOSSL_SERVER names, else the first there is, else a new one by the host's name."""
    name = os.environ.get("AUTOSSL_SERVER")
    if not name:
        found = Server.objects.order_by("pk").first()
        if found is not None:
            return found
        name = socket.getfqdn() or socket.gethostname()
    return Server.objects.get_or_create(name=name.lower())[0]
