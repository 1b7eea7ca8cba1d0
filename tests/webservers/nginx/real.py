"""A real nginx over a ground's files, on a loopback address of its own; ended by its pid."""

import contextlib
import http.client
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from autossl_panel.sandbox.addresses import claim_address, free_port
from autossl_panel.sandbox.authority import self_signed
from tests.support.patience import SECONDS, within
from tests.webservers.nginx.ground import Ground

MAIN = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_names_hash_bucket_size 128;
    client_body_temp_path {folder}/temp_body;
    proxy_temp_path {folder}/temp_proxy;
    fastcgi_temp_path {folder}/temp_fastcgi;
    uwsgi_temp_path {folder}/temp_uwsgi;
    scgi_temp_path {folder}/temp_scgi;
{http}
    include sites/*.conf;
}}
"""


class Real(Ground):
    """`a`, `b` are its addresses, `http`, `https` its ports; `put` replaces A, B, HTTP and HTTPS in texts."""

    def __init__(self) -> None:
        self.claim = claim_address()
        self.a, self.b = self.claim.address, self.claim.neighbour(2)
        self.http, self.https = free_port(self.a), free_port(self.a)
        super().__init__(http_port=self.http, https_port=self.https)
        self.conf.write_text(MAIN.format(folder=self.folder, http=""))
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def site(self, name: str, text: str) -> Path:
        words = {"@A": self.a, "@B": self.b, "@HTTPS": str(self.https), "@HTTP": str(self.http)}
        words["@PAIR"] = f"ssl_certificate {self.folder}/other.pem; ssl_certificate_key {self.folder}/other.key;"
        words["@F"] = str(self.folder)
        for word, value in words.items():
            text = text.replace(word, value)
        return self.put(f"{name}.conf", text)

    def pair(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        made = self_signed(names)
        (folder / "fullchain.pem").write_bytes(made.chain)
        (folder / "privkey.pem").write_bytes(made.key)

    def foreign_pair(self) -> None:
        made = self_signed(("other.example",))
        (self.folder / "other.pem").write_bytes(made.chain)
        (self.folder / "other.key").write_bytes(made.key)

    def test(self) -> str:
        result = subprocess.run(["nginx", "-t", "-c", str(self.conf)], capture_output=True, text=True, check=False)
        return result.stderr

    def start(self) -> None:
        self.stop()
        self.process = subprocess.Popen(["nginx", "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        assert within(self._listens), self.test()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.a, self.http), SECONDS):
            return True
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(SECONDS)
            self.process = None

    def close(self) -> None:
        self.stop()
        self.claim.release()
        super().close()

    def get(self, address: str, name: str, path: str = "/") -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, self.http, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": name})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def tls(self, address: str, name: str | None, path: str = "/") -> tuple[bytes, int, str] | None:
        """(certificate DER, status, body); None where the handshake is refused or nobody listens."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection((address, self.https), SECONDS) as raw,
                context.wrap_socket(raw, server_hostname=name) as wrapped,
            ):
                shown = wrapped.getpeercert(binary_form=True) or b""
                wrapped.sendall(f"GET {path} HTTP/1.0\r\nHost: {name or ''}\r\n\r\n".encode())
                head, _, body = b"".join(iter(lambda: wrapped.recv(65536), b"")).partition(b"\r\n\r\n")
                return shown, int(head.split()[1]), body.decode()
        except (ssl.SSLError, ConnectionError):
            return None


@contextlib.contextmanager
def real() -> Iterator[Real]:
    made = Real()
    try:
        made.foreign_pair()
        yield made
    finally:
        made.close()


def shown(folder: Path) -> bytes:
    """The DER of a folder's leaf."""
    return ssl.PEM_cert_to_DER_cert(
        (folder / "fullchain.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
