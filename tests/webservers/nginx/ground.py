"""A configuration in a folder, with edits written as the helper writes them."""

import shutil
import tempfile
from pathlib import Path

from autossl_panel.webservers.nginx import Configuration, Edits, Layout, read


class Ground:
    """nginx.conf with `sites/*.conf`; files are given as text or bytes."""

    def __init__(self, http: str = "", *, main: str | None = None, http_port: int = 80, https_port: int = 443) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="as"))
        self.conf = self.folder / "nginx.conf"
        (self.folder / "sites").mkdir()
        self.layout = Layout(self.folder / "helper", http_port=http_port, https_port=https_port, auth_request=True)
        (self.layout.helper_dir / "snippets").mkdir(parents=True)
        (self.layout.helper_dir / "challenges").mkdir()
        self.conf.write_text(main or f"events {{}}\nhttp {{\n{http}\n    include sites/*.conf;\n}}\n")

    def close(self) -> None:
        shutil.rmtree(self.folder)

    def put(self, name: str, content: str | bytes) -> Path:
        path = self.folder / "sites" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self) -> Configuration:
        return read(self.conf)

    def write(self, edits: Edits) -> None:
        for stem, text in edits.snippets.items():
            path = self.layout.helper_dir / "snippets" / f"{stem}.conf"
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
        if edits.http_conf is not None:
            (self.layout.helper_dir / "http.conf").write_bytes(edits.http_conf.encode("utf-8", "surrogateescape"))
        for real_path, content in edits.files.items():
            Path(real_path).write_bytes(content)

    def bytes(self) -> dict[str, bytes]:
        """All files of the admin's."""
        return {
            str(path): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.suffix == ".conf" and self.layout.helper_dir not in path.parents
        }
