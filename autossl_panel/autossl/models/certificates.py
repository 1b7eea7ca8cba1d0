"""Certificates, where they are installed, the orders that brought them, and what DCV found for each name."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import Domain, VirtualHost

from .providers import Account, Provider


class Certificate(models.Model):
    """The public part of a certificate: ours, or one that somebody else put there."""

    fingerprint = models.CharField(max_length=64, unique=True)
    serial = models.CharField(max_length=64)
    names = models.JSONField()
    issuer = models.CharField(max_length=500)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    key_kind = models.CharField(max_length=16)
    key_bits = models.PositiveIntegerField()
    signature_hash = models.CharField(max_length=32, default="", blank=True)
    self_signed = models.BooleanField(default=False)
    links = models.BooleanField(default=True)
    weak = models.BooleanField(default=False)
    ari_id = models.CharField(max_length=200, default="", blank=True)
    spki = models.CharField(max_length=64, default="", blank=True)
    pem = models.TextField()
    # NULL: another's certificate
    provider = models.ForeignKey(Provider, models.SET_NULL, null=True, related_name="certificates")
    ours = models.BooleanField(default=False)
    # By which account it was ordered; only that one may replace it (RFC 9773 §5)
    account = models.ForeignKey(Account, models.SET_NULL, null=True, related_name="certificates")
    profile = models.CharField(max_length=64, default="", blank=True)
    # The CA's renewal information (RFC 9773): its window, the moment drawn inside it, when to ask again
    ari_start = models.DateTimeField(null=True)
    ari_end = models.DateTimeField(null=True)
    ari_explanation = models.CharField(max_length=500, default="", blank=True)
    ari_next_at = models.DateTimeField(null=True)
    renewal_at = models.DateTimeField(null=True)
    # The end of a window that the CA brought forward: a renewal defers no longer
    forward_until = models.DateTimeField(null=True)
    # An order that says it replaces this one was taken, or refused for saying so: no other one says it
    replaced_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # RFC 5280 §5.3.1, by us or as the CA's list says
    revoked_reason = models.PositiveSmallIntegerField(null=True)
    # A person asked for it; a worker does it. {"reason", "by"} until then
    revoke_wish = models.JSONField(null=True)
    revoke_problem = models.JSONField(null=True)
    # Where its CA lists what it revoked
    crl_url = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["not_after"]),
            # What people look for a certificate by
            models.Index(fields=["serial"], name="autossl_certificate_serial"),
            models.Index(fields=["issuer"], name="autossl_certificate_issuer"),
            models.Index(fields=["ari_next_at"]),
        ]

    def __str__(self) -> str:
        return self.serial


class RevocationList(models.Model):
    """A CA's list of revoked certificates (RFC 5280 §5): when it was read, and when next."""

    url = models.CharField(max_length=500, unique=True)
    read_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    problem = models.JSONField(null=True)

    def __str__(self) -> str:
        return self.url


class Installation(models.Model):
    """A certificate at a virtual host, since and until."""

    certificate = models.ForeignKey(Certificate, models.PROTECT, related_name="installations")
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="installations")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    path = models.CharField(max_length=1024, default="", blank=True)
    key_matches = models.BooleanField(null=True)
    # What handshakes showed: [{"at", "address", "port", "serial", "signature"}]
    evidence = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["virtual_host"], condition=models.Q(until__isnull=True), name="autossl_one_current_installation"
            ),
        ]


class OrderStatus(models.TextChoices):
    """RFC 8555, section 7.1.6."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class Order(models.Model):
    """An ACME order for a virtual host. Open until installed or given up; one open order a virtual host."""

    # Opaque name of this order towards the helper and on disk
    ident = models.CharField(max_length=64, unique=True)
    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="orders")
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="orders")
    account = models.ForeignKey(Account, models.PROTECT, related_name="orders")
    names = models.JSONField()
    reason = models.CharField(max_length=32)
    # What was wrong with the certificate that this order replaces, for the loop breaker
    key_type = models.CharField(max_length=16)
    profile = models.CharField(max_length=64, default="", blank=True)
    replaces = models.CharField(max_length=200, default="", blank=True)
    # What the ledger let it pass with (limits.Permit.as_json); NULL where the CA limits nothing
    permit = models.JSONField(null=True)
    # Fingerprint that was installed when the order was decided on; "" for none
    expect_fingerprint = models.CharField(max_length=64, default="", blank=True)
    created_at = models.DateTimeField()
    url = models.CharField(max_length=500, default="", blank=True)
    status = models.CharField(max_length=16, choices=OrderStatus, default=OrderStatus.PENDING)
    authorizations = models.JSONField(default=list)
    finalize_url = models.CharField(max_length=500, default="", blank=True)
    certificate_url = models.CharField(max_length=500, default="", blank=True)
    expires = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    finalized_at = models.DateTimeField(null=True)
    certificate = models.ForeignKey(Certificate, models.PROTECT, null=True, related_name="orders")
    staged_at = models.DateTimeField(null=True)
    activated_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    # "installed" | "given_up" | "refused" | "rolled_back" | "quarantined"
    closed_as = models.CharField(max_length=16, default="", blank=True)
    problem = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["virtual_host"], condition=models.Q(closed_at__isnull=True), name="autossl_one_open_order"
            ),
        ]
        indexes = [
            models.Index(fields=["virtual_host", "created_at"]),
            # How long the latest of an account took, and how many came to nothing
            models.Index(
                fields=["account", "staged_at"],
                condition=models.Q(staged_at__isnull=False),
                name="autossl_order_delivered",
            ),
            models.Index(
                fields=["account", "closed_at"],
                condition=models.Q(closed_as="given_up"),
                name="autossl_order_given_up",
            ),
        ]

    def __str__(self) -> str:
        return self.ident


class Outcome(models.TextChoices):
    PASS = "pass", _("passed")
    FAIL = "fail", _("failed")
    UNKNOWN = "unknown", _("unknown")


class Verdict(models.Model):
    """What DCV found for one name, and what that means for asking again."""

    domain = models.OneToOneField(Domain, models.CASCADE, related_name="verdict")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome)
    code = models.CharField(max_length=32, default="", blank=True)
    data = models.JSONField(default=dict)
    # digest of the DNS answer it was found with
    answer = models.CharField(max_length=64, default="", blank=True)
    first_failed_at = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField(null=True)
    last_passed_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True)
    # Which CAs refused it although it passed: {provider: {"since", "until", "times", "kind", "text"}}
    refusals = models.JSONField(null=True)
    # Of the failure “caa”: the names of the providers that CAA forbids
    barred = models.JSONField(null=True)
