"""How many sites and names were secured on a day, noted once a day; what is off or gone does not count."""

from datetime import datetime

from django.db.models import Count, Q, Sum

from autossl_panel.hosting.models import Server, SiteState, VirtualHost

from .models import DailyShare

# Another's certificate secures a site as long as it is sound: an expired one does not.
SECURED = Q(state=SiteState.SECURED) | Q(state=SiteState.FOREIGN, names_covered__gt=0)


def note(server: Server, now: datetime) -> bool:
    """Write the day's row where there is none yet; a server without sites has none."""
    day = now.date()
    if DailyShare.objects.filter(server=server, day=day).exists():
        return False
    present = VirtualHost.objects.filter(server=server).exclude(state__in=[SiteState.OFF, SiteState.GONE])
    found = present.aggregate(
        sites=Count("pk"), secured=Count("pk", filter=SECURED), wanted=Sum("names_wanted"), covered=Sum("names_covered")
    )
    if not found["sites"]:
        return False
    # Whoever was first in the same moment has noted the same.
    DailyShare.objects.bulk_create([DailyShare(server=server, day=day, **found)], ignore_conflicts=True)
    return True
