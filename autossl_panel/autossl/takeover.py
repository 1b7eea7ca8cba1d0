"""Whether AutoSSL may replace another's certificate at one site, once that is defective or about to expire."""

from datetime import datetime

from django.db import transaction

from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User


def set_takeover(virtual_host: VirtualHost, on: bool, *, by: User | None, now: datetime) -> bool:
    """Let AutoSSL take this site over, or take that back; False where it was so already. The site becomes due."""
    with transaction.atomic():
        rows = VirtualHost.objects.filter(pk=virtual_host.pk).exclude(takeover=on)
        if not rows.update(takeover=on):
            return False
        VirtualHost.objects.filter(pk=virtual_host.pk, gone_at__isnull=True).update(next_at=now, next_reason="changed")
        audit.record(by, "site:takeover", virtual_host.name, before={"takeover": not on}, after={"takeover": on})
    virtual_host.takeover = on
    return True
