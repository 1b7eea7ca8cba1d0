from django.db import migrations

from autossl_panel.people import append_only


def install(_apps, schema_editor):
    append_only.install(schema_editor.connection)


def remove(_apps, schema_editor):
    append_only.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('people', '0002_rules_and_screens'),
    ]

    operations = [
        migrations.RunPython(install, remove),
        # Sessions are kept in people_session now; what is left of the old ones would still be keys.
        migrations.RunSQL("DROP TABLE IF EXISTS django_session", migrations.RunSQL.noop),
    ]
