from django.db import migrations
from django.utils import timezone


def look_again(apps, schema_editor):
    """Severity, problems and counts are written when a site is looked at: the sweep does that within a minute."""
    sites = apps.get_model("hosting", "VirtualHost").objects.filter(gone_at__isnull=True)
    sites.exclude(next_reason="cancelled").update(next_at=timezone.now())


class Migration(migrations.Migration):

    dependencies = [
        ('autossl', '0002_rules_and_screens'),
        ('hosting', '0002_rules_and_screens'),
    ]

    operations = [
        migrations.RunPython(look_again, migrations.RunPython.noop),
    ]
