"""The command `simulate`: a table, one line of JSON at its end, exit status; what is typed wrongly is named."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import BaseCommand, CommandError, call_command, load_command_class

from autossl_panel.simulation.scenarios import SCENARIOS


def run(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("simulate", *words, stdout=out, stderr=StringIO())
    except SystemExit as done:
        return int(done.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_table_and_one_line() -> None:
    status, text = run("--hosts", "120", "--days", "100", "--lifetime", "45d", "--seed", "3", "--no-ari")
    assert status == 0
    said = json.loads(text.splitlines()[-1])
    assert (said["virtual_hosts"], said["days"], said["expired_while_renewable"], said["refused_429"]) == (
        120,
        100,
        0,
        0,
    )
    assert said["orders"] > 200
    assert "without ARI" in text
    assert "certificates of 45 d" in text


def test_what_must_not_be_is_shown_and_ends_with_one() -> None:
    # More renewals than one order at a time can be, and shorter lives than the panel can be quick for.
    status, text = run(
        "--hosts", "300", "--days", "2", "--lifetime", "2h", "--in-flight", "1", "--order-seconds", "60",
        "--scenario", "settled", "--limits", "none",
    )  # fmt: skip
    assert status == 1
    assert json.loads(text.splitlines()[-1])["expired_while_renewable"] > 0
    assert "must be 0" in text
    assert "What went wrong first:" in text


def test_brief_is_the_line_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run("--hosts", "20", "--days", "5", "--scenario", "settled", "--brief")
    assert status == 0
    assert text.count("\n") == 1
    assert json.loads(text)["virtual_hosts"] == 20


def test_every_option_is_in_the_manual() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    section = manual.partition("## Simulating")[2].partition("\n## ")[0]
    parser = load_command_class("autossl_panel.simulation", "simulate").create_parser("manage.py", "simulate")
    general = {action.dest for action in BaseCommand().create_parser("manage.py", "x")._actions}
    for action in parser._actions:
        if action.dest not in general:
            assert all(f"`{option}" in section for option in action.option_strings), action.option_strings
    assert all(f"`{name}`" in section for name in [*SCENARIOS, "year"])


def test_limits_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text('{"orders": [10, 86400]}')
    status, text = run("--hosts", "60", "--days", "20", "--scenario", "migration", "--limits", str(path))
    assert status == 0
    assert "1 limit of the CA" in text
    assert "(orders)" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hosts", "0"], "--hosts: from 1 to"),
        (["--hosts", "99999999"], "--hosts: from 1 to"),
        (["--days", "0"], "--days: from 1 to"),
        (["--accounts", "101"], "--accounts: from 1 to 100"),
        (["--in-flight", "0"], "--in-flight: from 1 to"),
        (["--order-seconds", "0.5"], "--order-seconds: from 1 to 60, not 0.5"),
        (["--lifetime", "soon"], "--lifetime: days or hours, like 90, 45d or 160h, not “soon”"),
        (["--lifetime", "0d"], "--lifetime: from 3,600"),
        (["--scenario", "rain"], "--scenario: there is no “rain”; there are year, settled"),
        (["--scenario", "settled,moved"], "--scenario: the sites stand in one way on the first day"),
        (["--limits", "/no/such/file"], "--limits: letsencrypt, none or a file; “/no/such/file”: No such file"),
    ],
)
def test_wrong_use_names_the_option_and_the_cause(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((SystemExit, CommandError)) as wrong:
        call_command("simulate", *words, stdout=StringIO())
    assert said in f"{wrong.value} {capsys.readouterr().err}"
    status = wrong.value.returncode if isinstance(wrong.value, CommandError) else wrong.value.code
    assert status == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "an object is wanted"),
        ('{"rain": [1, 2]}', "there is no “rain”"),
        ('{"requests": [20, 1]}', "“requests” is not played"),
        ('{"registrations": [10, 10800]}', "“registrations” is not played"),
        ('{"orders": [0, 2]}', "“orders” is [how many, within how many seconds]"),
        ('{"orders": [3, 0]}', "“orders” is [how many"),
        ('{"orders": 3}', "“orders” is [how many"),
        ('{"orders": [true, 2]}', "“orders” is [how many"),
    ],
)
def test_a_file_of_limits_that_says_something_else(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "limits.json"
    path.write_text(text)
    with pytest.raises((SystemExit, CommandError)) as wrong:
        call_command("simulate", "--limits", str(path), stdout=StringIO())
    assert said in f"{wrong.value} {capsys.readouterr().err}"


def test_a_page_that_cannot_be_written_is_told_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((SystemExit, CommandError)) as wrong:
        call_command("simulate", "--capacity", str(tmp_path / "file" / "page.md"), stdout=StringIO())
    assert "--capacity" in f"{wrong.value} {capsys.readouterr().err}"
