"""The account on the Providers tab: what is told of it, another key, a new registration, terms agreed to again."""

from datetime import timedelta

import pytest
from django_q.models import OrmQ

from autossl_panel.autossl.models import Account, AccountStatus, Order, Provider, ProviderState
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people.models import AuditEntry
from tests.web import provider_scene
from tests.web.provider_scene import Made
from tests.web.scene import Scene


@pytest.fixture
def made(scene: Scene) -> Made:
    return provider_scene.build(scene)


def text(client, url: str = "/providers/") -> str:
    return client.get(url).content.decode()


def url_of(made: Made, act: str) -> str:
    return f"/providers/{made.account.provider_id}/{act}/"


def set_account(made: Made, **fields: object) -> None:
    Account.objects.filter(pk=made.account.pk).update(**fields)


def test_the_card_says_who_agreed_which_key_and_how_fast_the_ca_answered(as_root, made: Made):
    html = text(as_root)
    assert '<dd class="mono" title="https://acme-v02.api.letsencrypt.org/acme/acct/1834420671">1834420671</dd>' in html
    assert "agreed to by root on" in html
    assert "Zk0p1xq7s3nT2uVb…" in html
    assert "answered in 84 ms" in html


def test_a_directory_that_does_not_answer_is_told(as_root, scene: Scene, made: Made):
    answer = {"at": scene.now.isoformat(), "ms": None, "text": "ca.example does not answer: connection refused."}
    Provider.objects.filter(active=True).update(answer=answer)
    html = text(as_root)
    assert "ca.example does not answer: connection refused." in html
    assert "answered in" not in html


def test_another_key_is_asked_for_and_followed(as_root, made: Made):
    assert as_root.post(url_of(made, "roll"))["Location"] == f"/providers/?choose={made.account.provider_id}"
    assert Account.objects.get(pk=made.account.pk).wish == {"do": "roll", "by": "root"}
    assert OrmQ.objects.count() == 1
    assert "The account key is being changed." in text(as_root)
    poll = f"{url_of(made, 'state')}?doing=roll"
    assert "The account key is being changed." in text(as_root, poll)
    set_account(made, wish=None)
    assert as_root.get(poll).status_code == 204
    assert "The account has another key." in text(as_root)


def test_a_key_that_could_not_be_changed_is_told_and_not_said_to_be_done(as_root, made: Made):
    as_root.post(url_of(made, "roll"))
    problem = {"field": "provider", "code": "roll", "text": "The CA answered 500.", "link": ""}
    set_account(made, wish=None, problem=problem)
    assert as_root.get(f"{url_of(made, 'state')}?doing=roll").status_code == 204
    html = text(as_root)
    assert "The CA answered 500." in html
    assert "The account still has its old key." in html
    assert "The account has another key." not in html


def test_two_wishes_at_once_are_refused_with_the_reason(as_root, made: Made):
    set_account(made, wish={"do": "anew", "by": "root"})
    html = as_root.post(url_of(made, "roll"), follow=True).content.decode()
    assert "Something else is being done with this account." in html


def test_a_new_account_says_what_follows_and_needs_the_terms(as_root, scene: Scene, made: Made):
    host = VirtualHost.objects.get(name="amberfield.example")
    Order.objects.create(
        ident="o-1", virtual_host=host, provider=scene.provider, account=made.account, names=[host.name],
        reason="missing", key_type="p256", created_at=scene.now,
    )  # fmt: skip
    html = text(as_root, url_of(made, "anew"))
    assert "<b>1 open order</b> is given up" in html
    assert "The account 1834420671 and its key are left behind." in html
    html = as_root.post(url_of(made, "anew")).content.decode()
    assert "registers only those who agree to its terms" in html
    assert 'aria-describedby="e-anew" autofocus' in html
    assert Account.objects.get(pk=made.account.pk).wish is None
    as_root.post(url_of(made, "anew"), {"agree_terms": "on"})
    assert Account.objects.get(pk=made.account.pk).wish == {"do": "anew", "by": "root"}
    assert "A new account is being registered." in text(as_root)


def test_a_new_account_at_a_ca_that_wants_a_key_asks_for_it_and_keeps_what_was_typed(as_root, made: Made):
    url = f"/providers/{made.zerossl.pk}/anew/"
    html = as_root.post(url, {"agree_terms": "on", "eab_kid": "kid-7"}).content.decode()
    assert "needs both" in html
    assert 'value="kid-7"' in html
    as_root.post(url, {"agree_terms": "on", "eab_kid": "kid-7", "eab_hmac_key": "c2VjcmV0"})
    assert Account.objects.get(pk=made.second.pk).wish == {"do": "anew", "by": "root"}
    made.zerossl.refresh_from_db()
    assert made.zerossl.eab_hmac_key == "c2VjcmV0"
    assert "c2VjcmV0" not in text(as_root, url)


def test_changed_terms_are_read_and_agreed_to_again(as_root, scene: Scene, made: Made):
    new = "https://letsencrypt.org/documents/LE-SA-v1.6.pdf"
    Provider.objects.filter(pk=scene.provider.pk).update(terms_url=new)
    html = text(as_root)
    assert "Let’s Encrypt changed its terms." in html
    assert f'href="{new}"' in html
    html = as_root.post(url_of(made, "agree"), follow=True).content.decode()
    assert "Tick that you agree to the terms." in html
    assert Account.objects.get(pk=made.account.pk).wish is None
    as_root.post(url_of(made, "agree"), {"agree_terms": "on"})
    account = Account.objects.get(pk=made.account.pk)
    assert (account.wish, account.terms_url, account.terms_agreed_by) == ({"do": "agree", "by": "root"}, new, "root")
    assert "changed its terms" not in text(as_root)


@pytest.mark.parametrize(
    ("code", "field", "said"),
    [
        ("account_gone", "provider", "the panel makes a new account with a new key"),
        ("key_lost", "provider", "the panel makes a new account with a new key"),
        ("account", "provider", "Refresh the registration, or choose another provider."),
        ("contact", "contact", "Mend the contact address"),
        ("eab", "eab_kid", "Get a fresh key from the CA"),
    ],
)
def test_what_the_ca_says_against_a_valid_account_is_told_with_what_to_do(code, field, said, as_root, made: Made):
    problem = {"field": field, "code": code, "text": "It says <b>no</b>.", "link": "https://ca.example/why"}
    set_account(made, problem=problem)
    html = text(as_root)
    assert "It says &lt;b&gt;no&lt;/b&gt;." in html
    assert 'href="https://ca.example/why"' in html
    assert said in html


def test_a_link_that_is_none_for_people_is_not_linked(as_root, made: Made):
    problem = {"field": "provider", "code": "account", "text": "No.", "link": "javascript:alert(1)"}
    set_account(made, problem=problem)
    assert 'href="javascript' not in text(as_root)


def test_registering_again_with_a_fallback_leaves_the_one_in_use(as_root, scene: Scene, made: Made):
    set_account_second = Account.objects.filter(pk=made.second.pk)
    set_account_second.update(use_then=False)
    as_root.post(f"/providers/{made.zerossl.pk}/register/")
    account = Account.objects.get(pk=made.second.pk)
    assert (account.status, account.use_then) == (AccountStatus.REGISTERING, False)
    assert AuditEntry.objects.filter(event="provider:registered", subject="zerossl").exists()


def test_a_removed_provider_says_who_had_it(as_root, made: Made):
    Provider.objects.filter(pk=made.zerossl.pk).update(state=ProviderState.READY)
    html = text(as_root, f"/providers/{made.zerossl.pk}/remove/")
    assert "<b>2 users and feature lists</b> have it" in html
    assert "It is in the fallback order" in html


def test_a_ca_that_fails_is_told_and_tried_at_once(as_root, scene: Scene, made: Made):
    until = scene.now + timedelta(minutes=4)
    problem = {"code": "ca_server", "text": "It answered <503>."}
    set_account(made, faults=4, down_since=scene.now, down_until=until, down_problem=problem)
    html = text(as_root)
    assert "Let’s Encrypt has failed since" in html
    assert "It answered &lt;503&gt;." in html
    assert "It fails" in html
    html = as_root.post(url_of(made, "try"), follow=True).content.decode()
    assert "shows whether it works again" in html
    assert Account.objects.get(pk=made.account.pk).down_until < until
    html = as_root.post(url_of(made, "try"), follow=True).content.decode()
    assert "is not left alone now" in html
