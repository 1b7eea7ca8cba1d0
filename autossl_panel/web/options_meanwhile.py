"""What of the options' form a person changed, told from what somebody else saved since the form was shown.

The form carries what it showed: a field that comes back as it was shown is nobody's wish, and another's change stands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from autossl_panel.autossl import options as heart
from autossl_panel.autossl.models import NotifyLevel, SecondFactorRule

# The hidden field with what the form showed
SHOWN = "shown"
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What the form would set beside what holds now, and what is to be said where both changed one field."""

    values: dict[str, str]
    problems: dict[str, str]


def pack(values: Values) -> str:
    """What a form shows, for its hidden field."""
    return json.dumps(dict(values), ensure_ascii=False)


def unpack(text: str) -> dict[str, str]:
    """What the form had shown; empty where it does not say."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if name in heart.READERS and isinstance(value, str)}


def tell_apart(typed: Values, shown: Values, now: Values) -> Told:
    """Take from `typed` what differs from what was `shown`, and all else as it is `now`.

    A field of which nothing was shown counts as changed.
    """
    values, problems = {}, {}
    for name, value in typed.items():
        before = shown.get(name, now[name])
        if name in shown and _same(name, value, before):
            values[name] = now[name]
            continue
        values[name] = value
        if not _same(name, now[name], before) and not _same(name, now[name], value):
            problems[name] = changed_meanwhile(name, now[name])
    return Told(values, problems)


def _same(name: str, one: str, other: str) -> bool:
    """Whether both say the same, however they are written."""
    try:
        return one == other or bool(heart.READERS[name](name, one) == heart.READERS[name](name, other))
    except heart.OptionProblem:
        return False


def changed_meanwhile(name: str, now: str) -> str:
    """What to say at a field that two have changed."""
    text = _("Meanwhile this was set to “%(value)s”, in another tab or by somebody else. Save again to set yours.")
    return text % {"value": _words(name, now)} if now else _emptied()


def _emptied() -> str:
    return _("Meanwhile this was emptied, in another tab or by somebody else. Save again to set yours.")


def _words(name: str, value: str) -> str:
    if name.startswith("notify_"):
        return str(NotifyLevel(value).label)
    if name == "second_factor":
        return str(SecondFactorRule(value).label)
    if name in ("replace_foreign", "serve_www", "reissue"):
        return _("yes") if value == "yes" else _("no")
    return value
