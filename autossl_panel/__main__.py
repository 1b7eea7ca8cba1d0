"""The console script: `autossl-panel COMMAND`, also `python -m autossl_panel COMMAND`."""

import contextlib
import os
import sys
from pathlib import Path

COMMANDS = {
    "migrate": "make or upgrade the database",
    "discover": "read the web server's configuration: which sites there are",
    "autossl_check": "run AutoSSL now, for all users or for one",
    "autossl_status": "how every site stands, and what to do",
    "provider": "add a CA, use one, choose its profile, change its account's key",
    "options": "show or set the options",
    "pause": "order and install nothing until it goes on",
    "notify": "where notifications go beside e-mail; tests; what was not sent",
    "user": "a hosting user's AutoSSL, suspension, owner, login, provider, address",
    "feature-list": "what a feature list says of AutoSSL",
    "exclude": "names that nobody wants a certificate for",
    "revoke": "revoke a site's certificate at its CA",
    "takeover": "let AutoSSL replace a site's certificate from elsewhere",
    "person": "who signs in to the panel",
    "serve": "web, workers and helper under one command",
    "detach": "take the panel's lines out of the web server's configuration",
    "demo": "a hosting server in a box to try it on",
    "simulate": "play years of a server through: does anything expire, is any limit hit",
}


def main() -> int:
    """Run one management command; a wrong setting is one clear line on standard error and status 2."""
    name = Path(sys.argv[0]).name.replace("__main__.py", "autossl-panel")
    if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
        lines = [f"{command:15} {text}" for command, text in COMMANDS.items()]
        with contextlib.suppress(BrokenPipeError):  # the reader may have seen enough (| head)
            text = "\n".join((f"usage: {name} COMMAND", "", *lines, "", f"{name} COMMAND --help says more."))
            print(text, flush=True)  # noqa: T201
        return 0 if sys.argv[1:] else 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autossl_panel.settings")
    import django  # noqa: PLC0415
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.core.management import execute_from_command_line, get_commands  # noqa: PLC0415

    argv = list(sys.argv)
    if len(argv) > 1 and not argv[1].startswith("-"):
        argv[1] = argv[1].replace("-", "_")  # feature-list is the module feature_list
    try:
        django.setup()
        if not argv[1].startswith("-") and argv[1] not in {"help", *get_commands()}:
            print(f"{name}: There is no command “{sys.argv[1]}”. See {name} help.", file=sys.stderr)  # noqa: T201
            return 2
        execute_from_command_line(argv)
    except ImproperlyConfigured as problem:
        print(f"autossl-panel: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
