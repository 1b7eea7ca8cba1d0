"""The console script: `autossl-panel COMMAND`, also `python -m autossl_panel COMMAND`."""

import os
import sys


def main() -> int:
    """Run one management command; a wrong setting is one clear line on standard error and status 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autossl_panel.settings")
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    argv = list(sys.argv)
    if len(argv) > 1 and not argv[1].startswith("-"):
        argv[1] = argv[1].replace("-", "_")  # feature-list is the module feature_list
    try:
        execute_from_command_line(argv)
    except ImproperlyConfigured as problem:
        print(f"autossl-panel: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
