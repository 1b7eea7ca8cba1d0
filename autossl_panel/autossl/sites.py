"""Rows read into the frozen facts that `policy` decides over; set-based, for one site or for fifty thousand."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.hosting.exclusion_patterns import Scope
from autossl_panel.hosting.models import Domain, Exclusion, Server, Setting, VirtualHost

from . import policies, policy, quick
from .facts import LONGEST_OF_A_NAME, ExcludedBy, InstalledFacts, NameFacts, PolicyOptions, Refused, SiteFacts, holds
from .models import Installation, Order, Outcome, Verdict
from .models.providers import KEY_KINDS
from .policies import Policies

DEFECTS = ("expired", "revoked", "mismatch", "weak", "chain")
# As they were read, or how they are read once the rows are, for the users of those
Given = Policies | Callable[[Collection[int]], Policies]


@dataclass(frozen=True, slots=True)
class Failing:
    """A name's verdict that is not a pass."""

    code: str
    outcome: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A virtual host: its row's values, its facts, the options it is decided with, and what DCV or its provider's CA
    found wrong, by name.
    """

    row: Mapping[str, Any]
    facts: SiteFacts
    options: PolicyOptions
    failing: Mapping[str, Failing] = field(default_factory=dict)


def policy_options(server: Server, users: Collection[int] | None = None) -> Policies:
    """What the sites of a server are decided with beside their facts, for `read`; `users` as `policies.read` has it."""
    return policies.read(server, users)


def read_ids(ids: Iterable[int], options: Given, now: datetime, *, serve_www: bool = True) -> dict[int, Site]:
    """The sites of these virtual hosts."""
    return read({"pk__in": list(ids)}, options, now, serve_www=serve_www, whole=True)


ROW = (
    "pk", "user_id", "name", "user__suspended", "user__autossl", "user__feature_list__autossl",
    "user__feature_list_id", "user__owner_id",
    "stored_pair", "retry_at", "held_until", "held_reason", "held_provider", "takeover", "last_extend_at",
    "state", "names_wanted", "names_covered", "next_at", "next_reason", "problem", "severity", "expires_at",
    "key_type", "problems_seen",
)  # fmt: skip
MOMENTS = ("retry_at", "held_until", "last_extend_at", "next_at", "expires_at")


def read(
    hosts: Mapping[str, Any], options: Given, now: datetime, *, serve_www: bool, whole: bool = False
) -> dict[int, Site]:
    """The sites of the virtual hosts that `hosts` (filters of VirtualHost) name, in the order of their users.

    Passing verdicts are read only where `whole`: a survey needs none of them. Who writes what comes of it gives a
    function as `options`: a change that made sites due is then seen, or their rows no longer say what was read.
    """
    # First of all, with the moment that `standing.save` compares: what a site is decided with is not older than it.
    rows = _rows(hosts)
    if not isinstance(options, Policies):
        options = options({row["user_id"] for row in rows})
    wishes = Wishes(options, _exclusions(rows), serve_www)
    gone = set() if hosts.get("gone_at__isnull") else _gone(hosts)
    # Only a site that was extended once is asked for its first hour
    appeared = dict(VirtualHost.objects.filter(**hosts, last_extend_at__isnull=False).values_list("pk", "appeared_at"))
    verdicts = _verdicts(hosts, whole)
    domains = _domains(hosts)
    certificates = _installed(hosts, now)
    open_orders, recent, caused = _orders(hosts, now)
    found = {}
    user_id = 0
    for row in rows:
        pk = row["pk"]
        if row["user_id"] != user_id:
            user_id, user = row["user_id"], wishes.of(row)
        mine, named = verdicts.get(pk, {}), domains.get(pk, [])
        wildcards = () if serve_www else [name for name, _added, _unfit in named if name.startswith("*.")]
        certificate_id, certificate = certificates.get(pk, (0, None))
        status, staged = open_orders.get(pk, (None, False))
        facts = SiteFacts(
            off="gone" if pk in gone else _off(row),
            names=tuple(
                [
                    name_facts(user, name, added, unfit, position == 0, mine.get(name), wildcards)
                    for position, (name, added, unfit) in enumerate(named)
                ]
            ),
            installed=certificate,
            open_order=status,
            stored_pair="staged" if staged else row["stored_pair"] or None,
            retry_at=row["retry_at"],
            held_until=row["held_until"],
            held_reason=row["held_reason"] or None,
            held_provider=row["held_provider"],
            takeover=row["takeover"],
            first_seen_at=appeared.get(pk),
            last_extend_at=row["last_extend_at"],
            recent_orders=recent.get(pk, ()),
            last_order_defect=caused.get((pk, certificate_id)),
        )
        found[pk] = Site(row, facts, user.options, failing_of(mine, user.options, now) if mine else {})
    return found


def _exclusions(rows: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    """The names that are excluded by name, of each hosting user that has any."""
    found: dict[int, set[str]] = {}
    users = {row["user_id"] for row in rows}
    of = {"user__in": users} if len(users) < 500 else {"user__gte": min(users), "user__lte": max(users)}
    excluded = Exclusion.objects.filter(**of).values_list("user_id", "name")
    for user_id, name in excluded:
        found.setdefault(user_id, set()).add(name)
    return found


@dataclass(frozen=True, slots=True)
class UserWishes:
    """What decides over the names of a hosting user beside themselves; users that are alike share one."""

    options: PolicyOptions
    excluded: Collection[str]
    scope: Scope | None
    private: bool
    serve_www: bool

    def ended(self, name: str, added: bool) -> tuple[bool, ExcludedBy | None]:
        """Whether nobody wishes for the name, and by which pattern. An added www. goes with its domain."""
        if name in self.excluded or (added and name.removeprefix("www.") in self.excluded):
            return True, None
        pattern = self.scope.of(name, added=added) if self.scope is not None else None
        return (False, None) if pattern is None else (True, ExcludedBy(*pattern))


class Wishes:
    """The hosting users of one reading: what decides over their names, beside the names themselves."""

    def __init__(self, options: Policies, excluded: Mapping[int, Collection[str]], serve_www: bool) -> None:
        self._options = options
        self._excluded = excluded
        self._serve_www = serve_www
        self._users: dict[tuple[int, int, int], UserWishes] = {}

    def of(self, row: Mapping[str, Any]) -> UserWishes:
        """Of the user that a row names by `user_id`, `user__feature_list_id` and `user__owner_id`."""
        user_id, feature_list_id = row["user_id"], row["user__feature_list_id"]
        options = self._options.of(user_id, feature_list_id)
        scope = None
        if self._options.patterns:
            scope = self._options.patterns.scope(row["user__owner_id"], feature_list_id, user_id)
        # Options and scopes are shared and live as long as this reading: their ids tell them apart.
        key = id(options), id(scope), user_id if user_id in self._excluded else 0
        found = self._users.get(key)
        if found is None:
            # Which names a CA takes is its own to say: without a provider none is called unfit for being private.
            private = options.provider is None or options.provider.private_ca
            excluded = self._excluded.get(user_id, ())
            found = self._users[key] = UserWishes(options, excluded, scope, private, self._serve_www)
        return found


def failing_of(verdicts: Mapping[str, Verdict], own: PolicyOptions, now: datetime) -> dict[str, Failing]:
    """What stands against these names where they would be asked for: another provider's CA has no say in it."""
    provider = own.provider.name if own.provider is not None else ""
    found = {}
    for name, verdict in verdicts.items():
        refusal = (verdict.refusals or {}).get(provider)
        if refusal is not None and holds(_until(refusal), now, LONGEST_OF_A_NAME):
            data = {"name": name, "kind": refusal["kind"], "text": refusal["text"]}
            found[name] = Failing("ca_refused", Outcome.FAIL, data)
        elif verdict.outcome == Outcome.PASS or verdict.code == "ca_refused":
            continue
        elif not verdict.barred or provider in verdict.barred:
            found[name] = Failing(verdict.code, verdict.outcome, verdict.data)
    return found


def _until(refusal: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(refusal["until"])


def _rows(hosts: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for values in quick.rows(VirtualHost.objects.filter(**hosts).order_by("user_id", "pk").values_list(*ROW)):
        row = dict(zip(ROW, values, strict=True))
        for name in MOMENTS:
            if row[name] is not None:
                row[name] = quick.moment(row[name])
        if row["problem"] is not None:
            row["problem"] = json.loads(row["problem"])
        found.append(row)
    return found


def _gone(hosts: Mapping[str, Any]) -> set[int]:
    return set(VirtualHost.objects.filter(**hosts, gone_at__isnull=False).values_list("pk", flat=True))


def _off(row: Mapping[str, Any]) -> str | None:
    if row["user__suspended"]:
        return "suspended"
    setting = row["user__autossl"]
    on = row["user__feature_list__autossl"] if setting == Setting.FEATURE_LIST else setting == Setting.ON
    return None if on else "disabled"


def name_facts(
    user: UserWishes,
    name: str,
    added: bool,
    unfit: str,
    main: bool,
    verdict: Verdict | None,
    wildcards: Collection[str] = (),
) -> NameFacts:
    """One name with what is known of it: why it cannot be asked for now, and what happened to it.

    `wildcards` are those among the site's names: they have its blocks answer for an added www., whatever the options.
    """
    ended, by = user.ended(name, added) if user.excluded or user.scope is not None else (False, None)
    served = user.serve_www or (added and any(name.endswith(one[1:]) for one in wildcards))
    code = policy.not_wanted(name, unfit, added=added, excluded=ended, private_ca=user.private, serve_www=served)
    if verdict is None:
        return NameFacts(name, main, added, code, ended=ended, excluded_by=by)
    return NameFacts(
        name,
        main,
        added,
        code,
        retry_at=verdict.retry_at,
        first_failed_at=verdict.first_failed_at,
        last_failed_at=verdict.last_failed_at,
        last_passed_at=verdict.last_passed_at,
        ended=ended,
        refusals=tuple(
            [
                Refused(provider, datetime.fromisoformat(one["since"]), _until(one))
                for provider, one in (verdict.refusals or {}).items()
            ]
        ),
        barred=tuple(verdict.barred or ()),
        excluded_by=by,
    )


def _of(hosts: Mapping[str, Any], path: str = "virtual_host") -> dict[str, Any]:
    """The same filters seen from a row that points at the virtual host."""
    return {f"{path}__{key}": value for key, value in hosts.items()}


def _domains(hosts: Mapping[str, Any]) -> dict[int, list[tuple[str, bool, str]]]:
    found: dict[int, list[tuple[str, bool, str]]] = {}
    rows = Domain.objects.filter(**_of(hosts)).order_by("virtual_host_id", "position")
    for host, name, added, unfit in quick.rows(rows.values_list("virtual_host_id", "name", "added", "unfit")):
        found.setdefault(host, []).append((name, added, unfit))
    return found


def _verdicts(hosts: Mapping[str, Any], whole: bool) -> dict[int, dict[str, Verdict]]:
    rows = Verdict.objects.filter(**_of(hosts, "domain__virtual_host")).select_related("domain")
    if not whole:
        rows = rows.exclude(outcome=Outcome.PASS, refusals__isnull=True)
    found: dict[int, dict[str, Verdict]] = {}
    for row in rows:
        found.setdefault(row.domain.virtual_host_id, {})[row.domain.name] = row
    return found


INSTALLED = (
    "virtual_host_id", "certificate_id", "key_matches", "certificate__names", "certificate__not_before",
    "certificate__not_after", "certificate__ours", "certificate__self_signed", "certificate__links",
    "certificate__weak", "certificate__revoked_at", "certificate__key_kind", "certificate__key_bits",
    "certificate__serial", "certificate__fingerprint", "certificate__renewal_at", "certificate__forward_until",
)  # fmt: skip


def _installed(hosts: Mapping[str, Any], now: datetime) -> dict[int, tuple[int, InstalledFacts]]:
    rows = Installation.objects.filter(until__isnull=True, **_of(hosts)).values_list(*INSTALLED)
    found = {}
    for (
        host, certificate, matches, names, not_before, not_after, ours, self_signed, links, weak, revoked_at, kind,
        bits, serial, fingerprint, renewal_at, forward_until,
    ) in quick.rows(rows):  # fmt: skip
        since, until, renewal = quick.moment(not_before), quick.moment(not_after), quick.moment(renewal_at)
        defects = defects_of(until, matches, weak, links, now)
        found[host] = (
            certificate,
            InstalledFacts(
                names=tuple(json.loads(names)),
                not_before=since,
                not_after=until,
                ours=ours,
                self_signed=self_signed,
                defects=defects,
                revoked=revoked_at is not None,
                key_type=KEY_KINDS.get((kind, bits)),
                serial=serial,
                fingerprint=fingerprint,
                renewal_at=renewal,
                ari_end=quick.moment(forward_until),
            ),
        )
    return found


def defects_of(until: datetime, matches: bool | None, weak: bool, links: bool, now: datetime) -> tuple[str, ...]:
    """What is wrong with a certificate that is installed, the worst first."""
    if until > now and matches is not False and not weak and links:
        return ()
    judged = (("expired", until <= now), ("mismatch", matches is False), ("weak", weak), ("chain", not links))
    return tuple(code for code, is_so in judged if is_so)


def _orders(
    hosts: Mapping[str, Any], now: datetime
) -> tuple[
    dict[int, tuple[str, bool]],
    dict[int, tuple[tuple[datetime, str, tuple[str, ...]], ...]],
    dict[tuple[int, int], str],
]:
    """Open orders (status, staged or not), issued orders of the last day, which defect caused which certificate."""
    mine = Order.objects.filter(**_of(hosts))
    opened = {
        host: (status, staged_at is not None)
        for host, status, staged_at in mine.filter(closed_at__isnull=True).values_list(
            "virtual_host_id", "status", "staged_at"
        )
    }
    recent: dict[int, tuple[tuple[datetime, str, tuple[str, ...]], ...]] = {}
    issued = mine.filter(certificate__isnull=False)
    for host, at, reason, names in issued.filter(created_at__gt=now - timedelta(days=1)).values_list(
        "virtual_host_id", "created_at", "reason", "names"
    ):
        recent[host] = (*recent.get(host, ()), (at, reason, tuple(names)))
    caused = {
        (host, certificate): reason
        for host, certificate, reason in issued.filter(reason__in=DEFECTS).values_list(
            "virtual_host_id", "certificate_id", "reason"
        )
    }
    return opened, recent, caused
