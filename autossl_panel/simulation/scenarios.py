"""What may happen in a play, by name, and how it is asked for. Wrong requests are refused: the field and the cause."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autossl_panel.autossl.ledger import COUNTED, Kind
from autossl_panel.ca.presets import LETS_ENCRYPT, preset

from .times import DAY, HOUR

# How the sites stand on the first day: one of these
STARTS: Mapping[str, str] = {
    "settled": "every site has a certificate of the account, of any age (where no other start is named)",
    "migration": "no site has a certificate yet: all are new on the first day",
    "moved": "every site has a certificate as above, but from another provider, which is used no more",
}
HAPPENS: Mapping[str, str] = {
    "dns": "names fail: for good, for days, now and then",
    "refusals": "the CA refuses names that our preflight found well",
    "resolver": "our resolver answers nothing for hours, and lies for some",
    "outages": "the CA is down for hours and for days, with and without Retry-After",
    "slow": "orders take minutes to hours for three days",
    "windows": "the CA moves renewal windows to and fro",
    "revocation": "the CA hurries a tenth of all certificates, and revokes what is left after five days",
    "reissue": "the admin has all certificates issued anew for another key type",
    "off": "the panel is off for days",
    "clock": "the server's clock is set to and fro, within five minutes",
    "growth": "sites and names appear all the time",
}
HELPS: Mapping[str, str] = {"fallback": "a second provider without published limits stands by"}
SCENARIOS: Mapping[str, str] = {**STARTS, **HAPPENS, **HELPS}
# What `year` stands for
YEAR = ("migration", *HAPPENS)
MOST_HOSTS = 1 << 21
MOST_DAYS = 3650
# No request is played by itself, and accounts are there from the start: see docs/operating.md, Simulating
NOT_PLAYED = {str(Kind.REQUESTS), str(Kind.REGISTRATIONS)}
_KINDS = {str(kind) for kind in COUNTED} - NOT_PLAYED
_LIFETIME = re.compile(r"(\d+)\s*([dh]?)\Z")

# kind, number, seconds, whether it comes back bit by bit
Limits = tuple[tuple[str, int, int, bool], ...]


class SettingProblem(ValueError):
    """A setting that cannot be played; `field` is its name."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field, self.text = field, text


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played. `lifetime` is seconds; `daily`: every host is looked at every day, to compare with."""

    hosts: int = 30_000
    days: int = 365
    lifetime: int = 90 * DAY
    limits: Limits = field(default_factory=lambda: limits("letsencrypt"))
    ari: bool = True
    scenarios: Collection[str] = YEAR
    seed: int = 1
    accounts: int = 1
    in_flight: int = 8
    order_seconds: float = 5.0
    daily: bool = False

    def __post_init__(self) -> None:
        _between("hosts", self.hosts, 1, MOST_HOSTS)
        _between("days", self.days, 1, MOST_DAYS)
        _between("lifetime", self.lifetime, HOUR, 400 * DAY)
        _between("accounts", self.accounts, 1, 100)
        _between("in-flight", self.in_flight, 1, 1000)
        if not 1 <= self.order_seconds <= 60:
            raise SettingProblem("order-seconds", f"from 1 to 60, not {self.order_seconds:g}")

    @property
    def max_names(self) -> int:
        """Names in one certificate: profiles of few weeks take fewer."""
        return 25 if self.lifetime < 10 * DAY else 100


def _between(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SettingProblem(field, f"from {least:,} to {most:,}, not {value:,}")


def scenarios(given: Sequence[str]) -> frozenset[str]:
    """What these names stand for, each perhaps several with commas. Raises SettingProblem."""
    found: set[str] = set()
    for word in (word.strip() for text in given for word in text.split(",")):
        if word == "year":
            found.update(YEAR)
        elif word in SCENARIOS:
            found.add(word)
        elif word:
            raise SettingProblem("scenario", f"there is no “{word}”; there are year, {', '.join(SCENARIOS)}")
    starts = found & STARTS.keys()
    if len(starts) > 1:
        raise SettingProblem(
            "scenario", f"the sites stand in one way on the first day, not {' and '.join(sorted(starts))}"
        )
    return frozenset(found)


def lifetime(text: str) -> int:
    """Seconds of “90”, “45d”, “160h”. Raises SettingProblem."""
    found = _LIFETIME.match(text.strip().lower())
    if found is None:
        raise SettingProblem("lifetime", f"days or hours, like 90, 45d or 160h, not “{text}”")
    return int(found[1]) * (HOUR if found[2] == "h" else DAY)


def limits(given: str) -> Limits:
    """The limits of that name or file. Raises SettingProblem."""
    if given == "none":
        return ()
    if given == "letsencrypt":
        known = preset(LETS_ENCRYPT)
        assert known is not None
        return tuple(
            (one.kind, one.number, one.seconds, one.continuous) for one in known.limits if one.kind not in NOT_PLAYED
        )
    try:
        said = json.loads(Path(given).read_text(encoding="utf-8"))
    except OSError as error:
        text = f"letsencrypt, none or a file; “{given}”: {error.strerror or error}"
        raise SettingProblem("limits", text) from error
    except ValueError as error:
        raise SettingProblem("limits", f"{given} is no JSON: {error}") from error
    return _from_file(given, said)


def _from_file(given: str, said: object) -> Limits:
    """{"orders": [300, 10800], …}: how many within how many seconds."""
    if not isinstance(said, dict):
        raise SettingProblem("limits", f'{given}: an object is wanted, like {{"orders": [300, 10800]}}')
    found = []
    for kind, figures in said.items():
        if kind in NOT_PLAYED:
            raise SettingProblem("limits", f"{given}: “{kind}” is not played; there are {', '.join(sorted(_KINDS))}")
        if kind not in _KINDS:
            raise SettingProblem("limits", f"{given}: there is no “{kind}”; there are {', '.join(sorted(_KINDS))}")
        whole = isinstance(figures, list) and len(figures) == 2 and all(type(one) is int for one in figures)
        if not whole or figures[0] < 1 or figures[1] < (0 if kind == "consecutive" else 1):
            raise SettingProblem(
                "limits", f"{given}: “{kind}” is [how many, within how many seconds], like [300, 10800]"
            )
        found.append((kind, figures[0], figures[1], False))
    return tuple(found)
