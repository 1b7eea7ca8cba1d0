"""Who logs in. What a person may see is decided by the fetches in `hosting.visible` and `people.access`, not here."""

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import ASCIIUsernameValidator
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
    is_active = models.BooleanField(default=True)
    added_at = models.DateTimeField(auto_now_add=True)
    theme = models.CharField(
        max_length=8, default="", blank=True, choices=[("", "system"), ("light", "light"), ("dark", "dark")]
    )

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


class SignInTries(models.Model):
    """Wrong passwords for a user name from an address, counted until one is right or a while has passed."""

    username = models.CharField(max_length=64)
    address = models.CharField(max_length=64)
    wrong = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["username", "address"], name="people_sign_in_tries_unique")]
        indexes = [models.Index(fields=["last_at"], name="people_sign_in_tries_last")]
