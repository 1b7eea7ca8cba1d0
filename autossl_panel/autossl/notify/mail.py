"""E-mail by the mail server of the settings, through Django, over one connection. Workers and commands only."""

import smtplib
from datetime import datetime
from email.utils import format_datetime, parseaddr
from types import TracebackType

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from ..models import Message
from . import render
from .outbox import MAIL_SERVER, Trouble
from .texts import clean

# RFC 5321 §4.2.3: of this mailbox. 5.7 (RFC 3463 §3.8) is about who may send: the administrator mends that
OF_THE_MAILBOX = (550, 551, 552, 553, 554, 555, 556)
SENDER_POLICY = b"5.7."


class Mailer:
    """Sends messages over one connection, opened at the first and again where the server hung up."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def __enter__(self) -> "Mailer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def send(self, message: Message) -> None:
        """Return when the server has taken it; raises Trouble."""
        mail = email(message)
        connection = self._open()
        try:
            connection.send_messages([mail])
        except smtplib.SMTPRecipientsRefused as refused:
            code, text = next(iter(refused.recipients.values()))
            final = code in OF_THE_MAILBOX and not text.startswith(SENDER_POLICY)
            raise Trouble("recipient", _said(code, text), final=final) from refused
        except smtplib.SMTPSenderRefused as refused:
            raise Trouble("sender", _said(refused.smtp_code, refused.smtp_error)) from refused
        except smtplib.SMTPDataError as refused:
            self._close()
            final = 500 <= refused.smtp_code < 600 and not _bytes(refused.smtp_error).startswith(SENDER_POLICY)
            raise Trouble("message", _said(refused.smtp_code, refused.smtp_error), final=final) from refused
        except OSError as error:  # also everything else of smtplib
            self._close()
            raise Trouble("connection", _why(error)) from error

    def _open(self) -> BaseEmailBackend:
        if self._connection is not None:
            return self._connection
        if not settings.AUTOSSL_MAIL_FROM:
            raise Trouble(MAIL_SERVER, "No mail server is set (AUTOSSL_SMTP_URL).", way_down=True)
        connection = get_connection()
        try:
            connection.open()
        except OSError as error:
            self._abandon(connection)
            raise Trouble(MAIL_SERVER, _why(error), way_down=True) from error
        self._connection = connection
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._abandon(self._connection)
            self._connection = None

    @staticmethod
    def _abandon(connection: BaseEmailBackend) -> None:
        try:
            connection.close()
        except OSError:
            # It is gone already, and what it took it has told.
            return


def email(message: Message) -> EmailMultiAlternatives:
    """The mail of a message: plain text with HTML beside it; each try is the same mail."""
    sender = settings.AUTOSSL_MAIL_FROM
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMultiAlternatives(
        subject=render.subject(message.payload),
        body=render.text(message.payload),
        from_email=sender,
        to=[message.address],
        headers={
            "Message-ID": f"<{message.ident}@{domain}>",
            "Date": format_datetime(_whole(message.made_at)),
            # RFC 3834 §5: nobody answers it by machine. RFC 2919: something to sort by
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "List-Id": f"<autossl.{_host(message.payload['server'])}>",
        },
    )
    mail.attach_alternative(render.html(message.payload), "text/html")
    return mail


def _host(server: str) -> str:
    return "".join(letter for letter in server if letter.isascii() and (letter.isalnum() or letter in ".-"))[:200]


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _said(code: int, text: bytes | str) -> str:
    return _hide(f"{code} {_bytes(text).decode('utf-8', 'replace')}")


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _why(error: OSError) -> str:
    """An error of the connection in one line, with where to; never a secret."""
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    if isinstance(error, smtplib.SMTPResponseException):
        text = _said(error.smtp_code, error.smtp_error)
    else:
        text = _hide(error.strerror or str(error) or type(error).__name__)
    return f"{where}: {text}"


def _hide(text: str) -> str:
    password = settings.EMAIL_HOST_PASSWORD
    return clean(text.replace(password, "…") if password else text)
