"""A CA's limits as text: what it publishes, what is used of it, what it has refused."""

from datetime import datetime, timedelta

from django.core.management.base import OutputWrapper
from django.utils import timezone

from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits import Usage, changing, limits_of, usage
from autossl_panel.autossl.models import Account, Provider

from .base import plural, table

# Of whom a kind counts, where one row stands for the fullest of many
MANY = {
    Kind.DOMAIN: "domain",
    Kind.SET: "set",
    Kind.FAILURES: "name",
    Kind.CONSECUTIVE: "name",
}


def show_limits(out: OutputWrapper, provider: Provider, account: Account | None) -> None:
    """Print a provider's limits; with an account also how much of them is used."""
    if account is None:
        rows = [(limit.kind, _allows(limit.number, limit.seconds), limit.allowed) for limit in limits_of(provider)]
        table(out, ("LIMIT", "CA ALLOWS", "USED UP TO"), rows)
        return
    now = timezone.now() + timedelta(seconds=provider.clock_offset)
    report = usage(account, now=now)
    if not report.limits:
        out.write(f"{provider.name}: no limits are known.")
    else:
        head = ("LIMIT", "CA ALLOWS", "USED", "OF", "FREES", "FULLEST")
        table(
            out,
            head,
            [
                (
                    one.kind,
                    _allows(one.published, one.seconds),
                    one.used,
                    one.allowed,
                    _at(one.frees_at),
                    f"{one.label} (of {plural(one.subjects, MANY[one.kind])})"
                    if one.kind in MANY and one.label
                    else "",
                )
                for one in report.limits
            ],
        )
    if report.spent_at is not None:
        number = "any number of permits" if report.lost is None else plural(report.lost, "permit")
        out.write(f"Counted as spent since {_at(report.spent_at)}: {number} that this database does not know.")
    for refused in report.refused:
        until = f"until {_at(refused.until)}" if refused.until is not None else f"until somebody acts: {refused.url}"
        of = f" of {refused.label}" if refused.label else ""
        out.write(f"The CA refuses {refused.kind}{of} {until}. It says: {refused.detail}")


def _fullest(one: Usage) -> str:
    if one.kind not in MANY or not one.label:
        return ""
    return f"{one.label} (of {plural(one.subjects, MANY[one.kind])})"


def _allows(number: int, seconds: int) -> str:
    return f"{number} in {changing.window(seconds)}" if seconds else f"{number} in a row"


def _at(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
