"""Commands as tests call them, here and in a process of their own."""

import io
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command


def run(*argv, stdin=None):
    out = io.StringIO()
    call_command(*argv, stdout=out, stderr=out)
    return out.getvalue()


def refused(*argv):
    with pytest.raises(CommandError) as raised:
        run(*argv)
    return raised.value.returncode, str(raised.value)


def manage(*argv, **environment):
    return subprocess.run(
        [sys.executable, "manage.py", *argv],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
