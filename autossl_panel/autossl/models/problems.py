"""What is wrong with which name, as the Problems page groups it; and how secured a server was day by day."""

from django.db import models

from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost


class Problem(models.Model):
    """What stands between one name and its certificate. Written with the standing of its virtual host, never alone."""

    virtual_host = models.ForeignKey(VirtualHost, models.CASCADE, related_name="problems")
    user = models.ForeignKey(HostingUser, models.CASCADE, related_name="problems")
    # NULL: the virtual host as a whole, called by its main name
    domain = models.ForeignKey(Domain, models.CASCADE, null=True, related_name="problems")
    name = models.CharField(max_length=253)
    code = models.CharField(max_length=32)
    # Code and digest of the facts that make the same fix: one card of the Problems page
    cause = models.CharField(max_length=64)
    # An added www. or a wish that somebody ended: told where one looks for it, counted nowhere
    quiet = models.BooleanField(default=False)
    # Whether the installed certificate covers the name today
    covered = models.BooleanField(default=False)
    # The end of that certificate
    expires_at = models.DateTimeField(null=True)
    since = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [
            # Two that write what they found of one site in the same moment leave it once
            models.UniqueConstraint(fields=["virtual_host", "name", "code"], name="autossl_problem_once"),
        ]
        indexes = [models.Index(fields=["quiet", "cause"], name="autossl_problem_causes")]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class DailyShare(models.Model):
    """How many names and sites of a server were secured on a day; sites that are off or gone do not count."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="shares")
    day = models.DateField()
    wanted = models.PositiveIntegerField()
    covered = models.PositiveIntegerField()
    sites = models.PositiveIntegerField()
    secured = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "day"], name="autossl_share_a_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.secured} of {self.sites}"
