"""Rows that no code of ours wrote: the rules cannot be asked about a site that has them."""

from __future__ import annotations

from datetime import UTC, datetime

from autossl_panel.autossl.models import Certificate, Outcome, Verdict
from autossl_panel.hosting.models import VirtualHost


def unreadable(host: VirtualHost) -> None:
    """A verdict that cannot even be read."""
    refusals = {"pebble": {"since": "the day before yesterday", "until": "tomorrow"}}
    Verdict.objects.create(
        domain=host.domains.get(), at=datetime.now(UTC), outcome=Outcome.FAIL, code="ca_refused", refusals=refusals
    )


def undecidable(host: VirtualHost) -> None:
    """A certificate whose names are none: the rules trip over it."""
    assert Certificate.objects.filter(fingerprint=f"{host.pk:064x}").update(names=[[number] for number in range(20)])
