"""What people read: every kind in both forms, names, strangers' text, sizes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Kind, Run
from autossl_panel.autossl.notify import digest, render, texts
from autossl_panel.autossl.notify.changes import Stage
from autossl_panel.autossl.notify.kinds import NATURES, Audience, Severity
from autossl_panel.autossl.notify.matters import INSTALLING, OF_THE_CA, OF_THE_SERVER, PATIENT, Matter
from autossl_panel.autossl.notify.troubles import CA_CODES, UNKNOWN

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CODES = {
    Kind.SERVER: "clock",
    Kind.RUN: "no_provider",
    Kind.PROVIDER: "ca_terms",
    Kind.REVOKED: "revoked",
    Kind.EXPIRED: "nxdomain",
    Kind.EXPIRING: "caa",
    Kind.UNSECURED: "elsewhere",
    Kind.INSTALL: "quarantined",
    Kind.DEFERRED: "http_status",
    Kind.FOREIGN: "foreign_expiring",
    Kind.REDUCED: "reduced_coverage",
    Kind.UNCOVERED: "nxdomain",
    Kind.RENEWED: "due",
    Kind.SECURED: "missing",
}
SITE = "xn--caf-dma.example.com"
SHOWN = "café.example.com (xn--caf-dma.example.com)"


def matter(kind: Kind, n: int = 1, **fields: Any) -> Matter:
    of_a_site = NATURES[kind].users
    values: dict[str, Any] = {
        "code": CODES[kind],
        "domain": SITE if of_a_site else "Let’s Encrypt" if kind == Kind.PROVIDER else "",
        "data": {"status": 403, "address": "203.0.113.7", "not_after": "2026-12-23T12:00:00+00:00"},
        "names": (SITE, f"www.{SITE}") if of_a_site else (),
        "until": NOW + 20 * DAY,
        "next_at": NOW + DAY,
        "not_after": NOW + 30 * DAY if of_a_site else None,
        "host_id": n if of_a_site else None,
        "site": SITE if of_a_site else "",
        "user_id": 3 if of_a_site else None,
    }
    return Matter(kind, f"site:{n}", frozenset({("", "x")}), **{**values, **fields})


def frame(*runs: Run) -> digest.Frame:
    return digest.Frame("web03.example.net", NOW, runs, {3: "amber"})


def built(*matters: Matter, audience: Audience = Audience.ADMIN, stage: Stage = Stage.FIRST, **more: Any) -> Any:
    return digest.build([digest.Entry(one, stage) for one in matters], audience, more.get("frame", frame()))


class Text(HTMLParser):
    """The text of a page, its tags and what they refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        for name, value in attrs:
            assert not name.startswith("on"), "no script"
            if name in ("href", "src", "background", "srcset"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("audience", [Audience.ADMIN, Audience.USER])
def test_every_kind_in_both_forms(kind, number, audience):
    payload = built(*(matter(kind, n) for n in range(number)), audience=audience)
    subject, text, page = render.subject(payload), render.text(payload), Text(render.html(payload))
    for shown in (subject, text, page.text):
        assert "%(" not in shown
        assert "None" not in shown
        assert "{" not in shown
    assert subject.startswith("[web03.example.net] ")
    assert (str(number) in subject.partition("] ")[2]) is (number > 1)
    plain = " ".join(text.split())
    for form in (plain, page.text):
        assert str(texts.WORDS[kind].title).upper() in form.upper()
        if NATURES[kind].users:
            assert SHOWN in form
            assert "user amber" in form
            assert "Wed 23 Dec 2026, 12:00 UTC" in form, "when it expires"
        if NATURES[kind].severity != Severity.GOOD:
            assert "What to do:" in form
        if kind in render.TRIED:
            assert "Next try: Tue 24 Nov 2026, 12:00 UTC" in form
    assert "https://" in page.links[0] or page.links[0].startswith("http://")
    assert len(page.links) == 1, "it loads nothing and leads to the panel alone"
    assert not {"script", "img", "link", "iframe", "style"} & set(page.tags)


def test_a_deferral_says_until_when_and_which_names_are_dropped_then():
    text = " ".join(render.text(built(matter(Kind.DEFERRED))).split())
    assert f"The renewal waits until Sun 13 Dec 2026, 12:00 UTC. What fails then will be dropped: {SHOWN}" in text


@pytest.mark.parametrize(("stage", "said"), [(Stage.HALF, "half of the time"), (Stage.TENTH, "a tenth is left")])
def test_it_says_that_it_is_told_again(stage, said):
    assert said in render.text(built(matter(Kind.EXPIRING), stage=stage))
    assert said in render.html(built(matter(Kind.EXPIRING), stage=stage))


def test_every_cause_has_words_and_a_fix():
    told = INSTALLING | OF_THE_CA | OF_THE_SERVER | PATIENT | set(CA_CODES) | set(UNKNOWN.values()) | set(texts.CAUSES)
    for code in sorted(told | {"expired", "revoked", "order_stuck"}):
        assert code in texts.CAUSES or code in REASONS, code
    for code in sorted(told):
        about = matter(Kind.EXPIRING, code=code, data={})
        assert texts.fix(about, Audience.ADMIN), code


def test_users_are_not_told_of_files_and_get_no_orders_that_they_cannot_follow():
    data = {
        "text": "unknown directive in /etc/nginx/sites/other.conf",
        "file": "/etc/nginx/sites/other.conf",
        "line": 3,
    }
    about = matter(Kind.INSTALL, code="foreign_broken", data=data)
    for audience in (Audience.USER, Audience.RESELLER):
        text = render.text(built(about, audience=audience)) + render.html(built(about, audience=audience))
        assert "/etc/" not in text
        assert "there is nothing for you to do" in text
    assert "/etc/nginx/sites/other.conf:3" in render.text(built(about))


HOSTILE = (
    "<script>alert(1)</script>\r\nBcc: everybody@example.org\r\n\r\n<img src=x onerror=y>"
    "\x00\x1b[31m\u202egnp.exe\u2066\u200b\u2028{{ settings.SECRET_KEY }}{% debug %}%(site)s %s" + "A" * 5000
)


def test_a_stranger_s_text_is_cut_cleaned_and_escaped():
    about = matter(Kind.UNSECURED, code="ca_refused", data={"text": HOSTILE, "detail": HOSTILE, "kind": "caa"})
    payload = built(about)
    subject, text, page = render.subject(payload), render.text(payload), render.html(payload)
    assert "\n" not in subject
    assert "\r" not in subject + text + page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<img" not in page
    for form in (text, page):
        assert not re.search("[\x00\x1b\u202e\u2066\u200b\u2028]", form)
        assert "AAAA" not in form.replace("A" * 700, "") or len(form) < 6000
        assert "{{ settings.SECRET_KEY }}" in form, "shown as it is, never run"
    assert len(text) < 5000
    assert "\nBcc" not in text


def test_a_hostile_server_or_site_name_breaks_no_subject():
    payload = built(matter(Kind.UNSECURED, site="x\r\nBcc: a@b.example", code="nxdomain"))
    payload["server"] = "web\r\nTo: c@d.example"
    subject = render.subject(payload)
    assert "\n" not in subject
    assert "\r" not in subject
    assert len(subject) <= render.SUBJECT_LENGTH


def test_ten_thousand_sites_are_one_short_mail_with_the_causes_grouped():
    causes = ("elsewhere", "nxdomain", "caa", "http_status")
    payload = built(
        *(
            matter(
                Kind.UNSECURED, n, code=causes[n % 4], site=f"site-{n}.example.com", domain=f"site-{n}.example.com",
                names=tuple(f"name-{m}.site-{n}.example.com" for m in range(40)),
            )
            for n in range(10_000)
        )
    )  # fmt: skip
    assert payload["counts"] == {"unsecured": 10_000}
    assert [(group["code"], group["sites"], len(group["notices"]), group["more"]) for group in payload["groups"]] == [
        (code, 2500, 10, 2490) for code in sorted(causes)
    ]
    text = render.text(payload)
    assert render.subject(payload) == "[web03.example.net] 10000 sites could not be secured"
    assert text.count("and 2490 more") == 4
    assert text.count("and 30 more") == 40
    assert "Points to another server (2500 sites)" in text
    assert len(text) < 60_000
    assert len(render.html(payload)) < 80_000
    assert len(render.brief(payload)) < 2000


def test_any_number_of_causes_is_bounded():
    payload = built(*(matter(kind, n, code=f"code{n}", data={"text": "x" * 5000}) for n in range(500) for kind in Kind))
    assert len(payload["groups"]) == digest.MOST_GROUPS
    assert payload["more_groups"] > 0
    assert sum(len(group["notices"]) for group in payload["groups"]) <= digest.MOST_NAMED
    assert sum(payload["counts"].values()) == 500 * len(Kind)
    assert "further causes" in render.text(payload)
    assert len(render.html(payload).encode()) < 200_000


def test_the_subject_names_the_worst_and_counts_the_rest():
    payload = built(matter(Kind.UNCOVERED, 1), matter(Kind.EXPIRED, 2), matter(Kind.UNCOVERED, 3))
    assert render.subject(payload) == (f"[web03.example.net] {SHOWN}: the certificate has expired, and 2 other matters")
    assert [group["kind"] for group in payload["groups"]] == ["expired", "uncovered"]


def test_a_digest_of_a_run_has_its_numbers_for_the_administrator():
    run = Run(
        pk=12,
        scope="*",
        started_at=NOW - DAY,
        ended_at=NOW,
        counts={"outcomes": {"failed": 2, "kept": 40, "secured": 0}},
    )
    text = render.text(built(matter(Kind.EXPIRED), frame=frame(run)))
    assert "Run for all users, ended Mon 23 Nov 2026, 12:00 UTC. 2 failed, 40 kept." in text
    assert "/runs/12/" in text
    mine = render.text(built(matter(Kind.EXPIRED), frame=frame(run), audience=Audience.USER))
    assert "40 kept" not in mine
    several = render.text(built(matter(Kind.EXPIRED), frame=frame(run, run)))
    assert "/users/?state=problems" in several


def test_a_test_message_says_so():
    payload = digest.of_test(frame())
    assert render.subject(payload) == "[web03.example.net] AutoSSL: a test message"
    assert "This is a test." in render.text(payload)
    assert "This is a test." in render.html(payload)
    assert "This is a test." in render.brief(payload)


def test_a_chat_gets_a_line_for_each_cause():
    brief = render.brief(built(*(matter(Kind.EXPIRED, n) for n in range(5)), matter(Kind.UNCOVERED, 9, code="caa")))
    lines = brief.splitlines()
    assert len(lines) == 3
    assert lines[0] == f"Expired certificates: {SHOWN}, {SHOWN}, {SHOWN} (5 sites). The name does not exist in DNS"
    assert lines[1].endswith("A CAA record forbids the CA")
