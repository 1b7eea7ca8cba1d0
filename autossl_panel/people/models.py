"""Who logs in. What a person may see is decided by the fetches in `hosting.visible` and `people.access`, not here."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    ROOT = "root", _("root")
    RESELLER = "reseller", _("reseller")
    USER = "user", _("hosting user")


class UserManager(BaseUserManager["User"]):
    pass


class User(AbstractBaseUser):
    """A person: root, a reseller, or a hosting user's login."""

    username = models.CharField(max_length=64, unique=True, validators=[ASCIIUsernameValidator()])
    role = models.CharField(max_length=16, choices=Role)
    email = models.EmailField(max_length=254, default="", blank=True)
    is_active = models.BooleanField(default=True)
    added_at = models.DateTimeField(auto_now_add=True)
    theme = models.CharField(
        max_length=8, default="", blank=True, choices=[("", "system"), ("light", "light"), ("dark", "dark")]
    )
    # "": what the browser asks for
    language = models.CharField(max_length=16, default="", blank=True)
    # An IANA name, as Europe/Berlin; "": the browser's
    zone = models.CharField(max_length=64, default="", blank=True)
    # Single keys act (WCAG 2.1.4)
    shortcuts = models.BooleanField(default=True)

    objects = UserManager()
    USERNAME_FIELD = "username"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="people_user_role_known"),
        ]

    @property
    def is_root(self) -> bool:
        return self.role == Role.ROOT

    @property
    def is_reseller(self) -> bool:
        return self.role == Role.RESELLER

    @property
    def is_login(self) -> bool:
        """Whether the person signs in for hosting users, and sees nothing but their own sites."""
        return self.role == Role.USER


class AuditEntry(models.Model):
    """One change that somebody made: who, from where, what, before and after. Never changed, never a secret."""

    at = models.DateTimeField()
    # NULL: the system, or a person who was removed since; the name stays
    person = models.ForeignKey("people.User", models.SET_NULL, null=True, related_name="+")
    person_name = models.CharField(max_length=64, default="", blank=True)
    # "panel" | "command" | "api" | "system"
    source = models.CharField(max_length=16)
    address = models.CharField(max_length=64, default="", blank=True)
    # "subject:verb", as `options:changed`
    event = models.CharField(max_length=64)
    # What it was done to, as people call it: a user's, a provider's, a site's name
    subject = models.CharField(max_length=253, default="", blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="people_audit_at"),
            models.Index(fields=["subject"], name="people_audit_subject"),
            models.Index(fields=["person_name", "-at"], name="people_audit_person"),
            models.Index(fields=["event", "-at"], name="people_audit_event"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.subject}"


class Session(AbstractBaseSession):
    """A browser that somebody is signed in with, or about to. Its key is the cookie: it never stands on a page."""

    # What a page calls it
    ident = models.UUIDField(default=uuid.uuid4, unique=True)
    # NULL while nobody is signed in. A removed person's go, too; one that a race leaves behind opens nothing.
    person = models.ForeignKey(User, models.CASCADE, null=True, db_constraint=False, related_name="sessions")
    address = models.CharField(max_length=64, default="", blank=True)
    browser = models.CharField(max_length=200, default="", blank=True)
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["person", "-seen_at"], name="people_session_person")]

    def __str__(self) -> str:
        return f"session of {self.person_id}"


class SignInTries(models.Model):
    """Wrong passwords for a user name from an address, counted until one is right or a while has passed."""

    username = models.CharField(max_length=64)
    address = models.CharField(max_length=64)
    wrong = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["username", "address"], name="people_sign_in_tries_unique")]
        indexes = [models.Index(fields=["last_at"], name="people_sign_in_tries_last")]


class ApiToken(models.Model):
    """What a script signs in with in a person's name. The secret is shown once; only its SHA-256 is kept."""

    person = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    # NULL: never used. Written once a minute at most.
    used_at = models.DateTimeField(null=True)
    # Where from, the last time
    address = models.CharField(max_length=64, default="", blank=True)
    # NULL: it never expires
    expires_at = models.DateTimeField(null=True)
    # Functions that change something refuse it
    read_only = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "name"], name="people_api_token_unique")]

    def __str__(self) -> str:
        return f"token “{self.name}” of {self.person_id}"
