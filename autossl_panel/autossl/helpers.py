"""Where this server's helper answers."""

from django.conf import settings

from autossl_panel.helper.client import Client


def client(timeout: float = 120.0) -> Client:
    """A client of this server's helper; raises HelperGone at the first call where none answers."""
    return Client(settings.AUTOSSL_HELPER_SOCKET, timeout=timeout)
