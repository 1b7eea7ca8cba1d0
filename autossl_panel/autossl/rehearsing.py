"""A rehearsal at work: the account at the staging directory, then each site through the steps of a run up to the issued
certificate, which is looked at and thrown away. Run by workers.

The steps are the run's own (`dcv`, `policy.plan`, `orders.advance`), over an order that is no row and a helper that
stages nothing: what they would save is a line of the rehearsal's log.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from autossl_panel import ca, dcv, pki
from autossl_panel.helper.client import Client as Helper
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import VirtualHost

from . import changeover, install, leases, orders, policies, policy, profiles, registration, rehearsal, sites
from . import options as option_rows
from .facts import Action, Need, Plan, PolicyOptions
from .ledger import Purpose
from .models import (
    Account,
    AccountStatus,
    Level,
    Order,
    Rehearsal,
    RehearsalLine,
    RehearsalOutcome,
    RehearsalSite,
)
from .orders import Progress, State, Tools
from .orders import permits as order_permits
from .patience import patiently
from .registration import keys
from .sites import Site

log = logging.getLogger("autossl_panel.rehearsal")

LEASE = 30.0
MOST_ATTEMPTS = 3
# A task may take four minutes: what has not begun by then is left
BUDGET = 180.0
# After a reload old workers may answer for a moment
TRIES, PAUSE = 4, 1.0
# An order of a rehearsal; the helper throws its key away with the next day
IDENT = "r-"


class _Issued(Exception):
    """The CA has issued the certificate, and it is what was ordered: the rehearsal ends before it would be staged."""

    def __init__(self, chain: bytes) -> None:
        super().__init__("issued")
        self.chain = chain


class _Aside(Helper):
    """The helper as an order knows it, but that nothing is ever staged."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    def gen_csr(self, order: str, key: str, names: Sequence[str], key_type: str) -> bytes:
        return self._helper.gen_csr(order, key, names, key_type)

    def challenge_put(self, token: str, body: str) -> None:
        self._helper.challenge_put(token, body)

    def challenge_del(self, tokens: Collection[str]) -> None:
        self._helper.challenge_del(tokens)

    def stage(self, order: str, chain_pem: bytes) -> Any:
        raise _Issued(chain_pem)


def carry_out(rehearsal_id: int, helper: Helper, *, stop: Callable[[], bool] = lambda: False) -> None:
    """Rehearse, unless somebody is at it; it ends in any case, with a problem where nothing could be tried."""
    found = (
        Rehearsal.objects.select_related("server", "provider").filter(pk=rehearsal_id, ended_at__isnull=True).first()
    )
    if found is None:
        return
    with leases.kept(rehearsal.lease(found), leases.new_holder(), LEASE) as ours:
        if not ours:
            return
        found.refresh_from_db()
        if found.ended_at is not None:
            return
        found.attempts += 1
        Rehearsal.objects.filter(pk=found.pk).update(attempts=found.attempts)
        work = _Work(found, helper, stop)
        if found.attempts > MOST_ATTEMPTS:
            work.end("worker_died")
            return
        try:
            work.do()
        except Exception as error:
            # One that never ends would be shown as under way for ever.
            log.exception("rehearsal %s", found.pk)
            work.end("internal", f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class _Work:
    """One rehearsal under way."""

    found: Rehearsal
    helper: Helper
    stop: Callable[[], bool]
    ends_at: float = field(default_factory=lambda: time.monotonic() + BUDGET)

    def do(self) -> None:
        """All of it."""
        found = self.found
        if found.account_id is None:
            self.end("ca_account")
            return
        account = Account.objects.select_related("provider").get(pk=found.account_id)
        if found.attempts == 1:
            provider, url = str(found.provider), found.directory_url
            self.say("rehearsal:started", provider=provider, directory=url, sites=found.sites.count())
        if account.status == AccountStatus.REGISTERING:
            account = registration.register(account)
        if account.status != AccountStatus.VALID or not account.url:
            self.end("ca_account", str((account.problem or {}).get("text", "")))
            return
        self.say("rehearsal:account", account=account.url)
        try:
            with keys.in_use(account, stop=self.stop) as ours:
                if ours:
                    with closing(registration.client(account)) as client:
                        patiently(lambda: self.helper.register_thumbprint(account.thumbprint), stop=self.stop)
                        client.freshen()
                        self._all_sites(account, client)
        except ca.CaProblem as problem:
            self.end(_code_of(problem), str(problem))
            return
        except (HelperGone, HelperProblem) as problem:
            self.end("helper_gone" if isinstance(problem, HelperGone) else problem.code, str(problem))
            return
        if not self.stop():
            self.end()

    def _all_sites(self, account: Account, client: ca.Client) -> None:
        options = _options(self.found, account)
        for row in self.found.sites.filter(outcome="").select_related("virtual_host__server", "virtual_host__user"):
            if self.stop():
                return
            if time.monotonic() > self.ends_at:
                self._failed(row, "rehearsal_late")
                continue
            self.say("rehearsal:site", depth=1, site=row.virtual_host.name, user=row.virtual_host.user.name)
            _SiteWork(self, row, account, client, options).do()

    def _failed(self, row: RehearsalSite, reason: str, text: str = "", level: Level = Level.FAILURE) -> None:
        row.outcome, row.reason, row.text, row.ended_at = RehearsalOutcome.FAILED, reason, text[:500], timezone.now()
        row.save()
        self.say("rehearsal:failed", level, depth=2, site=row.virtual_host.name, reason=reason, text=text)

    def failed(self, row: RehearsalSite, reason: str, text: str = "") -> None:
        """A site's end without a certificate."""
        self._failed(row, reason, text)

    def say(self, event: str, level: Level = Level.OUT, *, depth: int = 0, **data: Any) -> None:
        """A line of the log. One writer: whoever holds the lease."""
        last = RehearsalLine.objects.filter(rehearsal=self.found).order_by("-seq").values_list("seq", flat=True).first()
        RehearsalLine.objects.create(
            rehearsal=self.found,
            seq=(last or 0) + 1,
            at=timezone.now(),
            level=level,
            depth=depth,
            event=event,
            data=data,
        )

    def end(self, code: str = "", text: str = "") -> None:
        """It is over; with `code`, before all of it was tried."""
        if code:
            self.say("rehearsal:stopped", Level.FAILURE, reason=code, text=text)
        issued = self.found.sites.filter(outcome=RehearsalOutcome.ISSUED).count()
        total = self.found.sites.count()
        level = Level.SUCCESS if issued == total and not code else Level.WARN
        self.say("rehearsal:ended", level, issued=issued, sites=total)
        problem = {"code": code, "text": text[:500]} if code else None
        Rehearsal.objects.filter(pk=self.found.pk).update(problem=problem, ended_at=timezone.now())


def _options(found: Rehearsal, account: Account) -> PolicyOptions:
    """What sites are decided with here: the staging provider's facts, and the key type of this server."""
    provider = found.provider
    profile = profiles.profile_in_use(provider)
    if profile in account.provider.profiles:
        # As the orders to come would ask for it
        account.provider.profile = profile
    row = option_rows.current(found.server)
    return PolicyOptions(provider=policies.facts_of(account), key_type=row.key_type)


@dataclass(slots=True)
class _SiteWork:
    """One site of it."""

    work: _Work
    row: RehearsalSite
    account: Account
    client: ca.Client
    options: PolicyOptions

    @property
    def host(self) -> VirtualHost:
        host: VirtualHost = self.row.virtual_host
        return host

    def do(self) -> None:
        """From its names to a certificate that is thrown away."""
        if not self._attached():
            return
        server = self.host.server
        known = sites.policy_options(server).only(self.options)
        serve_www = option_rows.current(server).serve_www
        site = sites.read_ids([self.host.pk], known, timezone.now(), serve_www=serve_www)[self.host.pk]
        names = tuple(name.name for name in site.facts.names if name.wanted)
        if not names:
            self.work.failed(self.row, "no_names")
            return
        plan = self._planned(site, names, self._proven(names))
        self.row.left_out = [[name, code] for name, code in plan.left_out]
        if plan.action != Action.ORDER:
            self.work.failed(self.row, plan.reason)
            return
        self._order(plan)

    def _attached(self) -> bool:
        """A site that is new to the panel gets its challenge snippet, as in a run."""
        host, helper = self.host, self.work.helper
        if host.attached:
            return True
        addresses = option_rows.current(host.server).server_addresses
        extra = install.extra_names([host])
        answer = patiently(
            lambda: helper.attach([host.key], extra_names=extra, server_addresses=addresses), stop=self.work.stop
        )[host.key]
        if not answer.ok:
            self.work.failed(self.row, "attach_refused", answer.text)
            return False
        VirtualHost.objects.filter(pk=host.pk).update(attached=True)
        changeover.wait(helper, host.server, [host], addresses, stop=self.work.stop)
        self.work.say("rehearsal:attached", depth=2, site=host.name)
        return True

    def _proven(self, names: Sequence[str]) -> Mapping[str, dcv.Finding]:
        """What preflight says of the names, asked again where the web server has just been reloaded."""
        found: dict[str, dcv.Finding] = {}
        for number in range(TRIES):
            found |= self._asked([name for name in names if name not in found or _may_pass(found[name])])
            if self.work.stop() or not any(_may_pass(one) for one in found.values()):
                break
            if number + 1 < TRIES:
                time.sleep(PAUSE)
        for finding in found.values():
            if finding.outcome == dcv.Outcome.PASS:
                self._say("dcv:passed", name=finding.name, addresses=", ".join(finding.addresses))
            else:
                data = {key: value for key, value in finding.data.items() if key != "name"}
                event = "dcv:failed" if finding.outcome == dcv.Outcome.FAIL else "dcv:unknown"
                reason = finding.code or "unknown"
                self._say(event, Level.WARN, name=finding.name, reason=reason, found=data)
        return found

    def _asked(self, names: Sequence[str]) -> dict[str, dcv.Finding]:
        row, facts = option_rows.current(self.host.server), self.options.provider
        assert facts is not None
        wish = dcv.Settings(
            resolvers=tuple(row.resolvers),
            server_addresses=tuple(row.server_addresses),
            http_port=settings.AUTOSSL_HTTP_PORT,
            https_port=settings.AUTOSSL_HTTPS_PORT,
            private_ca=facts.private_ca,
            caa_identities=facts.caa_identities,
        )
        token, body = dcv.new_token()
        patiently(lambda: self.work.helper.challenge_put(token, body), stop=self.work.stop)
        try:
            return dcv.check(names, wish, token=token, body=body, stop=self.work.stop)
        finally:
            patiently(lambda: self.work.helper.challenge_del([token]), stop=self.work.stop)

    def _planned(self, site: Site, names: tuple[str, ...], findings: Mapping[str, dcv.Finding]) -> Plan:
        """As for a first certificate: what is installed is left alone, and what was ordered before does not count."""
        facts = replace(site.facts, installed=None, recent_orders=(), open_order=None)
        need = Need(Action.NEW, "rehearsal", None, names, names)
        return policy.plan(need, findings, facts, self.options, timezone.now())

    def _order(self, plan: Plan) -> None:
        order = orders.new(
            f"{IDENT}{uuid.uuid4().hex}",
            self.host,
            names=plan.names,
            reason="rehearsal",
            key_type=self.options.key_type,
            provider=self.account.provider,
            account=self.account,
            installed=None,
            now=timezone.now(),
        )
        with transaction.atomic():
            held = orders.take(order, purpose=Purpose.ORDINARY, now=self.client.ca_time or timezone.now())
        if held is not None:
            self.work.failed(self.row, "rate_limited", f"{held.used} of {held.allowed}")
            return
        self._say("plan:order", names=", ".join(plan.names), reason="rehearsal", provider=str(self.account.provider))
        tools = Tools(self.client, _Aside(self.work.helper), self._record, self.work.stop, None, permitted=True)
        try:
            progress = orders.advance(order, tools)
        except _Issued as issued:
            with transaction.atomic():
                order_permits.settle(order, tools, issued=True)
            self._issued(order, issued.chain)
        else:
            self._not_issued(progress)

    def _record(
        self,
        order: Order,
        fields: Iterable[str],
        *lines: orders.Line,
        staged: bool = False,
        also: Callable[[], None] | None = None,
    ) -> None:
        """What would be saved of an order: here what it does elsewhere, and its lines."""
        with transaction.atomic():
            if also is not None:
                also()
            for event, level, data in lines:
                told = {key: ", ".join(value) if isinstance(value, list) else value for key, value in data.items()}
                self._say(event, level, **told)

    def _issued(self, order: Order, chain: bytes) -> None:
        """Names, key and what signed what: `orders` has compared the first two, so the third is left."""
        facts, row = pki.read_chain(chain), self.row
        wrong = pki.defects(facts, now=timezone.now())
        row.names, row.issuer, row.serial = list(facts.names), facts.issuer[:300], facts.serial
        row.links, row.not_after = len(pki.signers(chain)), facts.not_after
        if not wrong and row.links == 1 and not order.provider.private_ca:
            # A public CA signs by intermediates, which browsers have to be sent.
            wrong = ("chain",)
        if wrong:
            self.work.failed(row, wrong[0])
            return
        row.outcome, row.ended_at = RehearsalOutcome.ISSUED, timezone.now()
        row.save()
        self.work.say(
            "rehearsal:issued",
            Level.SUCCESS,
            depth=2,
            site=self.host.name,
            names=", ".join(facts.names),
            issuer=facts.issuer,
            not_after=f"{facts.not_after:%Y-%m-%d %H:%M} UTC",
        )

    def _not_issued(self, progress: Progress) -> None:
        if progress.state == State.STOPPED:
            return
        if progress.state == State.REFUSED:
            said = "; ".join(f"{name}: {problem.detail}" for name, problem in progress.refused.items())
            self.work.failed(self.row, "ca_refused", said)
        elif progress.problem is not None:
            self.work.failed(self.row, _code_of(progress.problem), progress.problem.detail)
        else:
            self.work.failed(self.row, progress.code or "ca_order", progress.text)

    def _say(self, event: str, level: Level = Level.OUT, **data: Any) -> None:
        self.work.say(event, level, depth=2, **data)


def _may_pass(finding: dcv.Finding) -> bool:
    """Whether an old worker of the web server may have answered: it did not know the challenge yet."""
    return finding.outcome == dcv.Outcome.FAIL and finding.code in ("http_status", "wrong_body", "connect_refused")


def _code_of(problem: ca.CaProblem) -> str:
    codes = {"server": "ca_server", "unreachable": "ca_unreachable", "rate": "rate_limited"}
    codes |= {"account": "ca_account", "terms": "ca_terms", "eab": "ca_eab"}
    return codes.get(str(problem.kind), "ca_order")
