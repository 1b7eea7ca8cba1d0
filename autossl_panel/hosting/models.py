"""Who is hosted here: servers, hosting users, virtual hosts, domains. Rows keep step with the web server's files."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from autossl_panel.names import to_unicode


class Server(models.Model):
    """One machine with web servers and a helper."""

    name = models.CharField(max_length=253, unique=True)
    inventory_hash = models.CharField(max_length=64, default="", blank=True)
    inventory_at = models.DateTimeField(null=True)
    # {"file", "line", "text"} while the configuration does not parse or the helper cannot be asked
    inventory_problem = models.JSONField(null=True)
    # [{"name", "reason", "file", "line"}]: what discovery met and left alone, for the admin to read
    inventory_told = models.JSONField(default=list)
    # [{"code", "since", "names", "data"}]: what is wrong with this machine itself, so that names cannot be judged
    trouble = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name


class FeatureList(models.Model):
    """A named set of defaults; says whether AutoSSL is on for the users that follow it."""

    name = models.CharField(max_length=64, unique=True)
    autossl = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Setting(models.TextChoices):
    """What a hosting user's own AutoSSL setting says."""

    ON = "on", _("Enabled")
    OFF = "off", _("Disabled")
    FEATURE_LIST = "feature-list", _("Use feature list")


class HostingUser(models.Model):
    """Owns sites on a server. `owner` NULL means root's own."""

    server = models.ForeignKey(Server, models.PROTECT, related_name="users")
    name = models.CharField(max_length=64)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="hosting_users")
    feature_list = models.ForeignKey(FeatureList, models.PROTECT, related_name="users")
    autossl = models.CharField(max_length=16, choices=Setting, default=Setting.FEATURE_LIST)
    suspended = models.BooleanField(default=False)
    # Who signs in to see this user's own sites
    login = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="hosting_logins")
    # Where notifications for the user go
    email = models.EmailField(max_length=254, default="", blank=True)
    gone_at = models.DateTimeField(null=True)
    last_check_at = models.DateTimeField(null=True)
    # The level and event of the line that sums up the last check, rendered like a log line
    last_check = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="hosting_user_unique"),
            models.CheckConstraint(condition=models.Q(autossl__in=Setting.values), name="hosting_user_autossl_known"),
        ]
        indexes = [models.Index(fields=["owner", "name"])]

    def __str__(self) -> str:
        return self.name

    @property
    def enabled(self) -> bool:
        """Whether AutoSSL is on: the user's own setting, else what the feature list says."""
        if self.autossl == Setting.FEATURE_LIST:
            return self.feature_list.autossl
        return self.autossl == Setting.ON


class SiteState(models.TextChoices):
    """How a virtual host stands; lists are sorted by `Severity`."""

    SECURED = "secured", _("Secured")
    PARTLY = "partly", _("Partly")
    UNSECURED = "unsecured", _("Unsecured")
    FOREIGN = "foreign", _("Foreign")
    OFF = "off", _("Off")
    GONE = "gone", _("Gone")


class Severity(models.IntegerChoices):
    """How much a virtual host needs a person, the worst first."""

    UNSECURED = 10, _("Unsecured")
    # Covered today, but its renewal waits until somebody acts
    HELD = 20, _("Held back")
    PARTLY = 30, _("Partly")
    FOREIGN_WORSE = 40, _("Foreign, defective or about to expire")
    FOREIGN = 50, _("Foreign")
    SECURED = 60, _("Secured")
    # AutoSSL is off, and a certificate of ours will expire
    LAPSING = 70, _("Off, will expire")
    OFF = 80, _("Off")
    GONE = 90, _("Gone")


class VirtualHost(models.Model):
    """One site in the web server's configuration; gets one certificate."""

    server = models.ForeignKey(Server, models.PROTECT, related_name="virtual_hosts")
    user = models.ForeignKey(HostingUser, models.PROTECT, related_name="virtual_hosts")
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=253)
    docroot = models.CharField(max_length=1024, default="", blank=True)
    file = models.CharField(max_length=1024, default="", blank=True)
    line = models.PositiveIntegerField(default=0)
    # [{"address", "port", "ssl", "default"}]
    listens = models.JSONField(default=list)
    tls = models.BooleanField(default=False)
    attached = models.BooleanField(default=False)
    # digest of what the inventory said, so that an unchanged site costs no write
    seen = models.CharField(max_length=64, default="", blank=True)
    appeared_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    takeover = models.BooleanField(default=False)
    # How it stands and what comes next; written by the heart only
    state = models.CharField(max_length=16, choices=SiteState, default=SiteState.UNSECURED)
    names_wanted = models.PositiveIntegerField(default=0)
    names_covered = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    next_reason = models.CharField(max_length=32, default="", blank=True)
    retry_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    held_until = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=32, default="", blank=True)
    # Whose CA holds it, by the provider's name; "" holds at every provider
    held_provider = models.CharField(max_length=64, default="", blank=True)
    # "staged" | "detached": our store holds a sound pair that the web server does not serve
    stored_pair = models.CharField(max_length=16, default="", blank=True)
    last_extend_at = models.DateTimeField(null=True)
    # {"code", "domain", "data"}: what stands between this site and "secured", if anything
    problem = models.JSONField(null=True)
    severity = models.PositiveSmallIntegerField(choices=Severity, default=Severity.UNSECURED)
    # The end of the certificate that is installed, whoever put it there
    expires_at = models.DateTimeField(null=True)
    # The key type of an installed certificate of ours, as the option has it; "" for any other
    key_type = models.CharField(max_length=16, default="", blank=True)
    # digest of its problems' rows; "" without any
    problems_seen = models.CharField(max_length=32, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "key"], name="hosting_virtual_host_key_unique"),
            models.CheckConstraint(
                condition=models.Q(state__in=SiteState.values), name="hosting_virtual_host_state_known"
            ),
        ]
        indexes = [
            # How a survey walks: without it SQLite looks at every site of the server for each portion of users
            models.Index(fields=["server", "user"]),
            models.Index(fields=["user", "state"]),
            models.Index(fields=["next_at"]),
            models.Index(fields=["name"]),
            # All that is counted before something is changed, in one walk
            models.Index(
                fields=["server", "state", "key_type", "expires_at", "names_covered"],
                condition=models.Q(gone_at__isnull=True),
                name="hosting_vh_census",
            ),
            # The list of sites, the worst first; and all its counts and the expiry timeline in one walk
            models.Index(fields=["severity", "name"], name="hosting_vh_worst_first"),
            models.Index(fields=["severity", "state", "expires_at", "next_at"], name="hosting_vh_counts"),
            models.Index(fields=["expires_at", "name"], name="hosting_vh_expiry"),
            models.Index(fields=["next_reason", "next_at"], name="hosting_vh_next"),
            models.Index(fields=["user", "name"], name="hosting_vh_user"),
            # What a live run counts with each of its polls: few wait for a limit, while there are tens of thousands
            models.Index(
                fields=["held_reason", "held_until"],
                condition=models.Q(held_until__isnull=False),
                name="hosting_vh_held",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ReadAs(models.CharField):  # type: ignore[type-arg]
    """The name beside it as people read it, where that is not how it is written; kept by whatever saves the row."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        name = str(getattr(model_instance, "name"))  # noqa: B009 - of whichever model this is a column
        read = to_unicode(name)
        setattr(model_instance, self.attname, None if read == name else read)
        return None if read == name else read

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class Domain(models.Model):
    """One name of a virtual host, an A-label. `added`: a www. that the panel wishes for beside the configured name."""

    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)
    # In Unicode, to be searched; NULL for the very most, which are read as they are written
    read_as = ReadAs(max_length=253, null=True, editable=False)
    added = models.BooleanField(default=False)
    # Why no public CA may certify it: "not_public", "bad_name", or "" where one may
    unfit = models.CharField(max_length=16, default="", blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["virtual_host", "name"], name="hosting_domain_unique")]
        indexes = [
            models.Index(fields=["name"]),
            models.Index(fields=["read_as"], condition=models.Q(read_as__isnull=False), name="hosting_domain_read_as"),
        ]
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Exclusion(models.Model):
    """A name that its hosting user wishes no certificate for; outlives the virtual host."""

    user = models.ForeignKey(HostingUser, models.CASCADE, related_name="exclusions")
    name = models.CharField(max_length=253)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="hosting_exclusion_unique")]

    def __str__(self) -> str:
        return self.name


class ExclusionPattern(models.Model):
    """Names that are never asked for, by a pattern (`*` any text, `?` one character), at one of four levels.

    Exactly one of owner, feature_list and user is set, or none of them: then it holds for the whole server.
    """

    server = models.ForeignKey(Server, models.CASCADE, related_name="exclusion_patterns")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="exclusion_patterns")
    feature_list = models.ForeignKey(FeatureList, models.CASCADE, null=True, related_name="exclusion_patterns")
    user = models.ForeignKey(HostingUser, models.CASCADE, null=True, related_name="exclusion_patterns")
    pattern = models.CharField(max_length=253)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.pattern
