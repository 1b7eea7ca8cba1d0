"""Jobs that have no provider to ask now: what they wait for, until when; and how a choice of provider is told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import choosing, log
from ..choosing import Chosen, Passed
from ..limits import Wait
from ..models import JobOutcome, Level, LogLine
from ..room import HELD
from .work import Bench, Task

# What only the admin ends: the job fails, so that it is told
STOPS = ("ca_account", "ca_terms", "ca_eab")


def for_a_provider(bench: Bench, task: Task, chosen: Chosen, now: datetime, *lines: LogLine) -> None:
    """End a job that nobody can be asked for: it waits, held at its own provider, or fails where the admin must act."""
    code, until = chosen.choice.reason, chosen.choice.until
    own = bench.outlook.own(task.site).provider or task.provider
    named = log.of_provider(own.name, own.title)
    told = [*lines, *passed_lines(bench, task, chosen)]
    if code in STOPS:
        problem = _problem(task, code, {"text": _stopped_text(bench, own.account), **named})
        bench.end(task, JobOutcome.FAILED, code, *told, problem=problem)
        return
    limit = chosen.limit if code in (HELD, "ca_paused") else None
    if limit is not None and limit.wait is not None:
        problem = _problem(task, code, {**_named(bench, limit.provider), **limit_data(limit.wait)})
        asked = bench.policies.at(limit.provider).provider
        if asked is not None and until is not None and until == limit.until:
            bench.room.promise(asked, limit.wait, now, user=task.site.row["user_id"])
            problem["data"]["rank"] = limit.wait.rank
    else:
        problem = _problem(task, code, {"text": down_text(bench, own.account), **named})
    if until is not None:
        until = choosing.latest(task.site, until, now)
    bench.end(task, JobOutcome.WAITING, code, *told, problem=problem, until=until, held_by=own.name)


def _named(bench: Bench, name: str) -> dict[str, Any]:
    """A provider by its name, as it stands on rows and in lines."""
    found = bench.policies.at(name).provider
    return log.of_provider(name, found.title if found is not None else "")


def limit_data(wait: Wait) -> dict[str, Any]:
    """A limit as it stands on rows and in lines."""
    return {
        "limit": str(wait.kind),
        "subject": wait.subject,
        "label": wait.label,
        "used": wait.used,
        "allowed": wait.allowed,
        "text": wait.detail,
        "link": wait.url,
    }


def down_text(bench: Bench, account: int) -> str:
    """What went wrong when a provider failed once too often."""
    row = bench.policies.accounts.get(account)
    return str((row.down_problem or {}).get("text", "")) if row is not None else ""


def _stopped_text(bench: Bench, account: int) -> str:
    stop = bench.stops.of(account)
    if stop is not None:
        return stop.problem.detail
    row = bench.policies.accounts.get(account)
    return str((row.problem or {}).get("text", "")) if row is not None else ""


def _problem(task: Task, code: str, data: Mapping[str, Any]) -> dict[str, Any]:
    domain = data["label"] if code == "ca_paused" and data.get("label") else task.name
    return {"code": code, "domain": domain, "data": {key: value for key, value in data.items() if value != ""}}


# --- how it is told --------------------------------------------------------------------------------------------------


def chosen_lines(bench: Bench, task: Task, chosen: Chosen) -> list[LogLine]:
    """Which provider is asked, and why, where it is not simply the site's own; told once."""
    reason = "provider_despite" if chosen.despite else chosen.choice.reason
    if chosen.provider is None or chosen.provider.name == task.told or reason == "provider_own":
        return []
    task.told = chosen.provider.name
    named = log.of_provider(chosen.provider.name, chosen.provider.title)
    asked = task.line("provider:asked", **named, reason=reason)
    return [*passed_lines(bench, task, chosen), asked]


def passed_lines(bench: Bench, task: Task, chosen: Chosen) -> list[LogLine]:
    """Why each provider was passed over."""
    return [_passed_line(bench, task, one) for one in chosen.passed]


def _passed_line(bench: Bench, task: Task, one: Passed) -> LogLine:
    data: dict[str, Any] = {**_named(bench, one.provider), "reason": one.code}
    if one.until is not None:
        data["until"] = f"{one.until:%Y-%m-%d %H:%M} UTC"
    if one.wait is not None:
        event = "provider:paused" if one.wait.until is None else "provider:refuses" if one.wait.refused else ""
        return task.line(event or "provider:limited", Level.WARN, **data, **_of_limit(one.wait))
    if one.code == "provider_down":
        account = bench.policies.at(one.provider).provider
        text = down_text(bench, account.account) if account is not None else ""
        return task.line("provider:down", Level.WARN, **data, text=text)
    return task.line("provider:passed_over", Level.WARN, **data)


def _of_limit(wait: Wait) -> dict[str, Any]:
    found = limit_data(wait)
    del found["subject"]
    return found
