"""The rows that a settled panel has beside its inventory: a provider in use, and every name proven. Run as a program.

`python -m bench.rows settle` writes them; `python -m bench.rows runs` prints the runs so far as JSON: seconds from
start to end, and what they counted.
"""

import json
import sys
from datetime import UTC, datetime

import django

BATCH = 2000


def settle() -> None:
    """A ready provider that is never asked anything, and a passing verdict for every name."""
    from autossl_panel.autossl.models import Account, AccountStatus, Outcome, Provider, ProviderState, Verdict
    from autossl_panel.hosting import servers
    from autossl_panel.hosting.models import Domain

    now = datetime.now(UTC)
    nowhere = "https://127.0.0.1:1"
    provider = Provider.objects.create(
        name="bench", directory_url=f"{nowhere}/dir", state=ProviderState.READY, active=True, private_ca=True
    )
    Account.objects.create(
        provider=provider, server=servers.this(), status=AccountStatus.VALID, url=f"{nowhere}/account/1"
    )
    verdicts = [
        Verdict(domain_id=pk, at=now, outcome=Outcome.PASS, last_passed_at=now)
        for pk in Domain.objects.values_list("pk", flat=True)
    ]
    Verdict.objects.bulk_create(verdicts, BATCH)


def print_runs() -> None:
    """Every run so far, oldest first."""
    from autossl_panel.autossl.models import Run

    found = [
        {
            "seconds": (run.ended_at - run.started_at).total_seconds() if run.ended_at else None,
            "kept": run.counts.get("kept", 0),
            "jobs": run.jobs.count(),
            "lines": run.lines.count(),
        }
        for run in Run.objects.order_by("pk")
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    django.setup()
    {"settle": settle, "runs": print_runs}[sys.argv[1]]()
