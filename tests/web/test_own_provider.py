"""A provider of one's own, for a hosting user or a feature list: what it costs is said, and it is undone."""

import pytest

from autossl_panel.autossl import choices
from autossl_panel.autossl.models import Provider
from autossl_panel.hosting.models import Domain, FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import AuditEntry
from tests.web import provider_scene
from tests.web.provider_scene import Made
from tests.web.scene import Scene
from tests.web.undoing import undo


@pytest.fixture
def made(scene: Scene) -> Made:
    return provider_scene.build(scene)


@pytest.fixture
def lindner() -> HostingUser:
    return HostingUser.objects.get(name="lindner")


def again(user: HostingUser) -> Provider | None:
    return choices.own(HostingUser.objects.get(pk=user.pk))


def test_a_users_provider_is_chosen_and_undone(as_root, made: Made, lindner: HostingUser):
    url = f"/people/users/{lindner.pk}/provider/"
    html = as_root.get(url).content.decode()
    assert "That of its feature list “business”" in html
    assert "4 sites follow it from their next orders on." in html
    assert as_root.post(url, {"provider": str(made.zerossl.pk)})["Location"] == f"/people/users/{lindner.pk}/"
    assert again(lindner) == made.zerossl
    assert VirtualHost.objects.filter(user=lindner).exclude(next_reason="changed").count() == 0
    page = as_root.get(f"/people/users/{lindner.pk}/").content.decode()
    assert "“lindner” has ZeroSSL from the next orders on." in page
    assert AuditEntry.objects.get(event="user:provider_set").subject == "lindner"
    undo(as_root, "/people/undo/", next=url)
    assert again(lindner) is None


def test_the_choice_is_taken_back(as_root, made: Made):
    user = HostingUser.objects.get(name="amberfield")
    as_root.post(f"/people/users/{user.pk}/provider/", {"provider": ""})
    assert again(user) is None
    page = as_root.get(f"/people/users/{user.pk}/").content.decode()
    assert "has no provider of its own any more: Let’s Encrypt issues its next certificates." in page


def test_undo_leaves_what_somebody_else_chose(as_root, made: Made, scene: Scene, lindner: HostingUser):
    as_root.post(f"/people/users/{lindner.pk}/provider/", {"provider": str(made.zerossl.pk)})
    choices.choose_for_user(lindner, scene.provider, by=None, now=scene.now)
    undo(as_root, "/people/undo/")
    assert again(lindner) == scene.provider
    assert "somebody has changed it meanwhile" in as_root.get("/people/").content.decode()


def test_a_feature_lists_provider_is_chosen_and_undone(as_root, made: Made, scene: Scene):
    row = FeatureList.objects.get(name="business")
    url = f"/people/lists/{row.pk}/provider/"
    assert "The one in use on the server" in as_root.get(url).content.decode()
    assert as_root.post(url, {"provider": str(made.zerossl.pk)})["Location"] == f"/people/lists/{row.pk}/"
    assert choices.own(FeatureList.objects.get(pk=row.pk)) == made.zerossl
    assert "ZeroSSL" in as_root.get(f"/people/lists/{row.pk}/").content.decode()
    undo(as_root, "/people/undo/")
    assert choices.own(FeatureList.objects.get(pk=row.pk)) is None


def test_it_says_who_keeps_another(as_root, made: Made):
    row = FeatureList.objects.get(name="business")
    html = as_root.get(f"/people/lists/{row.pk}/provider/").content.decode()
    assert "1 user of the list has a provider of its own and keeps it." in html


def test_what_would_be_lost_is_counted(as_root, made: Made, scene: Scene):
    Provider.objects.filter(pk=made.zerossl.pk).update(max_names=2, stated={**made.zerossl.stated, "wildcard": False})
    user = HostingUser.objects.get(name="junipershop")
    site = VirtualHost.objects.filter(user=user).first()
    assert site is not None
    site.domains.create(name="*.juniper.example", position=9)
    html = as_root.get(f"/people/users/{user.pk}/provider/").content.decode()
    assert "8 sites would lose names" in html
    assert "it issues no wildcards, which 1 site has" in html


def test_names_that_only_a_private_ca_certifies_are_counted(as_root, made: Made, scene: Scene):
    user = HostingUser.objects.get(name="junipershop")
    Domain.objects.filter(virtual_host__user=user).update(unfit="not_public")
    said = "8 sites have names that are not public, which it does not certify"
    url = f"/people/users/{user.pk}/provider/"
    assert said not in as_root.get(url).content.decode(), "nobody is a private CA"
    Provider.objects.filter(pk=scene.provider.pk).update(private_ca=True)
    assert as_root.get(url).content.decode().count(said) == 1, "at ZeroSSL, not at the private CA"


def test_one_without_account_cannot_be_had(as_root, made: Made, lindner: HostingUser):
    strange = Provider.objects.get(name="actalis")
    url = f"/people/users/{lindner.pk}/provider/"
    assert f'value="{strange.pk}"' not in as_root.get(url).content.decode()
    html = as_root.post(url, {"provider": str(strange.pk)}).content.decode()
    assert "is not ready" in html
    assert "Nothing was saved." in html
    assert "There is no such provider any more." in as_root.post(url, {"provider": "999999"}).content.decode()
    assert again(lindner) is None


def test_the_same_again_says_so(as_root, made: Made, lindner: HostingUser):
    as_root.post(f"/people/users/{lindner.pk}/provider/", {"provider": ""})
    assert "Nothing changes" in as_root.get(f"/people/users/{lindner.pk}/").content.decode()
    assert not AuditEntry.objects.filter(event="user:provider_set").exists()
