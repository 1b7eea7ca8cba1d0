"""What `serve` has gunicorn do beside its command line."""

import gc

from autossl_panel.autossl.cluster import die_with_parent


def post_fork(_arbiter: object, _worker: object) -> None:
    """Called by gunicorn in each new worker: it dies with the process that made it."""
    die_with_parent()


def post_worker_init(_worker: object) -> None:
    """Called by gunicorn when the application is loaded: what it is made of stays, and is not looked through for what
    could be thrown away in the middle of somebody's page.
    """
    gc.collect()
    gc.freeze()
