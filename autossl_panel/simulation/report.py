"""What came of a play, for people and for programs. Pure: results in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .judge import CAUSES
from .play import Result
from .scenarios import Setting
from .times import DAY, HOUR, MINUTE, START

KINDS = {
    "new": "new to the CA, which its limits count",
    "same_set": "the same names once more, free of most limits",
    "ari": "replace another (ARI), free of all limits",
    "ari_changed": "replace another (ARI) with other names",
}


def as_json(result: Result) -> str:
    """One line for programs."""
    return json.dumps(
        {
            "virtual_hosts": result.setting.hosts,
            "days": result.setting.days,
            "expired_while_renewable": result.tally.expired,
            "refused_429": result.refused,
            "orders": result.tally.orders,
            "seconds": round(result.seconds, 1),
        }
    )


def as_text(result: Result) -> str:
    """A table, with what must be zero first."""
    rows = [*_musts(result), ("", ""), *_figures(result)]
    width = max(len(name) for name, _value in rows)
    lines = [heading(result.setting), ""]
    lines += [f"  {name.ljust(width)}  {value}".rstrip() for name, value in rows]
    if result.tally.faults:
        lines += ["", "What went wrong first:"]
        lines += [
            f"  day {(fault.at - START) / DAY:.2f}, host {fault.host}: {fault.what}"
            for fault in result.tally.faults[:10]
        ]
    return "\n".join(lines)


def heading(setting: Setting) -> str:
    """What was played."""
    ari = "with ARI" if setting.ari else "without ARI"
    number = len(setting.limits)
    limits = "no limits" if not number else f"{number} limit{'s' if number > 1 else ''} of the CA"
    accounts = "1 account" if setting.accounts == 1 else f"{setting.accounts} accounts"
    said = ", ".join(sorted(setting.scenarios)) or "nothing but time"
    return (
        f"{setting.hosts:,} virtual hosts, {setting.days:,} days, certificates of {span(setting.lifetime)}, {ari}, "
        f"{limits}, {accounts}, seed {setting.seed}: {said}"
    )


def span(seconds: int) -> str:
    """“17 d 4 h”, “160 h”, “3 min”: two units at most."""
    if seconds >= 10 * DAY or (seconds >= DAY and seconds % DAY == 0):
        days, rest = divmod(seconds, DAY)
        return f"{days:,} d" + (f" {rest // HOUR} h" if rest >= HOUR else "")
    if seconds >= HOUR:
        hours, rest = divmod(seconds, HOUR)
        return f"{hours} h" + (f" {rest // MINUTE} min" if rest >= MINUTE and hours < 48 else "")
    return f"{seconds // MINUTE} min" if seconds >= MINUTE else f"{seconds} s"


def _musts(result: Result) -> Iterator[tuple[str, str]]:
    tally = result.tally
    yield "expired while renewable", _zero(tally.expired)
    yield "refused by a limit (429)", _zero(result.refused)
    yield "coverage reduced before its time", _zero(tally.reduced_early)
    yield "ordered for a name that fails", _zero(tally.failing_ordered)


def _zero(number: int) -> str:
    return "0" if not number else f"{number:,}   <-- must be 0"


def _figures(result: Result) -> Iterator[tuple[str, str]]:
    tally, setting = result.tally, result.setting
    yield "expired, limits leave no room for all", f"{tally.beyond_limits:,}"
    yield "expired, nobody could renew it in time", f"{tally.unrenewable:,}"
    for cause, text in CAUSES.items():
        if tally.unrenewable_by[cause]:
            yield f"  {text}", f"{tally.unrenewable_by[cause]:,}"
    yield "coverage reduced in its time", f"{tally.reduced - tally.reduced_early:,}"
    day, most = max(tally.by_day.items(), key=lambda one: one[1], default=(0, 0))
    yield "orders", f"{tally.orders:,}"
    yield "orders a day", f"{tally.orders / setting.days:,.0f}, at most {most:,} (day {day:,})"
    for kind, text in KINDS.items():
        if tally.by_kind[kind]:
            yield f"  {text}", f"{tally.by_kind[kind]:,}"
    yield "certificates", f"{tally.certificates:,}"
    yield "first certificates", f"{tally.first:,}"
    yield "  latest of a site there on the first day", span(tally.first_latest) if tally.first_latest else "-"
    yield "  latest of a site that came later", span(tally.later_latest) if tally.later_latest else "-"
    yield "sites without a certificate at the end", f"{result.without:,}"
    yield "sites that wait for a permit at the end", f"{result.waiting:,}"
    waits = ", ".join(f"{span(seconds)} ({kind})" for kind, seconds in sorted(tally.waited.items()))
    yield "longest wait for a permit, by limit", waits or "-"
    yield "took", f"{result.seconds:,.1f} s, of which {result.worked:,.1f} s at work"
