import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import groupby, islice
from operator import or_
from typing import Any
from urllib.parse import unquote, urlsplit

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.db.models import Count, Min, Q

CHUNK = 500
MERGED = (
    "entries", "used", "in_a_row", "mark", "empty_at", "label",
    "blocked_until", "blocked_detail", "blocked_url", "blocked_asked",
)  # fmt: skip


def owner(url: str) -> str:
    """Whose the shared buckets of a directory are, as `limits.rows` had it when this was written."""
    parts = urlsplit(url)
    alike = ((parts.hostname or "").rstrip("."), parts.port or 443, unquote(parts.path) or "/", parts.query)
    return f"d:{hashlib.sha256(chr(10).join(map(str, alike)).encode()).hexdigest()[:20]}"


def to_directories(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """What providers owned belongs to the directory of who wrote it: those that something was ordered from keep theirs,
    while the first of several with one directory, by whom it was called, may have come and gone."""
    bucket: Any = apps.get_model("autossl", "Bucket")
    provider: Any = apps.get_model("autossl", "Provider")
    urls = dict(provider.objects.values_list("pk", "directory_url"))
    written = bucket.objects.filter(owner__startswith="p:").order_by()
    pairs: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, pk in written.values_list("owner", "provider_id").distinct():
        pairs[owner(urls[pk])].append((name, pk))
    for name, mine in pairs.items():
        rows = bucket.objects.filter(reduce(or_, (Q(owner=before, provider_id=pk) for before, pk in mine)))
        if len({before for before, _pk in mine}) > 1:
            merge(bucket, rows)
        rows.update(owner=name)
    forget(bucket, set(apps.get_model("autossl", "Account").objects.values_list("pk", flat=True)))


def forget(bucket: Any, accounts: set[int]) -> None:
    """What belongs to accounts that are no more; nobody reads it, and until now it went with their provider."""
    owners = bucket.objects.filter(owner__startswith="a:").order_by().values_list("owner", flat=True).distinct()
    for some in chunks([name for name in owners if int(name[2:]) not in accounts]):
        bucket.objects.filter(owner__in=some).delete()


def merge(bucket: Any, rows: Any) -> None:
    """Of the rows that are about to have one key, leave one that says all that they said."""
    keys = rows.order_by().values_list("kind", "subject").annotate(number=Count("pk"), kept=Min("pk"))
    twice = keys.filter(number__gt=1).order_by("kind", "subject")
    for some in chunks([(kind, subject) for kind, subject, _number, _kept in twice]):
        found = defaultdict(list)
        wanted: dict[str, list[str]] = defaultdict(list)
        for kind, subject in some:
            wanted[kind].append(subject)
        where = reduce(or_, (Q(kind=kind, subject__in=subjects) for kind, subjects in wanted.items()))
        for row in rows.filter(where).order_by("pk"):
            found[row.kind, row.subject].append(row)
        kept = [joined(same) for same in found.values()]
        bucket.objects.filter(pk__in=[row.pk for same in found.values() for row in same[1:]]).delete()
        # As the ledger itself writes: an UPDATE of so many by CASE takes ten times as long.
        unique = ["owner", "kind", "subject"]
        bucket.objects.bulk_create(kept, update_conflicts=True, update_fields=MERGED, unique_fields=unique)


def joined(same: list[Any]) -> Any:
    """The first of the rows, saying all that any of them says."""
    row = same[0]
    entries = sorted((moment, number) for one in same for moment, number in one.entries)
    row.entries = [
        [moment, sum(number for _, number in alike)] for moment, alike in groupby(entries, key=lambda one: one[0])
    ]
    row.used = sum(one.used for one in same)
    row.in_a_row = sum(one.in_a_row for one in same)
    row.mark = max(one.mark for one in same)
    row.empty_at = max((one.empty_at for one in same if one.empty_at is not None), default=None)
    row.label = next((one.label for one in same if one.label), "")
    refused = [one for one in same if one.blocked_until is not None]
    if refused:
        longest = max(refused, key=lambda one: one.blocked_until)
        for name in ("blocked_until", "blocked_detail", "blocked_url", "blocked_asked"):
            setattr(row, name, getattr(longest, name))
    return row


def to_providers(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """As it was: by the first of all providers with a directory. What belongs to none any more has no place there."""
    bucket: Any = apps.get_model("autossl", "Bucket")
    provider: Any = apps.get_model("autossl", "Provider")
    account: Any = apps.get_model("autossl", "Account")
    first: dict[str, int] = {}
    for pk, url in provider.objects.order_by("pk").values_list("pk", "directory_url"):
        first.setdefault(owner(url), pk)
    for name, pk in first.items():
        bucket.objects.filter(owner=name).update(owner=f"p:{pk}", provider_id=pk)
    accounts: dict[int, list[str]] = defaultdict(list)
    for pk, provider_id in account.objects.values_list("pk", "provider_id"):
        accounts[provider_id].append(f"a:{pk}")
    for provider_id, owners in accounts.items():
        for some in chunks(owners):
            bucket.objects.filter(owner__in=some).update(provider_id=provider_id)
    bucket.objects.filter(provider_id=None).delete()


def chunks(all_of_them: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(all_of_them)
    while some := list(islice(rest, CHUNK)):
        yield some


class Migration(migrations.Migration):
    dependencies = [("autossl", "0005_refusals_asked_about")]

    operations = [
        migrations.AlterField(
            model_name="bucket",
            name="provider",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="buckets", to="autossl.provider"
            ),
        ),
        migrations.RunPython(to_directories, to_providers),
        migrations.RemoveField(model_name="bucket", name="provider"),
    ]
