"""Pausing AutoSSL with what it means, and what stands above every page while something holds it up."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import options
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Job,
    JobState,
    Provider,
    ProviderChoice,
    ProviderState,
    Run,
)
from autossl_panel.hosting.models import FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import AuditEntry, Role
from tests.web.scene import Scene, person
from tests.web.test_pages import check

PAUSED = "AutoSSL is paused on this server."


def text(client, url: str = "/users/") -> str:
    return client.get(url).content.decode()


def test_it_asks_with_what_follows_in_numbers(as_root, scene: Scene):
    html = text(as_root, "/pause/")
    check(html)
    assert "Pause AutoSSL on this server?" in html
    assert "<b>1 certificate expires within 30 days</b> if AutoSSL stays paused: on" in html
    n = scene.live.jobs.filter(state__in=(JobState.RUNNING, JobState.STAGED)).count()
    assert f"<b>{n} sites in hand finish their step;</b>" in html
    part = as_root.get("/pause/", headers={"HX-Request": "true"}).content.decode()
    assert "<h1" not in part
    assert "Keep it running" in part


def test_a_pause_is_everybodys_to_read_and_roots_to_end(as_root, as_reseller, scene: Scene, signed_in):
    assert as_root.post("/pause/")["Location"] == "/users/"
    assert options.current(scene.server).paused_by == scene.root
    login = person("northwind", Role.USER)
    HostingUser.objects.filter(name="northwind").update(login=login)
    for url in ("/users/", "/runs/", "/options/", "/providers/", "/security/", "/people/", "/people/audit/"):
        html = text(as_root, url)
        check(html)
        assert PAUSED in html, url
        assert "Paused by root just now" in " ".join(html.replace("</time>", "").split()) or "Paused by root" in html
        assert 'action="/pause/resume/"' in html, url
    for client, words in ((as_reseller, "Root can change this."), (signed_in(login), "Your host can change this.")):
        for url in ("/runs/", "/security/"):
            html = text(client, url)
            check(html)
            assert PAUSED in html, url
            assert words in html
            assert "/pause/" not in html
    html = as_root.post("/pause/", follow=True).content.decode()
    assert "AutoSSL was paused already." in html


def test_resuming_makes_what_was_held_due(as_root, scene: Scene):
    options.pause(scene.server, by=None, now=scene.now)
    VirtualHost.objects.filter(user__name="brandtlaw").update(next_reason="paused", next_at=None)
    html = text(as_root, "/pause/")
    check(html)
    assert "Resume AutoSSL?" in html
    assert "<b>2 sites were held</b>" in html
    assert "Paused by a command" in html
    html = as_root.post("/pause/resume/", follow=True).content.decode()
    assert "AutoSSL is resumed." in html
    assert PAUSED not in html
    assert VirtualHost.objects.filter(next_reason="changed").count() == 2
    assert AuditEntry.objects.filter(event="autossl:resumed", person=scene.root).exists()
    assert "AutoSSL was not paused." in as_root.post("/pause/resume/", follow=True).content.decode()


def test_while_paused_no_page_names_a_moment_and_a_run_says_that_it_was_held(as_root, as_reseller, troubled: Scene):
    options.pause(troubled.server, by=None, now=troubled.now)
    Run.objects.update(ended_at=troubled.now)
    Job.objects.all().delete()
    untils = re.findall(r'<td data-l="Until">(.*?)</td>', text(as_root, "/pending/?size=100"))
    assert untils
    assert set(untils) <= {'<span class="dim">until AutoSSL is resumed</span>'}
    card = re.search(r"<dt>Next try</dt>\s*<dd>(.*?)</dd>", text(as_root, "/problems/"))
    assert card is not None
    assert card[1] == "AutoSSL is paused."
    for client in (as_root, as_reseller):
        html = text(client, "/users/")
        assert '<button class="btn lg" id="run-now">' in html
        assert "a run looks at the sites and orders nothing" in html
    held = Run.objects.create(
        server=troubled.server,
        scope="*",
        started_at=troubled.now,
        surveyed_at=troubled.now,
        ended_at=troubled.now,
        counts={"kept": 2, "paused": 1},
    )
    html = text(as_root, f"/runs/{held.pk}/")
    check(html)
    assert ", AutoSSL was paused" in html
    assert "what needed a certificate was held." in html
    assert '<span class="badge ok">' not in html
    assert '<span class="tag">paused</span>' in text(as_root, "/runs/")


def test_while_a_run_lives_it_can_be_paused_and_says_what_becomes_of_it(as_root, as_reseller, scene: Scene):
    for url in ("/users/", "/runs/slot/", f"/runs/{scene.live.pk}/"):
        assert text(as_root, url).count('href="/pause/?next=') == 1, url
        assert "/pause/" not in text(as_reseller, url)
    as_root.post("/pause/")
    for url in ("/users/", "/runs/slot/"):
        assert 'id="pause"' not in text(as_root, url)
    page, poll = (text(as_root, f"/runs/{scene.live.pk}/{end}") for end in ("", "live/"))
    check(page)
    for html in (page, poll):
        assert "what is in hand finishes its step" in html
        assert "Pausing, " in html
        assert "the run goes on" not in html
    Run.objects.update(ended_at=scene.now)
    assert "what is in hand finishes" not in text(as_root, f"/runs/{scene.live.pk}/")


def test_the_button_stands_beside_the_run_and_only_root_has_it(as_root, as_reseller, scene: Scene):
    Run.objects.update(ended_at=scene.now)
    assert 'id="pause"' in text(as_root)
    assert 'id="pause"' in text(as_root, "/runs/slot/")
    assert 'id="pause"' not in text(as_reseller)
    Account.objects.all().delete()
    assert 'id="pause"' not in text(as_root), "nothing runs without a provider"


TROUBLES = [
    (
        {"down_until": timedelta(minutes=4), "down_problem": {"code": "ca_server", "text": "It said <503>."}},
        "Let’s Encrypt fails.",
        "It said &lt;503&gt;. Meanwhile orders go to the fallback providers",
    ),
    (
        {"status": AccountStatus.REFUSED, "problem": {"field": "provider", "code": "account", "text": "Revoked."}},
        "Let’s Encrypt refuses this server’s account.",
        "Revoked. Its orders wait.",
    ),
    (
        {"problem": {"field": "agree_terms", "code": "terms_changed", "text": "…", "link": ""}},
        "Let’s Encrypt changed its terms of service.",
        "Read and agree",
    ),
    (
        {"problem": {"field": "provider", "code": "account_gone", "text": "Unknown account.", "link": ""}},
        "Let’s Encrypt has something against this server’s account.",
        "Unknown account.",
    ),
]


@pytest.mark.parametrize(("fields", "fact", "rest"), TROUBLES)
def test_trouble_of_the_provider_is_told_to_root(fields, fact, rest, as_root, as_reseller, scene: Scene):
    values = dict(fields)
    if "down_until" in values:
        values["down_until"] = scene.now + values["down_until"]
        values["down_since"] = scene.now
    assert fact not in text(as_root)
    Account.objects.filter(provider=scene.provider).update(**values)
    html = text(as_root)
    check(html)
    assert fact in html
    assert rest in html
    assert fact not in text(as_reseller)


@pytest.mark.parametrize(("fields", "fact", "rest"), TROUBLES)
@pytest.mark.parametrize("had_by", ["a user", "the fallback order"])
def test_trouble_of_a_provider_that_is_not_the_active_one_is_told_where_somebody_has_it(
    fields, fact, rest, had_by, as_root, as_reseller, scene: Scene
):
    own = Provider.objects.create(name="b-own", directory_url="https://b.example/dir", state=ProviderState.READY)
    values = {"status": AccountStatus.VALID, "url": "https://b.example/1", **fields}
    if "down_until" in values:
        values |= {"down_until": scene.now + values["down_until"], "down_since": scene.now}
    Account.objects.create(provider=own, server=scene.server, **values)
    fact = fact.replace("Let’s Encrypt", "b-own")
    assert fact not in text(as_root), "nobody has it"
    if had_by == "a user":
        ProviderChoice.objects.create(provider=own, user=HostingUser.objects.get(name="amberfield"))
    else:
        Provider.objects.filter(pk=own.pk).update(fallback=1)
    html = text(as_root)
    check(html)
    assert fact in html
    assert rest in html
    assert f'href="/providers/?choose={own.pk}"' in html
    assert "Let’s Encrypt fails" not in html
    assert fact not in text(as_reseller)
    if values.get("problem") and values["status"] == AccountStatus.VALID:
        html = text(as_root, f"/providers/?choose={own.pk}")
        check(html)
        assert "Trouble with its account" in html
        assert values["problem"]["text"] in html
        assert f'name="only-{own.pk}" checked' in html, "mending it does not make it everybody's"


@pytest.mark.parametrize("had_by", ["a feature list", "the fallback order", "nobody"])
def test_a_directory_that_was_asked_in_vain_is_told_whoever_has_its_provider(had_by, as_root, scene: Scene):
    answer = {
        "at": scene.now.isoformat(),
        "ms": None,
        "code": "unreachable",
        "type": "timeout",
        "text": "b.example: no",
    }
    own = Provider.objects.create(
        name="b-own",
        directory_url="https://b.example/dir",
        state=ProviderState.READY,
        answer=answer,
        fallback=1 if had_by == "the fallback order" else None,
    )
    Account.objects.create(provider=own, server=scene.server, status=AccountStatus.VALID, url="https://b.example/1")
    if had_by == "a feature list":
        ProviderChoice.objects.create(provider=own, feature_list=FeatureList.objects.get(name="starter"))
    what_to_do = "Check that this server’s firewall and network let it out to that address and port."
    told = "b-own: its directory could not be read."
    assert (told in text(as_root)) == (had_by != "nobody")
    html = text(as_root, f"/providers/?choose={own.pk}")
    check(html)
    of_it = html[html.index(f'name="provider" value="{own.pk}"') :]
    of_it = of_it[: of_it.index('class="prov-acts"')]
    assert "It did not answer in time" in of_it
    assert what_to_do in of_it
    if had_by == "the fallback order":
        order = html[html.index('<ol class="order">') : html.index("</ol>")]
        assert "It did not answer in time" in order
        assert what_to_do in order
        assert "works" not in order
    Provider.objects.filter(pk=own.pk).update(answer={**answer, "ms": 84})
    html = text(as_root, f"/providers/?choose={own.pk}")
    assert told not in html
    assert "It did not answer in time" not in html


def test_what_a_worker_is_at_is_no_trouble_yet(as_root, scene: Scene):
    problem = {"field": "provider", "code": "account", "text": "Old."}
    Account.objects.filter(provider=scene.provider).update(status=AccountStatus.REGISTERING, problem=problem)
    assert "Old." not in text(as_root)


def test_trouble_of_the_server_is_told_to_root_with_what_to_do(as_root, as_reseller, scene: Scene):
    scene.server.trouble = [
        {"code": "clock", "since": scene.now.isoformat(), "names": 0, "data": {"seconds": "900"}},
        {"code": "no_route", "since": scene.now.isoformat(), "names": 14, "data": {"family": "IPv6"}},
        {"code": "helper_gone", "since": scene.now.isoformat(), "names": 1, "data": {}},
    ]
    scene.server.save()
    html = text(as_root)
    check(html)
    assert html.count("Trouble of this server:") == 3
    assert "more than five minutes off" in html
    assert "14 names could not be judged. This server has no IPv6 connection" in html
    assert "1 name could not be judged. The helper does not answer" in html
    assert "Trouble of this server" not in text(as_reseller)


def test_what_is_told_costs_no_question(as_root, scene: Scene):
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_root.get("/users/")
        return len(queries)

    as_root.get("/users/")
    before = asked()
    options.pause(scene.server, by=scene.root, now=scene.now)
    Account.objects.update(down_since=scene.now, down_until=scene.now + timedelta(hours=1))
    scene.server.trouble = [{"code": "clock", "since": scene.now.isoformat(), "names": 0, "data": {}}]
    scene.server.save()
    assert asked() == before


PAGE = "/certificates/?state=partly"


def test_the_acts_of_the_header_come_back_to_the_page_they_were_on(as_root, scene: Scene):
    quoted = "/certificates/%3Fstate%3Dpartly"
    html = text(as_root, PAGE)
    check(html)
    assert f'href="/pause/?next={quoted}"' in html
    assert f'href="/runs/{scene.live.pk}/cancel/?next={quoted}"' in html
    poll = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{PAGE}"}
    slot = as_root.get("/runs/slot/", headers=poll).content.decode()
    assert slot.count(f"?next={quoted}") == 2, "also once the slot was polled"
    for asked in (as_root.get(f"/pause/?next={quoted}"), as_root.get("/pause/", headers=poll)):
        html = asked.content.decode()
        assert f'<input type="hidden" name="next" value="{PAGE}">' in html
        assert f'class="btn" href="{PAGE}"' in html
    assert as_root.post("/pause/", {"next": PAGE})["Location"] == PAGE
    html = text(as_root, PAGE)
    assert f'<input type="hidden" name="next" value="{PAGE}">' in html.split('action="/pause/resume/"')[1][:300]
    assert as_root.post("/pause/resume/", {"next": PAGE})["Location"] == PAGE
    cancel = f"/runs/{scene.live.pk}/cancel/"
    assert f'name="next" value="{PAGE}"' in text(as_root, f"{cancel}?next={quoted}")
    assert as_root.post(cancel, {"next": PAGE})["Location"] == PAGE


def test_a_question_is_asked_on_the_page_before_it(as_root, scene: Scene):
    html = text(as_root, "/pause/?next=/certificates/")
    assert 'href="/pause/?next=/certificates/"' in html, "not of a page that has asked already"


@pytest.mark.parametrize("away", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", "users"])
def test_no_act_leads_out_of_the_panel(away, as_root):
    assert as_root.post("/pause/", {"next": away})["Location"] == "/users/"
    assert as_root.post("/pause/resume/", {"next": away})["Location"] == "/users/"
