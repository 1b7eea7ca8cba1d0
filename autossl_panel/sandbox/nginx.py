"""The box's web servers: the nginx that AutoSSL works on, and a second one that stands for other people's machines."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem, find_program

# Everything is an absolute path, so that any nginx binary called with this file alone works on the same files.
_MAIN = """\
# The sandbox's nginx. Sites are in sites-available, switched on by links in sites-enabled, as on Debian.
{user}worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
lock_file {folder}/nginx.lock;

events {{
    worker_connections 1024;
}}

http {{
    access_log off;
    default_type text/html;
    server_tokens off;
    server_names_hash_bucket_size 128;
    server_names_hash_max_size {hash_size};
    client_body_temp_path {folder}/temp/body;
    proxy_temp_path {folder}/temp/proxy;
    fastcgi_temp_path {folder}/temp/fastcgi;
    uwsgi_temp_path {folder}/temp/uwsgi;
    scgi_temp_path {folder}/temp/scgi;

    include {folder}/sites-enabled/*.conf;
}}
"""

# `elsewhere` answers 404 to whatever is asked, `application` is what a proxying site passes requests to.
_OTHERS = """\
server {{
    listen {elsewhere}:{http_port} default_server;
    location / {{
        return 404 "There is no such site on this server.\\n";
    }}
}}
server {{
    listen {application}:{http_port} default_server;
    location / {{
        return 200 "The application answers.\\n";
    }}
}}
"""


class Nginx:
    """An nginx with a folder, pid file and error log of its own; it listens only where its sites say."""

    def __init__(self, processes: Processes, folder: Path, *, sites: int = 0) -> None:
        self.folder = folder
        self.binary = find_program("nginx", "nginx")
        self.conf = folder / "nginx.conf"
        self._processes = processes
        self.process: Process | None = None
        for name in ("temp", "sites-available", "sites-enabled"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        # A root nginx gives its workers to nobody, who cannot enter a private temporary folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        hash_size = max(2048, 8 * sites)
        self.conf.write_text(_MAIN.format(user=user, folder=folder, hash_size=hash_size), encoding="utf-8")

    def put_site(self, name: str, text: str) -> Path:
        """Write sites-available/<name>.conf and link it; returns the file. `reload` makes it count."""
        path = self.folder / "sites-available" / f"{name}.conf"
        path.write_text(text, encoding="utf-8")
        link = self.folder / "sites-enabled" / f"{name}.conf"
        if not link.is_symlink():
            link.symlink_to(path)
        return path

    def remove_site(self, name: str) -> None:
        """Unlink a site as an admin does: its file in sites-available stays."""
        (self.folder / "sites-enabled" / f"{name}.conf").unlink()

    def start(self) -> None:
        """Start it in the foreground of its own session; returns at once."""
        self.process = self._processes.start(
            "nginx", [self.binary, "-c", str(self.conf), "-g", "daemon off;"], log=self.folder / "start.log"
        )

    def wait(self, address: str, port: int) -> None:
        """Return when it accepts connections there."""
        assert self.process is not None
        self.process.wait_listening(address, port)

    def test(self) -> str:
        """Its own configuration test; returns what it printed, raises SandboxProblem when it fails."""
        result = subprocess.run(
            [self.binary, "-t", "-c", str(self.conf)], capture_output=True, text=True, timeout=120, check=False
        )
        if result.returncode != 0:
            raise SandboxProblem(f"nginx -t\n{result.stderr}")
        return result.stderr

    def reload(self, seconds: float = 10) -> None:
        """Test, then have the master read its files again, as an admin does; returns when no old worker answers."""
        assert self.process is not None
        self.test()
        before = self.process.children()
        subprocess.run([self.binary, "-s", "reload", "-c", str(self.conf)], check=True, timeout=60, capture_output=True)
        deadline = time.monotonic() + seconds
        while before & self.process.children() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """End it; `start` may follow."""
        if self.process is not None:
            self.process.stop()


def others(processes: Processes, folder: Path, *, elsewhere: str, application: str, http_port: int) -> Nginx:
    """A started nginx for the addresses that are not this server's."""
    nginx = Nginx(processes, folder)
    nginx.put_site("others", _OTHERS.format(elsewhere=elsewhere, application=application, http_port=http_port))
    nginx.start()
    return nginx
