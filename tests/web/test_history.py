"""A name's history across runs."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl.models import Job, Level, LogLine, Run
from autossl_panel.hosting.models import Domain, VirtualHost
from tests.web.scene import Scene


def text(client, **query: str) -> str:
    html = client.get("/history/", query).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html[html.index('<section class="card"') :]))


def test_every_run_that_had_work_for_it_newest_first(as_root, troubled: Scene):
    said = text(as_root, name="brandtlaw.example")
    assert "History of brandtlaw.example" in said
    assert "2 runs had work for it or told of it" in said
    newer, older = said.index(f"Run {troubled.live.pk}, all users"), said.index(f"Run {troubled.past.pk}, all users")
    assert newer < older
    assert said.count("no name passed domain control validation") == 2


def test_what_a_survey_said_of_it_is_there_too(as_root, troubled: Scene):
    said = text(as_root, name="lindner.example")
    assert "lindner.example: held back until the next try, next try 2026-12-02 03:12 UTC" in said
    assert "Renewal waits until" in said


def test_a_survey_line_of_another_site_is_not(as_root, troubled: Scene):
    said = text(as_root, name="blog1.lindner.example")
    assert "lindner.example: held back" not in said


def test_any_name_of_a_site_however_it_is_typed(as_root, troubled: Scene):
    host = VirtualHost.objects.get(name="junipershop.example")
    Domain.objects.create(virtual_host=host, name="xn--grne-kche-r9ae.example", position=2)
    for typed in ("Grüne-Küche.example", " XN--grne-kche-r9ae.example. "):
        said = text(as_root, name=typed)
        assert "a name of junipershop.example" in said
        assert "the new certificate is served" in said


def test_by_level(as_root, troubled: Scene):
    said = text(as_root, name="lindner.example", level="warn")
    assert "www.lindner.example: the connection timed out" in said
    assert "lindner.example: proven at" not in said
    assert "No lines of that level" in text(as_root, name="lindner.example", level="failure")
    assert "lindner.example: proven at" in text(as_root, name="lindner.example", level="nonsense")


def test_names_that_are_like_it(as_root, troubled: Scene):
    said = text(as_root, name="junip")
    assert "No site has the name “junip”" in said
    assert "www.junipershop.example" in said
    assert "No name that you may see has these letters in it." in text(as_root, name="<nothing>")
    assert "&lt;nothing&gt;" in as_root.get("/history/?name=<nothing>").content.decode()


def test_without_a_name(as_root, troubled: Scene):
    assert "Which name?" in text(as_root)


def test_a_site_that_is_back_comes_before_the_one_that_is_gone(as_root, troubled: Scene):
    old = VirtualHost.objects.get(name="junipershop.example")
    VirtualHost.objects.filter(pk=old.pk).update(gone_at=troubled.now, key="gone")
    new = VirtualHost.objects.get(name="blog1.junipershop.example")
    Domain.objects.create(virtual_host=new, name="junipershop.example", position=5)
    assert "a name of blog1.junipershop.example" in text(as_root, name="junipershop.example")


def test_a_reseller_reads_own_names_only(as_reseller, troubled: Scene):
    assert "History of northwind.example" in text(as_reseller, name="northwind.example")
    said = text(as_reseller, name="junipershop.example")
    assert "No site has the name" in said
    assert "www.junipershop.example" not in said


def test_only_root_reads_which_file_of_others_is_broken(as_root, as_reseller, troubled: Scene):
    job = Job.objects.filter(run=troubled.live, virtual_host__name="northwind.example").get()
    LogLine.objects.create(
        run=troubled.live, job=job, user=job.user, seq=90, at=troubled.now, level=Level.WARN, depth=2,
        event="install:stays_staged",
        data={"reason": "foreign_broken", "text": "someone-elses.conf is broken", "where": "someone-elses.conf:3"},
    )  # fmt: skip
    assert "someone-elses" in text(as_root, name="northwind.example")
    assert "someone-elses" not in text(as_reseller, name="northwind.example")


def test_ten_runs_a_page(as_root, troubled: Scene):
    job = Job.objects.filter(virtual_host__name="junipershop.example").get()
    for _n in range(12):
        run = Run.objects.create(
            server=troubled.server, scope="due", asked_from="sweep", started_at=troubled.past.started_at,
            ended_at=troubled.now,
        )  # fmt: skip
        job.pk, job.run = None, run
        job.save()
    html = as_root.get("/history/?name=junipershop.example").content.decode()
    assert html.count('class="out head"') == 10
    assert "of <b>13</b>" in html
    assert as_root.get("/history/?name=junipershop.example&page=2").content.decode().count('class="out head"') == 3


@pytest.mark.parametrize("name", ["junipershop.example", "junip", ""])
def test_it_asks_few_questions(name, as_root, as_reseller, troubled: Scene):
    for client in (as_root, as_reseller):
        with CaptureQueriesContext(connection) as queries:
            client.get("/history/", {"name": name})
        assert len(queries) <= 15
