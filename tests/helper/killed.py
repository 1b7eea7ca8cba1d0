"""A helper that kills itself: `python -m tests.helper.killed N FLAG HELPER-ARGUMENTS…`, for test_crashes.

Once the file FLAG exists, SIGKILL comes just before the N-th step that others can see: a file made, renamed or removed,
a link, a program started, a signal sent.
"""

from __future__ import annotations

import os
import signal
import sys

STEPS = ("os.rename", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "subprocess.Popen", "os.kill")


def main() -> int:
    limit, flag = int(sys.argv[1]), sys.argv[2]
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        made = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (made or event in STEPS) and os.path.exists(flag):
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    sys.argv = [sys.argv[0], *sys.argv[3:]]
    from autossl_panel.helper.__main__ import main as serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
