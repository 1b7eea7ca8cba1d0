"""TLS over a socket that is connected, without a loose end where it fails. Plain."""

import socket
import ssl
import traceback


def wrap(plain: socket.socket, context: ssl.SSLContext, host: str | bytes | None) -> ssl.SSLSocket:
    """A socket that has shaken hands. Where that fails (OSError, ValueError), nothing of it stays open but `plain`,
    and that only if it never was taken over.
    """
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except (OSError, ValueError) as error:
        # Of a peer that went before the handshake began, a half made socket has the descriptor, and Python leaves it.
        for frame, _line in traceback.walk_tb(error.__traceback__):
            if isinstance(half := frame.f_locals.get("self"), ssl.SSLSocket):
                half.close()
        raise
