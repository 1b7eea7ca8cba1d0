"""Names that hosting users wish no certificate for: of one user, in any number, with what is recorded."""

import pytest

from autossl_panel.hosting import exclusions
from autossl_panel.hosting.models import Exclusion, VirtualHost
from autossl_panel.people.models import AuditEntry

pytestmark = pytest.mark.django_db


def excluded() -> set[tuple[str, str]]:
    return set(Exclusion.objects.values_list("user__name", "name"))


def test_names_of_one_user_are_excluded_and_its_sites_looked_at(make_user, make_site, root, now):
    amber, birch = make_user("amber"), make_user("birch")
    site = make_site(amber, "amber.example", "mail.amber.example")
    other, strange = make_site(amber, "other.example"), make_site(birch, "birch.example")
    done = exclusions.exclude_names(amber, ["mail.amber.example", "birch.example", "nowhere.example"], by=root, now=now)
    assert done == ["mail.amber.example"]
    assert excluded() == {("amber", "mail.amber.example")}
    assert Exclusion.objects.get().by == root
    moments = dict(VirtualHost.objects.values_list("pk", "next_at"))
    assert moments == {site.pk: now, other.pk: None, strange.pk: None}
    entry = AuditEntry.objects.get()
    assert (entry.person, entry.event, entry.subject) == (root, "exclusion:add", "amber")
    assert entry.after == {"names": ["mail.amber.example"]}


def test_excluding_twice_changes_and_records_nothing(make_user, make_site, now):
    amber = make_user("amber")
    make_site(amber, "amber.example")
    exclusions.exclude_names(amber, ["amber.example"], by=None, now=now)
    assert exclusions.exclude_names(amber, ["amber.example"], by=None, now=now) == []
    assert AuditEntry.objects.count() == 1


def test_the_same_name_of_another_user_stays_excluded(make_user, make_site, now):
    amber, birch = make_user("amber"), make_user("birch")
    for user in (amber, birch):
        Exclusion.objects.create(user=user, name="shared.example", at=now)
    site = make_site(amber, "shared.example")
    assert exclusions.include_names(amber, ["shared.example"], by=None, now=now) == ["shared.example"]
    assert excluded() == {("birch", "shared.example")}
    site.refresh_from_db()
    assert (site.next_at, site.next_reason) == (now, "changed")


def test_an_exclusion_whose_site_is_gone_can_be_ended(make_user, now):
    amber = make_user("amber")
    Exclusion.objects.create(user=amber, name="gone.example", at=now)
    assert exclusions.include_names(amber, ["gone.example", "amber.example"], by=None, now=now) == ["gone.example"]
    assert excluded() == set()


def test_a_thousand_names_at_once_are_few_statements(make_user, make_site, now, django_assert_max_num_queries):
    amber = make_user("amber")
    names = [f"n{n}.amber.example" for n in range(1000)]
    make_site(amber, *names)
    with django_assert_max_num_queries(12):
        assert len(exclusions.exclude_names(amber, names, by=None, now=now)) == 1000
    with django_assert_max_num_queries(12):
        assert len(exclusions.include_names(amber, names, by=None, now=now)) == 1000
