"""The text of what we give nginx: snippets and the http-level file. No decisions."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from autossl_panel.webservers.model import Layout

_SITE, _END = "# site ", "# end "


def quoted(path: Path | str) -> str:
    """A path as one nginx word."""
    text = str(path)
    return f'"{text}"' if any(char in text for char in " \t;{}#$") else text


def mask(layout: Layout, stem: str) -> str:
    """The include mask of a snippet ('' for the http-level file): a file that is lost stops nobody."""
    path = layout.helper_dir / ("http.con[f]" if not stem else f"snippets/{stem}.con[f]")
    return quoted(path)


def challenge(layout: Layout) -> str:
    """Answers to challenges before anything else in the block can: redirects, passwords, the site's own rules."""
    lines = [
        r"rewrite ^/\.well-known/acme-challenge/([A-Za-z0-9_-]+)$ /.autossl-challenge/$1 last;",
        "location ^~ /.autossl-challenge/ {",
        "    internal;",
        f"    alias {quoted(str(layout.helper_dir / 'challenges') + '/')};",
        "    auth_basic off;",
        *(["    auth_request off;"] if layout.auth_request else []),
        "    allow all;",
        "    open_file_cache off;",
        "    default_type text/plain;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def certificate(folder: Path, *, refused_above: bool) -> str:
    """The pair of a site; `refused_above` where the http level refuses handshakes."""
    lines = [
        f"ssl_certificate {quoted(folder / 'fullchain.pem')};",
        f"ssl_certificate_key {quoted(folder / 'privkey.pem')};",
        *(["ssl_reject_handshake off;"] if refused_above else []),
    ]
    return "\n".join(lines) + "\n"


def endpoint(address: str, port: int) -> str:
    """A socket as a listen directive has it."""
    if address == "0.0.0.0":  # noqa: S104
        return str(port)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def listen(address: str, port: int, flags: Iterable[str] = (), *, default: bool = False) -> str:
    """A TLS listen directive; `flags` are those that others have on the socket."""
    words = [endpoint(address, port), "ssl", *(["default_server"] if default else []), *sorted(flags)]
    return f"listen {' '.join(words)};\n"


def section(key: str, body: str) -> str:
    """A site's server block in the http-level file."""
    # Not indented: a quoted argument may run over lines.
    return f"{_SITE}{key}\nserver {{\n{body}}}\n{_END}{key}\n"


def sections(text: str) -> dict[str, str]:
    """The sites' server blocks in an http-level file that we wrote."""
    found: dict[str, str] = {}
    key, lines = "", list[str]()
    for line in text.splitlines(keepends=True):
        if not key and line.startswith(_SITE):
            key, lines = line[len(_SITE) :].strip(), [line]
        elif key:
            lines.append(line)
            if line.rstrip("\n") == f"{_END}{key}":
                found[key], key = "".join(lines), ""
    return found


def http_file(refusing: Sequence[str], siblings: Iterable[str]) -> str:
    """The http-level file: one block that refuses unknown names on `refusing` sockets, then sites' blocks."""
    text = "# Written by AutoSSL Panel; changes made here are lost.\n"
    if refusing:
        text += "server {\n" + "".join(f"    {line}" for line in refusing)
        text += "    server_name autossl-panel.invalid;\n    ssl_reject_handshake on;\n}\n"
    text += "".join(siblings)
    return text if refusing or text.count("\n") > 1 else ""
