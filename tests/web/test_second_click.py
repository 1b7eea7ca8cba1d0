"""A form that is sent a second time does nothing a second time, and says what became of the first."""

from django.test import Client

from autossl_panel.autossl.models import Certificate, Channel, Provider
from autossl_panel.hosting.models import ExclusionPattern, FeatureList
from autossl_panel.people.models import AuditEntry, User
from tests.web.scene import PASSWORD, Scene
from tests.web.test_pages import check as check_html


def twice(client: Client, url: str, data: dict[str, str]) -> tuple[str, str]:
    """Where the first leads, and what the page says that the second leads to."""
    first = client.post(url, data)
    second = client.post(url, data, follow=True)
    assert second.status_code == 200
    html = second.content.decode()
    check_html(html)
    return first.get("Location", ""), html


def events(event: str) -> int:
    return AuditEntry.objects.filter(event=event).count()


def test_a_person(as_root):
    data = {"username": "anna", "role": "reseller", "hosting_users": "", "email": "", "password": PASSWORD}
    _where, html = twice(as_root, "/people/add/", data)
    assert "There is a person “anna” already. Nothing was saved." in html
    assert User.objects.filter(username="anna").count() == events("person:added") == 1


def test_a_feature_list(as_root):
    _where, html = twice(as_root, "/people/lists/add/", {"name": "basic", "autossl": "on"})
    assert "There is a feature list “basic” already. Nothing was saved." in html
    assert FeatureList.objects.filter(name="basic").count() == events("feature_list:added") == 1


def test_a_provider(as_root):
    data = {"name": "ours", "directory_url": "https://ca.example/dir", "ca_bundle": "", "private_ca": ""}
    _where, html = twice(as_root, "/providers/add/", {**data, "eab_kid": "", "eab_hmac_key": "", "max_names": "100"})
    assert "“ours” is in the list already. Nothing was saved." in html
    assert Provider.objects.filter(name="ours").count() == events("provider:added") == 1


def test_a_pattern(as_root):
    data = {"pattern": "*.never.example", "whose": "server", "user": "", "sure": "*.never.example"}
    where, html = twice(as_root, "/patterns/", data)
    assert where == "/patterns/"
    assert "is in the list already for whom you chose. Nothing was saved." in html
    assert "“*.never.example” is added." in html, "what the first click did can still be undone"
    assert 'id="undo"' in html
    assert ExclusionPattern.objects.count() == events("pattern:added") == 1


def test_a_channel(as_root):
    data = {"name": "ops", "kind": "webhook", "target": "https://hooks.example.com/x", "level": "all", "enabled": "on"}
    _where, html = twice(as_root, "/options/channels/add/", data)
    assert "“ops” is the name of another channel." in html
    assert Channel.objects.filter(name="ops").count() == events("channel:added") == 1


def test_revoking(as_root, troubled: Scene):
    row = Certificate.objects.filter(ours=True, revoked_at__isnull=True, provider__isnull=False).first()
    assert row is not None
    url = f"/certificates/issued/{row.pk}/revoke/"
    where, html = twice(as_root, url, {"reason": "superseded"})
    assert where.startswith("/certificates/")
    assert "The CA is being asked to revoke" in html
    assert events("certificate:revoke") == 1
    as_root.post(url, {"reason": "keyCompromise"})
    assert events("certificate:revoke") == 2, "another reason is no second click"
