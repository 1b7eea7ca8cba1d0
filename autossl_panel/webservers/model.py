"""What every web server's reader and editor speaks in: frozen values, one error. No server's syntax is known here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ConfigurationProblem(Exception):
    """A configuration that cannot be read or tested: `file` and `line` ('' and None where unknown), and `text`."""

    def __init__(self, text: str, file: str = "", line: int | None = None) -> None:
        super().__init__(f"{file}:{line}: {text}" if file else text)
        self.text, self.file, self.line = text, file, line


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when read: by these values a change is seen. `sha256` is hex."""

    path: str
    real_path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder, a certificate or a file that may appear: what a stat said of it, None for nothing there."""

    path: str
    seen: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket of a block. Addresses: '0.0.0.0' and '::' are wildcards, 'unix:/path' has port 0, a host name stays."""

    address: str
    port: int
    ssl: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A virtual host: a block that owns names, `name` the first, with the blocks of the same names as its parts."""

    key: str
    name: str
    names: tuple[str, ...]
    docroot: str | None
    listens: tuple[Listen, ...]
    file: str
    line: int
    tls: bool
    certificate_path: str | None
    key_path: str | None
    redirects_only: bool
    attached: bool


@dataclass(frozen=True, slots=True)
class Remark:
    """Something an admin should know about a name: `reason` is a code; `text` a plain sentence."""

    name: str
    reason: str
    file: str
    line: int | None
    text: str = ""


Skipped = Remark
Told = Remark


@dataclass(frozen=True, slots=True)
class Inventory:
    """All sites of a configuration; names that were skipped; what else was seen (duplicates and the like)."""

    sites: tuple[Site, ...]
    skipped: tuple[Remark, ...]
    told: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class TlsWish:
    """Serve the pair in `live_folder` (fullchain.pem, privkey.pem), and these names that the block lacks."""

    live_folder: Path
    extra_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteWish:
    """What a site shall have of ours. No `tls` puts the admin's own certificate lines back.

    `extra_names` are names that the block lacks, such as its www, wanted with TLS or before there is any.
    """

    challenge: bool = True
    tls: TlsWish | None = None
    extra_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the panel's files are, which ports count, and whether nginx has the auth_request module."""

    helper_dir: Path
    http_port: int = 80
    https_port: int = 443
    server_addresses: tuple[str, ...] = ()
    auth_request: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a site cannot have its wish: `code` for programs, `text` for the admin, the line to blame."""

    code: str
    text: str
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Edits:
    """What to write: `files` by real path; `snippets` by stem (None: remove); `http_conf` (None: leave it as it is).

    `before` are the sha256 of the files that the edits were made from; `left_out` extra names that others own.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    snippets: Mapping[str, str | None] = field(default_factory=dict)
    http_conf: str | None = None
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """A row of the routing map that an edit changed although it is not the row of a site that was edited."""

    address: str
    port: int
    name: str
    before: str
    after: str | None
