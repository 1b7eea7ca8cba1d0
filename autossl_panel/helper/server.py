"""The helper's socket: who may speak, one line a request, one thread a connection. What verbs do is in `service`."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autossl_panel.helper import files, protocol, verbs
from autossl_panel.helper.files import ForeignOwner
from autossl_panel.helper.protocol import HelperProblem
from autossl_panel.helper.service import Service
from autossl_panel.helper.settings import Settings

log = logging.getLogger("autossl_panel.helper")

MOST_CONNECTIONS = 256
_CREDENTIALS = struct.Struct("3i")
_PRIVATE = b"PRIVATE KEY-----"


class AlreadyRunning(Exception):
    """Another helper holds this folder's lock."""


class Server:
    """Serves one helper directory until `stop`. Only root, its own user and the allowed ones are answered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._allowed = {0, os.geteuid(), *settings.allow_uids}
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._stopping = threading.Event()
        self.service = Service(settings)
        self._lock = self._take_lock()
        try:
            self.service.start()
            self._socket = self._listen()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _take_lock(self) -> Any:
        folder = self._settings.folder
        if set(self._settings.allow_uids) - {0, os.geteuid()}:
            # Who may only ask us must not be able to put another folder in the place of ours.
            try:
                files.must_be_ours(next(one for one in (folder, *folder.parents) if one.exists()).resolve())
            except ForeignOwner as refusal:
                raise PermissionError(errno.EPERM, refusal.text, str(refusal.path)) from refusal
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user than the helper's", str(folder))
        # The web server's workers pass through to the challenges; every other folder in it is ours alone.
        folder.chmod(0o711)
        lock = (folder / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise AlreadyRunning(f"Another helper works on {folder}.") from error
        return lock

    def _listen(self) -> socket.socket:
        path = self._settings.socket
        if not path.parent.exists():
            path.parent.mkdir(mode=0o755, parents=True)
            # Whatever our umask: the worker is another user and has to get through.
            path.parent.chmod(0o755)
        # Bound under another name and renamed: a caller sees either no socket or one that is ready.
        draft = path.with_name(f".{path.name[:8]}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(draft))
            draft.chmod(0o600)
            self._hand_over(draft)
            listener.listen(128)
            draft.rename(path)
        except BaseException:
            listener.close()
            draft.unlink(missing_ok=True)
            raise
        return listener

    def _hand_over(self, path: Path) -> None:
        others = [uid for uid in self._settings.allow_uids if uid != os.geteuid()]
        if not others or os.geteuid() != 0:
            return
        os.chown(path, others[0], -1)
        if len(others) > 1:
            # One owner is all a socket can have; the peer's uid is checked on every connection anyway.
            path.chmod(0o666)

    def serve_forever(self) -> None:
        """Answer until `stop` is called from another thread or a signal's handler."""
        while not self._stopping.is_set():
            try:
                connection, _address = self._socket.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                # A caller that went away, or no descriptor left for a moment: the others wait, nobody is lost.
                log.exception("a caller could not be taken")
                self._stopping.wait(0.1)
                continue
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._talk, args=(connection,), name="helper-talk", daemon=True).start()

    def stop(self) -> None:
        """Take no new callers. What is being activated is finished by `close`."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Wait for a change of the web server that is under way, then let go of socket and lock."""
        self.stop()
        self.service.finish()
        self._socket.close()
        with contextlib.suppress(OSError):
            self._settings.socket.unlink()
        self._lock.close()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                if self._peer(connection) not in self._allowed:
                    connection.sendall(_refusal(HelperProblem("not_allowed", "This user may not speak to the helper.")))
                    return
                while not self._stopping.is_set() and (line := stream.readline(protocol.MAX_REQUEST + 1)):
                    if not line.endswith(b"\n"):
                        connection.sendall(_refusal(HelperProblem("too_large", "The request is too large or cut off.")))
                        return
                    for answer in self._answers(line):
                        connection.sendall(answer)
        except OSError as error:
            # The caller went away; every verb is idempotent, it will ask again.
            log.debug("a caller went away: %s", error)
        finally:
            self._slots.release()

    @staticmethod
    def _peer(connection: socket.socket) -> int:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        uid: int = _CREDENTIALS.unpack(credentials)[1]
        return uid

    def _answers(self, line: bytes) -> Iterator[bytes]:
        try:
            verb, arguments = _parsed(line)
            parts = self.service.answer(verb, arguments)
            for part in parts:
                yield _guarded(part)
        except HelperProblem as problem:
            yield _refusal(problem)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            log.warning("%s%s", where, error.strerror)
            yield _refusal(HelperProblem("disk", f"{where}{error.strerror or error}", str(error.filename or "")))
        except Exception as error:
            # One bad request must not end the helper.
            log.exception("a verb failed")
            yield _refusal(HelperProblem("internal", f"The helper failed: {type(error).__name__}. Its log says more."))


def _parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise HelperProblem("bad_request", "The request is not a line of JSON.") from error
    if not isinstance(request, dict) or set(request) != {"verb", "arguments"}:
        raise HelperProblem("bad_request", "The request is not a verb with arguments.")
    return request["verb"], verbs.arguments(request["verb"], request["arguments"])


def _guarded(part: tuple[bool, object]) -> bytes:
    """One answer line. Whatever a verb put together, a private key does not pass here."""
    more, answer = part
    if isinstance(answer, bytes):
        line = (protocol.MORE if more else protocol.LAST) + b'"answer":' + answer.rstrip() + b"}\n"
    else:
        line = protocol.dumps({"more": more, "answer": answer})
    if _PRIVATE in line:
        raise HelperProblem("internal", "The answer held a private key and was not sent.")
    return line


def _refusal(problem: HelperProblem) -> bytes:
    error = {"code": problem.code, "text": problem.text, "file": problem.file, "line": problem.line}
    return protocol.dumps({"more": False, "error": error})
