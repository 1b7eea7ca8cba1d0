"""The sites of an inventory as they arrived, in a file that vanishes with them: few of them are in memory at a time."""

import json
import tempfile
from collections.abc import Iterator
from typing import IO

from autossl_panel.helper import protocol
from autossl_panel.helper.protocol import HelperGone, SiteFacts

HELD = 1024 * 1024  # bytes that need no file


class Spool:
    """Lines of an answer with sites in them; iterated, the sites, from the first one each time."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(HELD)  # noqa: SIM115 - closed with the last who reads it
        self._end = 0

    def __del__(self) -> None:
        self._file.close()

    def __bool__(self) -> bool:
        return self._end > 0

    def clear(self) -> None:
        """Forget the lines: the answer begins anew."""
        self._end = 0

    def add(self, line: bytes) -> None:
        """Keep one more line. Raises HelperGone where the disk has no room for it."""
        try:
            self._file.seek(self._end)
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            reason = error.strerror or error
            raise HelperGone(f"There is no room for its answer in {tempfile.gettempdir()}: {reason}.") from error
        self._end += len(line)

    def __iter__(self) -> Iterator[SiteFacts]:
        at = 0
        while at < self._end:
            # Somebody else may have read on meanwhile.
            self._file.seek(at)
            line = self._file.readline()
            at += len(line)
            for site in json.loads(line)["answer"]["sites"]:
                yield protocol.site_from(site)
