"""Adding people, changing them, ending their sessions; there is always an active root."""

import pytest
from django.test import Client

from autossl_panel.people import persons, sessions
from autossl_panel.people.models import AuditEntry, Role, User
from autossl_panel.people.persons import PersonProblem

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


def make(name: str, role: str = Role.ROOT) -> User:
    return persons.add(name, role, GOOD)[0]


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_a_person_is_added_and_the_password_changed_later():
    person, new = persons.add("amy", "reseller", GOOD, email="amy@example.com")
    assert new
    assert person.check_password(GOOD)
    assert User.objects.get().email == "amy@example.com"
    again, new = persons.add("amy", "root", GOOD + "2")
    assert not new
    assert (again.pk, again.role) == (person.pk, "root")
    assert User.objects.get().check_password(GOOD + "2")


@pytest.mark.parametrize(
    ("name", "role", "password", "email", "field"),
    [
        ("a b", "root", GOOD, "", "username"),
        ("", "root", GOOD, "", "username"),
        ("amy", "king", GOOD, "", "role"),
        ("amy", "root", "short", "", "password"),
        ("amy", "root", "password12", "", "password"),
        ("amy", "root", GOOD, "amy", "email"),
        ("amy", "root", GOOD, f"amy@{'x' * 63}.{'y' * 63}.{'z' * 63}.{'w' * 63}.example", "email"),
    ],
)
def test_what_cannot_be_taken_names_the_field(name, role, password, email, field):
    with pytest.raises(PersonProblem) as raised:
        persons.add(name, role, password, email=email)
    assert raised.value.field == field
    assert not User.objects.exists()


def test_deactivating_ends_every_session_for_good():
    root, amy = make("root"), make("amy", Role.RESELLER)
    client, other = signed_in(amy), signed_in(root)
    assert persons.set_active(amy, False, by=root)
    assert not persons.set_active(amy, False, by=root)
    assert client.get("/users/")["Location"].startswith("/sign-in/")
    assert persons.set_active(amy, True, by=root)
    assert client.get("/users/")["Location"].startswith("/sign-in/"), "a session does not come back"
    assert other.get("/users/").status_code == 200
    assert list(AuditEntry.objects.order_by("pk").values_list("event", "after")[2:]) == [
        ("session:ended", None),
        ("person:changed", {"active": False}),
        ("person:changed", {"active": True}),
    ]


def test_sessions_are_ended_but_the_one_that_is_kept():
    amy = make("amy")
    kept, ended = signed_in(amy), signed_in(amy)
    assert sessions.end_all(amy, by=None, but=kept.session.session_key) == 1
    assert kept.get("/users/").status_code == 200
    assert ended.get("/users/").status_code == 302


def test_a_new_password_ends_sessions_that_were_opened_with_the_old_one():
    amy = make("amy")
    client = signed_in(amy)
    persons.change_password(amy, GOOD + "2", by=amy)
    assert client.get("/users/").status_code == 302
    entry = AuditEntry.objects.get(event="person:password_changed")
    assert (entry.before, entry.after) == (None, None), "a password never stands in the trail"
    with pytest.raises(PersonProblem, match="too short"):
        persons.change_password(amy, "short", by=amy)


def test_there_is_always_an_active_root():
    root = make("root")
    asleep = make("second")
    persons.set_active(asleep, False, by=root)
    for act in (
        lambda: persons.set_active(root, False, by=root),
        lambda: persons.set_role(root, Role.USER, by=root),
        lambda: persons.remove(root, by=root),
        lambda: persons.add("root", Role.RESELLER, GOOD),
    ):
        with pytest.raises(PersonProblem, match="only active root"):
            act()
    row = User.objects.get(username="root")
    assert (row.is_active, row.role) == (True, Role.ROOT)
    persons.set_active(asleep, True, by=root)
    persons.remove(root, by=asleep)
    assert User.objects.get().username == "second"


def test_a_removed_person_is_out_and_stays_in_the_trail():
    root, amy = make("root"), make("amy", Role.RESELLER)
    client = signed_in(amy)
    persons.set_email(amy, "amy@example.com", by=amy)
    persons.remove(amy, by=root)
    assert client.get("/users/").status_code == 302
    entry = AuditEntry.objects.get(event="person:changed")
    assert (entry.person, entry.person_name, entry.after) == (None, "amy", {"email": "amy@example.com"})


def test_generated_passwords_can_be_taken_and_differ():
    found = {persons.generated_password() for _ in range(20)}
    assert len(found) == 20
    for password in found:
        persons.check_password(password, User(username="amy"))
