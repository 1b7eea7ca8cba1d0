"""`python -m autossl_panel.helper`: starts the helper in the foreground; SIGTERM ends it after what it is doing."""

import logging
import os
import signal
import sys
import threading

from autossl_panel.helper import settings
from autossl_panel.helper.server import AlreadyRunning, Server


def main() -> int:
    """Serve until SIGTERM or SIGINT. Status 3: another helper runs; 1: the folder or socket cannot be used."""
    # A helper that serves one command only speaks up when something is wrong.
    level = logging.WARNING if os.environ.get("AUTOSSL_HELPER_QUIET") else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s helper %(levelname)s %(message)s")
    os.umask(0o077)
    chosen = settings.from_command_line(sys.argv[1:])
    try:
        server = Server(chosen)
    except AlreadyRunning as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 3
    except OSError as error:
        print(f"helper: {error.filename or chosen.folder}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: threading.Thread(target=server.stop).start())
    with server:
        logging.getLogger("autossl_panel.helper").info("pid %d, socket %s", os.getpid(), chosen.socket)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
