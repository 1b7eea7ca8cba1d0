"""What the CA's renewal information (RFC 9773) means: when to renew, whether that is urgent, what an order replaces."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from autossl_panel.autossl.policy.times import SHORT_LIFE, USUAL_FRACTION


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when the CA wants a certificate renewed; `start` lies before `end`."""

    start: datetime
    end: datetime

    def contains(self, now: datetime) -> bool:
        """Whether `now` lies inside."""
        return self.start <= now <= self.end


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A certificate that an order may say it replaces. `account` is the one it was ordered by, None: not known."""

    ari_id: str
    names: tuple[str, ...]
    provider: int | None
    account: int | None
    window: Window | None
    replaced: bool = False


def draw_at(window: Window, fraction: float) -> datetime:
    """The moment that a draw (`fraction` from 0 to 1) picks inside the window: each is as likely as any other."""
    return window.start + (window.end - window.start) * min(max(fraction, 0.0), 1.0)


def usual_renewal(not_before: datetime, not_after: datetime) -> datetime:
    """When a certificate would be renewed without a hint: a third of its life before expiry, a half of a short one."""
    lifetime = not_after - not_before
    return not_after - lifetime * (0.5 if lifetime < SHORT_LIFE else USUAL_FRACTION)


def brought_forward(window: Window, earlier_window: Window | None, not_before: datetime, not_after: datetime) -> bool:
    """Whether the CA hurries: its window ends clearly (by more than a twentieth of the certificate's life) before the
    usual renewal, or before the window seen earlier began.
    """
    margin = _margin(not_before, not_after)
    if window.end < usual_renewal(not_before, not_after) - margin:
        return True
    return earlier_window is not None and window.end < earlier_window.start - margin


def forward_until(
    window: Window,
    earlier_window: Window | None,
    earlier_until: datetime | None,
    not_before: datetime,
    not_after: datetime,
) -> datetime | None:
    """Until when a renewal may be deferred where the CA brought its window forward, None where it did not.

    `earlier_until` is the last answer: a window that then only moves a little is still one brought forward.
    """
    if brought_forward(window, earlier_window, not_before, not_after):
        return window.end
    still = earlier_until is not None and window.end <= earlier_until + _margin(not_before, not_after)
    return window.end if still else None


def _margin(not_before: datetime, not_after: datetime) -> timedelta:
    return (not_after - not_before) / 20


def replaces_free(old: Predecessor, names: Collection[str], *, provider: int, account: int, now: datetime) -> bool:
    """Whether an order for `names` may say that it replaces `old`, and is free of the CA's limits then (RFC 9773 §5).

    Inside the window now, the same provider and account, not replaced yet, at least one name in common.
    """
    return (
        bool(old.ari_id)
        and old.provider == provider
        and old.account == account
        and not old.replaced
        and old.window is not None
        and old.window.contains(now)
        and not set(names).isdisjoint(old.names)
    )
