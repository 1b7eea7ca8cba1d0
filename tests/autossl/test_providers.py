"""Providers as rows: what a changed draft means for the account that it had."""

from dataclasses import replace

import pytest

from autossl_panel.autossl import providers
from autossl_panel.autossl.models import Account

pytestmark = pytest.mark.django_db

SAME = providers.Draft(name="pebble", directory_url="https://127.0.0.1:1/dir", private_ca=True)


def test_a_draft_of_the_same_directory_keeps_account_and_use(server, provider):
    providers.draft(replace(SAME, max_names=5), by=None, ring=False)
    found = providers.active(server)
    assert found is not None
    assert (found[0].max_names, found[1].url) == (5, "https://127.0.0.1:1/account/1")


def test_with_another_directory_it_is_another_ca_and_has_no_account_yet(server, provider):
    again = providers.draft(replace(SAME, directory_url="https://127.0.0.2:1/dir"), by=None, ring=False)
    assert again.pk == provider.pk
    assert not again.active
    assert not Account.objects.exists()
    assert providers.active(server) is None
