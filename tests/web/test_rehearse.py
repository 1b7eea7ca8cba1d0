"""Rehearse: from a provider to its staging directory, its terms and a rehearsal; and what the log of one says."""

from __future__ import annotations

import pytest
from django.test import Client
from django_q.models import OrmQ

from autossl_panel.autossl import options
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Provider,
    ProviderState,
    Rehearsal,
    RehearsalSite,
)
from autossl_panel.people.models import AuditEntry
from tests.web import rehearsed
from tests.web.scene import Scene
from tests.web.test_pages import check
from tests.web.test_runs import rows as cells


def page(client: Client, query: str = "") -> str:
    return client.get(f"/providers/rehearse/?{query}").content.decode()


def go(client: Client, scene: Scene, **values: str) -> str:
    """What a post shows in the end."""
    answer = client.post("/providers/rehearse/", {"provider": scene.provider.pk, "do": "go", **values}, follow=True)
    return answer.content.decode()


def test_the_providers_page_leads_there(as_root, scene):
    assert 'href="/providers/rehearse/"' in as_root.get("/providers/").content.decode()


def test_an_unknown_directory_is_asked_for_and_read_by_a_worker(as_root, scene):
    Provider.objects.filter(pk=scene.provider.pk).update(stated={})
    html = page(as_root)
    assert "Where this CA lets one rehearse." in html
    assert 'name="agree_terms"' not in html
    values = {"provider": scene.provider.pk, "do": "directory", "directory_url": "http://staging.example"}
    html = as_root.post("/providers/rehearse/", values).content.decode()
    assert "“http://staging.example” is not an https:// address" in html
    assert 'value="http://staging.example"' in html
    assert not OrmQ.objects.exists()
    same = as_root.post("/providers/rehearse/", {**values, "directory_url": scene.provider.directory_url})
    assert "not one to rehearse at" in same.content.decode()
    as_root.post("/providers/rehearse/", {**values, "directory_url": "https://staging.example/dir"})
    made = Provider.objects.get(directory_url="https://staging.example/dir")
    assert (made.name, made.state, made.active) == ("letsencrypt-staging", ProviderState.CHECKING, False)
    assert OrmQ.objects.count() == 1
    html = page(as_root, f"provider={scene.provider.pk}")
    assert 'hx-trigger="every 1s"' in html
    assert "The directory is being read." in html
    Provider.objects.filter(pk=made.pk).update(
        state=ProviderState.REFUSED,
        problem={"field": "directory_url", "code": "unreachable", "text": "Nobody answers."},
    )
    html = page(as_root)
    assert "Nobody answers." in html
    assert "every 1s" not in html


def test_the_terms_there_are_agreed_to_explicitly(as_root, scene):
    row = rehearsed.read(scene)
    assert rehearsed.TERMS in page(as_root)
    html = go(as_root, scene, contact="certs@example.com")
    assert "registers only those who agree to its terms" in html
    assert 'value="certs@example.com"' in html
    assert not Rehearsal.objects.exists()
    html = go(as_root, scene, contact="certs@example.com", agree_terms="yes")
    assert "Rehearsal with Let’s Encrypt" in html
    assert 'hx-trigger="every 2s"' in html
    account = Account.objects.get(provider=row)
    assert (account.status, account.contact, account.use_then) == (
        AccountStatus.REGISTERING,
        "certs@example.com",
        False,
    )
    assert account.terms_agreed_at is not None
    found = Rehearsal.objects.get()
    assert (found.account, found.asked_by, found.sites.count()) == (account, scene.root, 1)
    assert OrmQ.objects.count() == 1
    assert set(AuditEntry.objects.order_by("-pk").values_list("event", flat=True)[:2]) == {
        "provider:registered",
        "rehearsal:started",
    }
    assert "A rehearsal is under way." in page(as_root)
    go(as_root, scene, agree_terms="yes")
    assert Rehearsal.objects.count() == 1, "who asks again lands on the one at work"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"site": "nosuch.example"}, "There is no site “nosuch.example”."),
        ({"site": "not a name"}, "not a name"),
        ({"number": "0"}, "0 is not a number of sites from 1 to 10."),
        ({"number": "eleven"}, "“eleven” is not a number."),
    ],
)
def test_what_cannot_be_taken_is_said_and_stays_typed(values, said, as_root, scene):
    rehearsed.read(scene)
    html = go(as_root, scene, agree_terms="yes", **values)
    assert said in html
    (typed,) = values.values()
    assert f'value="{typed}"' in html
    assert not Rehearsal.objects.exists()


def test_sites_are_of_different_users_and_sound_first(as_root, scene):
    rehearsed.read(scene)
    go(as_root, scene, agree_terms="yes", number="4")
    sites = RehearsalSite.objects.select_related("virtual_host__user")
    assert len({one.virtual_host.user_id for one in sites}) == len(sites) == 4
    assert not [one for one in sites if one.virtual_host.user.name in ("fennimore", "pixelforge")], "AutoSSL is off"
    Rehearsal.objects.update(ended_at=scene.now)
    go(as_root, scene, agree_terms="yes", site="WWW.lindner.example")
    assert RehearsalSite.objects.latest("pk").virtual_host.name == "lindner.example"


def test_one_that_went_through(as_root, scene):
    found = rehearsed.add(scene)
    html = as_root.get(f"/rehearsals/{found.pk}/").content.decode()
    rows = {row[0].split("example")[0] + "example": row for row in cells(html)}
    assert rows["amberfield.example"][1] == "Issued"
    assert "2 certificates in the chain" in rows["amberfield.example"][3]
    assert "No name passed domain control validation" in rows["northwind.example"][3]
    assert "left out: points to another server" in rows["northwind.example"][2]
    assert "2 of 3 issued" in html
    assert "looked at and thrown away" in html
    assert 'id="rehearsal" aria-labelledby="h">' in html, "it is asked for no more"


def test_the_lists(as_root, scene):
    assert "No rehearsal yet" in page(as_root)
    assert "No rehearsal yet" in as_root.get("/rehearsals/").content.decode()
    rehearsed.add(scene)
    for html in (page(as_root), as_root.get("/rehearsals/").content.decode()):
        assert [row[1] for row in cells(html)] == ["2 of 3 issued", "Stopped"]
    html = as_root.get("/runs/").content.decode()
    assert '<a class="chip" href="/rehearsals/">Rehearsals</a>' in html
    stopped = Rehearsal.objects.get(problem__isnull=False)
    assert "The CA cannot be reached: Connection refused." in as_root.get(f"/rehearsals/{stopped.pk}/").content.decode()


def test_the_card_alone_is_polled(as_root, scene):
    found = rehearsed.add(scene)
    Rehearsal.objects.filter(pk=found.pk).update(ended_at=None)
    html = as_root.get(f"/rehearsals/{found.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert html.lstrip().startswith("<section")
    assert 'hx-trigger="every 2s"' in html


def test_resellers_see_nothing_of_it(as_reseller, scene):
    rehearsed.add(scene)
    assert "Rehearsals" not in as_reseller.get("/runs/").content.decode()


@pytest.mark.parametrize("why", ["No provider is chosen.", "AutoSSL is paused."])
def test_while_autossl_stands_still_one_rehearses_all_the_same(as_root, scene: Scene, why: str):
    assert 'id="rehearse-anyway"' not in page(as_root)
    if why == "AutoSSL is paused.":
        options.pause(scene.server, by=None, now=scene.now)
    else:
        Provider.objects.update(active=False)
    html = page(as_root, f"provider={scene.provider.pk}")
    check(html)
    note = html.split('id="rehearse-anyway"')[1].split("</div>", maxsplit=1)[0]
    assert why in note
    assert "A rehearsal can be made all the same" in note
