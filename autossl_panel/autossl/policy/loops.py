"""The loop breaker: what was ordered twice without effect is not ordered again, but told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from autossl_panel.autossl.facts import DAY, SiteFacts


def loop_ends_at(site: SiteFacts, reason: str, names: Iterable[str], now: datetime) -> datetime | None:
    """Until when two certificates of equal reason and names forbid a third; None where they do not.

    The window is a day, or a sixth of our own certificate's lifetime where that is shorter: an hour's certificate is
    renewed many times a day, and rightly, even where a provider's are renewed with nine tenths of their life left.
    """
    if len(site.recent_orders) < 2:
        return None
    installed = site.installed
    window = min(DAY, installed.lifetime / 6) if installed is not None and installed.ours else DAY
    wanted = frozenset(names)
    alike = sorted(
        at for at, why, ordered in site.recent_orders if why == reason and at > now - window and wanted == set(ordered)
    )
    return alike[-2] + window if len(alike) >= 2 else None
