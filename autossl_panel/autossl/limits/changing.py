"""What an admin says that a CA allows, where it allows this server more or less than it publishes."""

import re
from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from autossl_panel.people import audit
from autossl_panel.people.models import User

from ..ledger import COUNTED, Kind, Limit
from ..models import Provider
from .rows import limits_of

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# More is no limit to anybody; and a bucket holds so many entries at most
MOST = 100_000
LONGEST = 366 * 86400
NONE = "none"
# How a limit is typed
EXAMPLE, EXAMPLE_IN_A_ROW = "300/3h", "1152"

_TEXT = re.compile(r"(\d{1,12})(?:\s*/\s*(\d{1,12})\s*([smhd]?))?(?:\s*/\s*(continuous|window))?", re.IGNORECASE)


class LimitProblem(ValueError):
    """A limit that cannot be taken; `field` is its kind."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def texts(provider: Provider) -> dict[str, str]:
    """Every kind's limit as a person would type it: “300/3h/continuous”, “1152”, “none”."""
    known = {limit.kind: limit for limit in limits_of(provider)}
    return {str(kind): _text(known.get(kind)) for kind in COUNTED}


def change(provider: Provider, values: Mapping[str, str], *, by: User | None) -> tuple[Limit, ...]:
    """Change the limits named in `values` (texts as typed); the others stay as they are. A problem changes none.

    `NUMBER/WINDOW`, the window in seconds or with s, m, h, d; `/continuous` where the CA gives back bit by bit,
    `/window` where only when the window is over; without either that stays as it was. Raises LimitProblem.
    """
    with transaction.atomic():
        row = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
        before = texts(row)
        found = {limit.kind: limit for limit in limits_of(row)}
        for field, text in values.items():
            if field not in before:
                raise LimitProblem(
                    field,
                    _("There is no limit “%(field)s”. There are: %(kinds)s.")
                    % {"field": field, "kinds": ", ".join(before)},
                )
            kind = Kind(field)
            limit = _limit(kind, text, found.get(kind))
            if limit is None:
                found.pop(kind, None)
            else:
                found[kind] = limit
        row.limits = [_as_json(found[kind]) for kind in COUNTED if kind in found]
        _save(row, before, by)
    provider.limits = row.limits
    return limits_of(provider)


def reset(provider: Provider, *, by: User | None) -> tuple[Limit, ...]:
    """Go by what the CA's preset publishes again."""
    with transaction.atomic():
        row = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
        before = texts(row)
        row.limits = None
        _save(row, before, by)
    provider.limits = None
    return limits_of(provider)


def _save(row: Provider, before: dict[str, str], by: User | None) -> None:
    row.save(update_fields=["limits"])
    audit.record(by, "provider:limits", row.name, before=before, after=texts(row))


def _limit(kind: Kind, text: str, known: Limit | None) -> Limit | None:
    """The limit that a text says; None for none."""
    said = text.strip()
    if said.lower() in ("", NONE):
        return None
    parts = _TEXT.fullmatch(said)
    example = EXAMPLE_IN_A_ROW if kind is Kind.CONSECUTIVE else EXAMPLE
    if parts is None:
        raise LimitProblem(
            kind,
            _("“%(text)s” is not a limit; write it like %(example)s, or none.")
            % {"text": text[:80], "example": example},
        )
    number, window, unit, way = parts.groups()
    if not 1 <= int(number) <= MOST:
        raise LimitProblem(
            kind,
            _("%(n)s is not a number from 1 to %(most)d; where there is no limit, write none.")
            % {"n": number, "most": MOST},
        )
    if kind is Kind.CONSECUTIVE:
        if window or way:
            raise LimitProblem(
                kind, _("Failures in a row have no window; write it like %(example)s, or none.") % {"example": example}
            )
        return Limit(kind, int(number), 0)
    if not window:
        raise LimitProblem(
            kind,
            _("“%(text)s” does not say within which time; write it like %(example)s, or none.")
            % {"text": text[:80], "example": example},
        )
    seconds = int(window) * UNITS[unit.lower()]
    if not 1 <= seconds <= LONGEST:
        raise LimitProblem(
            kind, _("“%(window)s%(unit)s” is not a time from a second to 366 days.") % {"window": window, "unit": unit}
        )
    continuous = way.lower() == "continuous" if way else known is not None and known.continuous
    return Limit(kind, int(number), seconds, continuous)


def _text(limit: Limit | None) -> str:
    if limit is None:
        return NONE
    if limit.kind is Kind.CONSECUTIVE:
        return str(limit.number)
    return f"{limit.number}/{window(limit.seconds)}" + ("/continuous" if limit.continuous else "/window")


def window(seconds: int) -> str:
    """A window in the largest unit that it is a multiple of: “3h”, “7d”, “90s”."""
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


def _as_json(limit: Limit) -> dict[str, str | int | bool]:
    return {
        "kind": str(limit.kind), "number": limit.number, "seconds": limit.seconds, "continuous": limit.continuous
    }  # fmt: skip
