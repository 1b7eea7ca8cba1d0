"""How every site stands."""

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from autossl_panel import names as domain_names
from autossl_panel.autossl import log, sites, standing, undecided
from autossl_panel.autossl import options as option_rows
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import table
from autossl_panel.autossl.models import Installation
from autossl_panel.autossl.sites import Site
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost

# What its own row says of a virtual host
COLUMNS = ("state", "next_at", "next_reason")


class Command(Base):
    help = "How every site stands: its names, what is secured, what is wrong, and what comes next."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def work(self, *, json: bool, **_: Any) -> int:
        server = servers.this()
        rows = status(server)
        summary = Counter(row["state"] for row in rows)
        if json:
            self._json(dict(summary), rows)
            return 0
        table(
            self.stdout,
            ("USER", "SITE", "STATE", "NAMES", "EXPIRES", "NEXT", "PROBLEM"),
            [
                (
                    row["user"],
                    domain_names.to_unicode(row["name"]),
                    row["state"],
                    _names(row),
                    (row["not_after"] or "-")[:10],
                    f"{(row['next_at'] or '-')[:16].replace('T', ' ')} {row['next_reason'] or ''}".strip(),
                    f"{row['problem']['domain']}: {log.reason_text(row['problem']['code'])}" if row["problem"] else "-",
                )
                for row in rows
            ],
        )
        told = [row for row in rows if row["problem"]]
        if told:
            self.stdout.write("\nWhat to do")
        for row in told:
            name, text = row["name"], row["problem"]["text"]
            self.stdout.write(f"  {text}" if name in text else f"  {domain_names.to_unicode(name)}: {text}")
        if told:
            self.stdout.write("")
        self.stdout.write(", ".join(f"{number} {state}" for state, number in sorted(summary.items())) or "No sites.")
        return 0

    def _json(self, summary: dict[str, int], rows: list[dict[str, Any]]) -> None:
        self.stdout.write(json.dumps({"summary": summary, "virtual_hosts": rows}, ensure_ascii=False))


def _names(row: Mapping[str, Any]) -> str:
    """How many of its names are covered; of none, where nobody knows, a stroke."""
    unknown = row["problem"] is not None and row["problem"]["code"] == undecided.CODE
    return "-" if unknown and not row["wanted"] else f"{len(row['covered'])}/{len(row['wanted'])}"


def status(server: Server) -> list[dict[str, Any]]:
    """Every virtual host as `autossl_status --json` shows it; names are A-labels, times ISO 8601 in UTC."""
    now = timezone.now()
    options = sites.policy_options(server)
    names = dict(HostingUser.objects.filter(server=server).values_list("pk", "name"))
    current = {
        host: (provider or ("other" if not ours else ""), not_after)
        for host, provider, ours, not_after in Installation.objects.filter(
            virtual_host__server=server, until__isnull=True
        ).values_list("virtual_host_id", "certificate__provider__name", "certificate__ours", "certificate__not_after")
    }
    serve_www = option_rows.current(server).serve_www
    found, errors = undecided.read_where({"server_id": server.pk}, options, now, serve_www=serve_www)
    stands = undecided.of_each(found, _stands, errors)
    if errors:
        hosts = VirtualHost.objects.filter(pk__in=errors).values("pk", "user_id", "name", *COLUMNS)
        stands |= {row["pk"]: _undecided(row, errors[row["pk"]]) for row in hosts}
    rows = []
    for pk, row in stands.items():
        provider, not_after = current.get(pk, (None, None))
        known = {"provider": provider, "not_after": not_after.isoformat() if not_after else None}
        rows.append({**row, "user": names[row["user"]], **known})
    return sorted(rows, key=lambda one: (one["user"], one["name"]))


def _stands(site: Site) -> dict[str, Any]:
    """A site's row, but for what others' tables say of it."""
    wanted = standing.wanted_names(site)
    problem = site.row["problem"]
    told = log.problem_told(problem) if problem else ""
    return _row(site.row, wanted, standing.covered_names(site, wanted), problem, told)


def _undecided(row: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """The row of a virtual host that nobody can decide: how its names stand is not known."""
    problem = undecided.problem_of(row["name"], error)
    return _row(row, [], [], problem, f"{row['name']} cannot be decided, see the log: {log.problem_text(problem)}.")


def _row(
    row: Mapping[str, Any], wanted: list[str], covered: list[str], problem: Mapping[str, Any] | None, told: str
) -> dict[str, Any]:
    return {
        "user": row["user_id"],
        "name": row["name"],
        "wanted": wanted,
        "covered": covered,
        "state": row["state"],
        "provider": None,
        "not_after": None,
        "problem": {"code": problem["code"], "domain": problem["domain"], "text": told} if problem else None,
        "next_at": row["next_at"].isoformat() if row["next_at"] else None,
        "next_reason": row["next_reason"] or None,
    }
