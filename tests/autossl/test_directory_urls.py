"""What can be typed as the address of a directory, and that nobody rehearses where certificates are ordered from."""

import pytest

from autossl_panel.autossl import providers, rehearsal
from autossl_panel.autossl.models import Provider, ProviderState
from autossl_panel.autossl.providers import Draft, ProviderProblem
from autossl_panel.autossl.registration.directories import preset_at
from autossl_panel.ca.presets import preset
from autossl_panel.hosting.models import Server

IN_USE = "https://ca.example/dir"


@pytest.mark.parametrize(
    "url",
    [
        "ca.example/dir", "http://ca.example/dir", "https:///dir", "https://[bad/dir", "https://ca.example:no/dir",
        "https://ca.example:99999/dir", "https://ca.example/a b", "https://ca.example/\nx", "https://ca.éxample/dir",
        "https://user:secret@ca.example/dir", "https://ca.example/" + "a" * 500,
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_directory_is_said_at_its_field(url: str) -> None:
    with pytest.raises(ProviderProblem, match="is not an https:// address") as caught:
        Draft("mine", url).check()
    assert caught.value.field == "directory_url"


def test_an_empty_address_is_asked_for() -> None:
    with pytest.raises(ProviderProblem, match="Enter the https:// address") as caught:
        Draft("mine", "").check()
    assert caught.value.field == "directory_url"


@pytest.fixture
def used(db: None, server: Server) -> Provider:
    found = providers.draft(Draft("mine", IN_USE), by=None, ring=False)
    Provider.objects.filter(pk=found.pk).update(active=True, state=ProviderState.READY)
    found.refresh_from_db()
    return found


@pytest.mark.parametrize(
    "url", [IN_USE, "https://CA.Example/dir", "https://ca.example:443/dir", "https://ca.example./dir",
            "https://ca.example/%64ir"],
)  # fmt: skip
def test_one_does_not_rehearse_where_certificates_are_ordered_from(used: Provider, url: str) -> None:
    other = providers.draft(Draft("other", "https://other.example/dir"), by=None, ring=False)
    for provider in (used, other):
        with pytest.raises(ProviderProblem, match="not one to rehearse at") as caught:
            rehearsal.set_directory(provider, url, by=None)
        assert caught.value.field == "directory_url"
        provider.refresh_from_db()
        assert provider.staging_url == ""


def test_what_nobody_orders_from_can_be_rehearsed_at(used: Provider) -> None:
    providers.draft(Draft("other", "https://other.example/dir"), by=None, ring=False)
    rehearsal.set_directory(used, "https://other.example/dir", by=None)
    assert rehearsal.directory_of(used) == "https://other.example/dir"


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", "letsencrypt"),
        ("https://ACME-V02.api.letsencrypt.org:443/directory", "letsencrypt"),
        ("https://acme-staging-v02.api.letsencrypt.org/directory", "letsencrypt-staging"),
        ("https://ca.example/directory", None),
    ],
)
def test_a_ca_has_its_published_limits_however_its_directory_is_written(url: str, slug: str | None) -> None:
    assert preset_at(url) == (slug and preset(slug))
