"""A site's own page: names with their reasons, the certificate with its proof, the history; and what one does there."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from autossl_panel.autossl.models import Certificate, Installation, Job, JobState, Run
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, SiteState, VirtualHost
from autossl_panel.people.models import AuditEntry
from autossl_panel.web import words
from tests.web.scene import Scene
from tests.web.test_pages import check as check_html


def host(name: str) -> VirtualHost:
    return VirtualHost.objects.get(name=name)


def installed(name: str) -> Certificate:
    return Installation.objects.get(virtual_host__name=name, until=None).certificate


def url(name: str) -> str:
    return f"/certificates/{host(name).pk}/"


def text(client, name: str) -> str:
    html = client.get(url(name)).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html[html.index('class="detail-g"') :]))


def ticks(client, name: str) -> list[str]:
    html = client.get(url(name)).content.decode()
    listed = html[html.index('class="ticks"') : html.index("</ul>", html.index('class="ticks"'))]
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", one)).strip() for one in re.findall(r"<li>(.*?)</li>", listed)]


def test_the_certificate_and_its_proof(as_root, troubled: Scene):
    said = text(as_root, "junipershop.example")
    assert "Names, 2 of 2 covered" in said
    assert "Chain E8, then ISRG Root X1" in said
    assert re.search(r"Valid \d+ \w+ \d{4} to \d+ \w+ \d{4}", said)
    assert "Key P-256 · profile classic" in said
    assert re.search(r"CA’s window .* to .*, drawn: ", said)
    assert "by 5 handshakes in a row with ECDSA at 203.0.113.10:443" in said
    assert "Next step Renews" in said
    assert "By the CA’s hint (ARI)" in said
    assert "The private key never leaves the server." in said


def test_a_serial_is_shown_in_pairs(as_root, troubled: Scene):
    certificate = installed("junipershop.example")
    Certificate.objects.filter(pk=certificate.pk).update(serial="4a17c09e3")
    assert "04:a1:7c:09:e3" in text(as_root, "junipershop.example")


def test_what_was_only_read_is_not_called_shaken(as_root, troubled: Scene):
    assert "without a handshake of ours" in text(as_root, "camping2.dockside.example")


def test_handshakes_that_showed_another_certificate_prove_nothing(as_root, troubled: Scene):
    one = Installation.objects.get(virtual_host__name="junipershop.example", until=None)
    one.evidence = [{**one.evidence[0], "serial": "bad"}]
    one.save()
    assert "handshakes in a row" not in text(as_root, "junipershop.example")


def test_each_name_has_its_state_and_reason(as_root, troubled: Scene):
    lindner = host("lindner.example")
    Exclusion.objects.create(user=lindner.user, name="mail.lindner.example", at=troubled.now)
    for place, name in enumerate(("mail", "dev", "db", "new"), 2):
        lindner.domains.create(name=f"{name}.lindner.example", position=place)
    lindner.domains.filter(name="db.lindner.example").update(unfit="not_public")
    ExclusionPattern.objects.create(server=troubled.server, pattern="dev.*", at=troubled.now)
    ExclusionPattern.objects.create(server=troubled.server, pattern="n?w.nobody", at=troubled.now)
    assert ticks(as_root, "lindner.example") == [
        "lindner.example",
        "www.lindner.example At risk: the connection timed out",
        "mail.lindner.example Excluded",
        "dev.lindner.example Excluded by the pattern dev.*",
        "db.lindner.example Not a public name",
        "new.lindner.example Not covered yet",
    ]
    assert ticks(as_root, "cedarworks.example")[1].startswith("www.cedarworks.example Left out quietly: the name")
    assert ticks(as_root, "brandtlaw.example")[0] == "brandtlaw.example A CAA record forbids the CA"


def test_reasons_lead_to_their_problem(as_root, troubled: Scene):
    html = as_root.get(url("brandtlaw.example")).content.decode()
    cause = host("brandtlaw.example").problems.get(name="brandtlaw.example").cause
    assert f'href="/problems/{cause}/"' in html
    quiet = as_root.get(url("cedarworks.example")).content.decode()
    address = re.search(r'href="(/problems/[^"]*kind=quiet)"', quiet)[1]
    assert as_root.get(address).status_code == 200


def test_the_history_of_certificates_and_runs(as_root, troubled: Scene):
    said = text(as_root, "junipershop.example")
    history = said[said.index("History") :]
    run = Job.objects.get(virtual_host__name="junipershop.example").run_id
    places = [
        history.index(f"renewed in run {run}"),
        history.index("extended by www.junipershop.example"),
        history.index("first certificate"),
    ]
    assert places == sorted(places)
    assert f"renewal deferred, because a covered name fails in run {troubled.past.pk}" in text(
        as_root, "lindner.example"
    )
    assert "failed: " in text(as_root, "brandtlaw.example")
    Job.objects.filter(run=troubled.past).update(ended_at=timezone.now() - timedelta(seconds=5))
    assert "just now, failed: " in text(as_root, "brandtlaw.example"), "when, where the day alone would be all the same"
    assert "Sectigo Limited, put there by somebody else" in text(as_root, "camping2.dockside.example")


def test_an_earlier_certificate_that_is_still_good_is_revoked_from_the_history(as_root, troubled: Scene):
    juniper = host("junipershop.example")
    first, *_others, current = Installation.objects.filter(virtual_host=juniper).order_by("since")
    earlier = first.certificate
    assert earlier != current.certificate
    Certificate.objects.filter(pk=earlier.pk).update(not_after=troubled.now - timedelta(days=1))
    address = f"/certificates/issued/{earlier.pk}/revoke/"
    assert f'href="{address}"' not in as_root.get(url(juniper.name)).content.decode(), "nobody can use it any more"
    provider = current.certificate.provider
    Certificate.objects.filter(pk=earlier.pk).update(not_after=troubled.now + timedelta(days=9), provider=provider)
    assert f'href="{address}"' in as_root.get(url(juniper.name)).content.decode()
    assert "good until" in text(as_root, juniper.name)
    assert as_root.post(address, {"reason": "keyCompromise"}).status_code == 302
    html = as_root.get(url(juniper.name)).content.decode()
    assert f'href="{address}"' not in html
    assert "the CA is being asked to revoke it" in html
    news = re.search(r"news=(\w+)", html)
    assert news is not None, "the page asks what becomes of it"
    Certificate.objects.filter(pk=earlier.pk).update(
        revoke_wish=None, revoke_problem={"code": "malformed", "text": "No"}
    )
    html = as_root.get(url(juniper.name)).content.decode()
    assert f'href="{address}"' in html
    assert "Not revoked:" in html
    Certificate.objects.filter(pk=earlier.pk).update(revoked_at=troubled.now - timedelta(days=2))
    assert "revoked " in text(as_root, juniper.name)
    assert f'href="{address}"' not in as_root.get(url(juniper.name)).content.decode()


def test_an_expired_certificate_offers_no_revocation(as_root, troubled: Scene):
    certificate = installed("junipershop.example")
    address = f"/certificates/issued/{certificate.pk}/revoke/"
    assert address in as_root.get(url("junipershop.example")).content.decode()
    Certificate.objects.filter(pk=certificate.pk).update(not_after=troubled.now - timedelta(days=1))
    assert address not in as_root.get(url("junipershop.example")).content.decode()


def test_what_became_of_orders_and_of_a_certificate_that_went(as_root, troubled: Scene):
    juniper = host("junipershop.example")
    juniper.orders.filter(reason="coverage").update(closed_as="quarantined", certificate=None)
    current = Installation.objects.get(virtual_host=juniper, until=None)
    Installation.objects.filter(pk=current.pk).update(until=troubled.now - timedelta(hours=1))
    said = text(as_root, "junipershop.example")
    assert "the web server refused the certificate" in said
    assert "no certificate is configured from then on" in said
    assert "Installed None" in said


def test_a_row_opens_it_without_the_page_around(as_root, troubled: Scene):
    html = as_root.get(url("junipershop.example"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in html
    assert "ISRG Root X1" in html


def test_what_nobody_can_do_is_not_offered(as_root, troubled: Scene):
    off = as_root.get(url("pixelforge.example")).content.decode()
    assert "Check now" not in off
    foreign = as_root.get(url("camping2.dockside.example")).content.decode()
    assert "Revoke" not in foreign
    assert "Let AutoSSL take over" in foreign
    assert "Let AutoSSL take over" not in as_root.get(url("junipershop.example")).content.decode()
    bare = as_root.get(url("brandtlaw.example")).content.decode()
    assert "Certificate and chain" not in bare


def test_check_now_is_a_run_of_the_sites_user(as_reseller, troubled: Scene):
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=troubled.now)
    answer = as_reseller.post(f"{url('dockside.example')}check/")
    run = Run.objects.get(ended_at=None)
    assert (run.scope, run.asked_by, run.asked_from) == ("user:dockside", troubled.harborweb, "panel")
    assert answer["Location"].partition("?")[0] == f"/runs/{run.pk}/"


def test_a_site_is_taken_over_and_left_again(as_root, troubled: Scene):
    page = url("camping2.dockside.example")
    answer = as_root.post(f"{page}takeover/", {"on": "1"}, follow=True)
    assert "AutoSSL takes camping2.dockside.example over when its certificate is defective" in answer.content.decode()
    assert host("camping2.dockside.example").takeover
    assert "Leave it to its owner" in as_root.get(page).content.decode()
    entry = AuditEntry.objects.get(event="site:takeover")
    assert (entry.person, entry.subject, entry.after) == (
        troubled.root,
        "camping2.dockside.example",
        {"takeover": True},
    )
    as_root.post(f"{page}takeover/", {"on": "1"})
    assert AuditEntry.objects.filter(event="site:takeover").count() == 1, "nothing changed"
    as_root.post(f"{page}takeover/", {"on": "0"})
    assert not host("camping2.dockside.example").takeover


def test_the_chain_is_taken_along(as_root, as_reseller, troubled: Scene):
    certificate = installed("junipershop.example")
    answer = as_root.get(f"/certificates/issued/{certificate.pk}/chain.pem")
    assert answer["Content-Type"] == "application/x-pem-file"
    assert 'filename="junipershop.example-' in answer["Content-Disposition"]
    assert answer.content.count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" not in answer.content
    assert as_reseller.get(f"/certificates/issued/{certificate.pk}/chain.pem").status_code == 404
    Certificate.objects.filter(pk=certificate.pk).update(names=['*.a"b\r\nX: y'])
    hostile = as_root.get(f"/certificates/issued/{certificate.pk}/chain.pem")["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="[a-z0-9_.-]+\.pem"', hostile)


def test_revoking_asks_why_and_warns(as_root, troubled: Scene):
    certificate = installed("junipershop.example")
    page = f"/certificates/issued/{certificate.pk}/revoke/"
    html = as_root.get(page).content.decode()
    assert "junipershop.example uses it now." in html
    assert "Visitors see a warning" in html
    assert html.count('type="radio"') == 4
    assert "<html" not in as_root.get(page, headers={"HX-Request": "true"}).content.decode()
    old = Certificate.objects.get(serial__startswith="4a17c09e352b8444b")
    assert "No site uses it now." in as_root.get(f"/certificates/issued/{old.pk}/revoke/").content.decode()


@pytest.mark.parametrize("reason", ["", "x", "1", "affiliationChanged", "cACompromise"])
def test_without_a_reason_nothing_is_revoked(reason, as_root, troubled: Scene):
    certificate = installed("junipershop.example")
    answer = as_root.post(f"/certificates/issued/{certificate.pk}/revoke/", {"reason": reason})
    assert "Choose a reason. Nothing was revoked." in answer.content.decode()
    certificate.refresh_from_db()
    assert certificate.revoke_wish is None


def test_revoking_is_a_wish_that_a_worker_fulfils(as_root, troubled: Scene):
    certificate = installed("junipershop.example")
    before = OrmQ.objects.count()
    answer = as_root.post(f"/certificates/issued/{certificate.pk}/revoke/", {"reason": "keyCompromise"}, follow=True)
    html = answer.content.decode()
    assert answer.redirect_chain[0][0] == url("junipershop.example")
    assert "The CA is being asked to revoke" in html
    assert "asked for by root; a worker does it" in html
    assert f'id="revoke-{host("junipershop.example").pk}"' not in html
    certificate.refresh_from_db()
    assert certificate.revoke_wish["reason"] == 1
    assert OrmQ.objects.count() == before + 1
    assert AuditEntry.objects.filter(event__startswith="certificate:revo", person=troubled.root).exists()


def follows(html: str) -> str:
    """What the page asks for every two seconds; "" where it asks for nothing."""
    found = re.search(r'id="detail" hx-get="([^"]*)" hx-trigger="every 2s"', html)
    return found[1] if found else ""


def test_a_page_follows_what_a_worker_does_for_the_site_and_changes_with_news_only(as_root, troubled: Scene):
    page, certificate = url("junipershop.example"), installed("junipershop.example")
    Job.objects.exclude(state=JobState.ENDED).filter(virtual_host=host("junipershop.example")).delete()
    assert follows(as_root.get(page).content.decode()) == ""
    as_root.post(f"/certificates/issued/{certificate.pk}/revoke/", {"reason": "superseded"})
    asked = follows(as_root.get(page).content.decode())
    assert asked.startswith(f"{page}?news=")
    headers = {"HX-Request": "true", "HX-Target": "detail"}
    answer = as_root.get(asked, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    Certificate.objects.filter(pk=certificate.pk).update(
        revoke_problem={"code": "unreachable", "text": "127.0.0.9 refuses connections.", "until": None}
    )
    html = as_root.get(asked, headers=headers).content.decode()
    later = follows(html)
    assert later.startswith(f"{page}?news=")
    assert later != asked
    assert "refuses connections" in html
    Certificate.objects.filter(pk=certificate.pk).update(revoked_at=troubled.now, revoke_wish=None, revoke_problem=None)
    html = as_root.get(later, headers=headers).content.decode()
    assert 'id="detail"' in html
    assert follows(html) == "", "there is nothing more to wait for"
    assert '<span id="site-state" hx-swap-oob="true">' in html
    assert ">Revoked</dt>" in html


def test_a_revoked_certificate_and_a_revocation_that_failed_are_told(as_root, troubled: Scene):
    rows = Certificate.objects.filter(pk=installed("junipershop.example").pk)
    rows.update(revoke_wish={"reason": 1, "by": "root"}, revoke_problem={"code": "ca", "text": "The CA says <no>."})
    html = as_root.get(url("junipershop.example")).content.decode()
    assert "The CA says &lt;no&gt;." in html
    rows.update(revoked_at=troubled.now, revoke_wish=None, revoke_problem=None)
    assert "Revoked" in text(as_root, "junipershop.example")


def test_anothers_certificate_is_not_ours_to_revoke(as_root, troubled: Scene):
    certificate = installed("camping2.dockside.example")
    answer = as_root.post(f"/certificates/issued/{certificate.pk}/revoke/", {"reason": "keyCompromise"})
    assert answer.status_code == 200
    certificate.refresh_from_db()
    assert certificate.revoke_wish is None


def test_a_site_that_is_gone_still_has_its_page(as_root, troubled: Scene):
    rows = VirtualHost.objects.filter(name="junipershop.example")
    rows.update(state=SiteState.GONE, gone_at=troubled.now, next_at=None)
    assert "Site removed on" in text(as_root, "junipershop.example")


def test_it_asks_few_questions(as_root, as_reseller, troubled: Scene):
    for client, name in ((as_root, "junipershop.example"), (as_reseller, "northwind.example")):
        page = url(name)
        with CaptureQueriesContext(connection) as queries:
            client.get(page)
        assert len(queries) <= 15


def test_a_private_ca_takes_names_that_are_not_public(as_root, troubled: Scene):
    brandt = host("brandtlaw.example")
    brandt.domains.create(name="new.brandtlaw.example", position=5, unfit="not_public")
    assert "new.brandtlaw.example Not a public name" in ticks(as_root, "brandtlaw.example")
    type(troubled.provider).objects.filter(pk=troubled.provider.pk).update(private_ca=True)
    assert "new.brandtlaw.example Not covered yet" in ticks(as_root, "brandtlaw.example")


def test_what_ails_the_whole_site_is_said_of_its_names_and_mended_there(as_root, as_reseller, troubled: Scene):
    """An expired certificate from elsewhere: each name says so, and the page says what to do."""
    camping = host("camping2.dockside.example")
    told = {"defects": ["expired"], "not_after": "2026-11-13T00:00:00+00:00"}
    camping.problem = {"code": "foreign_defective", "domain": camping.name, "data": told}
    camping.names_covered = 0
    camping.save()
    camping.problems.all().delete()
    camping.problems.create(
        user=camping.user, name=camping.name, code="foreign_defective", cause="foreign_defective-1",
        since=troubled.now, data={"name": camping.name, **told},
    )  # fmt: skip
    options_tab = "for all such sites “Foreign certificates” on the Options tab"
    for client in (as_root, as_reseller):
        assert ticks(client, camping.name)[0].endswith("certificate, which has expired")
        said = text(client, camping.name)
        assert "What to do" in said
        assert "whoever runs this server" not in said, "these read it, and may"
        assert (options_tab in said) == (client is as_root)
        assert f"takeover {camping.name}" not in said, "a command is nothing for a page"
        assert "Let AutoSSL take over" in said
    camping.takeover = True
    camping.save()
    said = text(as_root, camping.name)
    assert "Let AutoSSL take over" not in said, "it is done"
    assert "Nothing more: AutoSSL may take it over" in said
    assert "Nothing more: AutoSSL may take it over" in as_root.get("/problems/foreign_defective-1/").content.decode()


def test_a_reseller_does_not_read_files_of_the_server_in_what_to_do(as_root, as_reseller, troubled: Scene):
    camping = host("camping2.dockside.example")
    camping.problem = {"code": "foreign_broken", "domain": camping.name, "data": {"text": "secret.conf is broken"}}
    camping.save()
    assert "secret.conf" in text(as_root, camping.name)
    assert "secret.conf" not in text(as_reseller, camping.name)


def test_a_revocation_that_could_not_be_sent_says_so_and_is_sent_again(as_root, troubled: Scene):
    rows = Certificate.objects.filter(pk=installed("junipershop.example").pk)
    again = (troubled.now + timedelta(minutes=8)).isoformat()
    rows.update(
        revoke_wish={"reason": 3, "by": "root"},
        revoke_problem={"code": "unreachable", "text": "127.31.238.1 refuses connections.", "until": again},
    )
    html = as_root.get(url("junipershop.example")).content.decode()
    check_html(html)
    said = " ".join(re.sub(r"<[^>]+>", "", html).split())
    when = words.moment(troubled.now + timedelta(minutes=8), troubled.now)
    assert f"Asked for by root, not sent yet; next try {when}." in said
    assert "cannot be reached from this server: 127.31.238.1 refuses connections." in said
    assert f"Revocation, next try {when}" in said
    assert "Renews" not in said[said.index("Next step") :]
    assert "Send the revocation now" in said
    path = f"/certificates/issued/{rows.get().pk}/revoke/"
    hidden = re.search(r'name="reason" value="(\w+)"><button', html)
    assert hidden
    assert hidden[1] == "affiliationChanged", "the reason that was given by command is kept"
    as_root.post(path, {"reason": hidden[1]})
    row = rows.get()
    assert (row.revoke_wish["reason"], row.revoke_problem) == (3, None)
    rows.update(revoke_wish=None, revoke_problem={"code": "malformed", "text": "Unknown serial.", "until": None})
    said = text(as_root, "junipershop.example")
    assert "Not revoked: Unknown serial. You may ask once more, below." in said
