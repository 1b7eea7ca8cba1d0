"""Where this machine's Chromium is, for Playwright's `executable_path`."""

from __future__ import annotations

from autossl_panel.sandbox.processes import SandboxProblem, find_program

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """The headless shell where it is installed, else a whole browser; raises SandboxProblem when there is none."""
    for name in NAMES:
        try:
            return find_program(name, name)
        except SandboxProblem:
            continue
    raise SandboxProblem("no Chromium is installed: on Debian, apt-get install chromium-headless-shell")
