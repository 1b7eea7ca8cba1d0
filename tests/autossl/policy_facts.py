"""Facts that the policy's tests start from: a sound certificate of ours for two names, thirty days old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from autossl_panel.autossl.policy import InstalledFacts, NameFacts, PolicyOptions, ProviderFacts, Refused, SiteFacts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MAIN, WWW, BLOG = "a.com", "www.a.com", "blog.a.com"


def name(text: str, **facts: object) -> NameFacts:
    return NameFacts(text, main=text == MAIN, added=text.startswith("www."), **facts)  # type: ignore[arg-type]


def refused(text: str, until: datetime, *, since: datetime = NOW, provider: str = "ca", **facts: object) -> NameFacts:
    """A name that the CA of a provider refused."""
    return name(text, refusals=(Refused(provider, since, until),), **facts)


def names(*texts: str, **facts: object) -> tuple[NameFacts, ...]:
    return tuple(name(text, **facts) for text in texts or (MAIN, WWW))


def installed(*covered: str, age: timedelta = 30 * DAY, life: timedelta = 90 * DAY, **facts: object) -> InstalledFacts:
    start = NOW - age
    settings = {"ours": True, "key_type": "p256"} | facts
    return InstalledFacts(covered or (MAIN, WWW), start, start + life, **settings)  # type: ignore[arg-type]


def site(*given: NameFacts, **facts: object) -> SiteFacts:
    settings = {"off": None, "installed": installed(), "first_seen_at": NOW - 60 * DAY} | facts
    return SiteFacts(names=given or names(), **settings)  # type: ignore[arg-type]


PROVIDER = ProviderFacts("ca", 100)


def options(*, max_names: int = 100, renew_fraction: float | None = None, **facts: object) -> PolicyOptions:
    provider = ProviderFacts("ca", max_names, renew_fraction=renew_fraction)
    return PolicyOptions(**({"provider": provider} | facts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Found:
    """A DCV outcome."""

    outcome: str
    code: str | None = None


def findings(**outcomes: str) -> Mapping[str, Found]:
    """By short word: main, www, blog."""
    full = {"main": MAIN, "www": WWW, "blog": BLOG}
    return {full[key]: Found(value, None if value == "pass" else "elsewhere") for key, value in outcomes.items()}
