from itertools import islice
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from autossl_panel.names import to_unicode

CHUNK = 500


def fill(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """The names that are there already; most are read as they are written, and stay NULL."""
    domain: Any = apps.get_model("hosting", "Domain")
    rows = domain.objects.filter(name__contains="xn--").only("name").order_by("pk").iterator(chunk_size=CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        read = [row for row in chunk if to_unicode(row.name) != row.name]
        for row in read:
            row.read_as = to_unicode(row.name)
        domain.objects.bulk_update(read, ["read_as"])


class Migration(migrations.Migration):
    dependencies = [("hosting", "0002_rules_and_screens")]

    operations = [
        migrations.AddField(
            model_name="domain",
            name="read_as",
            field=models.CharField(editable=False, max_length=253, null=True),
        ),
        migrations.AddIndex(
            model_name="domain",
            index=models.Index(
                condition=models.Q(("read_as__isnull", False)), fields=["read_as"], name="hosting_domain_read_as"
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
