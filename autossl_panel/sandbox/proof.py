"""Compares what the panel says, and what the web server shows in TLS handshakes, with what the cases expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autossl_panel import pki
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import Case, End
from autossl_panel.sandbox.sites import BOUGHT_FROM


@dataclass(frozen=True, slots=True)
class Shown:
    """What one handshake showed for a name: `panel`, `bought`, `other` or `nothing`; and whether it is good for it."""

    name: str
    issuer: str
    covers: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case after a run: what the panel says, what was shown, and every difference from the expected end."""

    case: Case
    state: str
    problem: str | None
    covered: tuple[str, ...]
    shown: tuple[Shown, ...]
    differences: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        return not self.differences

    @property
    def served(self) -> bool:
        """Whether each covered name shows a certificate of the panel that is good for it."""
        good = {shown.name for shown in self.shown if shown.issuer == "panel" and shown.covers}
        return bool(self.covered) and good.issuperset(self.covered)


def shown(box: Box, name: str, serials: frozenset[int]) -> Shown:
    """One handshake with the box for `name`; `serials` are those that its CA has issued."""
    facts = pki.handshake(box.address, box.https_port, name).facts
    if facts is None:
        return Shown(name, "nothing")
    if int(facts.serial, 16) in serials:
        return Shown(name, "panel", facts.covers(name))
    return Shown(name, "bought" if BOUGHT_FROM in facts.issuer else "other", facts.covers(name))


def compare(
    box: Box, cases: Iterable[Case], status: Sequence[Mapping[str, Any]], *, replace_foreign: bool
) -> tuple[Outcome, ...]:
    """Every case against the entries of `autossl_status --json` and fresh handshakes."""
    serials = frozenset(int(issued.serial, 16) for issued in box.issuances())
    entries = {entry["name"]: entry for entry in status}
    return tuple(
        _compare(box, case, entries.get(case.name), case.expected(replace_foreign=replace_foreign), serials)
        for case in cases
    )


def _compare(box: Box, case: Case, entry: Mapping[str, Any] | None, end: End, serials: frozenset[int]) -> Outcome:
    seen = tuple(shown(box, name, serials) for name in dict.fromkeys((*case.names, *end.covered)))
    if entry is None:
        return Outcome(case, "missing", None, (), seen, ("the panel does not know this site",))
    problem = entry["problem"]["code"] if entry["problem"] else None
    differences = [
        f"{what}: {found or 'none'} instead of {wanted or 'none'}"
        for what, found, wanted in (
            ("user", entry["user"], case.user),
            ("state", entry["state"], end.state),
            ("problem", problem, end.problem),
            ("covered", ", ".join(sorted(entry["covered"])), ", ".join(sorted(end.covered))),
        )
        if found != wanted
    ]
    differences += _handshake_differences(case, end, seen)
    return Outcome(case, entry["state"], problem, tuple(entry["covered"]), seen, tuple(differences))


def _handshake_differences(case: Case, end: End, seen: Iterable[Shown]) -> list[str]:
    found = []
    for each in seen:
        if each.name in end.covered and not (each.issuer == end.issuer and each.covers):
            shows = each.issuer if each.issuer != end.issuer else "a certificate without this name"
            found.append(f"{each.name} shows {shows} instead of {end.issuer}")
        elif end.issuer == "bought" and each.issuer != "bought":
            found.append(f"{each.name} shows {each.issuer} instead of bought")
        elif end.issuer is None and each.issuer != "nothing":
            # Nobody's name may show another customer's certificate.
            found.append(f"{each.name} shows {each.issuer} instead of nothing")
    return found
