"""This machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import os

from playwright.sync_api import Browser, Playwright

from autossl_panel.sandbox.processes import SandboxProblem, find_program
from tests.support import ready

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    """The headless shell where it is installed, else a whole browser; raises SandboxProblem when there is none."""
    for name in NAMES:
        try:
            return find_program(name, name)
        except SandboxProblem:
            continue
    raise SandboxProblem("no Chromium is installed: on Debian, apt-get install chromium-headless-shell")


def launch(playwright: Playwright, **environment: str) -> Browser:
    """The machine's own Chromium, which talks to nobody but us; `environment` is added to this process' own."""
    ready.register(playwright)
    return playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS, env={**os.environ, **environment})
