"""Adding people."""

import pytest

from autossl_panel.people import persons
from autossl_panel.people.models import User

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


def test_a_person_is_added_and_the_password_changed_later():
    person, new = persons.add("amy", "reseller", GOOD)
    assert new
    assert person.check_password(GOOD)
    again, new = persons.add("amy", "root", GOOD + "2")
    assert not new
    assert (again.pk, again.role) == (person.pk, "root")
    assert User.objects.get().check_password(GOOD + "2")


@pytest.mark.parametrize(
    ("name", "role", "password", "field"),
    [
        ("a b", "root", GOOD, "username"),
        ("", "root", GOOD, "username"),
        ("amy", "king", GOOD, "role"),
        ("amy", "root", "short", "password"),
        ("amy", "root", "password12", "password"),
    ],
)
def test_what_cannot_be_taken_names_the_field(name, role, password, field):
    with pytest.raises(persons.PersonProblem) as raised:
        persons.add(name, role, password)
    assert raised.value.field == field
    assert not User.objects.exists()
