"""What is measured, as values; medians over repetitions. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

# The goals that the issue set
MAX_REQUESTS = 9.6
MAX_MB = 150
MAX_SECONDS = 5.0
MAX_PAGE_MS = 100
MAX_QUERIES = 15
MAX_POLL_MS = 20
MAX_FIRST_LOAD_KB = 150


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One client, once: `seconds` until what it does was done for all, and what that took."""

    client: str
    certificates: int
    seconds: float
    requests: int  # that the CA answered, by its own log
    cpu: float  # seconds of the client's processes; of Apache all of it, since mod_md is a part of it
    web_cpu: float = 0.0  # seconds of the web server beside the client, over the same time
    stages: Mapping[str, float] = field(default_factory=dict)  # seconds from the start, by what was reached
    memory: Mapping[str, float] = field(default_factory=dict)  # MB at its peak, by process
    reloads: int = 0
    sent: int = 0  # requests by the client's own count, where it has one

    @property
    def per_second(self) -> float:
        return self.certificates / self.seconds

    @property
    def requests_each(self) -> float:
        return self.requests / self.certificates

    @property
    def cpu_ms_each(self) -> float:
        return 1000 * self.cpu / self.certificates

    @property
    def web_cpu_ms_each(self) -> float:
        return 1000 * self.web_cpu / self.certificates


@dataclass(frozen=True, slots=True)
class NothingDue:
    """Runs with nothing to do, on one database: seconds of each, and of what lies in them."""

    database: str
    users: int
    sites: int
    files: int  # that the helper looks at
    seconds: Sequence[float]  # the whole run, from its start to its end
    command: Sequence[float]  # the command around it, Python's start and the printed log included
    helper: Sequence[float]  # the helper's answer alone
    first_reading: float  # seconds, when nothing was known yet
    helper_mb: float
    worker_mb: float
    first_reading_mb: float = 0.0  # of the worker that met all sites; 0 where nobody looked


@dataclass(frozen=True, slots=True)
class Page:
    """One address as one person sees it; in short, a page by the one of its addresses that takes longest."""

    name: str  # of the URL
    who: str
    url: str
    ms: float  # the median of the server's time
    queries: int  # the most of any of its addresses
    kb: float  # compressed, the most of any of its addresses
    addresses: int = 1  # that were looked at


@dataclass(frozen=True, slots=True)
class Pages:
    """Every page on one database."""

    database: str
    users: int
    sites: int
    jobs: int  # of the run that lives
    repetitions: int
    pages: Sequence[Page]
    poll_ms: float
    first_load_kb: float
    not_led_to: Sequence[str]  # names of URLs that no link leads to

    def in_short(self) -> Pages:
        """The same with one line for each URL's name: its slowest address, and how many were looked at.

        Nothing is lost by doing it twice.
        """
        alike: dict[str, list[Page]] = {}
        for page in self.pages:
            alike.setdefault(page.name, []).append(page)
        return replace(self, pages=[_slowest(alike[name]) for name in sorted(alike)])

    def most_queries(self) -> Page:
        return max(self.pages, key=lambda page: page.queries)


def _slowest(alike: Sequence[Page]) -> Page:
    return replace(
        max(alike, key=lambda page: page.ms),
        queries=max(page.queries for page in alike),
        kb=max(page.kb for page in alike),
        addresses=sum(page.addresses for page in alike),
    )


@dataclass(frozen=True, slots=True)
class Middle:
    """The medians of a client's repetitions."""

    client: str
    repetitions: int
    certificates: int
    seconds: float
    per_second: float
    fastest: float
    slowest: float
    requests_each: float
    cpu_ms_each: float
    web_cpu_ms_each: float
    reloads: float
    stages: Mapping[str, float]
    memory: Mapping[str, float]  # the worst of all repetitions: a peak has no middle


def middle(found: Sequence[Pipeline]) -> Middle:
    """One line of many repetitions of one client."""
    first = found[0]
    rates = [one.per_second for one in found]
    return Middle(
        client=first.client,
        repetitions=len(found),
        certificates=first.certificates,
        seconds=median(one.seconds for one in found),
        per_second=median(rates),
        fastest=max(rates),
        slowest=min(rates),
        requests_each=median(one.requests_each for one in found),
        cpu_ms_each=median(one.cpu_ms_each for one in found),
        web_cpu_ms_each=median(one.web_cpu_ms_each for one in found),
        reloads=median(one.reloads for one in found),
        stages={name: median(one.stages[name] for one in found) for name in first.stages},
        memory={name: max(one.memory.get(name, 0.0) for one in found) for name in first.memory},
    )
