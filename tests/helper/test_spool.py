"""The sites of an answer, kept in a file: read as often as one likes, by several at once."""

from __future__ import annotations

import errno
from dataclasses import replace
from itertools import pairwise

import pytest

from autossl_panel.helper import protocol, spool
from autossl_panel.helper.protocol import HelperGone, Listen, SiteFacts
from autossl_panel.helper.spool import Spool

SITE = SiteFacts(
    key="a.example-00000001", name="a.example", names=("a.example", "b.example"), docroot=None, owner_login="amber",
    listens=(Listen("*", 80, False, False),), tls=False, file="/etc/nginx/a", line=3, attached=False,
    redirects_only=False, live_serial="", certificate=None,
)  # fmt: skip


def line(*sites: SiteFacts) -> bytes:
    return protocol.dumps({"more": True, "answer": {"sites": sites}})


def many(number: int) -> list[SiteFacts]:
    return [replace(SITE, name=f"{n}.example") for n in range(number)]


def test_a_line_with_more_to_come_begins_as_the_protocol_says() -> None:
    assert line(SITE).startswith(protocol.MORE)
    assert protocol.dumps({"more": False, "answer": {}}).startswith(protocol.LAST)


@pytest.mark.parametrize("held", [100, 1_000_000], ids=["in a file", "in memory"])
def test_sites_come_back_as_they_were_each_time(monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(spool, "HELD", held)
    kept, sites = Spool(), many(7)
    for first, second in pairwise([0, 3, 5, 7]):
        kept.add(line(*sites[first:second]))
    assert list(kept) == sites
    assert list(zip(kept, kept, strict=True)) == list(zip(sites, sites, strict=True))


def test_an_answer_that_begins_anew_forgets_what_came_before() -> None:
    kept = Spool()
    assert not kept
    kept.add(line(*many(5)))
    assert kept
    kept.clear()
    assert not kept
    assert list(kept) == []
    kept.add(line(SITE))
    assert list(kept) == [SITE]


def test_a_full_disk_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _line: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def seek(self, _at: int) -> None: ...

        def close(self) -> None: ...

    kept = Spool()
    kept._file.close()
    monkeypatch.setattr(kept, "_file", Full())
    with pytest.raises(HelperGone, match=r"There is no room for its answer in .*: No space left on device\."):
        kept.add(line(SITE))
