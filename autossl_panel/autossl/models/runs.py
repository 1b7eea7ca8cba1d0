"""Runs, jobs and log lines; and the leases that keep workers out of each other's way."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import HostingUser, Server, VirtualHost

from .certificates import Order


class Run(models.Model):
    """One pass: for all (`*`), for one user, or what is due."""

    server = models.ForeignKey(Server, models.PROTECT, related_name="runs")
    # "*" all users, "user:NAME" one, "owner:PERSON" a reseller's own, "due" what the sweep found
    scope = models.CharField(max_length=80)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    # "panel" | "command" | "schedule" | "sweep" | "discovery"
    asked_from = models.CharField(max_length=16)
    provider_name = models.CharField(max_length=64, default="", blank=True)
    started_at = models.DateTimeField()
    surveyed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    # What needed no job: {"kept": n, "skipped": n, "waiting": n, ...} and, once ended, every outcome
    counts = models.JSONField(default=dict)
    problem = models.JSONField(null=True)

    class Meta:
        constraints = [
            # What comes due while a run of what was due is at work gets one of its own
            models.UniqueConstraint(
                fields=["server", "scope"],
                condition=models.Q(ended_at__isnull=True, cancelled_at__isnull=True)
                & (~models.Q(scope="due") | models.Q(surveyed_at__isnull=True)),
                name="autossl_one_live_run_a_scope",
            ),
        ]
        indexes = [models.Index(fields=["-started_at"])]

    def __str__(self) -> str:
        return f"{self.pk} {self.scope}"


class JobState(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("In progress")
    STAGED = "staged", _("Waits for the reload")
    ENDED = "ended", _("Ended")


class JobOutcome(models.TextChoices):
    SECURED = "secured", _("Secured")
    KEPT = "kept", _("Kept")
    SKIPPED = "skipped", _("Skipped")
    DEFERRED = "deferred", _("Deferred")
    WAITING = "waiting", _("Waiting")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Phase(models.TextChoices):
    """What a job is at; the run page counts by it."""

    SURVEY = "survey", _("Survey")
    ATTACH = "attach", _("Attach")
    PROVE = "prove", _("Prove")
    ORDER = "order", _("Order")
    INSTALL = "install", _("Install")
    VERIFY = "verify", _("Verify")


class Job(models.Model):
    """One virtual host's work in a run: what runners claim."""

    # Two indexes begin with it already
    run = models.ForeignKey(Run, models.CASCADE, related_name="jobs", db_index=False)
    server = models.ForeignKey(Server, models.PROTECT, related_name="+")
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="jobs")
    user = models.ForeignKey(HostingUser, models.CASCADE, related_name="jobs")
    # What policy.need answered, and why
    action = models.CharField(max_length=16)
    reason = models.CharField(max_length=32)
    # Priority (rules §4): class, the n-th of its user, expiry
    job_class = models.PositiveSmallIntegerField()
    turn = models.PositiveIntegerField(default=0)
    not_after = models.DateTimeField(null=True)
    state = models.CharField(max_length=16, choices=JobState, default=JobState.QUEUED)
    phase = models.CharField(max_length=16, choices=Phase, default=Phase.SURVEY)
    outcome = models.CharField(max_length=16, choices=JobOutcome, default="", blank=True)
    outcome_reason = models.CharField(max_length=32, default="", blank=True)
    # When it is tried again, where it waits
    until = models.DateTimeField(null=True)
    # {"code", "domain", "data"} of what failed
    problem = models.JSONField(null=True)
    holder = models.CharField(max_length=64, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    # Fence: every later write of a claim says which attempt it belongs to
    attempt = models.PositiveIntegerField(default=0)
    order = models.ForeignKey(Order, models.SET_NULL, null=True, related_name="jobs")
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["virtual_host"], condition=~models.Q(state="ended"), name="autossl_one_live_job_a_virtual_host"
            ),
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="autossl_job_state_known"),
        ]
        indexes = [
            # What a claim reads: the queued of a server in order of priority
            models.Index(fields=["server", "state", "job_class", "turn", "not_after"], name="autossl_job_claim"),
            # What progress and phases are counted from, without a look at the rows
            models.Index(fields=["run", "state", "outcome", "phase", "action"], name="autossl_job_progress"),
            # Who has just ended, asked with each poll of a live run
            models.Index(fields=["run", "ended_at"], name="autossl_job_ended"),
        ]


class Level(models.TextChoices):
    OUT = "out", ""
    WARN = "warn", _("Warning")
    SUCCESS = "success", _("Success")
    FAILURE = "failure", _("Failure")


class LogLine(models.Model):
    """One line of a run's log. Text is rendered from event and data when read."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="lines")
    job = models.ForeignKey(Job, models.CASCADE, null=True, related_name="lines", db_index=False)
    # Whose line it is; NULL: of the run as a whole. Resellers read their own users' lines only.
    user = models.ForeignKey(HostingUser, models.CASCADE, null=True, related_name="+", db_index=False)
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    level = models.CharField(max_length=8, choices=Level)
    depth = models.PositiveSmallIntegerField(default=0)
    event = models.CharField(max_length=64)
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [
            # One writer each, so that a cursor a job misses nothing
            models.UniqueConstraint(
                fields=["run", "job", "seq"], condition=models.Q(job__isnull=False), name="autossl_line_of_a_job_unique"
            ),
            models.UniqueConstraint(
                fields=["run", "seq"], condition=models.Q(job__isnull=True), name="autossl_line_of_a_run_unique"
            ),
        ]
        indexes = [
            # Without the lines of none: SQLite would walk through all of these in search of one run's
            models.Index(fields=["job"], condition=models.Q(job__isnull=False), name="autossl_line_of_a_job"),
            # What surveys said of a user's sites, for a name's history
            models.Index(fields=["user", "run"], condition=models.Q(job__isnull=True), name="autossl_line_of_a_user"),
            # A run's failures, warnings and successes, and how many sites have them
            models.Index(fields=["run", "level", "job", "user"], name="autossl_line_of_a_level"),
        ]


class Lease(models.Model):
    """A right that one holder has for a while, by the database's clock: to install on a server, to survey a run."""

    name = models.CharField(max_length=80, primary_key=True)
    holder = models.CharField(max_length=64, default="", blank=True)
    until = models.DateTimeField(null=True)


class Slot(models.Model):
    """A runner's place: at most one living runner in each (server, n)."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="slots")
    n = models.PositiveSmallIntegerField()
    holder = models.CharField(max_length=64, default="", blank=True)
    until = models.DateTimeField(null=True)
    # when a task was last put into the queue for it
    rung_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "n"], name="autossl_slot_unique")]


class Beat(models.Model):
    """When the workers of a server last gave a sign, through the queue."""

    server = models.OneToOneField(Server, models.CASCADE, related_name="beat")
    at = models.DateTimeField()
