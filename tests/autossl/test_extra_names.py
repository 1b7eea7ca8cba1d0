"""The www. names that the panel's snippet serves beside a site's own."""

from __future__ import annotations

import pytest

from autossl_panel.autossl import install, options
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.models import Domain, Exclusion

pytestmark = pytest.mark.django_db


@pytest.fixture
def host(server, provider, make_user, make_site):
    found = make_site(make_user("amber"), "amber.example", "www.amber.example", "shop.example", "www.shop.example")
    Domain.objects.filter(name__startswith="www.").update(added=True)
    return found


def test_every_added_www_is_served_whether_or_not_dns_leads_here(host):
    assert install.extra_names([host]) == {host.key: ("www.amber.example", "www.shop.example")}
    assert install.extra_names([]) == {}
    options.change(host.server, {"serve_www": "no"}, by=None)
    assert install.extra_names([host]) == {}


def test_what_nobody_wishes_for_is_not_served(host, now):
    Exclusion.objects.create(user=host.user, name="www.amber.example", at=now)
    assert install.extra_names([host]) == {host.key: ("www.shop.example",)}
    Exclusion.objects.create(user=host.user, name="shop.example", at=now)
    assert install.extra_names([host]) == {}, "an added www. goes with its domain"


def test_what_a_pattern_excludes_is_not_served(host, now):
    exclusion_patterns.add_pattern("amber.*", exclusion_patterns.Level(host.server), by=None, now=now)
    assert install.extra_names([host]) == {host.key: ("www.shop.example",)}
