"""What each verb does: checked arguments in, values of `protocol` out. Store verbs never wait for the web server's."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from autossl_panel.helper import files, protocol
from autossl_panel.helper.challenges import Challenges
from autossl_panel.helper.protocol import Status
from autossl_panel.helper.settings import Settings
from autossl_panel.helper.store import Store

Parts = Iterator[tuple[bool, object]]


class Service:
    """All verbs of one helper directory. `start` comes first, under the directory's lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = Store(settings.folder)
        self.challenges = Challenges(settings.folder)
        self._verbs: Mapping[str, Callable[..., object]] = {
            "gen_csr": self._gen_csr,
            "challenge_put": self._challenge_put,
            "challenge_del": self._challenge_del,
            "register_thumbprint": self._register_thumbprint,
            "stage": self.store.stage,
            "prune": self._prune,
            "status": self._status,
        }

    def start(self) -> None:
        """Make the folders and settle what a killed process left."""
        files.sweep(self._settings.folder)
        self.store.prepare()
        self.challenges.prepare()

    def finish(self) -> None:
        """Return when no change of the web server is under way."""

    def answer(self, verb: str, arguments: Mapping[str, Any]) -> Parts:
        """The parts of a verb's answer, each with whether more follow."""
        yield False, self._verbs[verb](**arguments)

    def _gen_csr(self, order: str, key: str, names: tuple[str, ...], key_type: str) -> object:
        return {"csr": self.store.gen_csr(order, key, names, key_type)}

    def _challenge_put(self, token: str, body: str) -> object:
        self.challenges.put(token, body)
        return {}

    def _challenge_del(self, tokens: tuple[str, ...]) -> object:
        self.challenges.remove(tokens)
        return {}

    def _register_thumbprint(self, thumbprint: str) -> object:
        self.challenges.register(thumbprint)
        return {}

    def _prune(self, keep_orders: tuple[str, ...]) -> object:
        orders, versions = self.store.prune(frozenset(keep_orders), ())
        return protocol.Pruned(orders=orders, versions=versions, challenges=self.challenges.prune())

    def _status(self) -> object:
        orders = list(self.store.orders())
        return Status(
            pid=os.getpid(),
            version=protocol.VERSION,
            nginx_pid=None,
            requested={request.order: request.key for request, staged in orders if not staged},
            staged={request.order: request.key for request, staged in orders if staged},
            unconfirmed={},
            live=self.store.live_serials(),
            quarantined=self.store.quarantined_orders(),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterator[str]:
        for folder in (self.challenges.folder, *self.challenges.folder.parents):
            if os.geteuid() == 0 and not folder.stat().st_mode & 0o001:
                yield f"{folder} cannot be entered by the web server's workers, so that challenges are not answered."

    @property
    def folder(self) -> Path:
        """The helper's directory."""
        return self._settings.folder
