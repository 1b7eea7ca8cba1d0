"""Passwords are hashed by Argon2, in memory that the web process can spare."""

from __future__ import annotations

import re

from autossl_panel import settings
from autossl_panel.people.hashers import Argon2


def test_a_password_costs_at_least_what_owasp_asks_and_at_most_50_mb() -> None:
    hasher = Argon2()
    encoded = hasher.encode("correct horse battery", hasher.salt())
    found = re.search(r"^argon2\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$", encoded)
    assert found
    assert int(found[1]) * 1024 < 50e6
    assert int(found[1]) >= 46 * 1024
    assert int(found[2]) >= 1
    assert hasher.verify("correct horse battery", encoded)
    assert not hasher.verify("wrong horse battery", encoded)


def test_it_is_the_one_in_use() -> None:
    assert settings.PASSWORD_HASHERS == ["autossl_panel.people.hashers.Argon2"]
