"""What is wrong beyond single sites, for the administrator: this server, its providers, runs that stopped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.hosting.models import Server, VirtualHost

from .. import log, providers, trouble
from ..models import Account, AccountStatus, Job, Kind, Run
from ..policy.trouble import FAILING_ALIKE, ServerTrouble
from . import channels
from .changes import DAY, ZERO, Fact
from .matters import HOUR, OF_THE_CA, PATIENT, Matter, family

# What a CA's problem kind is called on a site; as `jobs.ordering` says it
CODES = {
    "terms": "ca_terms",
    "eab": "ca_eab",
    "account": "ca_account",
    "account_gone": "ca_account",
    "key_lost": "ca_account",
    "unreachable": "ca_unreachable",
    "profile_gone": "profile_gone",
}
# A person has to act on these; the others may be over at the next try
ACT = frozenset({"ca_terms", "ca_eab", "ca_account", "profile_gone"})
CA_CODES = ("ca_account", "ca_eab", "ca_server", "ca_terms", "ca_unreachable")
# What keeps names from being checked here, as messages have called it since the first one
UNKNOWN = {"resolver_dead": "resolver", "no_route": "no_route", "own_address": "own_address_timeout"}
# Of addresses and channels that take nothing, so many are named
NAMED = 3
# What the summary of a run is called; see `texts`
FAILURES = "failures"
# The summary of a run remembers so many failing sites one by one; beyond, its causes alone are what may change
ONE_BY_ONE = 500


@dataclass(frozen=True, slots=True)
class Failing:
    """A site whose newest job failed, of which nothing is told on its own: its certificate is sound all the same."""

    site: str
    code: str


def of_server(server: Server, now: datetime) -> list[Matter]:
    """Trouble of this server: its clock, resolver and routes, the web server's configuration, many failing alike,
    messages that nobody takes.
    """
    seen = trouble.look(server, now)
    found = [_server("clock", {"seconds": int(one.data["seconds"])}) for one in seen if one.code == "clock"]
    problem = server.inventory_problem
    if problem is not None:
        found.append(_server("inventory", problem, about=str(problem.get("file") or "")))
    found += _unknown(seen)
    found += _undelivered(server)
    alike = Job.objects.filter(server=server, outcome_reason="reductions_suspended", ended_at__gt=now - DAY)
    if alike.exists() or any(one.code == FAILING_ALIKE for one in seen):
        found.append(_server("reductions_suspended", {}))
    return found


def _unknown(seen: Iterable[ServerTrouble]) -> Iterator[Matter]:
    """What keeps names from being checked here, by its reason."""
    for code, reason in UNKNOWN.items():
        mine = [one for one in seen if one.code == code]
        if mine:
            data = {**mine[0].data, "number": sum(one.names for one in mine)}
            yield _server(reason, data, patience=HOUR)


def _undelivered(server: Server) -> Iterator[Matter]:
    """Messages that were given up, so that whoever else takes them hears of it."""
    found = channels.undelivered(server)
    if found:
        text = "; ".join(f"{one.to}: {one.text}" for one in found[:NAMED]) + (" …" if len(found) > NAMED else "")
        facts: frozenset[Fact] = frozenset((one.to, "undelivered") for one in found)
        yield Matter(Kind.SERVER, "server:undelivered", facts, code="undelivered", data={"text": text})


def _server(code: str, data: Mapping[str, Any], *, about: str = "", patience: timedelta = ZERO) -> Matter:
    facts: frozenset[Fact] = frozenset({(about, code)})
    return Matter(Kind.SERVER, f"server:{code}", facts, code=code, data=data, admin_patience=patience)


def of_providers(server: Server, now: datetime) -> list[Matter]:
    """Trouble with the providers in use, whoever chose them, and their accounts; with the sites that wait for each."""
    waiting = _waiting(server)
    found = []
    accounts = Account.objects.select_related("provider").filter(server=server)
    for account in accounts.filter(provider__in=providers.in_use()).order_by("pk"):
        codes: dict[str, str] = {}
        down = account.down_until is not None and account.down_until > now
        if down:
            codes[_code(account.down_problem)] = str((account.down_problem or {}).get("text", ""))
        for problem in (account.problem, account.provider.problem):
            if problem and account.status != AccountStatus.REGISTERING:
                codes.setdefault(_code(problem), str(problem.get("text", "")))
        mine = waiting.get(account.provider.name, {})
        for code, (_number, text) in mine.items():
            codes.setdefault(code, text)
        if codes:
            found.append(_provider(account, codes, mine, at_once=down))
    return found


def _provider(
    account: Account, codes: Mapping[str, str], waiting: Mapping[str, tuple[int, str]], *, at_once: bool
) -> Matter:
    worst = min(codes, key=lambda code: (code not in ACT, code))
    name = str(account.provider)
    sites = sum(number for code, (number, _text) in waiting.items() if code in codes)
    return Matter(
        Kind.PROVIDER,
        f"provider:{account.provider.name}",
        frozenset(("", code) for code in codes),
        code=worst,
        domain=name,
        data={"text": codes[worst], "sites": sites, **log.of_provider(account.provider.name, name)},
        until=account.down_until if at_once else None,
        admin_patience=ZERO if at_once or worst in ACT else HOUR,
    )


def _code(problem: Mapping[str, Any] | None) -> str:
    code = str((problem or {}).get("code", "server"))
    return code if code.startswith("ca_") else CODES.get(code, "ca_server")


def _waiting(server: Server) -> dict[str, dict[str, tuple[int, str]]]:
    """By provider and the CA's code: how many sites wait for that, and what the CA said to one of them."""
    rows = VirtualHost.objects.filter(server=server, gone_at__isnull=True, problem__code__in=CA_CODES)
    active = providers.active(server)
    # Rows of old did not say whom they had asked.
    unsaid = active[0].name if active is not None else ""
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for problem in rows.order_by("pk").values_list("problem", flat=True).iterator():
        assert problem is not None
        data = problem.get("data") or {}
        mine = found.setdefault(str(data.get("provider") or unsaid), {})
        number, text = mine.get(problem["code"], (0, str(data.get("text", ""))))
        mine[problem["code"]] = (number + 1, text)
    return found


def of_runs(ended: Iterable[Run]) -> list[Matter]:
    """Runs that could not do their work; a configuration that cannot be read is the server's trouble."""
    found: dict[str, Matter] = {}
    for run in ended:
        code = str((run.problem or {}).get("code", ""))
        if code and code != "inventory":
            data = {"text": str((run.problem or {}).get("text", "")), "scope": run.scope}
            found[code] = Matter(Kind.RUN, f"run:{code}", frozenset({("", code)}), code=code, data=data)
    return list(found.values())


def is_summed_up(code: str) -> bool:
    """Whether a site that failed so belongs into a run's summary: what is the CA's is told of the provider, and what
    waits for its turn ends by itself.
    """
    return code not in OF_THE_CA and code not in PATIENT


def of_failures(failing: Sequence[Failing]) -> list[Matter]:
    """One summary of what failed in a run for all and is told nowhere else: by cause how many sites, and the first."""
    if not failing:
        return []
    by_cause = Counter(one.code for one in failing)
    facts: frozenset[Fact] = frozenset((one.site, family(one.code)) for one in failing)
    if len(facts) > ONE_BY_ONE:
        facts = frozenset(("", cause) for _site, cause in facts)
    data = {
        "failing": len(failing),
        "causes": [
            {"code": code, "sites": number, "named": [one.site for one in failing if one.code == code][:NAMED]}
            for code, number in by_cause.most_common()
        ],
    }
    return [Matter(Kind.RUN, f"run:{FAILURES}", facts, code=FAILURES, data=data)]
