"""TLS over a connected socket."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import warnings

import pytest

from autossl_panel import tls


def test_a_peer_that_is_gone_before_the_handshake_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        plain = socket.create_connection(server.getsockname(), timeout=5)
        gone, _address = server.accept()
        # Closed with a reset
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        number = plain.fileno()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with pytest.raises(ConnectionResetError):
                tls.wrap(plain, ssl.create_default_context(), "site.example")
            assert plain.fileno() == -1, "its descriptor was taken over"
            gc.collect()
        assert [str(one.message) for one in told if one.category is ResourceWarning] == []
        with pytest.raises(OSError, match=r"[Bb]ad file descriptor"):
            socket.socket(fileno=number)


def test_who_answers_no_tls_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        plain = socket.create_connection(server.getsockname(), timeout=5)
        peer, _address = server.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with pytest.raises(ssl.SSLError):
                tls.wrap(plain, ssl.create_default_context(), "site.example")
            gc.collect()
        peer.close()
        assert [str(one.message) for one in told if one.category is ResourceWarning] == []
