"""The journal: whatever instant a process dies at, the way back is there; an admin's edit is never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from autossl_panel.helper import files
from autossl_panel.helper.journal import Changes, EditedMeanwhile, FileChange, Journal, LinkChange


@pytest.fixture
def changes(folder: Path) -> Changes:
    """One link that appears, a link that turns, a snippet that appears, one that goes, and the admin's file."""
    for name in ("live", "snippets", "nginx"):
        (folder / name).mkdir()
    (folder / "live/b").symlink_to("../versions/b/01")
    (folder / "snippets/gone.conf").write_bytes(b"old snippet")
    (folder / "nginx/site.conf").write_bytes(b"server {}\r\n# \xe9t\xe9\n")
    return Changes(
        links=[
            LinkChange(folder / "live/a", None, "../versions/a/01"),
            LinkChange(folder / "live/b", "../versions/b/01", "../versions/b/02"),
        ],
        files=[
            FileChange(folder / "nginx/site.conf", b"server {}\r\n# \xe9t\xe9\n", b"server { include; }\n", ours=False),
            FileChange(folder / "snippets/new.conf", None, b"new snippet", ours=True),
            FileChange(folder / "snippets/gone.conf", b"old snippet", None, ours=True),
        ],
    )


def _tree(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_undo_after_any_number_of_steps_restores_all(folder: Path, changes: Changes) -> None:
    before = _tree(folder)
    for links in range(len(changes.links) + 1):
        for count in range(len(changes.files) + 1):
            part = Changes(changes.links[:links], changes.files[:count])
            part.apply()
            assert part.made()
            journal = Journal(folder)
            journal.begin(changes)
            found = journal.unfinished()
            assert found is not None
            assert found[0].undo() == []
            journal.end()
            assert _tree(folder) == before


def test_journal_survives_and_knows_the_test(folder: Path, changes: Changes) -> None:
    journal = Journal(folder)
    assert journal.unfinished() is None
    journal.begin(changes)
    assert Journal(folder).unfinished() == (changes, False)
    journal.tested()
    assert Journal(folder).unfinished() == (changes, True)
    journal.end()
    assert Journal(folder).unfinished() is None
    journal.begin(changes)
    assert Journal(folder).unfinished() == (changes, False)


def test_edit_before_ours_is_not_overwritten(folder: Path, changes: Changes) -> None:
    site = folder / "nginx/site.conf"
    site.write_bytes(b"the admin was here")
    with pytest.raises(EditedMeanwhile):
        changes.apply()
    assert changes.undo() == [site]
    assert site.read_bytes() == b"the admin was here"
    assert not (folder / "live/a").exists()


def test_edit_after_ours_is_not_overwritten(folder: Path, changes: Changes) -> None:
    site = folder / "nginx/site.conf"
    changes.apply()
    site.write_bytes(b"server { include; } # and the admin\n")
    assert changes.undo() == [site]
    assert site.read_bytes() == b"server { include; } # and the admin\n"
    assert (folder / "snippets/gone.conf").read_bytes() == b"old snippet"
    assert not (folder / "snippets/new.conf").exists()


def test_mode_and_owner_of_the_file_stay(folder: Path, changes: Changes) -> None:
    site = folder / "nginx/site.conf"
    site.chmod(0o640)
    owner = (0, 33) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(site, *owner)
    changes.apply()
    state = site.stat()
    assert stat.S_IMODE(state.st_mode) == 0o640
    assert (state.st_uid, state.st_gid) == owner


def test_others_file_is_refused(folder: Path, changes: Changes) -> None:
    (folder / "nginx").chmod(0o777)
    with pytest.raises(files.ForeignOwner):
        changes.apply()
    assert changes.undo() == []
    assert (folder / "nginx/site.conf").read_bytes() == b"server {}\r\n# \xe9t\xe9\n"
