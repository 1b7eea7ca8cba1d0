"""From claim to verdict: attach the sites that are new to the helper, ask every name, let each job go on when its
names are judged. Dead names hold up nobody but their own site.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from autossl_panel import dcv
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.helper.protocol import Result
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, VirtualHost

from .. import changeover, choosing, install, undecided
from ..facts import Action
from ..models import Job, JobOutcome, JobState, Level, Options, Phase
from ..patience import patiently
from . import waiting
from .claims import Claim, writing
from .work import Bench, Task

log = logging.getLogger("autossl_panel.jobs")

# Of the queue behind what is claimed: a batch of any size costs one test and one reload
ATTACH_AHEAD = 5000
# What may be otherwise at the next try, without anybody touching this site
TRANSIENT = ("foreign_broken", "nginx_not_running", "busy", "helper_gone")
# Another's certificate, which somebody lets AutoSSL replace
FOREIGN = ("foreign_defective", "foreign_expiring")
ENDS = {
    Action.SKIP: JobOutcome.SKIPPED,
    Action.KEEP: JobOutcome.KEPT,
    Action.WAIT: JobOutcome.WAITING,
    Action.HOLD: JobOutcome.WAITING,
}


def begin(bench: Bench, claims: list[Claim], now: datetime) -> list[Task]:
    """Look at the sites of new claims once more, and choose whom to ask: what needs nothing any more, or has to wait,
    is ended; the rest become tasks.
    """
    hosts = {one.job.virtual_host_id: one for one in claims}
    found, errors = undecided.read(hosts, bench.policies, now, serve_www=bench.options.serve_www)
    outlook = bench.outlook
    decisions = undecided.of_each(found, lambda site: choosing.decide(site, outlook, now), errors)
    tasks = []
    for host, claim in hosts.items():
        if host in errors:
            bench.fail(claim, errors[host])
            continue
        decision = decisions[host]
        task = Task(claim, decision.site, decision.need, now, decision.chosen)
        if (why := bench.cancelled.get(claim.job.run_id)) is not None:
            bench.end(task, JobOutcome.CANCELLED, why)
        elif (outcome := ENDS.get(decision.need.action)) is not None and not decision.need.finishes:
            bench.end(task, outcome, decision.need.reason, until=decision.need.until)
        elif decision.chosen is not None and decision.chosen.provider is None:
            waiting.for_a_provider(bench, task, decision.chosen, now)
        else:
            tasks.append(task)
    _tell(tasks)
    return tasks


def _tell(tasks: Sequence[Task]) -> None:
    """First lines and phase of all of them, in one transaction."""
    with writing():
        ids = [task.job.pk for task in tasks]
        Job.objects.filter(pk__in=ids, state=JobState.RUNNING).update(phase=Phase.ATTACH)
        for task in tasks:
            event = "site:begins" if task.job.attempt == 1 else "site:taken_up"
            line = task.line(event, depth=2, site=task.name, reason=task.need.reason, attempt=task.job.attempt)
            task.claim.writer.lines([line])


def attach(bench: Bench, tasks: list[Task]) -> list[Task]:
    """Have the helper attach the sites that need it; returns the tasks whose sites answer challenges now."""
    new = {task.job.virtual_host.key: task for task in tasks if _unattached(task, bench)}
    if not new:
        return tasks
    hosts = {task.job.virtual_host.key: task.job.virtual_host for task in new.values()}
    ahead = Job.objects.filter(server=bench.server, state=JobState.QUEUED, virtual_host__attached=False)
    for job in ahead.select_related("virtual_host", "virtual_host__server").order_by("pk")[:ATTACH_AHEAD]:
        hosts.setdefault(job.virtual_host.key, job.virtual_host)
    extra = install.extra_names(hosts.values())
    addresses = tuple(bench.options.server_addresses)
    try:
        results = patiently(
            lambda: bench.helper.attach(list(hosts), extra_names=extra, server_addresses=addresses),
            stop=bench.stopping.is_set,
        )
    except HelperProblem as problem:
        results = dict.fromkeys(hosts, Result(False, problem.code, problem.text, problem.file, problem.line))
    except HelperGone as problem:
        results = dict.fromkeys(hosts, Result(False, "helper_gone", str(problem)))
        if bench.stopping.is_set():
            return []
    good = [hosts[key].pk for key, result in results.items() if result.ok]
    for start in range(0, len(good), 500):
        with writing():
            hosting_users.lock(some := VirtualHost.objects.filter(pk__in=good[start : start + 500]))
            some.update(attached=True)
    for task in new.values():
        task.job.virtual_host.attached = results[task.job.virtual_host.key].ok
    attached = [hosts[key] for key, result in results.items() if result.ok]
    changeover.wait(bench.helper, bench.server, attached, addresses, stop=bench.stopping.is_set)
    return [task for task in tasks if task.job.virtual_host.key not in new or _attached(bench, task, results)]


def _unattached(task: Task, bench: Bench) -> bool:
    host = task.job.virtual_host
    return not host.attached and task.need.action != Action.INSTALL and not task.need.finishes


def _attached(bench: Bench, task: Task, results: Mapping[str, Result]) -> bool:
    result = results[task.job.virtual_host.key]
    if result.ok:
        return True
    where = f"{result.file}:{result.line or '?'}" if result.file else ""
    code = result.code if result.code in TRANSIENT else "attach_refused"
    data = {"text": result.text, "file": result.file, "line": result.line}
    line = task.line("attach:failed", Level.FAILURE, reason=code, text=result.text, where=where)
    outcome = JobOutcome.WAITING if code in ("foreign_broken", "busy") else JobOutcome.FAILED
    bench.end(task, outcome, code, line, problem={"code": code, "domain": task.name, "data": data})
    return False


def alike(bench: Bench, tasks: Iterable[Task]) -> list[list[Task]]:
    """The tasks whose names are proven alike, together: what one CA forbids, another may not."""
    found: dict[dcv.Settings, list[Task]] = {}
    for task in tasks:
        found.setdefault(bench.settings_for(task.provider), []).append(task)
    return list(found.values())


class Prover(threading.Thread):
    """Asks all names of a batch of tasks that are `alike`; each goes on to `ready` as soon as its own are judged."""

    def __init__(self, bench: Bench, tasks: list[Task]) -> None:
        super().__init__(name="prover")
        self.bench = bench
        self.tasks = tasks
        self._of: dict[str, list[Task]] = {}

    def run(self) -> None:
        """Never raises: what cannot be asked is unknown, and the plan says what that means."""
        try:
            self._prove()
        except Exception as error:
            # Names that nobody judges would keep their jobs in hand until the runner's time is up, again and again.
            log.exception("%s names could not be asked", len(self._of))
            self._all_unknown("internal", f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def _all_unknown(self, reason: str, text: str) -> None:
        for name in self._of:
            self._settled(dcv.Finding(name, dcv.Outcome.UNKNOWN, "unknown", {"reason": reason, "text": text}))

    def _prove(self) -> None:
        settings = self.bench.settings_for(self.tasks[0].provider)
        for task in self.tasks:
            task.findings, task.recorded = {}, False
            task.waiting_for = set(task.need.names)
            for name in task.need.names:
                self._of.setdefault(name, []).append(task)
        ids = [task.job.pk for task in self.tasks]
        with writing():
            Job.objects.filter(pk__in=ids, state=JobState.RUNNING).update(phase=Phase.PROVE)
        token, body = dcv.new_token()
        stop = self.bench.stopping.is_set
        try:
            patiently(lambda: self.bench.helper.challenge_put(token, body), stop=stop)
            found = dcv.check(self._of, settings, token=token, body=body, on_finding=self._settled, stop=stop)
            changeover.forget(self.bench.helper, token)
        except (HelperGone, HelperProblem, OSError) as problem:
            self._all_unknown("helper", str(problem))
            return
        for name in self._of:
            self._settled(found[name])

    def _settled(self, finding: dcv.Finding) -> None:
        if finding.data.get("reason") == "stopped":
            return  # not judged: these jobs are given back
        for task in self._of[finding.name]:
            if finding.name not in task.waiting_for:
                continue
            task.findings[finding.name] = finding
            task.waiting_for.discard(finding.name)
            if not task.waiting_for:
                go_on(self.bench, task)


def withdrawn(task: Task) -> bool:
    """Whether somebody ended the wish since the site was looked at, or paused AutoSSL: it can wait for its turn at the
    CA for minutes. A pattern that is newer than that look may have ended it: the site is looked at again.
    """
    excluded = Exclusion.objects.filter(user=OuterRef("user"), name__in=task.need.names)
    pattern = ExclusionPattern.objects.filter(server=OuterRef("server"), at__gte=task.looked_at)
    options = Options.objects.filter(server=OuterRef("server"))
    paused = options.filter(paused_at__isnull=False)
    ended: Q = hosting_users.off() | Q(Exists(excluded)) | Q(Exists(pattern)) | Q(Exists(paused))
    if task.need.reason in FOREIGN:
        ended |= Q(takeover=False) & Q(Exists(options.filter(replace_foreign=False)))
    elif task.need.reason == "key_type":
        others = options.exclude(key_type=task.site.options.key_type)
        ended |= Q(Exists(options.filter(reissue=False))) | Q(Exists(others))
    return VirtualHost.objects.filter(ended, pk=task.job.virtual_host_id).exists()


def go_on(bench: Bench, task: Task) -> None:
    """Hand a task to the ordering threads, in the order of priority."""
    bench.ready.put((task.job.job_class, task.job.pk, task))
