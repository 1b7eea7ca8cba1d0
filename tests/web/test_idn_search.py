"""A name that is read in Unicode is found by any part of what a page shows of it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from autossl_panel.autossl.models import Job, LogLine, Problem
from autossl_panel.hosting.models import Domain, VirtualHost
from tests.web import foreseen
from tests.web.scene import Scene

KITCHEN = "xn--grne-kche-r9ae.example"
READ = "grüne-küche.example"


@pytest.fixture
def renamed(troubled: Scene) -> Scene:
    """A site with troubles, which is in a run, too, has the name of a kitchen."""
    for old in ("blog17.northwind.example", "lindner.example"):
        rename(old, KITCHEN if old.startswith("lindner") else f"blog.{KITCHEN}")
    return troubled


def rename(old: str, new: str) -> None:
    VirtualHost.objects.filter(name=old).update(name=new)
    for domain in Domain.objects.filter(name__endswith=old):
        domain.name = domain.name.replace(old, new)
        domain.save()
    Problem.objects.filter(name=old).update(name=new)
    for line in LogLine.objects.filter(data__site=old):
        line.data["site"] = new
        line.save()


def shown(client: Client, path: str) -> str:
    html = client.get(path).content.decode()
    found = html[html.index("<main") :]
    return re.sub(r"<input[^>]*>", "", found.replace("<wbr>", ""))


@pytest.mark.parametrize("typed", ["grüne", "KÜCHE", "ne-kü", "Grüne-Küche.example"])
def test_on_every_page_with_a_search(as_root: Client, renamed: Scene, typed: str):
    host = VirtualHost.objects.get(name=KITCHEN)
    foreseen.add(renamed)
    job = Job.objects.filter(virtual_host=host).order_by("pk").first()
    assert job is not None
    for path in (
        "/certificates/?q={}", "/pending/?q={}", "/problems/?q={}&user=northwind", f"/status/{host.user_id}/?q={{}}",
        "/preview/?q={}", "/history/?name={}", f"/runs/{job.run_id}/?q={{}}&group=all",
    ):  # fmt: skip
        assert READ in shown(as_root, path.format(typed)), path
        assert READ not in shown(as_root, path.format("grüner")), path
    assert "lindner" in shown(as_root, f"/users/?q={typed}")
    assert "No run had work for" not in shown(as_root, f"/runs/?q={typed}")
    assert "No run had work for" in shown(as_root, "/runs/?q=grüner")
