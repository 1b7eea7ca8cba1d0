"""Previews: what a run would do, found out once and kept for a short while. No other row depends on them."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import HostingUser, Server, VirtualHost


class PreviewAction(models.TextChoices):
    """What a run would do with a site, as people tell it apart."""

    ORDER = "order", _("Order")
    RENEW = "renew", _("Renew")
    EXTEND = "extend", _("Extend")
    INSTALL = "install", _("Install")
    RESUME = "resume", _("Go on")
    FAIL = "fail", _("Fail")
    DEFER = "defer", _("Defer")
    WAIT = "wait", _("Wait")
    BUSY = "busy", _("In hand")
    KEEP = "keep", _("Keep")
    SKIP = "skip", _("Skip")


class Preview(models.Model):
    """One look at what a run of a scope would do. Its counts and moments stand here, its sites in `PreviewSite`."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="previews")
    # As `Run.scope`: "*", "user:NAME" or "owner:PERSON"
    scope = models.CharField(max_length=80)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField()
    # The moment that everything in it is decided at
    at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # When a task was last put into the queue for it, and how often a worker began with it
    rung_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sites = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # {action: sites}
    counts = models.JSONField(default=dict)
    # Orders that the CAs' limits leave room for now, those of them that count towards none, and sites whose turn at
    # a limit comes later
    orders = models.PositiveIntegerField(default=0)
    free_orders = models.PositiveIntegerField(default=0)
    limited = models.PositiveIntegerField(default=0)
    # When the last of all these would be done
    last_at = models.DateTimeField(null=True)
    # {"code", "text"} of why there is nothing to see
    problem = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "scope"],
                condition=models.Q(ended_at__isnull=True),
                name="autossl_one_preview_at_work_a_scope",
            ),
        ]
        indexes = [models.Index(fields=["server", "scope", "-asked_at"], name="autossl_preview_newest")]

    def __str__(self) -> str:
        return f"{self.pk} {self.scope}"


class PreviewSite(models.Model):
    """What a run would do with one virtual host, and why."""

    preview = models.ForeignKey(Preview, models.CASCADE, related_name="rows", db_index=False)
    # In the order of a run: its work first, urgent before all
    position = models.PositiveIntegerField()
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(HostingUser, models.CASCADE, related_name="+", db_index=False)
    # The site's name, and all names that are told of it, for who searches
    name = models.CharField(max_length=253)
    words = models.TextField()
    action = models.CharField(max_length=8, choices=PreviewAction)
    urgent = models.BooleanField(default=False)
    reason = models.CharField(max_length=32)
    # {"kept", "added": names; "left_out": [[name, code]]; "dropped": names that are covered today and would not be;
    # "unproven": names that no check has found good yet}
    names = models.JSONField(default=dict)
    # By its name; "" where nobody is asked
    provider = models.CharField(max_length=64, default="", blank=True)
    # Why that one, where it is not simply the site's own
    provider_reason = models.CharField(max_length=32, default="", blank=True)
    # {"provider", "kind", "label", "used", "allowed"}: the limit of a CA that is in the way
    limit = models.JSONField(null=True)
    # Until when it waits, or keeps what it has; NULL: nobody knows, or never
    until = models.DateTimeField(null=True)
    # About when its order would be done
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["preview", "position"], name="autossl_preview_order"),
            models.Index(fields=["preview", "action", "position"], name="autossl_preview_action"),
        ]
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name
