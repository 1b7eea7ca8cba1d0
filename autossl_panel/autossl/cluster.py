"""The worker cluster as `serve` starts it: django-q2's, in which every process dies with the one that made it.

Run as `python -m autossl_panel.autossl.cluster`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT = "AUTOSSL_PARENT"


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent is gone, so that a killed one leaves no orphans (Linux)."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        # It died in between.
        os._exit(1)


def main() -> int:
    """Work until SIGTERM, which lets running tasks end."""
    parent = os.environ.get(PARENT)
    die_with_parent(int(parent) if parent else None)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autossl_panel.settings")
    import django  # noqa: PLC0415

    django.setup()
    from django_q.cluster import Cluster  # noqa: PLC0415

    # What a runner needs, loaded once for all its forks
    from autossl_panel.autossl import tasks  # noqa: F401, PLC0415

    # Sentinel, workers, pusher and monitor are forks of forks, each from its parent's main thread.
    os.register_at_fork(after_in_child=die_with_parent)
    Cluster().start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
