"""Static files and pages travel compressed to who takes that."""

import gzip

import pytest
from django.test import Client

SHEET = "/static/panel.css"


def fetched(client: Client, encodings: str, path: str = SHEET, **headers: str):
    return client.get(path, headers={"Accept-Encoding": encodings, **headers})


@pytest.mark.parametrize("encodings", ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.8"])
def test_a_text_file_is_compressed(encodings: str, client: Client):
    plain = b"".join(fetched(client, "identity").streaming_content)
    answer = fetched(client, encodings)
    body = answer.content
    assert answer["Content-Encoding"] == "gzip"
    assert answer["Content-Length"] == str(len(body))
    assert "Accept-Encoding" in answer["Vary"]
    assert gzip.decompress(body) == plain
    assert len(body) < len(plain) / 3


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br"])
def test_who_does_not_take_it_gets_it_plain(encodings: str, client: Client):
    answer = fetched(client, encodings)
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in answer["Vary"]
    assert b"".join(answer.streaming_content).startswith(b"/* AutoSSL Panel.")


def test_what_the_browser_has_is_not_sent_again(client: Client):
    etag = fetched(client, "gzip")["ETag"]
    assert fetched(client, "gzip", **{"If-None-Match": etag}).status_code == 304


def test_a_range_is_of_the_plain_file(client: Client):
    answer = fetched(client, "gzip", Range="bytes=0-16")
    assert answer.status_code == 206
    assert b"".join(answer.streaming_content) == b"/* AutoSSL Panel."
    assert client.head(SHEET, headers={"Accept-Encoding": "gzip"}).status_code == 200


def test_a_page_is_compressed(as_root: Client):
    answer = fetched(as_root, "gzip", "/users/")
    assert answer["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.content).startswith(b"<!doctype html>")
