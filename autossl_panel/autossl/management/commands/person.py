"""People who log in."""

import getpass
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.db import transaction

from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import hosting_user, plural, table, usage
from autossl_panel.hosting import ownership, servers
from autossl_panel.hosting.models import HostingUser
from autossl_panel.hosting.ownership import Held
from autossl_panel.people import factors, persons
from autossl_panel.people.models import Role, User


class Command(Base):
    help = "Add a person who logs in, change, deactivate or remove one, or list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add", help="add a person, or set role and password of a known one")
        add.add_argument("--role", choices=Role.values, required=True, help="user: the login of hosting users")
        change = verbs.add_parser("set", help="change role, e-mail address or whom a login is for")
        change.add_argument("--role", choices=Role.values)
        for one in (add, change):
            one.add_argument("--email", metavar="ADDRESS", help='where the person is reached; "" for nowhere')
            one.add_argument(
                "--for", dest="users", metavar="USER,USER", help="whom a login is for; every other one ends"
            )
        password = verbs.add_parser("password", help="set a password; sessions end")
        for one in (add, password):
            one.add_argument(
                "--password-stdin", action="store_true", help="read the password's line from standard input"
            )
            one.add_argument("--generate", action="store_true", help="make a password and print it")
        verbs.add_parser("deactivate", help="sign out everywhere and let in no more")
        verbs.add_parser("reactivate", help="let in again")
        verbs.add_parser("reset-factors", help="take every second factor away: the password alone signs in")
        remove = verbs.add_parser("remove", help="remove for good; hosting users of a reseller go back to root")
        remove.add_argument("--yes", action="store_true", help="do it, whatever hangs on the person")
        for one in verbs.choices.values():
            one.add_argument("name", metavar="NAME")
        verbs.add_parser("list", help="who there is")

    def work(self, *, verb: str, **options: Any) -> int:
        acts: dict[str, Callable[..., str]] = {
            "add": self._add,
            "set": self._set,
            "password": self._password,
            "deactivate": lambda name, **_: self._active(name, False),
            "reactivate": lambda name, **_: self._active(name, True),
            "reset-factors": self._reset,
            "remove": self._remove,
        }
        if verb == "list":
            self._list()
            return 0
        self.stdout.write(acts[verb](**options))
        return 0

    def _add(self, name: str, role: str, email: str | None, users: str | None, **options: Any) -> str:
        password = self._asked(name, **options)
        known = User.objects.filter(username=name).first()
        with transaction.atomic():
            if known is not None and known.role != role:
                ownership.change_role(known, role, by=None)
            person, new = persons.add(name, role, password, email=email or "")
            self._details(person, None if new else email, users)
        shown = f", password {password}" if options["generate"] else ""
        return f"{person.username}: {person.role}, {'added' if new else 'password set'}{shown}"

    def _set(self, name: str, role: str | None, email: str | None, users: str | None, **_: Any) -> str:
        if role is None and email is None and users is None:
            usage("Nothing to set: give --role, --email or --for.")
        person = _person(name)
        lost = Held(0, 0)
        with transaction.atomic():
            if role is not None and role != person.role:
                lost = ownership.change_role(person, role, by=None)
            self._details(person, email, users)
        return f"{person.username}: {person.role}, {person.email or 'no e-mail address'}{_let_go(lost)}"

    def _details(self, person: User, email: str | None, users: str | None) -> None:
        if email is not None:
            persons.set_email(person, email.strip(), by=None)
        if users is not None:
            if person.role != Role.USER:
                usage(f"--for: “{person.username}” is {person.role}; only a person with the role user is a login.")
            server = servers.this()
            names = list(dict.fromkeys(users.replace(",", " ").split()))
            found = [hosting_user(server, name) for name in names]
            ownership.set_logins(person, found, by=None)

    def _password(self, name: str, **options: Any) -> str:
        person = _person(name)
        password = self._asked(name, **options)
        persons.change_password(person, password, by=None)
        return f"{name}: password {password}" if options["generate"] else f"{name}: password set, sessions ended"

    def _asked(self, name: str, *, password_stdin: bool, generate: bool, **_: Any) -> str:
        if generate:
            return persons.generated_password()
        if password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
        if sys.stdin.isatty():
            return getpass.getpass(f"Password of {name}: ")
        usage(
            "There is no terminal to ask for the password; give it in a line with --password-stdin, or --generate one."
        )

    def _active(self, name: str, wanted: bool) -> str:
        done = persons.set_active(_person(name), wanted, by=None)
        word = "may sign in" if wanted else "is signed out everywhere and may not sign in"
        return f"{name}: {word}{'' if done else ' (it was so already)'}"

    def _reset(self, name: str, **_: Any) -> str:
        removed = factors.reset(_person(name), by=None)
        return f"{name}: {plural(removed, 'second factor')} removed" if removed else f"{name}: had none"

    def _remove(self, name: str, yes: bool, **_: Any) -> str:
        person = _person(name)
        held = ownership.held_by(person)
        if held != Held(0, 0) and not yes:
            usage(f"“{name}” is not removed without --yes{_let_go(held, done=False)}.")
        return f"{name}: removed{_let_go(ownership.remove_person(person, by=None))}"

    def _list(self) -> None:
        logins: dict[int | None, list[str]] = {}
        rows = HostingUser.objects.filter(login__isnull=False).order_by("name")
        for login, name in rows.values_list("login", "name"):
            logins.setdefault(login, []).append(name)
        table(
            self.stdout,
            ("NAME", "ROLE", "E-MAIL", "STATE", "LAST SIGN-IN", "FOR"),
            [
                (
                    person.username,
                    person.role,
                    person.email or "-",
                    "active" if person.is_active else "deactivated",
                    f"{person.last_login:%Y-%m-%d %H:%M}" if person.last_login else "never",
                    ", ".join(logins.get(person.pk, [])) or "-",
                )
                for person in User.objects.order_by("username")
            ],
        )


def _person(name: str) -> User:
    found = User.objects.filter(username=name).first()
    if found is None:
        usage(f"There is no person “{name}”.")
    return found


def _let_go(lost: Held, *, done: bool = True) -> str:
    """“; 5 hosting users are root's”."""
    pieces = []
    for number, what in ((lost.owned, "root's"), (lost.logins, "without login")):
        if number:
            verb = "would be" if not done else "is" if number == 1 else "are"
            pieces.append(f"; {plural(number, 'hosting user')} {verb} {what}")
    return "".join(pieces)
