"""A preview's rows: what was decided for a site, in the form that pages, commands and the API tell it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from . import choosing, priority, standing
from .facts import UNDECIDED, Action, Need
from .foresight import Foreseen
from .models import PreviewAction, PreviewSite
from .sites import Site

ACTIONS: Mapping[Action, PreviewAction] = {
    Action.SKIP: PreviewAction.SKIP,
    Action.HOLD: PreviewAction.WAIT,
    Action.WAIT: PreviewAction.WAIT,
    Action.RESUME: PreviewAction.RESUME,
    Action.INSTALL: PreviewAction.INSTALL,
    Action.KEEP: PreviewAction.KEEP,
    Action.DEFER: PreviewAction.DEFER,
    Action.FAIL: PreviewAction.FAIL,
}
# What an order is called by what it is for
ORDERS: Mapping[Action, PreviewAction] = {
    Action.NEW: PreviewAction.ORDER,
    Action.RENEW: PreviewAction.RENEW,
    Action.EXTEND: PreviewAction.EXTEND,
}
# What a site that is left alone is left alone for, whatever its names
MOST_WORDS = 4000


def resting(site: Site, need: Need) -> PreviewSite:
    """A site that needs no job."""
    row = _row(site, ACTIONS[need.action], need.reason, _standing(site, need))
    row.until = need.until
    return row


def in_hand(site: Site, need: Need, run: int) -> PreviewSite:
    """A site that another run works on."""
    row = _row(site, PreviewAction.BUSY, "busy", _standing(site, need))
    row.limit = {"run": run}
    return row


def undecided(pk: int, user_id: int, name: str, run: int | None) -> PreviewSite:
    """A virtual host that nobody can decide: its job would fail; one that another run works on is that run's."""
    row = PreviewSite(virtual_host_id=pk, user_id=user_id, name=name, words=name)
    row.action, row.reason = (PreviewAction.FAIL, UNDECIDED) if run is None else (PreviewAction.BUSY, "busy")
    row.limit = None if run is None else {"run": run}
    return row


def foreseen(found: Foreseen, now: datetime) -> PreviewSite:
    """A site that a job would be made for."""
    action = ORDERS[found.need.action] if found.orders else ACTIONS[found.action]
    names = _planned(found) if found.plan is not None else _standing(found.site, found.need)
    row = _row(found.site, action, found.reason, names)
    row.urgent = priority.job_class(found.need, found.site.facts, now) == priority.URGENT
    row.until = found.until
    if row.until is not None and found.plan is not None and row.action == PreviewAction.WAIT:
        row.until = choosing.latest(found.site, row.until, now)
    if found.orders and found.provider is not None and found.chosen is not None:
        row.provider = found.provider.name
        reason = "provider_despite" if found.chosen.despite else found.chosen.choice.reason
        row.provider_reason = "" if reason == "provider_own" else reason
    if found.limit is not None and found.limit.wait is not None:
        wait = found.limit.wait
        row.limit = {
            "provider": found.limit.provider,
            "kind": str(wait.kind),
            "label": wait.label,
            "used": wait.used,
            "allowed": wait.allowed,
        }
    return row


def _row(site: Site, action: PreviewAction, reason: str, names: Mapping[str, Any]) -> PreviewSite:
    return PreviewSite(
        virtual_host_id=site.row["pk"],
        user_id=site.row["user_id"],
        name=site.row["name"],
        words=_words(site),
        action=action,
        reason=reason,
        names={key: value for key, value in {**names, "quiet": _quiet(site, names)}.items() if value},
    )


def _words(site: Site) -> str:
    """All names of a site, for who searches one."""
    return " ".join([site.row["name"], *(name.name for name in site.facts.names)])[:MOST_WORDS]


def _quiet(site: Site, names: Mapping[str, Any]) -> list[str]:
    """Names that would be left out and count nowhere: nobody can ask for them now, or an added www. that fails."""
    counted = set(standing.wanted_names(site))
    return [name for name, code in names.get("left_out", ()) if code != "excluded" and name not in counted]


def _standing(site: Site, need: Need) -> dict[str, Any]:
    """The names of a site whose certificate stays as it is: those that it covers, and those that are wished beside."""
    wished = [name for name in site.facts.names if not name.ended]
    kept = standing.covered_names(site, [name.name for name in wished])
    lacking = [
        [name.name, name.not_wanted or _lacks(site, need, name.name)] for name in wished if name.name not in kept
    ]
    return {"kept": kept, "left_out": lacking + _ended(site)}


def _lacks(site: Site, need: Need, name: str) -> str:
    """Why a wanted name is not covered and stays so; "" where it is the site's own reason."""
    if name in site.failing:
        return site.failing[name].code
    return need.detail if need.detail == "over_limit" else ""


def _planned(found: Foreseen) -> dict[str, Any]:
    """The names of an order, or of the one that would be placed if nothing stood in its way."""
    plan, site = found.plan, found.site
    assert plan is not None
    if not plan.names:
        told = _standing(site, found.need)
        codes = dict(plan.left_out)
        told["left_out"] = [[name, codes.get(name, code)] for name, code in told["left_out"]]
        told["failing"] = [[name, code] for name, code in plan.left_out if name in told["kept"]]
        return {**told, "dropped": list(plan.dropped)}
    kept = standing.covered_names(site, plan.names)
    proven = {name.name for name in site.facts.names if name.last_passed_at is not None}
    return {
        "kept": kept,
        "added": [name for name in plan.names if name not in kept],
        "left_out": [[name, code] for name, code in plan.left_out] + _ended(site),
        "dropped": list(plan.dropped),
        "unproven": [name for name in plan.names if name not in proven],
    }


def _ended(site: Site) -> list[list[str]]:
    return [[name.name, "excluded"] for name in site.facts.names if name.ended]
