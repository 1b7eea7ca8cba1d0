"""Rows that tests of hosting begin with."""

from tests.rows import (  # noqa: F401
    make_installed,
    make_site,
    make_user,
    now,
    provider,
    root,
    server,
)
