"""What each verb does: checked arguments in, values of `protocol` out. Store verbs never wait for the web server's."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from autossl_panel.helper import files, protocol
from autossl_panel.helper.challenges import Challenges
from autossl_panel.helper.protocol import Activation, Status
from autossl_panel.helper.settings import Settings
from autossl_panel.helper.store import Store
from autossl_panel.helper.webserver import WebServer

Parts = Iterator[tuple[bool, object]]


class Service:
    """All verbs of one helper directory. `start` comes first, under the directory's lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = Store(settings.folder)
        self.challenges = Challenges(settings.folder)
        self._web = WebServer(settings, self.store)
        self._verbs: Mapping[str, Callable[..., object]] = {
            "attach": self._attach,
            "detach": lambda keys: {"results": self._web.detach(keys)},
            "activate": self._activate,
            "confirm": lambda orders: {"results": self._web.confirm(orders)},
            "rollback": lambda orders: {"results": self._web.rollback(orders)},
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
        self._web.start()

    def finish(self) -> None:
        """Return when no change of the web server is under way; none begins any more."""
        self._web.lock.acquire()

    def answer(self, verb: str, arguments: Mapping[str, Any]) -> Parts:
        """The parts of a verb's answer, each with whether more follow."""
        if verb == "inventory":
            yield from self._web.inventory(**arguments)
            return
        yield False, self._verbs[verb](**arguments)

    def _attach(
        self, keys: tuple[str, ...], extra_names: Mapping[str, tuple[str, ...]], server_addresses: tuple[str, ...]
    ) -> object:
        return {"results": self._web.attach(keys, extra_names, server_addresses)}

    def _activate(self, orders: tuple[Activation, ...], server_addresses: tuple[str, ...]) -> object:
        return {"results": self._web.activate(orders, server_addresses)}

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
        with self._web.lock:
            waiting = self._web.state.unconfirmed
            back = [one.previous_target for one in waiting.values() if one.previous_target]
            orders, versions = self.store.prune({*keep_orders, *waiting}, back)
        return protocol.Pruned(orders=orders, versions=versions, challenges=self.challenges.prune())

    def _status(self) -> object:
        orders = list(self.store.orders())
        return Status(
            pid=os.getpid(),
            version=protocol.VERSION,
            nginx_pid=self._web.master(),
            requested={request.order: request.key for request, staged in orders if not staged},
            staged={request.order: request.key for request, staged in orders if staged},
            unconfirmed={order: one.key for order, one in self._web.state.unconfirmed.items()},
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
