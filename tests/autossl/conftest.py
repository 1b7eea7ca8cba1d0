"""Rows that tests of the heart begin with."""

from tests.autossl.limits_rows import account  # noqa: F401
from tests.autossl.order_parts import order  # noqa: F401
from tests.rows import (  # noqa: F401
    make_installed,
    make_site,
    make_user,
    now,
    provider,
    root,
    server,
)
