"""Logs: the list of runs, a run's page with its polls, the text file, cancelling."""

import json
import re
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl import log
from autossl_panel.autossl.models import DailyShare, Job, JobState, Level, LogLine, Problem, Run
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import Role, User
from autossl_panel.web import words
from tests.web.scene import Scene


def rows(html: str) -> list[list[str]]:
    """The cells of a table's body, as text."""
    body = html.split("<tbody>")[1].split("</tbody>", maxsplit=1)[0]
    return [
        [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.split(r"</t[dh]>", row)[:-1]]
        for row in body.split("</tr>")[:-1]
    ]


def test_the_blue_button_starts_a_run_and_lands_on_it(as_root, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    answer = as_root.post("/runs/")
    run = Run.objects.get(ended_at__isnull=True)
    assert (run.scope, run.asked_by, run.asked_from) == ("*", scene.root, "panel")
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert as_root.post("/runs/")["Location"] == f"/runs/{run.pk}/", "a second click lands on the live run"


def test_a_resellers_button_runs_own_users(as_reseller, scene: Scene):
    html = as_reseller.get("/users/").content.decode()
    assert "Run AutoSSL for my users" not in html, "own part of the run for all is live"
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    assert "Run AutoSSL for my users" in as_reseller.get("/users/").content.decode()
    as_reseller.post("/runs/")
    assert Run.objects.get(ended_at__isnull=True).scope == "owner:harborweb"


def test_without_a_provider_there_is_no_blue_button(as_root, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    scene.provider.active = False
    scene.provider.save()
    html = as_root.get("/users/").content.decode()
    assert "Run AutoSSL For All Users" not in html
    assert "Choose a provider" in html


def test_the_list_is_newest_first_with_what_each_run_did(as_root, scene: Scene):
    table = rows(as_root.get("/runs/").content.decode())
    assert [row[2] for row in table] == ["All users", "All users", "northwind", "Due", "All users"]
    assert table[0][1] == "Running"
    assert table[0][3] == "root · panel"
    assert table[0][4] == "Let’s Encrypt"
    failed = Job.objects.filter(run=scene.live, outcome="failed").count()
    assert table[0][9] == str(failed) != "0"
    assert table[1][1] == "4 min 06 s"


def test_a_reseller_reads_own_numbers_only(as_reseller, scene: Scene):
    table = rows(as_reseller.get("/runs/").content.decode())
    own = Job.objects.filter(run=scene.past, user__owner=scene.harborweb, outcome="failed").count()
    assert table[1][9] == str(own)
    html = as_reseller.get(f"/runs/{scene.past.pk}/").content.decode()
    assert "northwind" in html
    assert "hallsteadt" not in html


def test_filters_and_search(as_root):
    def scopes(query: str) -> list[str]:
        return [row[2] for row in rows(as_root.get(f"/runs/?{query}").content.decode())]

    assert scopes("state=all") == ["All users"] * 3
    assert scopes("state=person") == ["All users", "northwind"]
    assert scopes("state=failures") == ["All users", "All users", "northwind"]
    assert scopes("q=northwind") == ["All users", "All users", "northwind"]
    assert scopes("q=blog1.brandtlaw.example") == ["All users", "All users"]
    assert "No run had work for “nobody”" in as_root.get("/runs/?q=nobody").content.decode()


def test_filters_by_outcome_scope_and_user(as_root, as_reseller):
    def scopes(client, query: str) -> list[str]:
        html = client.get(f"/runs/?{query}").content.decode()
        return [row[2] for row in rows(html)] if 'class="stack"' in html else []

    assert scopes(as_root, "outcome=deferred") == ["All users", "All users", "Due"]
    assert scopes(as_root, "outcome=cancelled") == []
    assert scopes(as_root, "scope=due") == ["Due"]
    assert scopes(as_root, "scope=user") == ["northwind"]
    assert scopes(as_root, "user=northwind&scope=user") == ["northwind"]
    assert scopes(as_root, "user=lindner&outcome=failed") == ["All users", "All users"]
    assert scopes(as_root, "outcome=nonsense&scope=nonsense&state=all") == ["All users"] * 3
    assert scopes(as_reseller, "user=hallsteadt") == []


def test_a_name_that_is_typed_leads_to_its_history(as_root, as_reseller):
    html = as_root.get("/runs/?q=www.hallsteadt.example").content.decode()
    assert 'href="/history/?name=www.hallsteadt.example"' in html
    assert "/history/?name=" not in as_reseller.get("/runs/?q=www.hallsteadt.example").content.decode()


def test_the_first_day_is_a_sentence_and_no_empty_picture(as_root, troubled: Scene):
    html = as_root.get("/runs/").content.decode()
    share = html[html.index('id="h-share"') :]
    assert "<svg" in share[: share.index("</section>")]
    DailyShare.objects.exclude(pk=DailyShare.objects.latest("day").pk).delete()
    html = as_root.get("/runs/").content.decode()
    share = html[html.index('id="h-share"') :]
    assert "the first day that is noted." in share
    assert "<svg" not in share[: share.index("</section>")]


def test_what_the_last_runs_did_is_drawn(as_root, as_reseller, troubled: Scene):
    html = as_root.get("/runs/?q=nobody").content.decode()
    assert "Outcomes of the last runs" in html
    assert "5 runs." in html
    behind = html[html.index('<details class="behind">') :]
    at = words.exact(troubled.past.started_at)
    assert f'<a class="who" href="/runs/{troubled.past.pk}/" title="{at}">' in behind
    assert "Share of the sites that are secured" in html
    own = as_reseller.get("/runs/").content.decode()
    assert "Outcomes of the last runs" in own
    assert "Share of the sites that are secured" not in own, "noted for the whole server"
    ended = Job.objects.filter(run__ended_at__isnull=False, user__owner=troubled.harborweb)
    failed = ended.filter(outcome="failed").count()
    legend = own[own.index('class="legend"') : own.index("</ul>", own.index('class="legend"'))]
    assert re.findall(r"<b>(\d+)</b>", legend)[2] == str(failed)


def test_a_run_is_narrowed_to_a_user_or_a_domain(as_root, as_reseller, scene: Scene):
    page = f"/runs/{scene.past.pk}/"
    html = as_root.get(f"{page}?user=brandtlaw").content.decode().split('<ol class="log">')[1]
    assert html.count(">brandtlaw</a>") == 1
    assert "northwind" not in html
    one = as_root.get(f"{page}?domain=www.blog1.brandtlaw.example").content.decode()
    log_ = one.split('<ol class="log">')[1]
    assert log_.count('class="site" href="/history/') == 1
    assert "User brandtlaw" not in one
    both = as_root.get(f"{page}?domain=blog1.brandtlaw.example&level=failure&user=brandtlaw").content.decode()
    assert "User brandtlaw" in both
    assert 'name="user" value="brandtlaw"' in both, "a search keeps the filter"
    assert "No lines" in as_reseller.get(f"{page}?user=hallsteadt").content.decode()


def test_a_kept_site_is_found_by_its_domain_and_user(as_root, scene: Scene):
    user = HostingUser.objects.get(name="dockside")
    line = log.for_run(scene.past.pk)
    line.lines([line.make("site:kept", depth=2, user_id=user.pk, site="dockside.example", reason="foreign")])
    page = f"/runs/{scene.past.pk}/"
    assert "dockside.example: kept" in as_root.get(f"{page}?group=quiet&domain=dockside.example").content.decode()
    assert "dockside.example: kept" in as_root.get(f"{page}?user=dockside").content.decode()
    assert "dockside.example: kept" not in as_root.get(f"{page}?group=quiet&user=lindner").content.decode()


def test_lines_lead_to_the_problem_and_to_the_history(as_root, scene: Scene):
    html = as_root.get(f"/runs/{scene.past.pk}/?user=brandtlaw").content.decode()
    assert 'href="/problems/?q=brandtlaw.example">Open the problem</a>' in html
    assert 'href="/history/?name=brandtlaw.example">brandtlaw.example</a>' in html


def test_the_json_file_has_every_line_as_an_object(as_root, as_reseller, scene: Scene):
    answer = as_root.get(f"/runs/{scene.past.pk}/log.ndjson")
    assert answer["Content-Type"] == "application/x-ndjson"
    assert f"autossl-run-{scene.past.pk}.ndjson" in answer["Content-Disposition"]
    found = [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]
    assert len(found) == LogLine.objects.filter(run=scene.past).count()
    failed = next(one for one in found if one["event"] == "dcv:failed" and one["site"] == "brandtlaw.example")
    assert failed["run"] == scene.past.pk
    assert (failed["user"], failed["level"], failed["depth"]) == ("brandtlaw", "failure", 2)
    assert failed["data"]["name"] == "brandtlaw.example"
    assert failed["advice"]
    ordered = next(one for one in found if one["event"] == "plan:order")
    assert ordered["data"]["provider"] == "letsencrypt", "as commands and programs know it"
    assert ordered["text"].endswith(" from Let’s Encrypt"), "as people do"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", failed["at"])
    own = b"".join(as_reseller.get(f"/runs/{scene.past.pk}/log.ndjson").streaming_content).decode()
    assert {json.loads(line)["user"] for line in own.splitlines()} <= {
        "northwind", "brandtlaw", "bluefjord", "dockside", "pixelforge",
    }  # fmt: skip


def test_a_run_that_lives_is_kept_true_in_the_list_until_its_end(as_root, as_reseller, scene: Scene):
    html = as_root.get("/runs/").content.decode()
    asked = re.search(r'id="fresh" hx-get="([^"]*)" hx-trigger="every 5s"', html)
    assert asked
    assert asked[1] == f"/runs/?shown={scene.live.pk}"
    assert f'id="took-{scene.live.pk}"' in html
    headers = {"HX-Request": "true"}
    answer = as_root.get(asked[1], headers=headers)
    assert answer.status_code == 200
    cells = dict(
        re.findall(rf'<td [^>]*id="(\w+)-{scene.live.pk}"[^>]*hx-swap-oob="true">(.*?)</td>', answer.content.decode())
    )
    assert set(cells) == {"took", "from", "secured", "renewed", "deferred", "waiting", "failed"}
    assert "Running" in cells["took"]
    job = Job.objects.filter(run=scene.live, state=JobState.RUNNING, user__owner=scene.harborweb).first()
    assert job
    own = as_reseller.get(asked[1], headers=headers).content.decode()
    before = re.search(rf'id="failed-{scene.live.pk}"[^>]*>(.*?)</td>', own)
    Job.objects.filter(pk=job.pk).update(state=JobState.ENDED, outcome="failed", ended_at=scene.now)
    own = as_reseller.get(asked[1], headers=headers).content.decode()
    after = re.search(rf'id="failed-{scene.live.pk}"[^>]*>(.*?)</td>', own)
    assert before
    assert after
    assert before[1] != after[1]
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now, counts={"outcomes": {"failed": 7}})
    answer = as_root.get(asked[1], headers=headers)
    assert answer.status_code == 286
    assert "Running" not in answer.content.decode()
    assert "> 7</span>" in answer.content.decode()
    assert 'id="fresh"' not in as_root.get("/runs/").content.decode()


def test_the_list_asks_few_questions(as_root, as_reseller, troubled: Scene):
    for client in (as_root, as_reseller):
        for query in ("", "q=northwind", "user=northwind&outcome=failed&scope=all"):
            with CaptureQueriesContext(connection) as queries:
                client.get(f"/runs/?{query}")
            assert len(queries) <= 15, query


def test_a_run_shows_failures_first_then_the_rest(as_root, scene: Scene):
    html = as_root.get(f"/runs/{scene.past.pk}/").content.decode()
    places = [html.index(mark) for mark in ('id="run-failed"', 'id="run-lines"', 'id="sum-put-off"', 'id="sum-done"')]
    assert places == sorted(places)
    assert "Points to another server" in html
    assert "hx-get" not in html.split('id="g1"')[1].split("</section>")[0]
    assert 'id="live"' not in html
    assert "Ended in 4 min 06 s" in html


def test_lines_are_grouped_by_user_and_site(as_root, scene: Scene):
    html = as_root.get(f"/runs/{scene.past.pk}/?q=brandtlaw").content.decode()
    lines = html.split('<ol class="log">')[1]
    assert lines.count(">brandtlaw</a>") == 1
    assert lines.index(">brandtlaw</a>") < lines.index("blog1.brandtlaw.example") < lines.index("What to do")
    assert "northwind" not in lines
    only = as_root.get(f"/runs/{scene.past.pk}/?level=warn").content.decode().split('<ol class="log">')[1]
    warnings = LogLine.objects.filter(run=scene.past, level="warn")
    assert only.count('class="site" href="/history/') == warnings.values("job").distinct().count() == 1
    assert only.count('class="warn') == warnings.count() == 3


def test_a_kept_site_is_found_by_its_name_with_what_to_do(as_root, scene: Scene):
    user = HostingUser.objects.get(name="dockside")
    found = {"not_after": "2026-11-13T00:00:00+00:00", "defects": ["expired"]}
    log.for_run(scene.past.pk).lines(
        log.for_run(scene.past.pk).make(
            "site:kept", Level.WARN, depth=2, user_id=user.pk, site=name, reason="foreign_defective", found=found
        )
        for name in ("xn--grne-kche-r9ae.example", "other.example")
    )
    page = f"/runs/{scene.past.pk}/"
    html = as_root.get(page, {"q": "Grüne-Küche.example"}).content.decode().split('<ol class="log">')[1]
    assert "which expired on 13 Nov 2026. Renew it" in html
    assert "other.example" not in html
    text = b"".join(as_root.get(f"{page}log.txt").streaming_content).decode()
    assert "→ other.example has a certificate from elsewhere" in text
    sites = LogLine.objects.filter(run=scene.past, level="warn", job__isnull=False).values("job").distinct().count()
    chip = re.search(r'Warnings <span class="n">(\d+)</span>', as_root.get(page).content.decode())
    assert int(chip[1]) == sites + 2


def test_the_survey_counts_each_site_once(as_root, scene: Scene):
    kept = Job.objects.filter(run=scene.past, outcome="kept").first()
    if kept is None:
        kept = Job.objects.filter(run=scene.past, outcome="secured").first()
        Job.objects.filter(pk=kept.pk).update(outcome="kept")
    counts = scene.past.counts
    rest = sum(counts.get(name, 0) for name in ("kept", "skipped", "waiting"))
    total = Job.objects.filter(run=scene.past).count() + rest
    assert f"{total} of {total}" in re.sub(r"<[^>]+>", "", as_root.get(f"/runs/{scene.past.pk}/").content.decode())


def test_groups_open_as_fragments(as_root, scene: Scene):
    answer = as_root.get(f"/runs/{scene.live.pk}/?group=done", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in answer
    assert answer.count('class="site" href="/history/') <= 25
    assert "show all" in answer
    quiet = as_root.get(f"/runs/{scene.past.pk}/?group=quiet", headers={"HX-Request": "true"}).content.decode()
    assert "cedarworks: nothing to do, 4 of 4 sites are kept" in quiet


def test_what_failed_leads_to_what_to_do(as_root, troubled: Scene, signed_in):
    html = as_root.get(f"/runs/{troubled.live.pk}/").content.decode()
    job = troubled.live.jobs.filter(outcome="failed", user__name="brandtlaw").first()
    cause = Problem.objects.filter(virtual_host=job.virtual_host, quiet=False).values_list("cause", flat=True).get()
    assert f'id="fix-{job.pk}" href="/problems/{cause}/">What to do<span class="sr">' in html
    assert as_root.get(f"/problems/{cause}/").status_code == 200
    login = User.objects.create(username="brandt", role=Role.USER)
    HostingUser.objects.filter(name="brandtlaw").update(login=login)
    html = signed_in(login).get(f"/runs/{troubled.live.pk}/").content.decode()
    assert f'href="/status/{job.user_id}/?q={job.virtual_host.name}">What to do' in html


def test_the_text_file_has_every_line(as_root, as_reseller, scene: Scene):
    log.for_run(scene.past.pk).line("run:ended", Level.OUT, seconds="3.5", summary="2 failed")
    answer = as_root.get(f"/runs/{scene.past.pk}/log.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert f"autossl-run-{scene.past.pk}.txt" in answer["Content-Disposition"]
    text = b"".join(answer.streaming_content).decode()
    lines = [one for one in text.splitlines() if re.match(r"\d{4}-", one)]
    assert len(lines) == LogLine.objects.filter(run=scene.past).count()
    assert "points to another server" in text
    assert "Run for all users with Let’s Encrypt" in text
    assert "letsencrypt" not in text.replace("letsencrypt.org", ""), "but for the CA's own name in a CAA record"
    assert text.index("\nbrandtlaw\n") < text.index("\nnorthwind\n")
    assert lines[-1].endswith("  Ended after 3.5 s: 2 failed"), "as on the page"
    assert text.endswith(f"{lines[-1]}\n")
    own = b"".join(as_reseller.get(f"/runs/{scene.past.pk}/log.txt").streaming_content).decode()
    assert "northwind" in own
    assert "hallsteadt" not in own
    assert "inventory" not in own
    assert "No configuration file changed" not in own


def test_cancel_asks_first_then_cancels(as_root, scene: Scene):
    page = as_root.get(f"/runs/{scene.live.pk}/cancel/").content.decode()
    queued = Job.objects.filter(run=scene.live, state=JobState.QUEUED).count()
    assert f"<b>{queued} sites</b> that wait in the queue" in page
    dialog = as_root.get(f"/runs/{scene.live.pk}/cancel/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in dialog
    assert Run.objects.get(pk=scene.live.pk).cancelled_at is None
    assert as_root.post(f"/runs/{scene.live.pk}/cancel/")["Location"] == f"/runs/{scene.live.pk}/"
    assert Run.objects.get(pk=scene.live.pk).cancelled_at is not None
    assert not Job.objects.filter(run=scene.live, state=JobState.QUEUED).exists()
    assert "Cancelling" in as_root.get(f"/runs/{scene.live.pk}/").content.decode()


def test_texts_of_strangers_are_escaped(as_root, scene: Scene):
    Run.objects.filter(pk=scene.past.pk).update(
        problem={"code": "failed", "text": "<script>alert(1)</script>"}, provider_name="<b>x"
    )
    job = Job.objects.filter(run=scene.past, outcome="failed").first()
    Job.objects.filter(pk=job.pk).update(
        problem={"code": "ca_refused", "domain": "<img src=x>", "data": {"text": "<i>hostile</i>"}}
    )
    html = as_root.get(f"/runs/{scene.past.pk}/").content.decode()
    for hostile in ("<script>alert", "<img", "<i>hostile", "<b>x"):
        assert hostile not in html
    assert "&lt;i&gt;hostile" in html


def test_a_lost_worker_shows_on_every_page(as_root, as_reseller, scene: Scene):
    scene.server.beat.at = timezone.now() - timedelta(minutes=6)
    scene.server.beat.save()
    for url in ("/users/", "/runs/", "/options/", "/providers/"):
        assert "Workers last seen" in as_root.get(url).content.decode()
        assert "6 min ago" in as_root.get(url).content.decode()
    assert "Runs wait" in as_reseller.get("/users/").content.decode()
    scene.server.beat.delete()
    assert "No worker has been seen yet." in as_root.get("/people/").content.decode()


def test_a_configuration_that_does_not_parse_is_told_to_root_with_file_and_line(as_root, as_reseller, scene: Scene):
    scene.server.inventory_problem = {"file": "/etc/nginx/sites-enabled/x.conf", "line": 7, "text": "unexpected }"}
    scene.server.save()
    html = as_root.get("/users/").content.decode()
    assert "/etc/nginx/sites-enabled/x.conf:7" in html
    assert "unexpected }" in html
    assert "/etc/nginx" not in as_reseller.get("/users/").content.decode()


def test_only_root_reads_which_file_of_others_is_broken(as_root, as_reseller, scene: Scene):
    job = Job.objects.filter(run=scene.past, user__owner=scene.harborweb).first()
    assert job is not None
    where = "/etc/nginx/sites-enabled/someone-elses.conf:3"
    log.for_job(job).warn(
        "install:stays_staged", reason="foreign_broken", text="unexpected “}” in someone-elses.conf", where=where
    )
    url = f"/runs/{scene.past.pk}/log.txt"
    for form in (url, f"/runs/{scene.past.pk}/log.ndjson"):
        assert where in b"".join(as_root.get(form)).decode()
        assert "someone-elses" not in b"".join(as_reseller.get(form)).decode()
    root, reseller = (b"".join(client.get(url)).decode() for client in (as_root, as_reseller))
    assert where in root
    assert "The certificate stays staged: somebody else's configuration is broken" in reseller
    assert "someone-elses" not in reseller


def test_a_run_says_how_many_wait_for_a_limit_and_until_when(as_root, as_reseller, scene: Scene):
    until = timezone.now().replace(microsecond=0) + timedelta(hours=3)
    jobs = Job.objects.filter(run=scene.live, state=JobState.QUEUED).order_by("pk")
    first, second = jobs[0], jobs.filter(user__owner=scene.harborweb)[1]
    waits = {"state": JobState.ENDED, "outcome": "waiting", "outcome_reason": "rate_limited"}
    Job.objects.filter(pk=first.pk).update(**waits, until=until - timedelta(hours=1))
    Job.objects.filter(pk=second.pk).update(**waits, until=until)
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    head = page.split('id="run-eta"')[1].split("</div>", maxsplit=1)[0]
    assert "2 sites wait for a limit of the CA." in head
    assert f"{until:%Y-%m-%d}" in head
    assert "2 wait for a limit, until" in page.split('id="slot-limited"')[1]
    # A site that waited before the run began and needs no job counts as well, a reseller's own part only.
    host = scene.past.jobs.exclude(user__owner=scene.harborweb).exclude(virtual_host=first.virtual_host)[0].virtual_host
    type(host).objects.filter(pk=host.pk).update(held_reason="rate_limited", held_until=until + timedelta(hours=1))
    assert "3 sites wait for a limit" in as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    own = as_reseller.get(f"/runs/{scene.live.pk}/").content.decode()
    assert ("1 site waits" in own) or ("2 sites wait" in own)
    # What is over is not said.
    Job.objects.filter(pk__in=[first.pk, second.pk]).update(until=timezone.now())
    type(host).objects.filter(pk=host.pk).update(held_until=None)
    assert 'id="run-eta"' not in as_root.get(f"/runs/{scene.live.pk}/").content.decode()


def test_chart_and_table_count_what_was_put_off_alike(as_root, scene: Scene):
    outcomes = {"failed": 1, "deferred": 2, "waiting": 5, "secured": 3}
    Run.objects.filter(ended_at__isnull=False).update(counts={"outcomes": {}})
    Run.objects.filter(pk=scene.past.pk).update(counts={"outcomes": outcomes})
    html = as_root.get("/runs/").content.decode()
    assert next(row for row in rows(html) if row[-1] == "1")[-3:] == ["2", "5", "1"]
    legend = html[html.index('class="legend"') : html.index("</ul>", html.index('class="legend"'))]
    assert "Deferred or waiting" in legend
    assert re.findall(r"<b>(\d+)</b>", legend) == ["3", "7", "1"]


def test_marks_of_runs_on_one_day_carry_the_time(as_root, scene: Scene):
    at = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
    Run.objects.filter(ended_at__isnull=False).update(started_at=at - timedelta(days=1))
    for number in range(14):
        began = at + timedelta(hours=number)
        ended = began + timedelta(minutes=1)
        Run.objects.create(server=scene.server, scope="due", asked_from="sweep", started_at=began, ended_at=ended)
    html = as_root.get("/runs/").content.decode()
    marks = re.findall(r'<text[^>]*class="m"[^>]*>([^<]+)<', html[html.index('id="h-outcomes"') :])
    marks = [text.strip() for text in marks]
    assert marks == ["14 Mar, 10:30", "16:30", "22:30"]
