"""The page of figures, and the same as JSON, of which the page can be made again. Pure: results in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

from bench import results
from bench.results import Middle, NothingDue, Page, Pages

PANEL, MOD_MD = "AutoSSL Panel", "mod_md"


@dataclass(frozen=True, slots=True)
class Measured:
    """All of one run of the bench."""

    machine: str
    day: str
    versions: Mapping[str, str]
    clients: Sequence[Middle]
    nothing_due: Sequence[NothingDue]
    pages: Sequence[Pages] = ()


def goals(measured: Measured) -> list[tuple[str, str, bool]]:
    """(goal, what was measured, whether it is met)."""
    found = []
    by_name = {client.client: client for client in measured.clients}
    panel, other = by_name.get(PANEL), by_name.get(MOD_MD)
    if panel and other:
        said = f"{panel.per_second:.1f} against {other.per_second:.1f} certificates/s"
        found.append(("at least as fast as mod_md", said, panel.per_second >= other.per_second))
    if panel:
        each = panel.requests_each
        found.append((f"at most {results.MAX_REQUESTS} CA requests a certificate", f"{each:.2f}", _at_most(each)))
        role, most = max(panel.memory.items(), key=lambda item: item[1])
        said = f"at most {most:.0f} MB ({role})"
        found.append((f"each of our processes below {results.MAX_MB} MB", said, most < results.MAX_MB))
    for one in measured.nothing_due:
        seconds = median(one.seconds)
        goal = f"nothing due in {one.sites:,} virtual hosts: at most {results.MAX_SECONDS:.0f} s on {one.database}"
        found.append((goal, f"{seconds:.1f} s", seconds <= results.MAX_SECONDS))
        goal = f"a worker with {one.sites:,} virtual hosts below {results.MAX_MB} MB on {one.database}"
        found.append((goal, f"{one.worker_mb:.0f} MB", one.worker_mb < results.MAX_MB))
    for pages in measured.pages:
        found.extend(_page_goals(pages))
    return found


def _page_goals(pages: Pages) -> list[tuple[str, str, bool]]:
    on = f"on {pages.database}"
    slowest = max(pages.pages, key=lambda page: page.ms)
    most = pages.most_queries()
    kb = pages.first_load_kb
    return [
        (
            f"every page with {pages.sites:,} virtual hosts: at most {results.MAX_PAGE_MS} ms {on}",
            f"at most {slowest.ms:.0f} ms ({slowest.name})",
            slowest.ms <= results.MAX_PAGE_MS,
        ),
        (
            f"every page: at most {results.MAX_QUERIES} queries {on}",
            f"at most {most.queries} ({most.name})",
            most.queries <= results.MAX_QUERIES,
        ),
        (
            f"a run page with {pages.jobs:,} jobs polls in at most {results.MAX_POLL_MS} ms {on}",
            f"{pages.poll_ms:.0f} ms",
            pages.poll_ms <= results.MAX_POLL_MS,
        ),
        (
            f"first load: at most {results.MAX_FIRST_LOAD_KB} kB {on}",
            f"{kb:.0f} kB",
            kb <= results.MAX_FIRST_LOAD_KB,
        ),
    ]


def _at_most(requests: float) -> bool:
    return round(requests, 2) <= results.MAX_REQUESTS


def as_json(measured: Measured) -> str:
    """Everything, for a program to read; of the pages what `as_markdown` says, not each of their addresses."""
    plain = asdict(replace(measured, pages=[pages.in_short() for pages in measured.pages]))
    plain["goals"] = [{"goal": goal, "measured": said, "met": met} for goal, said, met in goals(measured)]
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Measured:
    """What `as_json` wrote."""
    said = json.loads(text)
    return Measured(
        machine=said["machine"],
        day=said["day"],
        versions=said["versions"],
        clients=[Middle(**one) for one in said["clients"]],
        nothing_due=[NothingDue(**one) for one in said["nothing_due"]],
        pages=[Pages(**one | {"pages": [Page(**page) for page in one["pages"]]}) for one in said["pages"]],
    )


def as_markdown(measured: Measured) -> str:
    """The page."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; change nothing here by hand. The same figures for programs: "
        "[benchmarks.json](benchmarks.json).",
        f"- Day: {measured.day}\n- Machine: {measured.machine}\n"
        f"- Versions: {', '.join(f'{name} {version}' for name, version in measured.versions.items())}",
        "## Goals",
        _table(
            ("Goal", "Measured", "Met"), [(g, said, "yes" if met else "**no**") for g, said, met in goals(measured)]
        ),
        *_clients(measured.clients),
        *_nothing_due(measured.nothing_due),
        *_pages(measured.pages),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _clients(clients: Sequence[Middle]) -> list[str]:
    if not clients:
        return []
    first = clients[0]
    rows = [
        (
            one.client,
            f"{one.per_second:.1f}",
            f"{one.slowest:.1f} to {one.fastest:.1f}",
            f"{one.seconds:.1f}",
            f"{one.requests_each:.2f}",
            f"{one.cpu_ms_each:.1f}",
            f"{one.web_cpu_ms_each:.1f}" if one.web_cpu_ms_each else "–",
        )
        for one in clients
    ]
    heads = ("Client", "certificates/s", "range", "seconds", "CA requests each", "CPU ms each", "web server's CPU ms")
    return [
        f"## {first.certificates} virtual hosts of 2 names",
        f"{_HOW} Medians of {first.repetitions} rounds, in which the clients take turns.",
        _table(heads, rows),
        "### Seconds from the client's start until …",
        _table(
            ("Client", "what", "seconds"),
            [(one.client, name, f"{seconds:.1f}") for one in clients for name, seconds in one.stages.items()],
        ),
        "### Memory at the peak, MB",
        _table(
            ("Client", "process", "MB"),
            [(one.client, name, f"{mb:.0f}") for one in clients for name, mb in one.memory.items()],
        ),
    ]


_HOW = """\
Every client gets a Pebble, a DNS server and 200 virtual hosts of its own, all on this machine, with http-01 and P-256
keys; Pebble refuses no nonce and has at most 8 orders at once. Requests are those that Pebble logged, whatever they
were for. CPU is that of the client's processes from the start of its clock to the moment when all is served.

- **AutoSSL Panel**: all of it, started by `serve` on SQLite, with nginx. Somebody signs in and clicks *Run AutoSSL For
  All Users*; inventory, survey, preflight of every name, orders, installation in batches (`reload_gap` 1 s), handshakes
  and log are all in it. Its clock runs from the first claimed job until a handshake with each site shows its new
  certificate; the time before is in the second table.
- **mod_md**: Apache with mod_md, set as favourably as we could find: P-256, no stapling, retries after a second, the
  account's terms accepted. Its clock starts when Apache is up, with account and fallback certificates to come; it gets
  one graceful restart, in the moment its last certificate is staged. In earnest somebody has to find that moment. Its
  CPU is all of Apache's, because it is a part of it. There is no preflight, no log for users, no proof by handshake.
- **acme as shipped**: the package by its own means, ClientV2 and its polling, in 8 threads: issuing and downloading
  only, no installation.
- **our ACME layer alone**: what the panel puts over that package, used the same way, so that like stands beside like.\
"""


def _nothing_due(found: Sequence[NothingDue]) -> list[str]:
    if not found:
        return []
    first = found[0]
    rows = [
        (
            one.database,
            f"{median(one.seconds):.2f}",
            f"{min(one.seconds):.2f} to {max(one.seconds):.2f}",
            f"{median(one.helper):.2f}",
            f"{median(one.command):.2f}",
            f"{one.first_reading:.0f}",
            f"{one.worker_mb:.0f}",
            f"{one.first_reading_mb:.0f}" if one.first_reading_mb else "–",
            f"{one.helper_mb:.0f}",
        )
        for one in found
    ]
    heads = (
        "Database",
        "run, s",
        "range",
        "of it the helper, s",
        "whole command, s",
        "first reading, s",
        "worker, MB",
        "at the first reading, MB",
        "helper, MB",
    )
    return [
        f"## Nothing due: {first.users:,} users, {first.sites:,} virtual hosts",
        f"An nginx configuration of {first.sites:,} server blocks in {first.users:,} files, each with our line, "
        f"snippet and certificate, is watched by a real helper: {first.files:,} files and {first.sites:,} "
        "certificates, each looked at again in each run. Nothing of it has changed and no certificate is due. A run "
        "lasts from its start to its end, with a line for every user; the command around it (`autossl_check --all`) "
        f"starts Python and prints the log. Medians of {len(first.seconds)} runs. The first reading is the `discover` "
        "that met all sites, with their certificates. Memory is that at the peak: of the command that does a worker's "
        "work, of the first reading, and of the helper, which holds the whole configuration.",
        _table(heads, rows),
    ]


def _pages(found: Sequence[Pages]) -> list[str]:
    if not found:
        return []
    first = found[0]
    slowest = {pages.database: {page.name: page for page in pages.in_short().pages} for pages in found}
    rows = []
    for name in sorted({name for pages in slowest.values() for name in pages}):
        here = [pages[name] for pages in slowest.values() if name in pages]
        rows.append(
            (
                f"`{name}`",
                *(f"{pages[name].ms:.0f}" if name in pages else "–" for pages in slowest.values()),
                str(max(page.queries for page in here)),
                f"{max(page.kb for page in here):.0f}",
                f"{max(page.addresses for page in here):,}",
                f"`{_short(here[0].url)}`",
            )
        )
    each = max(sum(page.addresses for page in pages.values()) for pages in slowest.values())
    parts = [
        f"## Pages: {first.users:,} users, {first.sites:,} virtual hosts",
        f"Every page that root, a reseller or the login of a hosting user gets to by links, {first.repetitions} times "
        "each, in the process that serves it; with each filter and with pairs of them, a table as it comes and with "
        f"100 rows a page: {each:,} addresses on each database. The median of the server's time, compression included, "
        f"for the address that takes longest (the last column: that of {first.database}); the most queries and the "
        "most kB (gzip) of any address; how many addresses it has here.",
        _table(("Page", *(f"{pages.database}, ms" for pages in found), "queries", "kB", "addresses", "slowest"), rows),
    ]
    unseen = sorted({name for pages in found for name in pages.not_led_to})
    if unseen:
        parts.append("No link leads to: " + ", ".join(f"`{name}`" for name in unseen) + ".")
    return parts


def _short(url: str) -> str:
    return url if len(url) <= 60 else url[:59] + "…"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
