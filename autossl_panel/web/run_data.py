"""What a run page shows: phases, groups of sites, lines. Every question is bounded, however large the run is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Case, Count, F, Q, QuerySet, When
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import log
from autossl_panel.autossl.log import readers
from autossl_panel.autossl.models import Job, JobOutcome, JobState, Level, LogLine, Phase, Problem, Run
from autossl_panel.autossl.runs import Progress
from autossl_panel.hosting import name_search, visible
from autossl_panel.hosting.models import Domain, HostingUser
from autossl_panel.names import part_sought, sought, spelled, to_unicode
from autossl_panel.people.models import User

from .run_lines import ENDED
from .run_table import jobs_of
from .shell import Segment

STEPS = (Phase.ATTACH, Phase.PROVE, Phase.ORDER, Phase.INSTALL, Phase.VERIFY)
PUT_OFF = (JobOutcome.DEFERRED, JobOutcome.WAITING)
DONE = (JobOutcome.SECURED, JobOutcome.KEPT, JobOutcome.SKIPPED)
GROUPS = {
    "failed": Q(outcome=JobOutcome.FAILED),
    "live": Q(state__in=[JobState.RUNNING, JobState.STAGED]),
    "put-off": Q(outcome__in=PUT_OFF),
    "done": Q(outcome__in=DONE),
    "cancelled": Q(outcome=JobOutcome.CANCELLED),
    "queued": Q(state=JobState.QUEUED),
}
LEVELS = ("failure", "warn", "success")
# The live log follows this many sites at once; the groups below it have them all.
FOLLOWED = 40
# Sites whose name is read otherwise than written that a search looks for among lines
MOST_READ_AS = 1000
JUST_ENDED = timedelta(seconds=10)
# What a run page shows of a job in hand and of one that failed
SEEN = ("reason", "outcome", "outcome_reason", "problem", "started_at", "user__name", "virtual_host__name")


@dataclass(frozen=True, slots=True)
class PhaseBar:
    """One phase of a run: how many sites are through it, and what goes on in it."""

    name: str
    done: int
    total: int
    segments: tuple[Segment, ...]
    text: str

    @property
    def complete(self) -> bool:
        return self.done == self.total > 0

    @property
    def failed(self) -> bool:
        """Whether a site failed in it."""
        return any(piece.name == "bad" and piece.width for piece in self.segments)


@dataclass(slots=True)
class Site:
    """A site of a run with its lines."""

    job: Job
    # Root reads what the web server and the helper said, which may name files of others
    whole: bool
    reader: log.Reader = log.Reader.ANYBODY
    lines: list[log.Line] = field(default_factory=list)
    last_seq: int = 0
    new_user: bool = False
    # Of a site that failed: the cause whose page says what to do; "" where nothing keeps it from a certificate now
    cause: str = ""

    @property
    def reason(self) -> str:
        return log.reason_text(self.job.reason)

    @property
    def outcome_reason(self) -> str:
        return log.reason_text(self.job.outcome_reason) if self.job.outcome_reason else ""

    @property
    def problem(self) -> str:
        """What failed, in one sentence, with the name where it is not the site's own."""
        problem = self.job.problem
        if not problem:
            return _first_up(self.outcome_reason)
        text = log.problem_text(problem) if self.whole else log.reason_text(problem["code"])
        domain = problem.get("domain")
        # A name is written as it is: only a sentence begins with a capital
        other = domain and domain != self.job.virtual_host.name
        return f"{to_unicode(domain)}: {text}" if other else _first_up(text)

    @property
    def advice(self) -> str:
        """What a person can do, where there are words for it."""
        problem = self.job.problem
        return log.problem_advice(problem, self.reader) if problem and log.known(str(problem["code"])) else ""

    @property
    def closing_advice(self) -> str:
        """The advice on a site that failed or waits, where no line of its own gives any."""
        ended_badly = self.job.outcome in (JobOutcome.FAILED, JobOutcome.WAITING)
        code = str((self.job.problem or {}).get("code", ""))
        # A www. that was left out has its own advice, which is not what the site waits for
        told = not ended_badly or any(line.advice and line.data.get("reason") == code for line in self.lines)
        return "" if told else self.advice


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def of_run(run: Run, person: User) -> QuerySet[Job]:
    """The jobs of a run that a person may read."""
    return jobs_of(person).filter(run=run)


def own_lines(run: Run, person: User) -> QuerySet[LogLine]:
    """The lines of a run that a person may read: those of the run as a whole are root's."""
    lines = LogLine.objects.filter(run=run)
    return lines if person.is_root else lines.filter(user__in=visible.users(person))


def off_reason(run: Run, person: User) -> str:
    """Why AutoSSL does nothing for the one user that a run was for: “disabled”, “suspended”; "" where it does."""
    if not run.scope.startswith("user:") or not run.counts.get("skipped"):
        return ""
    line = own_lines(run, person).filter(event="user:skipped").order_by("seq").first()
    return str(line.data.get("reason", "")) if line is not None else ""


def phases(run: Run, progress: Progress, *, waits: bool = False) -> list[PhaseBar]:
    """How many of the run's sites are through each phase. `waits`: no worker works on it."""
    groups = progress.groups
    total = sum(n for *_rest, n in groups)
    surveyed = max(total, progress.total)
    text = _without_work(progress)
    if run.surveyed_at is None:
        going_on = _("waits for a worker") if waits else _("going on")
        text = going_on if run.ended_at is None else _("stopped")
    elif not text:
        text = _("in %(n)s s") % {"n": formats.number_format((run.surveyed_at - run.started_at).total_seconds(), 1)}
    bars = [PhaseBar(_("Survey"), surveyed, surveyed, (Segment("ok", 0, surveyed),), text)]
    names = {
        Phase.PROVE: _("Prove"),
        Phase.ORDER: _("Order"),
        Phase.INSTALL: _("Install"),
        Phase.VERIFY: _("Verify"),
    }
    return bars + [_phase(phase, name, groups) for phase, name in names.items()]


def _without_work(progress: Progress) -> str:
    """“2 need nothing, 1 skipped”: the sites that the survey made no job for."""

    def left(name: str, everything: int) -> int:
        return everything - sum(n for _state, outcome, _phase, n in progress.groups if outcome == name)

    kept, skipped = left(JobOutcome.KEPT, progress.kept), left(JobOutcome.SKIPPED, progress.skipped)
    waiting = left(JobOutcome.WAITING, progress.waiting)
    said = [ngettext("%(n)d needs nothing", "%(n)d need nothing", kept) % {"n": kept}] if kept else []
    said += [_("%(n)d skipped") % {"n": skipped}] if skipped else []
    said += [ngettext("%(n)d waits", "%(n)d wait", waiting) % {"n": waiting}] if waiting else []
    return ", ".join(said)


def _phase(phase: Phase, name: str, groups: Sequence[tuple[str, str, str, int]]) -> PhaseBar:
    place = STEPS.index(phase)
    # Attaching comes before a site can be proved; it has no bar of its own.
    here = (Phase.ATTACH, Phase.PROVE) if phase == Phase.PROVE else (phase,)
    through = failed = put_off = in_hand = expected = 0
    for state, outcome, at, n in groups:
        at_place = STEPS.index(Phase(at)) if at in STEPS else -1
        if state != JobState.ENDED:
            expected += n
            if at_place > place:
                through += n
            elif at in here and state != JobState.QUEUED:
                in_hand += n
        elif outcome == JobOutcome.SECURED or at_place > place:
            expected += n
            through += n
        elif at in here and outcome == JobOutcome.FAILED:
            expected += n
            failed += n
        elif at in here and outcome == JobOutcome.WAITING:
            # What waits before anything of it was proved has no part in proving
            if phase != Phase.PROVE:
                expected += n
                put_off += n
        elif at in here and outcome != JobOutcome.CANCELLED:
            expected += n
            through += n
    text = {
        Phase.PROVE: _("%(n)d in hand"),
        Phase.ORDER: _("%(n)d at the CA"),
        Phase.INSTALL: ngettext("%(n)d waits for the reload", "%(n)d wait for the reload", in_hand),
        Phase.VERIFY: _("%(n)d being shaken"),
    }[phase] % {"n": in_hand}
    said = [_("%(n)d failed") % {"n": failed}] if failed else []
    said += [ngettext("%(n)d waits", "%(n)d wait", put_off) % {"n": put_off}] if put_off else []
    said += [text] if in_hand else []
    if not said and phase == Phase.VERIFY:
        said = [_("each by a TLS handshake")]
    pieces, x = [], 0
    for kind, width in (("ok", through), ("bad", failed), ("warn", put_off), ("run", in_hand)):
        pieces.append(Segment(kind, x, width))
        x += width
    return PhaseBar(name, through + failed, expected, tuple(pieces), ", ".join(said))


def failures(run: Run, person: User, most: int = 20) -> list[Site]:
    """The first sites that failed, in the order in which they did, so that none moves when another fails."""
    jobs = of_run(run, person).filter(outcome=JobOutcome.FAILED).select_related("user", "virtual_host").only(*SEEN)
    found = list(jobs.order_by("ended_at", "pk")[:most])
    # The main name's own comes last, and so stands: what is said of the site is mostly of it.
    rows = Problem.objects.filter(virtual_host__in=[job.virtual_host_id for job in found], quiet=False)
    rows = rows.order_by(Case(When(name=F("virtual_host__name"), then=1), default=0), "-pk")
    causes = dict(rows.values_list("virtual_host", "cause"))
    return [Site(job, person.is_root, readers.of(person), cause=causes.get(job.virtual_host_id, "")) for job in found]


def matching(
    run: Run,
    person: User,
    *,
    group: str = "",
    level: str = "",
    q: str = "",
    job: str = "",
    user: str = "",
    domain: str = "",
) -> QuerySet[Job]:
    """The jobs of a run that a person may read: of a group, with a line of a level, of a user or site; in order."""
    jobs = of_run(run, person)
    if group in GROUPS:
        jobs = jobs.filter(GROUPS[group])
    if level in LEVELS:
        jobs = jobs.filter(pk__in=LogLine.objects.filter(run=run, level=level, job__isnull=False).values("job"))
    if q:
        hosts = Domain.objects.filter(name_search.has("name", q)).order_by().values("virtual_host")
        jobs = jobs.filter(Q(user__name__icontains=q) | Q(virtual_host__in=hosts))
    if user:
        jobs = jobs.filter(user__name=user)
    if domain:
        of_name = Domain.objects.filter(name=sought(domain)).values("virtual_host")
        jobs = jobs.filter(virtual_host__in=of_name)
    if job.isdecimal() and len(job) < 19:
        jobs = jobs.filter(pk=int(job))
    return jobs.order_by("user__name", "virtual_host__name", "pk").select_related("user", "virtual_host")


def sites(jobs: Iterable[Job], person: User, cursor: dict[int, int] | None = None) -> list[Site]:
    """Sites with their lines, those after `cursor` only; the first site of each user is marked."""
    found = {job.pk: Site(job, person.is_root, readers.of(person)) for job in jobs}
    wanted = LogLine.objects.filter(job__in=list(found))
    after: dict[int, list[int]] = {}
    for pk in found:
        after.setdefault((cursor or {}).get(pk, 0), []).append(pk)
    if len(after) > 1 or 0 not in after:
        # Many sites have said as much as each other: a condition for each number of lines, not for each site
        wanted = wanted.filter(Q(*(Q(job__in=jobs, seq__gt=seq) for seq, jobs in after.items()), _connector=Q.OR))
    for row in wanted.order_by("seq"):
        if row.job_id is not None:
            found[row.job_id].last_seq = row.seq
            # The site's own heading says that already.
            if row.event != "site:begins":
                found[row.job_id].lines.append(log.line(row, whole=person.is_root, reader=readers.of(person)))
    last = None
    for site in found.values():
        site.new_user = site.job.user_id != last
        last = site.job.user_id
    return list(found.values())


def followed(run: Run, person: User, now: datetime) -> list[Job]:
    """The sites that the live log follows: those in hand, and those that have just ended."""
    jobs = of_run(run, person).select_related("user", "virtual_host").only(*SEEN)
    ended = jobs.filter(state=JobState.ENDED, ended_at__gte=now - JUST_ENDED).order_by("-ended_at")[: FOLLOWED // 2]
    in_hand = jobs.filter(GROUPS["live"]).order_by("-started_at")[:FOLLOWED]
    found = [*in_hand, *ended][:FOLLOWED]
    return sorted(found, key=lambda job: (job.started_at or now, job.pk))


def quiet_lines(
    run: Run, person: User, level: str = "", q: str = "", user: str = "", domain: str = ""
) -> QuerySet[LogLine]:
    """What the survey said of users whose sites needed no work."""
    rows = own_lines(run, person).filter(job__isnull=True, user__isnull=False)
    if level in LEVELS:
        rows = rows.filter(level=level)
    if q:
        sites = list(name_search.read_as(q).values_list("virtual_host__name", flat=True).distinct()[:MOST_READ_AS])
        # Lines of a site that is no more are found by whole labels
        written = Q(data__site__icontains=part_sought(q)) | Q(data__site__icontains=sought(q))
        said = written | Q(data__site__in=sites)
        rows = rows.filter(Q(user__name__icontains=q) | said)
    # Whose they are is asked first: its number leads to few lines, where a nested question walks through the run's.
    if user or domain:
        whose = HostingUser.objects.filter(name=user) if user else HostingUser.objects.all()
        if domain:
            whose = whose.filter(virtual_hosts__domains__name=sought(domain))
            rows = rows.filter(data__site=sought(domain))
        rows = rows.filter(user__in=list(whose.order_by().values_list("pk", flat=True)))
    return rows.order_by("seq")


def level_counts(run: Run, person: User) -> dict[str, int]:
    """How many sites have a line of each level: those with a job, and those that the survey warned of."""
    rows = own_lines(run, person).filter(level__in=LEVELS, user__isnull=False).values_list("level")
    return dict(rows.annotate(n=Count("job", distinct=True) + Count("pk", filter=Q(job__isnull=True))).order_by())


def as_text(run: Run, person: User, title: str) -> Iterable[str]:
    """The whole log as plain text, piece by piece; how the run ended comes last, as on its page."""
    yield f"{title}\n"
    own = own_lines(run, person).filter(job__isnull=True).order_by("seq")
    for row in own.exclude(event=ENDED).iterator(chunk_size=500):
        yield _text(log.line(row, reader=readers.of(person)))
    ids = list(of_run(run, person).order_by("user__name", "virtual_host__name", "pk").values_list("pk", flat=True))
    user = None
    for start in range(0, len(ids), 200):
        part = Job.objects.filter(pk__in=ids[start : start + 200]).select_related("user", "virtual_host")
        for site in sites(part.order_by("user__name", "virtual_host__name", "pk"), person):
            if site.job.user_id != user:
                user = site.job.user_id
                yield f"\n{site.job.user.name}\n"
            state = site.job.outcome or site.job.state
            yield f"  {spelled(site.job.virtual_host.name)}: {state} ({site.reason})\n"
            yield from map(_text, site.lines)
    for row in own.filter(event=ENDED):
        yield f"\n{_text(log.line(row, reader=readers.of(person)))}"


def as_ndjson(run: Run, person: User) -> Iterable[str]:
    """The whole log as one JSON object a line: the run's own lines, then site by site."""
    rows = own_lines(run, person).filter(job__isnull=True).order_by("seq").select_related("user")
    for row in rows.iterator(chunk_size=500):
        one = log.line(row, whole=person.is_root, reader=readers.of(person))
        yield _json(run, one, row.user.name if row.user else "", str(one.data.get("site", "")))
    ids = list(of_run(run, person).order_by("user__name", "virtual_host__name", "pk").values_list("pk", flat=True))
    for start in range(0, len(ids), 200):
        part = Job.objects.filter(pk__in=ids[start : start + 200]).select_related("user", "virtual_host")
        for site in sites(part.order_by("user__name", "virtual_host__name", "pk"), person):
            for one in site.lines:
                yield _json(run, one, site.job.user.name, site.job.virtual_host.name)


def _json(run: Run, one: log.Line, user: str, site: str) -> str:
    said = {
        "run": run.pk,
        "at": f"{one.at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "level": str(one.level),
        "depth": one.depth,
        "user": user,
        "site": site,
        "event": one.event,
        "text": one.text,
        "advice": one.advice,
        "data": dict(one.data),
    }
    return json.dumps(said, ensure_ascii=False, default=str) + "\n"


def _text(one: log.Line) -> str:
    level = {Level.WARN: "WARNING", Level.SUCCESS: "success", Level.FAILURE: "FAILURE"}.get(one.level, "")
    indent = "  " * one.depth
    advice = f"{'':31}{indent}→ {spelled(one.advice)}\n" if one.advice else ""
    return f"{one.at:%Y-%m-%d %H:%M:%S}Z  {level:7}  {indent}{spelled(one.text)}\n{advice}"
