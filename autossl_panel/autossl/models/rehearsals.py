"""Rehearsals: names proven and certificates ordered at a CA's staging directory, nothing installed. They are no runs:
no job, order or certificate row is theirs, so that nothing else counts them.
"""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import Server, VirtualHost

from .providers import Account, Provider
from .runs import Level


class Rehearsal(models.Model):
    """One rehearsal: of which provider, over which account at its staging directory, and how it went."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="rehearsals")
    provider = models.ForeignKey(Provider, models.CASCADE, related_name="rehearsals")
    account = models.ForeignKey(Account, models.SET_NULL, null=True, related_name="+")
    # The directory, as it was then
    directory_url = models.URLField(max_length=500)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # When a task was last put into the queue for it, and how often a worker began with it
    rung_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # {"code", "text"} of what kept all of it from being tried
    problem = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server"], condition=models.Q(ended_at__isnull=True), name="autossl_one_rehearsal_at_work"
            ),
        ]
        indexes = [models.Index(fields=["server", "-asked_at"], name="autossl_rehearsal_newest")]
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.pk} {self.provider_id}"


class RehearsalOutcome(models.TextChoices):
    ISSUED = "issued", _("Issued")
    FAILED = "failed", _("Failed")


class RehearsalSite(models.Model):
    """One site of a rehearsal, and what came of it."""

    rehearsal = models.ForeignKey(Rehearsal, models.CASCADE, related_name="sites")
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="+", db_index=False)
    position = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=8, choices=RehearsalOutcome, default="", blank=True)
    # A reason's code, and words of the CA or the helper
    reason = models.CharField(max_length=32, default="", blank=True)
    text = models.CharField(max_length=500, default="", blank=True)
    # Names on the certificate; [[name, code]] of those left out
    names = models.JSONField(default=list)
    left_out = models.JSONField(default=list)
    issuer = models.CharField(max_length=300, default="", blank=True)
    serial = models.CharField(max_length=64, default="", blank=True)
    # How many certificates the chain has, and how long the first is valid
    links = models.PositiveSmallIntegerField(default=0)
    not_after = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rehearsal", "position"], name="autossl_rehearsal_site_place"),
        ]
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.rehearsal_id} {self.virtual_host_id}"


class RehearsalLine(models.Model):
    """One line of its log, rendered from event and data as those of runs are."""

    rehearsal = models.ForeignKey(Rehearsal, models.CASCADE, related_name="lines")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    level = models.CharField(max_length=8, choices=Level)
    depth = models.PositiveSmallIntegerField(default=0)
    event = models.CharField(max_length=64)
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rehearsal", "seq"], name="autossl_rehearsal_line_unique")]
        ordering = ["seq"]

    def __str__(self) -> str:
        return f"{self.rehearsal_id}:{self.seq}"
