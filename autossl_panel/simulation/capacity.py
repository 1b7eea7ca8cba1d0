"""What one account at a CA carries, found by playing it: the tables of docs/capacity.md, and the page around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .judge import CAUSES
from .large import Large
from .play import Result, play
from .report import span
from .scenarios import YEAR, Limits, Setting, limits
from .times import DAY, HOUR

LIFETIMES = (90 * DAY, 64 * DAY, 45 * DAY, 160 * HOUR)
# Permits in a day by the published limit, about: where the search for the largest estate begins
ABOUT_A_DAY = 1700
# The search for the largest estate is played with a so manyth part of the sites, and of the orders that the CA allows
SCALE = 10
FACTORS = (1.1, 1.0, 0.9, 0.8, 0.65, 0.5, 0.3)
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the estates are that are played."""

    new: tuple[int, ...] = (1_000, 10_000, 30_000)
    steady: int = 5_000
    year: int = 2_000
    a_day: float = ABOUT_A_DAY
    lifetimes: tuple[int, ...] = LIFETIMES


@dataclass(frozen=True, slots=True)
class Carried:
    """The largest estate that was moved here in one go and lost nothing: at this lifetime, with ARI or without."""

    lifetime: int
    ari: bool
    sites: int
    too_many: int  # the smallest one that did lose something
    moved_after: int
    a_day: float  # orders a day for ten thousand sites, later on
    busiest: int
    counted: float  # the part of these that limits count


@dataclass(frozen=True, slots=True)
class New:
    """So many sites new on one day: when all but one in a hundred, and when the last, have their certificate."""

    sites: int
    how: str
    most_after: int
    last_after: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of the page."""

    day: date
    new: Sequence[New]
    carried: Sequence[Carried]
    years: Sequence[Result] = field(default_factory=tuple)
    large: Sequence[Large] = field(default_factory=tuple)


HOW: Mapping[str, Mapping[str, Any]] = {
    "one account": {},
    "two accounts": {"accounts": 2},
    "one account and a fallback without limits": {"scenarios": ("migration", "fallback")},
    "no limits": {"limits": ()},
}


def measure(
    sizes: Sizes = Sizes(), *, say: Say = lambda text: None, today: date | None = None, large: Sequence[Large] = ()
) -> Measured:
    """Play all of it; minutes. `large` are the figures of the plays that have a process each."""
    new = [_new(sites, how, say) for sites in sizes.new for how in HOW]
    carried = [one for lifetime in sizes.lifetimes for one in _carried(lifetime, sizes, say)]
    years = []
    for lifetime in sizes.lifetimes:
        say(f"a year with everything, certificates of {span(lifetime)}")
        years.append(play(Setting(hosts=sizes.year, lifetime=lifetime, scenarios=YEAR)))
    return Measured(today or date.today(), new, carried, years, large)  # noqa: DTZ011


def _new(sites: int, how: str, say: Say) -> New:
    say(f"{sites:,} new sites, {how}")
    given: dict[str, Any] = {"scenarios": ("migration",), **HOW[how]}
    days = int(sites / 1_000) + 30
    found = play(Setting(hosts=sites, days=days, **given))
    left = sites / 100
    most = 0
    for hours, number in sorted(found.tally.first_by_hour.items(), reverse=True):
        left -= number
        if left < 0:
            most = (hours + 1) * HOUR
            break
    return New(sites, how, most, found.tally.first_latest)


def _moved(lifetime: int, sizes: Sizes, say: Say) -> tuple[int, int, int]:
    """The largest estate that lost nothing when it moved here, the smallest that did (0: none), how long it took."""
    too_many = 0
    for factor in FACTORS:
        sites = _round(sizes.a_day * lifetime / DAY * factor)
        say(f"{sites:,} sites moved here, certificates of {span(lifetime)}")
        days, hosts = lifetime // DAY + 3, max(1, sites // SCALE)
        found = play(Setting(hosts=hosts, days=days, lifetime=lifetime, limits=_scaled(), scenarios=("moved",)))
        if not (found.tally.expired or found.tally.beyond_limits or found.tally.unrenewable):
            return sites, too_many, found.tally.last_new
        too_many = sites
    return 0, too_many, 0


def _scaled() -> Limits:
    """The published limits with so much fewer orders of the account, which are what such a move waits for."""
    return tuple(
        (kind, number // SCALE if kind == "orders" else number, seconds, drops)
        for kind, number, seconds, drops in limits("letsencrypt")
    )


def _carried(lifetime: int, sizes: Sizes, say: Say) -> Iterator[Carried]:
    """With ARI and without: a site that comes is new to the CA either way."""
    moved = _moved(lifetime, sizes, say)
    for ari in (True, False):
        say(f"{sizes.steady:,} settled sites, certificates of {span(lifetime)}, {'with' if ari else 'without'} ARI")
        steady = _steady(lifetime, ari, sizes)
        tally, days = steady.tally, steady.setting.days
        busiest = max((number for day, number in tally.by_day.items() if day < days), default=0)
        part = 10_000 / sizes.steady
        counted = tally.by_kind["new"] / max(1, tally.orders)
        yield Carried(lifetime, ari, *moved, tally.orders / days * part, round(busiest * part), counted)


def _steady(lifetime: int, ari: bool, sizes: Sizes) -> Result:
    days = max(14, 2 * lifetime // DAY)
    return play(Setting(hosts=sizes.steady, days=days, lifetime=lifetime, ari=ari, scenarios=("settled",)))


def _round(number: float) -> int:
    """To two digits."""
    digits: int = 10 ** max(0, len(str(int(number))) - 2)
    return max(1, round(number / digits) * digits)


# --- the page ---------------------------------------------------------------------------------------------------------


def as_markdown(found: Measured) -> str:
    """docs/capacity.md."""
    one = limits("letsencrypt")
    published = ", ".join(f"{number} {kind} in {span(seconds)}" for kind, number, seconds, _drops in one if seconds)
    least = min((row.sites for row in found.carried), default=0)
    most = max((row.sites for row in found.carried), default=0)
    large = max((row.sites for row in found.new), default=0)
    alone, helped = _of(found, large, "one account"), _of(found, large, "one account and a fallback without limits")
    unlimited = _of(found, large, "no limits")
    return (
        "\n\n".join(
            (
                "# Capacity",
                "Written by `make capacity` from simulated days; change nothing here by hand. Each figure is of a "
                "play of "
                "the real rules, priorities and ledger against a CA that counts by itself (`autossl-panel simulate`, "
                "[operating.md](operating.md#simulating)). "
                f"The limits are Let’s Encrypt’s published ones: {published}. The panel uses at most four fifths "
                "of them, "
                "leaves a tenth of that to what may not wait, and works on 8 orders at once, 5 seconds each. "
                f"Day: {found.day.isoformat()}.",
                "## What limits, and what does not",
                "A CA’s limits count what is **new**: a site’s first certificate, a changed set of names, a site "
                "that comes "
                "from another provider. Renewals of the same names by the same account are free of the account’s "
                "and the "
                "domain’s limits, with ARI of all of them. So an account carries any number of settled sites, as "
                "far as "
                "the server’s own pace goes; what takes time is to get them there.",
                "## New sites",
                "All new on one day: after how long all but one in a hundred, and the last, have their first "
                "certificate. "
                "At the end the limit of one registered domain shows (a site of a user with dozens of subdomains).",
                _new_table(found),
                "## Sites that come from another provider, and what one account carries",
                "All sites have certificates of another provider, of any age up to their renewal, and are moved "
                "to this account on one day: "
                "none may expire before its turn. That is also what happens when a first provider fails for good "
                "and its "
                "fallback takes over. *Too many* is the next larger estate that was played and lost a certificate. "
                f"Played with one in {SCALE} of the sites, and of the account’s orders.",
                _carried_table(found),
                "## A year with everything",
                f"{found.years[0].setting.hosts if found.years else 0:,} sites, all new on the first day; names "
                "that fail, "
                "CA outages and slow days, windows moved, a tenth of all certificates revoked, another key type "
                "for all, a "
                "panel off for days, a clock set to and fro, new sites and names all the time.",
                "*Kept by* says what took most of the time that there was to renew what expired.",
                _years_table(found),
                "## Large plays",
                "The same year, everything happening, with more sites; a process each. `--large` (`make capacity "
                "LARGE=1`) plays the largest anew, else its figures are those of their day. The goal: 30,000 sites in "
                "less than 60 s of one core, 1,000,000 within 2 GB.",
                _large_table(found),
                "## More sites than one account carries",
                f"- **Do nothing** where the sites are settled: renewals are free. One account moves {least:,} "
                "sites (the "
                f"shortest certificates) to {most:,} (the longest) in one go without losing one.\n"
                f"- **A fallback provider** (`provider fallback`) is the simplest help: what would outlast a "
                "certificate, "
                f"or keep a new site waiting for more than an hour, goes there by itself. {large:,} new sites take "
                f"{_span(alone)} with one account, {_span(helped)} with a fallback without published limits "
                f"({_span(unlimited)} is the server’s own pace). Settled sites go back to their first provider one "
                "by one, "
                "as new orders there, whenever it has room.\n"
                "- **A second provider for some users** (`user set-provider`, `feature-list set --provider`) "
                "halves what "
                "each carries, and keeps both warm: where one fails, half the sites are not touched. The table’s two "
                "accounts are that; at the same CA they share its limits of domains and sets, and its consent is "
                "needed: "
                "CAs ask large hosts to apply for a higher limit instead. What it grants goes in with `provider "
                "limits`.\n"
                "- **A longer profile** (`provider profile`) gives more time to move: the number of sites that "
                "can be moved "
                "at once grows with the lifetime. A shorter one multiplies the orders, not what limits count.\n"
                "- **Move in portions**: enable AutoSSL for some feature lists first. New sites of other users do "
                "not wait "
                "behind them: turns are by user.",
            )
        )
        + "\n"
    )


def _of(found: Measured, sites: int, how: str) -> New | None:
    return next((one for one in found.new if (one.sites, one.how) == (sites, how)), None)


def _span(one: New | None) -> str:
    return span(one.most_after) if one is not None else "-"


def _new_table(found: Measured) -> str:
    sizes = dict.fromkeys(one.sites for one in found.new)
    rows = []
    for sites in sizes:
        cells = [_of(found, sites, how) for how in HOW]
        rows.append(
            (f"{sites:,}", *(f"{span(one.most_after)} / {span(one.last_after)}" if one else "-" for one in cells))
        )
    return _table(("sites", *HOW), rows)


def _carried_table(found: Measured) -> str:
    head = (
        "certificates of", "ARI", "sites moved in one go", "too many", "the last is moved after",
        "then, a day and 10,000 sites", "busiest day", "of these counted by limits",
    )  # fmt: skip
    rows = [
        (
            span(one.lifetime),
            "yes" if one.ari else "no",
            f"{one.sites:,}",
            f"{one.too_many:,}" if one.too_many else "-",
            span(one.moved_after),
            f"{one.a_day:,.0f} orders",
            f"{one.busiest:,}",
            f"{one.counted:.0%}",
        )
        for one in found.carried
    ]
    return _table(head, rows)


def _years_table(found: Measured) -> str:
    head = (
        "certificates of", "orders a day", "busiest day", "expired though renewable", "429", "reduced too early",
        "latest first certificate", "of a site that came later", "expired, nobody could renew it", "kept by",
    )  # fmt: skip
    rows = []
    for one in found.years:
        tally = one.tally
        rows.append(
            (
                span(one.setting.lifetime),
                f"{tally.orders / one.setting.days:,.0f}",
                f"{max(tally.by_day.values(), default=0):,}",
                f"{tally.expired:,}",
                f"{one.refused:,}",
                f"{tally.reduced_early:,}",
                span(tally.first_latest),
                span(tally.later_latest),
                f"{tally.unrenewable:,}",
                ", ".join(f"{number:,} {CAUSES[cause]}" for cause, number in tally.unrenewable_by.most_common()) or "-",
            )
        )
    return _table(head, rows)


def _large_table(found: Measured) -> str:
    head = (
        "sites", "days", "orders", "expired though renewable", "429", "took", "at work", "peak memory", "cores", "day",
    )  # fmt: skip
    rows = [
        (
            f"{one.virtual_hosts:,}",
            f"{one.days:,}",
            f"{one.orders:,}",
            f"{one.expired_while_renewable:,}",
            f"{one.refused_429:,}",
            f"{one.seconds:,.0f} s",
            f"{one.worked:,.0f} s" if one.worked is not None else "-",
            f"{one.peak_kb / 1024:,.0f} MiB",
            f"{one.cores}",
            one.day,
        )
        for one in found.large
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
