"""What `serve` has gunicorn do beside its command line: its worker, too, dies with the process that made it."""

from autossl_panel.autossl.cluster import die_with_parent


def post_fork(_arbiter: object, _worker: object) -> None:
    """Called by gunicorn in each new worker."""
    die_with_parent()
