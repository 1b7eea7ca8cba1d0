"""Many plain users with plain sites, for the bench. Only descriptions: the box writes them."""

from __future__ import annotations

from collections.abc import Iterator

from autossl_panel.sandbox.sites import Site

ZONE = "crowd.example"


def crowd(users: int, per_user: int) -> Iterator[Site]:
    """`per_user` sites for each of `users`, of two names each: s3.u00017.crowd.example and its www."""
    for user in range(users):
        for number in range(per_user):
            name = f"s{number}.u{user:05d}.{ZONE}"
            yield Site(f"u{user:05d}", (name, f"www.{name}"))
