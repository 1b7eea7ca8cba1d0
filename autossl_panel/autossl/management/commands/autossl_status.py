"""How every site stands."""

import json
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.utils import timezone

from autossl_panel import names as domain_names
from autossl_panel.autossl import log, sites, standing
from autossl_panel.autossl import options as option_rows
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import table
from autossl_panel.autossl.models import Installation
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import HostingUser, Server


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
                    f"{len(row['covered'])}/{len(row['wanted'])}",
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
    rows = []
    found = sites.read({"server_id": server.pk}, options, now, serve_www=option_rows.current(server).serve_www)
    for pk, site in found.items():
        row = site.row
        wanted = standing.wanted_names(site)
        provider, not_after = current.get(pk, (None, None))
        problem = row["problem"]
        rows.append(
            {
                "user": names[row["user_id"]],
                "name": row["name"],
                "wanted": wanted,
                "covered": standing.covered_names(site, wanted),
                "state": row["state"],
                "provider": provider,
                "not_after": not_after.isoformat() if not_after else None,
                "problem": {
                    "code": problem["code"],
                    "domain": problem["domain"],
                    "text": log.problem_told(problem),
                }
                if problem
                else None,
                "next_at": row["next_at"].isoformat() if row["next_at"] else None,
                "next_reason": row["next_reason"] or None,
            }
        )
    return sorted(rows, key=lambda one: (one["user"], one["name"]))
