"""The files that answer challenges: one a token, in a folder that only we write and every web server may read."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from autossl_panel.helper import files
from autossl_panel.helper.protocol import HelperProblem

FORGOTTEN = 7 * 86400.0  # seconds after which a token's answer is nobody's any more
MOST_THUMBPRINTS = 1000


class Challenges:
    """Tokens and their answers, and the account keys that answers may speak for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "challenges"
        self._registered = folder / "thumbprints"
        self._lock = threading.Lock()
        self._thumbprints: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Make the folder and read the registered thumbprints."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.folder.chmod(0o755)
        files.sweep(self.folder)
        if self._registered.exists():
            self._thumbprints = frozenset(self._registered.read_text("ascii").split())

    def register(self, thumbprint: str) -> None:
        """Let answers carry the thumbprint of this account key; kept over restarts."""
        with self._lock:
            if thumbprint in self._thumbprints:
                return
            if len(self._thumbprints) >= MOST_THUMBPRINTS:
                raise HelperProblem("refused", f"There are {MOST_THUMBPRINTS} registered account keys already.")
            thumbprints = self._thumbprints | {thumbprint}
            files.replace(self._registered, "\n".join(sorted(thumbprints)).encode(), 0o600)
            self._thumbprints = thumbprints

    def put(self, token: str, body: str) -> None:
        """Answer `body` for `token`: preflight's hex, or token and thumbprint. It lives minutes: no fsync."""
        head, dot, thumbprint = body.partition(".")
        if dot and (head != token or thumbprint not in self._thumbprints):
            raise HelperProblem("refused", "A challenge's body is its own token and a registered thumbprint.")
        files.replace(self.folder / token, body.encode("ascii"), 0o644, durable=False)

    def remove(self, tokens: Iterable[str]) -> None:
        """Stop answering; unknown tokens are no problem."""
        for token in tokens:
            (self.folder / token).unlink(missing_ok=True)

    def prune(self) -> int:
        """Remove answers that were forgotten for a week; returns how many."""
        old = [entry.path for entry in os.scandir(self.folder) if time.time() - entry.stat().st_mtime > FORGOTTEN]
        for path in old:
            Path(path).unlink(missing_ok=True)
        return len(old)
