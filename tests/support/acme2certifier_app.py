"""acme2certifier's application, with a note of each newOrder request: what gunicorn runs for `acme2certifier.py`."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acme2certifier.share.acme2certifier_wsgi import application as served

ASKED = Path(os.environ["ASKED"])


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Pass every request on."""
    if environ["PATH_INFO"] == "/acme/neworders":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        payload = json.loads(body)["payload"]
        with ASKED.open("a") as out:
            out.write(base64.urlsafe_b64decode(payload + "==").decode() + "\n")
    answer: Iterable[bytes] = served(environ, start_response)
    return answer
