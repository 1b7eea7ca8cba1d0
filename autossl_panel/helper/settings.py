"""What the helper is told when it starts: command line, else AUTOSSL_* of the environment. No caller changes it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """One helper: its folder and socket, the web server it may work on, who may speak to it."""

    folder: Path
    socket: Path
    nginx_binary: str
    nginx_conf: Path
    http_port: int = 80
    https_port: int = 443
    allow_uids: tuple[int, ...] = ()


def from_command_line(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this start; a wrong one ends the process with a usage message."""
    parser = argparse.ArgumentParser(
        prog="autossl_panel.helper", description="The privileged helper of AutoSSL Panel: keys and web server files."
    )
    state = Path(environment.get("AUTOSSL_STATE_DIR") or "/var/lib/autossl-panel")
    folder = Path(environment.get("AUTOSSL_HELPER_DIR") or state / "helper")
    run = Path(environment.get("AUTOSSL_RUN_DIR") or state / "run")
    conf = Path(environment.get("AUTOSSL_NGINX_CONF") or "/etc/nginx/nginx.conf")
    binary = environment.get("AUTOSSL_NGINX_BIN") or "nginx"
    http, https = environment.get("AUTOSSL_HTTP_PORT") or "80", environment.get("AUTOSSL_HTTPS_PORT") or "443"
    parser.add_argument("--helper-dir", type=Path, default=folder, help="where pairs, snippets and challenges are kept")
    parser.add_argument("--socket", type=Path, default=run / "helper.sock", help="the socket to listen on")
    parser.add_argument("--nginx-bin", default=binary, help="the nginx program")
    parser.add_argument("--nginx-conf", type=Path, default=conf, help="nginx's main configuration file")
    parser.add_argument("--http-port", type=int, default=http, help="where challenges are fetched")
    parser.add_argument("--https-port", type=int, default=https, help="where a site without TLS gets it")
    parser.add_argument("--allow-uid", type=int, action="append", default=[], help="a user who may speak to the helper")
    given = parser.parse_args(arguments)
    for path in (given.helper_dir, given.socket, given.nginx_conf):
        if not path.is_absolute():
            parser.error(f"{path} must be an absolute path")
    if len(os.fsencode(given.socket)) > 107:
        parser.error(f"{given.socket} is longer than the 107 bytes of a socket's path; set AUTOSSL_RUN_DIR")
    return Settings(
        folder=given.helper_dir,
        socket=given.socket,
        nginx_binary=given.nginx_bin,
        nginx_conf=given.nginx_conf,
        http_port=given.http_port,
        https_port=given.https_port,
        allow_uids=tuple(given.allow_uid),
    )
