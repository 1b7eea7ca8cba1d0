"""How the worker talks to the helper: one method a verb, over connections that are kept and made anew when lost."""

import json
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autossl_panel.helper import protocol
from autossl_panel.helper.protocol import Activation, HelperGone, HelperProblem, InventoryAnswer, Result, Status
from autossl_panel.helper.spool import Spool
from autossl_panel.pki import CertificateFacts

__all__ = ["Activation", "Client", "HelperGone", "HelperProblem"]

LONG = 900.0  # seconds for the verbs that test and reload a web server


class _Connection:
    """One open socket; not for two threads at once."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise
        self._stream = self._socket.makefile("rb")
        self.used = False

    def ask(self, line: bytes, timeout: float, spool: Spool | None = None) -> Iterator[dict[str, Any]]:
        """The answer's lines, up to the one that ends it; where a spool is given, only that one."""
        self._socket.settimeout(timeout)
        self._socket.sendall(line)
        while True:
            answer = self._stream.readline(protocol.MAX_ANSWER)
            if not answer.endswith(b"\n"):
                raise ConnectionResetError("the helper closed the connection")
            self.used = True
            if spool is not None and answer.startswith(protocol.MORE):
                spool.add(answer)
                continue
            part = json.loads(answer)
            yield part
            if not part.get("more"):
                return

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


class Client:
    """The verbs of one server's helper; `timeout` in seconds for the quick ones. Any number of threads may share one.

    Every method raises HelperProblem when the helper refuses, and HelperGone when it does not answer.
    """

    def __init__(self, socket_path: Path | str, timeout: float = 60.0) -> None:
        self._path = Path(socket_path)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; the client can still be used."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def inventory(self, *, unless: str | None = None) -> InventoryAnswer:
        """All virtual hosts of the configuration; `unchanged` alone when the hash still is `unless`."""
        sites = Spool()
        end = self._ask("inventory", {"unless": unless}, LONG, sites)[-1]
        fault = end["problem"]
        return InventoryAnswer(
            hash=end["hash"],
            unchanged=end["unchanged"],
            sites=sites or (),
            skipped=tuple(protocol.Remark(**remark) for remark in end["skipped"]),
            told=tuple(protocol.Remark(**remark) for remark in end["told"]),
            problem=protocol.ConfigurationFault(**fault) if fault else None,
        )

    def attach(
        self,
        keys: Collection[str],
        *,
        extra_names: Mapping[str, Sequence[str]] | None = None,
        server_addresses: Sequence[str] = (),
    ) -> dict[str, Result]:
        """Let these sites answer challenges, also by `extra_names` (key → names) that their blocks lack: one reload."""
        names = {key: list(some) for key, some in (extra_names or {}).items()}
        arguments = {"keys": list(keys), "extra_names": names, "server_addresses": list(server_addresses)}
        return self._results("attach", arguments)

    def detach(self, keys: Collection[str] | None = None) -> dict[str, Result]:
        """Take everything of ours out of these sites, or out of all (None), byte for byte."""
        return self._results("detach", {"keys": None if keys is None else list(keys)})

    def gen_csr(self, order: str, key: str, names: Sequence[str], key_type: str) -> bytes:
        """The CSR (PEM) of an order for a site; the same order gets the same one again."""
        arguments = {"order": order, "key": key, "names": list(names), "key_type": str(key_type)}
        csr: str = self._one("gen_csr", arguments)["csr"]
        return csr.encode("ascii")

    def challenge_put(self, token: str, body: str) -> None:
        """Have every attached site answer `body` at the challenge address of `token`."""
        self._one("challenge_put", {"token": token, "body": body})

    def challenge_del(self, tokens: Collection[str]) -> None:
        """Stop answering these tokens; unknown ones are no problem."""
        self._one("challenge_del", {"tokens": list(tokens)})

    def register_thumbprint(self, thumbprint: str) -> None:
        """Let challenge bodies carry this account key's thumbprint."""
        self._one("register_thumbprint", {"thumbprint": thumbprint})

    def stage(self, order: str, chain_pem: bytes) -> CertificateFacts:
        """Validate an issued chain against the order's key and names, and keep the pair; nothing is served yet."""
        return protocol.certificate_facts_from(self._one("stage", {"order": order, "chain": chain_pem.decode("ascii")}))

    def activate(self, orders: Collection[Activation], *, server_addresses: Sequence[str] = ()) -> dict[str, Result]:
        """Put staged orders live with one test and one reload; then shake hands, and `confirm` or `rollback`."""
        return self._results("activate", {"orders": list(orders), "server_addresses": list(server_addresses)})

    def confirm(self, orders: Collection[str]) -> dict[str, Result]:
        """The handshakes showed the new certificates: there is no way back any more."""
        return self._results("confirm", {"orders": list(orders)})

    def rollback(self, orders: Collection[str]) -> dict[str, Result]:
        """Put back what was there before the activation of these orders: tested, reloaded."""
        return self._results("rollback", {"orders": list(orders)})

    def prune(self, keep_orders: Collection[str]) -> protocol.Pruned:
        """Take away pairs that nothing uses, except those of `keep_orders`."""
        return protocol.Pruned(**self._one("prune", {"keep_orders": list(keep_orders)}))

    def ping(self) -> None:
        """Return when the helper answers; unlike `status` it costs no look at every site."""
        self.challenge_del(())

    def status(self) -> Status:
        """What the helper holds and runs."""
        return protocol.status_from(self._one("status", {}))

    def _results(self, verb: str, arguments: Mapping[str, object]) -> dict[str, Result]:
        answer = self._ask(verb, arguments, LONG)[-1]
        return {name: protocol.result_from(data) for name, data in answer["results"].items()}

    def _one(self, verb: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        return self._ask(verb, arguments, self._timeout)[-1]

    def _ask(
        self, verb: str, arguments: Mapping[str, object], timeout: float, spool: Spool | None = None
    ) -> list[dict[str, Any]]:
        line = protocol.dumps({"verb": verb, "arguments": arguments})
        for _attempt in range(2):
            connection = self._take(timeout)
            kept = connection.used
            if spool is not None:
                spool.clear()
            try:
                parts = list(connection.ask(line, timeout, spool))
            except TimeoutError as error:
                connection.close()
                raise HelperGone(f"The helper did not answer {verb} within {timeout:.0f} seconds.") from error
            except (OSError, ValueError) as error:
                connection.close()
                if kept:
                    # A connection from before the helper's restart: all others are stale as well.
                    self.close()
                    continue
                raise HelperGone(f"The helper went away during {verb}: {error}") from error
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
            return self._checked(parts)
        raise HelperGone(f"The helper went away during {verb}.")

    @staticmethod
    def _checked(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if error := parts[-1].get("error"):
            raise HelperProblem(error["code"], error["text"], error["file"], error["line"])
        return [part["answer"] for part in parts]

    def _take(self, timeout: float) -> _Connection:
        with self._lock:
            if self._pid != os.getpid():
                # A fork: these sockets are the parent's conversation.
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        try:
            return _Connection(self._path, min(timeout, 10.0))
        except OSError as error:
            raise HelperGone(f"No helper answers at {self._path}: {error.strerror or error}.") from error

    def _give_back(self, connection: _Connection) -> None:
        with self._lock:
            if self._pid == os.getpid():
                self._idle.append(connection)
                return
        connection.close()
