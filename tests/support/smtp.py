"""A real mail server on loopback that does as it is told: takes, refuses, hangs up; keeps what it took."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from autossl_panel.sandbox.addresses import claim_address, free_port
from tests.support.patience import SECONDS


@dataclass(slots=True)
class Taken:
    """A mail as it came: envelope, and the message with both its forms."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message(self) -> Message:
        return message_from_bytes(self.raw)

    @property
    def ident(self) -> str:
        return str(self.message["Message-ID"])

    def part(self, kind: str) -> str:
        """The text of one form: `text/plain` or `text/html`."""
        for part in self.message.walk():
            if part.get_content_type() == kind:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                return content.decode()
        raise AssertionError(f"no {kind}")


@dataclass(slots=True)
class Postbox:
    """What the server does. Answers by recipient win; `at` is called with each step and what it concerns."""

    answers: dict[str, str] = field(default_factory=dict)
    mail_answer: str = ""
    data_answer: str = ""
    hang_up: set[str] = field(default_factory=set)
    taken: list[Taken] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    at: Callable[[str], None] = lambda step: None

    def _step(self, step: str, server: Any) -> None:
        self.steps.append(step)
        self.at(step)
        if step in self.hang_up:
            server.transport.abort()

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, host: str, lines: list[str]) -> list[str]:
        session.host_name = host
        self._step("EHLO", server)
        return lines

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        self._step("MAIL", server)
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        self._step("RCPT", server)
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer:
            self._step("DATA", server)
            return self.data_answer
        if "DATA" not in self.hang_up:
            self.taken += [Taken(envelope.mail_from, to, envelope.content) for to in envelope.rcpt_tos]
        self._step("DATA", server)
        return "250 OK, taken"


class SmtpServer:
    """A started server; `url` is what AUTOSSL_SMTP_URL would say. It can be stopped and started again."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None, host: str = ""
    ) -> None:
        self._claim = claim_address()
        self.host = host or self._claim.address
        self.port = free_port(self.host)
        self.postbox = Postbox()
        self._tls, self._login = tls, login
        self._controller: Controller | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def start(self) -> None:
        """Listen (again)."""
        more: dict[str, Any] = {"ready_timeout": SECONDS}
        if self._tls is not None:
            more |= {"tls_context": self._tls, "require_starttls": True}
        if self._login is not None:
            more |= {"authenticator": self._authenticate, "auth_required": True}
        loop = asyncio.new_event_loop()
        self._controller = Controller(self.postbox, hostname=self.host, port=self.port, loop=loop, **more)
        self._controller.start()

    def stop(self) -> None:
        """Be down: connections are refused."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = self._login is not None and (data.login, data.password) == tuple(one.encode() for one in self._login)
        return AuthResult(success=right, handled=False)

    def __enter__(self) -> SmtpServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._claim.release()
