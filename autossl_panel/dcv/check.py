"""Preflight of many names at once: each asked once, many in flight, one event loop inside the calling thread."""

import asyncio
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .addresses import is_ipv6, may_fetch
from .caa import Permission, permission
from .fetch import Fetched, Fetcher, is_host
from .judge import judge
from .model import Finding, Json, Outcome, Settings
from .resolve import Resolution, Resolver, Trouble

_SLOW_AFTER = 0.4  # seconds after which a name is waiting for somebody, not working
_SLOW_FACTOR = 4  # names that wait are cheap: this many widths of them may stand beside those that work
_SOCKETS = 448  # of the 1024 files a process may usually open
_EACH_FAMILY = 6  # addresses fetched of one family: a CA tries one or two
_STOP_EVERY = 0.2


def new_token() -> tuple[str, str]:
    """A fresh random token and body for preflight: 64 hexadecimal digits each."""
    return secrets.token_hex(32), secrets.token_hex(32)


def check(
    names: Iterable[str],
    settings: Settings,
    *,
    token: str,
    body: str,
    on_finding: Callable[[Finding], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, Finding]:
    """Prove each name as a CA would: the file `token` with `body` lies on this server already. Blocks; call it from a
    thread without a running event loop. `on_finding` is called in this thread as soon as a name is settled. When
    `stop` says True, what is unsettled ends at once as unknown, reason `stopped`, and `on_finding` is not told."""
    wanted = tuple(dict.fromkeys(names))
    if not wanted:
        return {}
    with asyncio.Runner() as runner:
        return runner.run(_Check(wanted, settings, token, body, on_finding).run(stop))


class _Lane:
    """How many names may be under way: `width` that work, and beside them a few widths that only wait.
    Dead names would otherwise hold all places for seconds each while the living ones queue."""

    def __init__(self, width: int) -> None:
        self._free = asyncio.Semaphore(width)
        self._slow = width * _SLOW_FACTOR

    async def enter(self) -> "_Place":
        await self._free.acquire()
        return _Place(self)

    def _step_aside(self) -> bool:
        if self._slow == 0:
            return False
        self._slow -= 1
        self._free.release()
        return True

    def _leave(self, aside: bool) -> None:
        if aside:
            self._slow += 1
        else:
            self._free.release()


class _Place:
    """One name's place in the lane."""

    __slots__ = ("_aside", "_lane", "_timer")

    def __init__(self, lane: _Lane) -> None:
        self._lane = lane
        self._aside = False
        self._timer = asyncio.get_running_loop().call_later(_SLOW_AFTER, self._step_aside)

    def _step_aside(self) -> None:
        self._aside = self._lane._step_aside()

    def leave(self) -> None:
        self._timer.cancel()
        self._lane._leave(self._aside)


@dataclass(frozen=True, slots=True)
class _Tools:
    resolver: Resolver
    fetcher: Fetcher


class _Check:
    """One call of check()."""

    def __init__(
        self,
        names: tuple[str, ...],
        settings: Settings,
        token: str,
        body: str,
        on_finding: Callable[[Finding], None] | None,
    ) -> None:
        self.names = names
        self.settings = settings
        self.token = token
        self.body = body.encode("ascii")
        self.on_finding = on_finding
        self.findings: dict[str, Finding] = {}

    async def run(self, stop: Callable[[], bool] | None) -> dict[str, Finding]:
        async with Resolver(self.settings.resolvers, timeout=self.settings.dns_timeout) as resolver:
            sockets = asyncio.Semaphore(_SOCKETS)
            fetcher = Fetcher(self.settings, resolver.resolve, sockets, _tls())
            everything = asyncio.create_task(self._all(_Tools(resolver, fetcher)))
            while not everything.done():
                await asyncio.wait((everything,), timeout=_STOP_EVERY if stop else None)
                if stop and not everything.done() and stop():
                    everything.cancel()
                    break
            try:
                await everything
            except asyncio.CancelledError:
                if stop is None or not everything.cancelled():
                    raise
        stopped: dict[str, Json] = {"reason": "stopped"}
        return {
            name: self.findings.get(name) or Finding(name, Outcome.UNKNOWN, "unknown", stopped) for name in self.names
        }

    async def _all(self, tools: _Tools) -> None:
        lane = _Lane(max(1, self.settings.width))
        # A group, so that an error in one task (on_finding's, say) ends the others and reaches the caller as it is.
        try:
            async with asyncio.TaskGroup() as group:
                for name in self.names:
                    place = await lane.enter()
                    group.create_task(self._one(name, tools, place))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _one(self, name: str, tools: _Tools, place: _Place) -> None:
        started = time.monotonic()
        try:
            finding = await self._prove(name, tools, started)
        finally:
            place.leave()
        self.findings[name] = finding
        if self.on_finding is not None:
            self.on_finding(finding)

    async def _prove(self, name: str, tools: _Tools, started: float) -> Finding:
        if name.startswith("*."):
            # Nothing can be fetched for a wildcard; only DNS could prove it (RFC 8555 §7.1.3).
            return Finding(name, Outcome.FAIL, "wildcard_unsupported", {"name": name})
        if not is_host(name):
            return Finding(name, Outcome.FAIL, "bad_name", {"name": name[:253]})
        resolution = await tools.resolver.resolve(name)
        caa = Permission(True)
        fetched: list[Fetched] = []
        asked = bool(resolution.addresses and self.settings.caa_identities)
        if asked:
            caa = await permission(name, self.settings.caa_identities, tools.resolver.lookup)
        outcome, code, data = self._before_fetching(resolution, caa)
        if outcome is None:
            fetched = await self._fetch(name, resolution, tools.fetcher)
            outcome, code, data = judge(fetched, self.settings)
        if data:
            data = {"name": name, **data, **({"aliases": list(resolution.aliases)} if resolution.aliases else {})}
        answer = _digest(resolution, caa)
        seconds = round(time.monotonic() - started, 3)
        records = caa.records if asked and caa.trouble is None else None
        return Finding(name, outcome, code, data, resolution.addresses, answer, seconds, records)

    def _before_fetching(
        self, resolution: Resolution, caa: Permission
    ) -> tuple[Outcome | None, str | None, dict[str, Json]]:
        """What DNS alone decides; an outcome of None: go on and fetch."""
        if resolution.trouble is not None:
            return _dns_failure(resolution)
        if caa.trouble is not None:
            outcome = Outcome.UNKNOWN if caa.trouble is Trouble.RESOLVER else Outcome.FAIL
            data: dict[str, Json] = {"record": "CAA", "target": caa.zone, "detail": caa.detail}
            return outcome, str(caa.trouble), {**data, **({"reason": "resolver"} if outcome is Outcome.UNKNOWN else {})}
        if not caa.allowed:
            ours = list(self.settings.caa_identities)
            return Outcome.FAIL, "caa", {"zone": caa.zone, "records": list(caa.records), "identities": ours}
        if not self._allowed(resolution):
            return (
                Outcome.FAIL,
                "private_address",
                {"address": resolution.addresses[0], "to": list(self.settings.server_addresses)},
            )
        return None, None, {}

    def _allowed(self, resolution: Resolution) -> list[str]:
        """The addresses that may be fetched. A public CA leaves out the others, and so do we."""
        return [a for a in resolution.addresses if may_fetch(a, private_ca=self.settings.private_ca)]

    async def _fetch(self, name: str, resolution: Resolution, fetcher: Fetcher) -> list[Fetched]:
        allowed = self._allowed(resolution)
        four = [a for a in allowed if not is_ipv6(a)][:_EACH_FAMILY]
        six = [a for a in allowed if is_ipv6(a)][:_EACH_FAMILY]
        if len(four) + len(six) == 1:
            return [await fetcher.fetch(name, (four or six)[0], self.token, self.body)]
        return list(await asyncio.gather(*(fetcher.fetch(name, a, self.token, self.body) for a in (*four, *six))))


def _dns_failure(resolution: Resolution) -> tuple[Outcome, str, dict[str, Json]]:
    assert resolution.trouble is not None
    data: dict[str, Json] = {"detail": resolution.detail}
    if resolution.zone:
        data["zone"] = resolution.zone
    if resolution.aliases:
        data["alias"] = resolution.aliases[-1]
    if resolution.trouble is Trouble.RESOLVER:
        return Outcome.UNKNOWN, "unknown", {**data, "reason": "resolver"}
    return Outcome.FAIL, str(resolution.trouble), data


def _digest(resolution: Resolution, caa: Permission) -> str:
    """Equal as long as DNS says the same; the order of records does not count."""
    said = (
        *sorted(resolution.addresses),
        *resolution.aliases,
        str(resolution.trouble or ""),
        *sorted(caa.records),
    )
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _tls() -> ssl.SSLContext:
    """TLS as a CA does it on the way to the file: whatever certificate is shown, it is what we are here to replace."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context
