"""Rows of notifications: what people were told of, where it goes beside e-mail, and the outbox."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import Server, VirtualHost

from .providers import NotifyLevel
from .runs import Run


class Kind(models.TextChoices):
    """What a notification is about (rules §8)."""

    SECURED = "secured", _("Secured")
    RENEWED = "renewed", _("Renewed")
    DEFERRED = "deferred", _("Renewal deferred")
    REDUCED = "reduced", _("Coverage reduced")
    UNCOVERED = "uncovered", _("Names left uncovered")
    FOREIGN = "foreign", _("Another's certificate about to expire")
    UNSECURED = "unsecured", _("No certificate could be obtained")
    EXPIRING = "expiring", _("Cannot renew, will expire")
    EXPIRED = "expired", _("Expired")
    INSTALL = "install", _("Install failed")
    REVOKED = "revoked", _("Revoked")
    PROVIDER = "provider", _("Provider or account trouble")
    RUN = "run", _("Run finished with failures")
    SERVER = "server", _("Trouble of this server")


class UntoldRun(models.Model):
    """A run that has ended and of which nobody was told yet; made with its end, removed with the messages' making."""

    run = models.OneToOneField(Run, models.CASCADE, related_name="untold")

    def __str__(self) -> str:
        return f"{self.run_id}"


class Notice(models.Model):
    """What was told of one subject: a state that lasts, with what it consists of, or something that happened once."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=16, choices=Kind)
    # site:12, provider:letsencrypt, server:clock; of what happened once, what it happened with
    subject = models.CharField(max_length=200)
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, null=True, related_name="notices")
    # Since when it is so, or has been so in this form; the half and the tenth count from here to `not_after`
    since = models.DateTimeField()
    not_after = models.DateTimeField(null=True)
    # [[name or "", cause, gone since or null]]
    facts = models.JSONField(default=list)
    # 0 not told yet, 1 told, 2 at half, 3 at a tenth of the remaining life
    user_stage = models.PositiveSmallIntegerField(default=0)
    admin_stage = models.PositiveSmallIntegerField(default=0)
    # When there is something to tell of it if nothing changes
    next_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "kind", "subject"], name="autossl_notice_unique")]
        indexes = [models.Index(fields=["server", "next_at"], name="autossl_notice_next")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Way(models.TextChoices):
    """How a message travels."""

    MAIL = "mail", _("E-mail")
    WEBHOOK = "webhook", _("Webhook")
    APPRISE = "apprise", _("Apprise")


class Channel(models.Model):
    """Where the administrator's notifications go beside the addresses of the options."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=16, choices=Way)
    name = models.CharField(max_length=64)
    # An address, or a URL; that of apprise is a secret as a whole
    target = models.CharField(max_length=1000)
    # What signs a webhook; shown once, when it is made
    secret = models.CharField(max_length=200, default="", blank=True)
    level = models.CharField(max_length=16, choices=NotifyLevel, default=NotifyLevel.WARNINGS)
    enabled = models.BooleanField(default=True)
    # A webhook of one's own network: it may be http, and may lead to an address that is not public
    private = models.BooleanField(default=False)
    # What came of the newest message: when one was taken, {"code", "text"} while they are not
    sent_at = models.DateTimeField(null=True)
    problem = models.JSONField(null=True)
    problem_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "name"], name="autossl_channel_unique")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MessageState(models.TextChoices):
    QUEUED = "queued", _("Waits to be sent")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Not sent")


class Message(models.Model):
    """One message of the outbox: one digest for one recipient. Its text is rendered from `payload` when it is sent."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="messages")
    # Its name towards the world: the same at every try
    ident = models.CharField(max_length=32, unique=True)
    way = models.CharField(max_length=16, choices=Way)
    # NULL: to an address of the options or of a user
    channel = models.ForeignKey(Channel, models.CASCADE, null=True, related_name="messages")
    address = models.CharField(max_length=254, default="", blank=True)
    payload = models.JSONField()
    # Sent because somebody asked for it: tried once
    test = models.BooleanField(default=False)
    made_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=MessageState, default=MessageState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    # Not tried before; set with each claim, so that whoever dies at it has set the next try already
    retry_at = models.DateTimeField()
    holder = models.CharField(max_length=64, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    # {"code", "text"} of the newest try, "since" when it is refused
    problem = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["server", "state", "retry_at"], name="autossl_message_due"),
            models.Index(fields=["made_at"], name="autossl_message_made"),
        ]

    def __str__(self) -> str:
        return self.ident
