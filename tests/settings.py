"""The panel's settings, with a state directory of the test run's own and fast password hashing."""

import atexit
import os
import shutil
import tempfile

_state = tempfile.mkdtemp(prefix="as")
atexit.register(shutil.rmtree, _state, ignore_errors=True)
os.environ["AUTOSSL_STATE_DIR"] = _state

from autossl_panel.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, not memory: threads of a test see the same rows, and locks behave as in earnest.
DATABASES["default"]["TEST"] = {"NAME": os.path.join(_state, "test.sqlite3")}  # noqa: F405
