"""A site's own “let AutoSSL take over”: its certificate of somebody else's may be replaced once it is no good."""

from datetime import datetime

from django.db import transaction

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User


def set_takeover(site: VirtualHost, on: bool, *, by: User | None, now: datetime) -> bool:
    """Let AutoSSL replace another's certificate at this site where it is defective or about to expire, or no longer.

    A sound one is never replaced. The site is due at once; False where it was set so already.
    """
    with transaction.atomic():
        rows = VirtualHost.objects.filter(pk=site.pk)
        if not rows.exclude(takeover=on).update(takeover=on):
            return False
        hosting_users.make_due(rows, now)
        audit.record(by, "site:takeover", site.name, before={"takeover": not on}, after={"takeover": on})
    site.takeover = on
    return True
