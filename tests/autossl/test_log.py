"""The log: every event renders, lines are numbered without gaps, a tail misses nothing."""

import re
import threading

import pytest
from django.db import connection
from django.utils import translation

from autossl_panel.autossl import log, runs
from autossl_panel.autossl.log.events import COUNTED, EVENTS
from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Level, LogLine


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_event_renders_with_the_data_it_names(event):
    keys = re.findall(r"%\((\w+)\)", str(EVENTS[event]))
    text = log.render(event, {key: f"<{key}>" for key in keys})
    assert text
    assert "%(" not in text
    assert "?" not in text
    for key in keys:
        assert f"<{key}>" in text


# What a text names that is no number; any other name is taken for a count
TEXTS = frozenset({
    "account", "addresses", "by", "directory", "file", "found", "issuer", "kind", "label", "limit_text", "line", "link",
    "name", "names", "not_after", "provider", "reason_text", "run", "scope_text", "seconds", "serial", "since", "site",
    "summary", "text", "until", "until_text", "user", "where",
})  # fmt: skip
OF_MANY = {
    "en": r"\b1 (of 1 )?((?!s\b|is\b|has\b|was\b|needs\b|waits\b)[a-z]+s|are|were|have|need|wait)\b",
    "de": r"\b1 (von 1 )?(Websites|Benutzern|Zertifikate|Namen|sind|bleiben|brauchen|warten|bekämen)\b",
}


@pytest.mark.parametrize("language", OF_MANY)
@pytest.mark.parametrize("event", sorted(EVENTS))
def test_of_one_a_line_says_so_as_of_one(event, language):
    """A new text with a count says it so that it holds for any number, or has its words for one in COUNTED."""
    counts = [key for key in re.findall(r"%\((\w+)\)", str(EVENTS[event])) if key not in TEXTS]
    words = {key: "Adam" for key in TEXTS}
    with translation.override(language):
        for one in [*({key: 1} for key in counts), dict.fromkeys(counts, 1)]:
            text = log.render(event, {**words, **dict.fromkeys(counts, 7), **one})
            assert not re.search(OF_MANY[language], text), text


def test_what_counts_in_a_line_of_one_is_in_its_text():
    for event, of_one in COUNTED.items():
        whole = set(re.findall(r"%\((\w+)\)", str(EVENTS[event])))
        for name, text in of_one:
            assert name in whole
            assert set(re.findall(r"%\((\w+)\)", str(text))) == whole


def test_a_line_that_lacks_data_shows_a_question_mark():
    assert log.render("site:busy", {"site": "a.example"}) == "a.example: run ? is working on it"


@pytest.mark.parametrize("event", [event for event, text in EVENTS.items() if "%(provider)s" in str(text)])
def test_a_line_calls_a_provider_as_people_do(event):
    said = {"scope": "*", "reason": "provider_own", "until": "later"}
    assert "Let’s Encrypt" in log.render(event, {**said, **log.of_provider("letsencrypt", "Let’s Encrypt")})
    assert "my-ca" in log.render(event, {**said, **log.of_provider("my-ca", "my-ca")})
    assert "my-ca" in log.render(event, {**said, "provider": "my-ca"}), "as lines of old have it"


def test_a_provider_has_a_title_beside_its_name_only_where_that_says_more():
    assert log.of_provider("letsencrypt", "Let’s Encrypt") == {"provider": "letsencrypt", "title": "Let’s Encrypt"}
    assert log.of_provider("my-ca", "my-ca") == log.of_provider("my-ca") == {"provider": "my-ca"}


def test_an_event_of_another_version_is_shown_as_it_is():
    assert log.render("old:event", {"a": 1}) == "old:event {'a': 1}"


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_has_words(code):
    assert log.reason_text(code) != code or code in ("excluded", "cancelled")


@pytest.mark.django_db
def test_lines_are_numbered_and_a_tail_reads_each_once(server):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    writer, tail = log.for_run(run.pk), log.Tail(run.pk)
    writer.out("run:started", scope="*", provider="pebble")
    assert [line.text for line in tail.read()] == ["Run for all users with pebble"]
    writer.lines([writer.make("user:begins", user=f"u{n}", sites=1, todo=1) for n in range(3)])
    assert [line.seq for line in tail.read()] == [2, 3, 4]
    assert tail.read() == []


@pytest.mark.django_db
def test_a_tail_reads_many_lines_in_portions(server):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    writer, tail = log.for_run(run.pk), log.Tail(run.pk)
    writer.lines([writer.make("user:begins", user=f"u{n}", sites=1, todo=1) for n in range(2500)])
    portions = []
    while lines := tail.read():
        portions.append([line.seq for line in lines])
    assert [seq for portion in portions for seq in portion] == list(range(1, 2501))
    assert [len(portion) for portion in portions] == [1000, 1000, 500]


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_run_in_several_threads_leave_no_gap(server):
    run = runs.start(runs.ALL, by=None, asked_from="command")

    def write() -> None:
        writer = log.for_run(run.pk)
        for _ in range(20):
            writer.line("run:failed", Level.FAILURE, text="x")
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(LogLine.objects.filter(run=run).values_list("seq", flat=True)) == list(range(1, 81))


def a_line(event: str, level: Level, **data: object) -> log.Line:
    return log.line(LogLine(run_id=1, event=event, level=level, depth=0, seq=1, data=data))


def test_a_warning_says_what_to_do():
    found = {"status": 404, "from": "192.0.2.9", "to": "192.0.2.1"}
    line = a_line("dcv:failed", Level.WARN, name="a.example", reason="elsewhere", found=found)
    assert line.advice.endswith("Change its A record from 192.0.2.9 to 192.0.2.1.")
    kept = a_line("site:kept", Level.WARN, site="b.example", reason="foreign_defective", found={"defects": ["weak"]})
    assert kept.advice.startswith("b.example has a certificate from elsewhere, which has a weak key")
    left_out = a_line("site:name_left_out", Level.WARN, name="c.example", reason="over_limit")
    assert "choose a provider that takes more" in left_out.advice


def test_a_kept_site_is_told_of_as_on_its_page():
    old = a_line("site:kept", Level.WARN, site="b.example", reason="foreign_defective", found={"defects": ["expired"]})
    assert old.text == "b.example: kept, another's certificate, which has expired"
    weak = a_line("site:kept", Level.WARN, site="b.example", reason="foreign_defective", found={"defects": ["weak"]})
    assert weak.text == "b.example: kept, another's certificate, which is defective"


@pytest.mark.parametrize(("language", "text"), [("en", "Ended after 5.5 s"), ("de", "Beendet nach 5,5 s")])
def test_a_number_in_a_line_is_written_as_the_language_does(language, text):
    with translation.override(language):
        assert a_line("run:ended", Level.OUT, seconds=5.5, summary="1 secured").text.startswith(f"{text}: 1 ")


@pytest.mark.parametrize(
    ("event", "level", "reason"),
    [
        ("dcv:failed", Level.OUT, "no_address"),  # an added www. is left out quietly
        ("site:kept", Level.OUT, "foreign"),
        ("dcv:passed", Level.OUT, ""),
        ("job:failed", Level.FAILURE, "dcv_all_failed"),
    ],
)
def test_where_nothing_is_to_be_done_nothing_is_said(event, level, reason):
    assert a_line(event, level, name="a.example", site="a.example", reason=reason, addresses="x").advice == ""


@pytest.mark.django_db
def test_many_lines_at_once_are_what_single_ones_are(server):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    writer = log.for_run(run.pk)
    odd = {"user": 'tab\t, line\n, \\N, "quotes"', "sites": 3, "kept": None, "ä": [1, True]}
    writer.lines([writer.make("user:begins", Level.WARN, depth=1, **odd) for _ in range(150)])
    writer.line("user:begins", Level.WARN, depth=1, **odd)
    rows = list(LogLine.objects.filter(run=run).order_by("seq"))
    assert [row.seq for row in rows] == list(range(1, 152))
    assert {(row.level, row.depth, row.event, row.job_id, row.user_id) for row in rows} == {
        ("warn", 1, "user:begins", None, None)
    }
    assert all(row.data == odd for row in rows)
    assert all(row.at.tzinfo is not None for row in rows)


@pytest.mark.django_db
def test_many_lines_beside_another_writers_are_numbered_again(server, monkeypatch):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    log.for_run(run.pk).out("run:started")
    writer = log.for_run(run.pk)
    stale, last = iter([0]), writer._last
    # What it reads first is out of date by the time it writes.
    monkeypatch.setattr(writer, "_last", lambda: next(stale, last()))
    writer.lines([writer.make("run:failed", text="x") for _ in range(120)])
    assert sorted(LogLine.objects.filter(run=run).values_list("seq", flat=True)) == list(range(1, 122))
