"""What documents tell people to type does what it says there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_one_word_command_asks_unseen_and_keeps_its_words_out_of_the_journal() -> None:
    text = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    found = re.search(r"^exec (systemd-run .*?) \"\$@\"$", text.replace("\\\n", ""), re.MULTILINE)
    assert found is not None
    words = found[1].split()
    # systemd-run(1): --pipe alone is no terminal to ask at; without a description the command's words become one.
    assert {"--pty", "--pipe", "--wait", "--uid=autossl"} <= set(words)
    assert any(word.startswith("--description=") for word in words)
    assert words.index("/opt/autossl-panel/bin/autossl-panel") == len(words) - 1
