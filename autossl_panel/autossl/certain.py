"""Which moment has certainly come: this host's clock may run ahead. For what is removed by its age."""

from datetime import datetime, timedelta

from autossl_panel.hosting.models import Server

from . import providers
from .models import ProviderState


def moment(server: Server, now: datetime) -> datetime:
    """The latest moment that a CA in use has given with its directory, which is read once a day; never past `now`.

    Where no CA in use was ever heard, this host's clock is all there is. Reads only.
    """
    heard = providers.in_use().filter(state=ProviderState.READY, accounts__server=server, checked_at__isnull=False)
    given = [at + timedelta(seconds=offset) for at, offset in heard.values_list("checked_at", "clock_offset") if at]
    return min(now, max(given, default=now))
