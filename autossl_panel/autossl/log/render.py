"""From event and data to the text that people read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Level, LogLine
from .advice import advice, known
from .events import COUNTED, EVENTS
from .readers import Reader
from .spoken import spoken
from .titles import title
from .words import LIMITS, REASONS

# Problems whose words come from the CA, the helper or the web server
SAID = frozenset(code for code in REASONS if code.startswith("ca_")) | {
    "attach_refused", "foreign_broken", "helper_gone", "internal", "inventory", "nginx_not_running", "quarantined",
    "rolled_back",
}  # fmt: skip


# Lines whose reason somebody can mend, with the key of the name that it is about
MENDED = {
    "dcv:failed": "name", "dcv:unknown": "name", "site:name_left_out": "name", "site:kept": "site",
    "run:trouble": "server",
}  # fmt: skip


# Lines whose `text` and `where` may name somebody else's file
NAMES_FILES = frozenset(
    {"attach:failed", "install:failed", "install:quarantined", "install:rolled_back", "install:stays_staged"}
)


# How sites of a run ended, as its last line sums up
OUTCOMES = {
    "secured": gettext_lazy("%(n)d secured"),
    "renewed": gettext_lazy("%(n)d renewed"),
    "kept": gettext_lazy("%(n)d kept"),
    "skipped": gettext_lazy("%(n)d skipped"),
    "deferred": gettext_lazy("%(n)d deferred"),
    "waiting": gettext_lazy("%(n)d waiting"),
    "failed": gettext_lazy("%(n)d failed"),
    "cancelled": gettext_lazy("%(n)d cancelled"),
}
NO_SITES = gettext_lazy("no sites")


@dataclass(frozen=True, slots=True)
class Line:
    """One log line, ready to be shown."""

    at: datetime
    level: Level
    depth: int
    text: str
    event: str
    data: Mapping[str, Any]
    job_id: int | None
    user_id: int | None
    seq: int
    reader: Reader = Reader.ANYBODY

    @property
    def advice(self) -> str:
        """What a person can do about a warning or a failure; empty where there is nothing to say."""
        key, reason = MENDED.get(self.event), str(self.data.get("reason", ""))
        if key is None or self.level not in (Level.WARN, Level.FAILURE) or not known(reason):
            return ""
        return advice(reason, {**(self.data.get("found") or {}), "name": self.data.get(key, "")}, self.reader)

    @property
    def about(self) -> str:
        """The name that the advice is about; "" where the line gives none."""
        return str(self.data.get(MENDED[self.event], "")) if self.event in MENDED else ""


def reason_text(code: str) -> str:
    """A reason or problem code in plain words; a code without words is shown as it is."""
    return str(REASONS.get(code, code))


def limit_text(kind: str, label: str) -> str:
    """What a CA limits, of whom: “certificates of example.org”. A kind without words is shown as it is."""
    return str(LIMITS.get(kind, kind)) % {"label": label or "?"}


def render(event: str, data: Mapping[str, Any]) -> str:
    """The text of a line. What a text names and the line lacks shows as “?”: an old line never breaks a page."""
    values = _Values(
        {name: number_format(value) if isinstance(value, float) else value for name, value in data.items()}
    )
    if "provider" in data:
        values["provider"] = title(data)
    if "reason" in data:
        found = data.get("found")
        values.setdefault("reason_text", cause_text(str(data["reason"]), found if isinstance(found, Mapping) else data))
    values.setdefault("until_text", _(", next try %(until)s") % {"until": data["until"]} if "until" in data else "")
    if "limit" in data:
        values.setdefault("limit_text", limit_text(str(data["limit"]), str(data.get("label", ""))))
    if "scope" in data:
        values.setdefault("scope_text", scope_text(str(data["scope"])))
    if "summary" in data:
        values["summary"] = _summary(str(data["summary"]))
    if "text" in data:
        values["text"] = spoken(str(data["text"]))
    of_one = (text for name, text in COUNTED.get(event, ()) if data.get(name) == 1)
    template = next(of_one, EVENTS.get(event))
    if template is None:
        return f"{event} {dict(data)}"
    return str(template) % values


def cause_text(code: str, data: Mapping[str, Any]) -> str:
    """What is wrong, in a few words; of a certificate that has only expired, just that."""
    if code == "foreign_defective" and list(data.get("defects") or ())[:1] == ["expired"]:
        return _("another's certificate, which has expired")
    return reason_text(code)


def problem_text(problem: Mapping[str, Any]) -> str:
    """A stored problem {"code", "domain", "data"} in one sentence, with what the CA or the helper said."""
    code = str(problem["code"])
    text = cause_text(code, problem.get("data") or {})
    said = (problem.get("data") or {}).get("text") if code in SAID else None
    return f"{text}: {spoken(str(said))}" if said else text


def problem_advice(problem: Mapping[str, Any], reader: Reader = Reader.ANYBODY) -> str:
    """What a person can do about a stored problem, with its facts filled in."""
    return advice(str(problem["code"]), {"name": problem.get("domain", ""), **(problem.get("data") or {})}, reader)


def problem_told(problem: Mapping[str, Any], reader: Reader = Reader.ANYBODY) -> str:
    """A stored problem in full: its cause and its fix where we know one, else what was said."""
    return problem_advice(problem, reader) if known(str(problem["code"])) else problem_text(problem)


def line(row: LogLine, *, whole: bool = True, reader: Reader = Reader.ANYBODY) -> Line:
    """A row as `reader` sees it. Not `whole`: for people who are not root, without what names files of the server."""
    data = row.data if whole or row.event not in NAMES_FILES else {**row.data, "where": "", "text": ""}
    return Line(
        row.at,
        Level(row.level),
        row.depth,
        render(row.event, data).rstrip(),
        row.event,
        data,
        row.job_id,
        row.user_id,
        row.seq,
        reader,
    )


def scope_text(scope: str) -> str:
    """What a run is for: “all users”, “user amber”, “what is due”."""
    kind, _colon, name = scope.partition(":")
    if kind == "user":
        return _("user %(name)s") % {"name": name}
    if kind == "owner":
        return _("the users of %(name)s") % {"name": name}
    if scope == "due":
        return _("what is due")
    return _("all users")


def _summary(text: str) -> str:
    """“2 secured, 1 failed” as `runs.Progress` sums up, in the language that is active."""
    pieces = []
    for piece in text.split(", "):
        number, _space, outcome = piece.partition(" ")
        if number.isdecimal() and outcome in OUTCOMES:
            pieces.append(str(OUTCOMES[outcome]) % {"n": int(number)})
        else:
            pieces.append(str(NO_SITES) if piece == "no sites" else piece)
    return ", ".join(pieces)


class _Values(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
