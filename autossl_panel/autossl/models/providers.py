"""Providers, their accounts, and the options of a server."""

from datetime import time

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.hosting.models import FeatureList, HostingUser, Server

KEY_TYPES = ["p256", "p384", "rsa2048", "rsa4096"]
# A certificate's key_kind and key_bits as a key type
KEY_KINDS = {("ec", 256): "p256", ("ec", 384): "p384", ("rsa", 2048): "rsa2048", ("rsa", 4096): "rsa4096"}


class ProviderState(models.TextChoices):
    NEW = "new", _("Not contacted yet")
    CHECKING = "checking", _("Checking the directory")
    READY = "ready", _("Ready")
    REFUSED = "refused", _("Refused")


class Provider(models.Model):
    """A CA reached over ACME. A row begins as a draft: checking → ready | refused(problem). Presets begin as new."""

    name = models.CharField(max_length=64, unique=True)
    display_name = models.CharField(max_length=64, default="", blank=True)
    # Facts of a preset that no directory tells: {"validity_days", "wildcard", "eab", "note", "limits", "usual" and
    # "profiles": {name: {"max_names", "seconds"}}, "dcv", "redirects", "delivery", "eab_days", "trial"}
    stated = models.JSONField(default=dict)
    directory_url = models.URLField(max_length=500)
    ca_bundle = models.TextField(default="", blank=True)
    private_ca = models.BooleanField(default=False)
    max_names = models.PositiveIntegerField(default=100)
    max_in_flight = models.PositiveIntegerField(default=8)
    eab_kid = models.CharField(max_length=200, default="", blank=True)
    # Kept only until the registration has used it
    eab_hmac_key = models.CharField(max_length=500, default="", blank=True)
    state = models.CharField(max_length=16, choices=ProviderState, default=ProviderState.CHECKING)
    # What the settings are to be once the directory was read with them: names of `drafts`, and "problem" as below where
    # it was not. What stands on the row is in force meanwhile
    draft = models.JSONField(null=True)
    # {"field", "code", "text"} while refused, or of the field “profile” while ready: it is no longer offered
    problem = models.JSONField(null=True)
    terms_url = models.CharField(max_length=500, default="", blank=True)
    website = models.CharField(max_length=500, default="", blank=True)
    eab_required = models.BooleanField(default=False)
    caa_identities = models.JSONField(default=list)
    profiles = models.JSONField(default=dict)
    renewal_info_url = models.CharField(max_length=500, default="", blank=True)
    # Failures in a row when asked for renewal information, and until when it is left in peace for that
    ari_faults = models.PositiveSmallIntegerField(default=0)
    ari_paused_until = models.DateTimeField(null=True)
    active = models.BooleanField(default=False)
    # Place among the providers that are used where the active one fails, 1 first; NULL: none of them
    fallback = models.PositiveSmallIntegerField(null=True)
    # One of `profiles`; "" leaves the choice to the CA
    profile = models.CharField(max_length=64, default="", blank=True)
    # What the CA publishes: [{"kind", "number", "seconds", "continuous"}]; NULL: what its preset says
    limits = models.JSONField(null=True)
    # Part of the lifetime left at which a certificate is renewed; NULL: the rules' own
    renew_fraction = models.FloatField(null=True)
    # seconds, of the certificate that it issued last
    issued_lifetime = models.PositiveIntegerField(null=True)
    position = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField(null=True)
    # When a worker was asked to read the directory
    asked_at = models.DateTimeField(null=True)
    # Where its CA lets one rehearse; "": what its preset knows (`stated`)
    staging_url = models.URLField(max_length=500, default="", blank=True)
    # What it answered when it was last read: {"at", "ms", "text"}, `ms` None where it did not answer, which `text` says
    answer = models.JSONField(null=True)
    # seconds that the CA's Date header was ahead of this host's clock when last heard
    clock_offset = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["active"], condition=models.Q(active=True), name="autossl_one_active_provider"
            ),
        ]
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.display_name or self.name


class AccountStatus(models.TextChoices):
    REGISTERING = "registering", _("Registering")
    VALID = "valid", _("Registered")
    REFUSED = "refused", _("Refused")


class Account(models.Model):
    """A registration with a provider, one a server. Its key is a file in the state directory, never a row."""

    provider = models.ForeignKey(Provider, models.CASCADE, related_name="accounts")
    server = models.ForeignKey(Server, models.CASCADE, related_name="accounts")
    status = models.CharField(max_length=16, choices=AccountStatus, default=AccountStatus.REGISTERING)
    url = models.CharField(max_length=500, default="", blank=True)
    thumbprint = models.CharField(max_length=64, default="", blank=True)
    contact = models.CharField(max_length=254, default="", blank=True)
    terms_url = models.CharField(max_length=500, default="", blank=True)
    terms_agreed_at = models.DateTimeField(null=True)
    # Who agreed, by name; "" for a command
    terms_agreed_by = models.CharField(max_length=150, default="", blank=True)
    registered_at = models.DateTimeField(null=True)
    # {"field", "code", "text", "link"}: why it was refused, or what the CA wants of a person before it goes on
    problem = models.JSONField(null=True)
    # A person asked for a new key; a worker makes it. {"do": "roll" | "anew", "by"} until then
    wish = models.JSONField(null=True)
    # When a worker was asked to register it
    asked_at = models.DateTimeField(null=True)
    # Whether its provider is the one that AutoSSL uses once it is registered; else it is at hand for other uses
    use_then = models.BooleanField(default=True)
    # How its latest orders went: {"at", "issued", "seconds", "of", "failed", "placed"}; written by `measuring`
    measured = models.JSONField(null=True)
    # CA-side faults in a row; from the third on the next provider is asked until `down_until`
    faults = models.PositiveIntegerField(default=0)
    down_since = models.DateTimeField(null=True)
    down_until = models.DateTimeField(null=True)
    down_problem = models.JSONField(null=True)
    # What tells that this database is not an old copy: see limits
    ledger_stamp = models.CharField(max_length=64, default="", blank=True)
    ledger_count = models.PositiveBigIntegerField(default=0)
    ledger_spent_at = models.DateTimeField(null=True)
    # How many permits were lost by then; NULL: any number
    ledger_lost = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "server"], name="autossl_account_unique")]

    def __str__(self) -> str:
        return self.url or f"{self.provider_id}"


class ProviderChoice(models.Model):
    """A provider that one hosting user, or the users of a feature list, have instead of the active one."""

    user = models.OneToOneField(HostingUser, models.CASCADE, null=True, related_name="provider_choice")
    feature_list = models.OneToOneField(FeatureList, models.CASCADE, null=True, related_name="provider_choice")
    provider = models.ForeignKey(Provider, models.CASCADE, related_name="choices")

    def __str__(self) -> str:
        return f"{self.provider_id}"


class NotifyLevel(models.TextChoices):
    """What somebody wants to be told (rules §8)."""

    ALL = "all", _("Everything")
    WARNINGS = "warnings", _("Failures, warnings and deferrals")
    FAILURES = "failures", _("Failures only")
    NONE = "none", _("Nothing")


class SecondFactorRule(models.TextChoices):
    """Who has to sign in with a second factor."""

    NOBODY = "nobody", _("Nobody has to")
    ROOT = "root", _("root")
    OPERATORS = "operators", _("root and resellers")
    EVERYBODY = "everybody", _("Everybody")


class Options(models.Model):
    """The settings of the Options tab, one row a server."""

    server = models.OneToOneField(Server, models.CASCADE, related_name="options")
    resolvers = models.JSONField(default=list)
    server_addresses = models.JSONField(default=list)
    replace_foreign = models.BooleanField(default=False)
    key_type = models.CharField(max_length=16, default="p256", choices=[(k, k) for k in KEY_TYPES])
    daily_at = models.TimeField(default=time(3, 0))
    log_days = models.PositiveIntegerField(default=30)
    # seconds between two reloads of the web server
    reload_gap = models.PositiveIntegerField(default=30)
    serve_www = models.BooleanField(default=True)
    notify_user = models.CharField(max_length=16, choices=NotifyLevel, default=NotifyLevel.WARNINGS)
    notify_admin = models.CharField(max_length=16, choices=NotifyLevel, default=NotifyLevel.WARNINGS)
    # Where notifications for the administrator go
    admin_addresses = models.JSONField(default=list)
    # Whether certificates of another key type are issued anew; asked for anew at each change of key_type
    reissue = models.BooleanField(default=False)
    # While set nothing is ordered or installed
    paused_at = models.DateTimeField(null=True)
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    second_factor = models.CharField(max_length=16, choices=SecondFactorRule, default=SecondFactorRule.NOBODY)
    # How long the audit trail is kept; the database itself refuses to lose an entry within a year
    audit_days = models.PositiveIntegerField(default=400)
    # Not set by people: when the daily check last began
    daily_done_on = models.DateField(null=True)

    def __str__(self) -> str:
        return f"options of {self.server_id}"
