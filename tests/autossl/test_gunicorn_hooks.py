"""What gunicorn's worker does once it has loaded the application."""

from __future__ import annotations

import gc

from autossl_panel.autossl import gunicorn_hooks


def test_what_was_loaded_is_left_out_of_later_collections() -> None:
    kept = [object() for _n in range(3)]
    before = gc.get_freeze_count()
    try:
        gunicorn_hooks.post_worker_init(None)
        assert gc.get_freeze_count() > before
        assert not any(one is kept for one in gc.get_objects())
    finally:
        gc.unfreeze()
