"""What has been used of the CAs' limits: one row a limit and subject. Written by `autossl.limits` alone."""

from django.db import models


class Bucket(models.Model):
    """What counts of one limit and subject now. A row that says nothing any more is removed by the sweep."""

    # Whose it is: "a:12" an account's, "d:" and a digest a directory's, shared by all accounts there, whatever provider
    # they are with
    owner = models.CharField(max_length=24)
    kind = models.CharField(max_length=16)
    # A registered domain, a name, the digest of a set of names; "" where the owner is the subject
    subject = models.CharField(max_length=253, default="", blank=True)
    # What people call the subject, where that is another
    label = models.CharField(max_length=300, default="", blank=True)
    # [[moment, how many], ...], POSIX seconds by the CA's clock, in order
    entries = models.JSONField(default=list)
    # How many the entries were when they were last written, for finding the fullest
    used = models.PositiveIntegerField(default=0)
    # Failures in a row that have left the entries
    in_a_row = models.PositiveIntegerField(default=0)
    # The latest moment it was written for: its time does not run back. Of `requests` by the database's clock
    mark = models.FloatField(default=0)
    # From when on the entries say nothing
    empty_at = models.DateTimeField(null=True)
    # The CA refused: until then nobody asks; the year 9999 stands for "until a person acts"
    blocked_until = models.DateTimeField(null=True)
    blocked_detail = models.CharField(max_length=500, default="", blank=True)
    # When somebody was last let through to find out whether it still does, POSIX seconds by the CA's clock
    blocked_asked = models.FloatField(null=True)
    blocked_url = models.CharField(max_length=2000, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "kind", "subject"], name="autossl_bucket_unique"),
        ]
        indexes = [
            models.Index(fields=["owner", "kind", "-used", "empty_at"], name="autossl_bucket_fullest"),
            models.Index(fields=["empty_at"], name="autossl_bucket_empty"),
            # The few that the CA refused
            models.Index(
                fields=["owner"], condition=models.Q(blocked_until__isnull=False), name="autossl_bucket_refused"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.kind} {self.subject}"
