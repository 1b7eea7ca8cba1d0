"""When: to renew, until when to defer, when to try again. Every duration is a fraction of the lifetime."""

from __future__ import annotations

from datetime import datetime, timedelta

from autossl_panel.autossl.facts import DAY, InstalledFacts, ProviderFacts

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SHORT_LIFE = 10 * DAY
USUAL_FRACTION = 1 / 3
LADDER = (MINUTE, 10 * MINUTE, 100 * MINUTE)
REFUSED_DAYS = (1, 2, 4, 7)


def renew_at(installed: InstalledFacts, provider: ProviderFacts | None, now: datetime) -> datetime:
    """The moment from which the certificate is renewed, and possibly past: the CA's hint, else a third before expiry.

    A hint never counts in the last tenth of the lifetime. `now` is not read: a stored draw does not move with it.
    """
    return renewal(installed, provider)[0]


def renewal(installed: InstalledFacts, provider: ProviderFacts | None) -> tuple[datetime, str]:
    """As `renew_at`, with the reason: `ari` or `due`."""
    lifetime = installed.lifetime
    hint = installed.renewal_at
    if hint is not None:
        latest = installed.not_after - lifetime / 10
        return (hint, "ari") if hint <= latest else (latest, "due")
    return installed.not_after - lifetime * _fraction(provider, lifetime), "due"


def _fraction(provider: ProviderFacts | None, lifetime: timedelta) -> float:
    own = provider.renew_fraction if provider is not None else None
    if own is None or abs(own - USUAL_FRACTION) < 0.005:
        return 0.5 if lifetime < SHORT_LIFE else USUAL_FRACTION
    return min(max(own, 0.1), 0.9)  # more than nine tenths would renew a certificate the moment it is issued


def defer_until(installed: InstalledFacts) -> datetime:
    """How long a renewal may wait for failing names: shortly before expiry, or an earlier end of its ARI window."""
    return installed.defer_until


def suspended_until(installed: InstalledFacts) -> datetime:
    """How long a reduction may wait while many names fail alike: half of what `defer_until` left for orders stays."""
    return installed.not_after - (installed.not_after - defer_until(installed)) / 2


def confirmation(installed: InstalledFacts) -> timedelta:
    """How far apart a failure must be seen twice before it may cost coverage."""
    return min(HOUR, installed.lifetime / 30)


def expiring_from(installed: InstalledFacts) -> datetime:
    """From when another's certificate is near enough to expiry to be told: a thirtieth of its life, at most 3 days."""
    return installed.not_after - min(installed.lifetime / 30, 3 * DAY)


def retry_at(
    attempts: int,
    installed: InstalledFacts | None,
    now: datetime,
    draw: float,
    *,
    failing_since: datetime | None = None,
    points_here: bool = True,
) -> datetime:
    """When to try again after `attempts` failures in a row (1 or more); `draw` in 0..1 lengthens it by up to a tenth.

    1, 10 and 100 minutes, then a day or a quarter of the remaining life, at least an hour; daily once expired. For an
    uncovered name that has failed for 30 days (`failing_since`) and does not point here: a week.
    """
    if failing_since is not None and not points_here and now - failing_since >= 30 * DAY:
        pause = 7 * DAY
    elif attempts <= len(LADDER):
        pause = LADDER[max(attempts, 1) - 1]
    elif installed is None or installed.not_after <= now:
        pause = DAY
    else:
        pause = max(HOUR, min(DAY, (installed.not_after - now) / 4))
    return now + pause + pause / 10 * min(max(draw, 0.0), 1.0)


def refused_until(times: int, now: datetime, *, covering: InstalledFacts | None = None) -> datetime:
    """Until when a name the CA refused for the `times`-th time outranks a passing preflight: 1, 2, 4, 7 days.

    Sooner where a certificate hangs on it (`covering`): asked again before the name is dropped, and as the end comes
    nearer each time half of what is left has passed, at least an hour; daily once it has expired or is revoked.
    """
    until = now + REFUSED_DAYS[min(max(times, 1), len(REFUSED_DAYS)) - 1] * DAY
    if covering is None or not covering.ours:
        return until
    if covering.not_after <= now or covering.revoked:
        return min(until, now + DAY)
    latest = defer_until(covering)
    if latest <= now:
        latest = now + (covering.not_after - now) / 2
    return min(until, max(latest, now + HOUR))
