"""Settings of the environment that can be wrong: one clear line, and never a secret in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOW = (
    "import json, autossl_panel.settings as s; print(json.dumps([s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, "
    "s.EMAIL_HOST_PASSWORD, s.EMAIL_USE_TLS, s.EMAIL_USE_SSL]))"
)
FROM = "AutoSSL <autossl@panel.example>"


def read(tmp_path: Path, smtp: str, sender: str = FROM) -> subprocess.CompletedProcess[str]:
    environment = {"AUTOSSL_STATE_DIR": str(tmp_path), "AUTOSSL_SMTP_URL": smtp, "AUTOSSL_MAIL_FROM": sender}
    return subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ["", 25, "", "", False, False]),
        ("smtp://localhost", ["localhost", 25, "", "", False, False]),
        ("smtp://[::1]:2525", ["::1", 2525, "", "", False, False]),
        ("smtp://127.0.0.1?starttls=yes", ["127.0.0.1", 25, "", "", True, False]),
        ("smtp://mail.example.com", ["mail.example.com", 587, "", "", True, False]),
        ("smtp://u%40x:p%40%2F%3A@mail.example.com:25", ["mail.example.com", 25, "u@x", "p@/:", True, False]),
        ("smtps://u:p@mail.example.com", ["mail.example.com", 465, "u", "p", False, True]),
        ("smtp://mail.example.com:25?starttls=no", ["mail.example.com", 25, "", "", False, False]),
    ],
)
def test_a_mail_server_is_one_url(tmp_path, url, expected):
    done = read(tmp_path, url)
    assert json.loads(done.stdout) == expected, done.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mail.example.com", "begins with smtp:// or smtps://"),
        ("http://mail.example.com", "begins with smtp:// or smtps://"),
        ("smtp://u:s3cr3t@", "names a host"),
        ("smtp://u:s3cr3t@mail.example.com:99999", "no number from 1 to 65535"),
        ("smtp://u:s3cr/3t@mail.example.com", "no number from 1 to 65535"),
        ("smtp://u:s3cr3t@[mail", "no address"),
        ("smtp://s3cr3t@mail.example.com", "a user and a password, or none"),
        ("smtp://u:s3cr3t@mail.example.com?starttls=no", "would travel unencrypted"),
        ("smtp://u:s3cr3t@127.example.com?starttls=no", "would travel unencrypted"),
        ("smtp://u:s3cr3t@mail.example.com?tls=1", "starttls=yes or starttls=no"),
        ("smtp://u:s3cr3t@mail.example.com/x", "nothing stands behind the port"),
    ],
)
def test_a_wrong_one_names_the_setting_and_never_its_password(tmp_path, url, says):
    done = read(tmp_path, url)
    told = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert "AUTOSSL_SMTP_URL: " in told
    assert says in told
    assert "s3cr" not in told


@pytest.mark.parametrize(
    "sender", ["", "AutoSSL", "a@", "a@b.example, c@d.example", "X\nBcc: a@b.example", "Ä <a@b.example>"]
)
def test_with_a_mail_server_there_has_to_be_a_sender(tmp_path, sender):
    done = read(tmp_path, "smtp://localhost", sender)
    assert done.returncode == 1
    assert "AUTOSSL_MAIL_FROM is a sender like" in done.stderr
    assert read(tmp_path, "", sender).returncode == 0, "without one it does not matter"


def test_django_finds_nothing_wrong(tmp_path):
    """The panel's commands do without these checks: they load every page."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--fail-level", "WARNING"],
        cwd=ROOT, env={"AUTOSSL_STATE_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout
