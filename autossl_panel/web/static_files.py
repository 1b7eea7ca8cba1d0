"""Static files as WhiteNoise finds them, compressed once and kept: they are few and small."""

import gzip
import re
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

_TEXT = re.compile(r"^text/|javascript|json|svg")
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class StaticFiles:
    """Serves static files; text with gzip to who takes it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.whitenoise = WhiteNoiseMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found = self.whitenoise.files.get(request.path_info)
        if not isinstance(found, StaticFile):
            return self._passed_on(request)
        path, headers = found.get_path_and_headers({})
        if not _TEXT.search(dict(headers)["Content-Type"]):
            return self._passed_on(request)
        whole = request.method == "GET" and "Range" not in request.headers and not found.is_not_modified(request.META)
        if whole and _GZIP.search(request.headers.get("Accept-Encoding", "")):
            body = _compressed(path, found.etag)
            response: HttpResponseBase = HttpResponse(
                body, headers={**dict(headers), "Content-Encoding": "gzip", "Content-Length": str(len(body))}
            )
        else:
            response = self._passed_on(request)
        patch_vary_headers(response, ["Accept-Encoding"])
        return response

    def _passed_on(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self.whitenoise(request)
        return response


@lru_cache(maxsize=64)
def _compressed(path: str, _etag: str) -> bytes:
    with open(path, "rb") as stream:
        return gzip.compress(stream.read(), compresslevel=9, mtime=0)
