"""People who log in."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import plural, usage
from autossl_panel.people import factors, persons
from autossl_panel.people.models import Role, User


class Command(Base):
    help = "Add a person who logs in, set role and password of a known one, or help one who lost the second factor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--role", choices=Role.values, required=True, help="user: a hosting user's own login")
        add.add_argument("--password-stdin", action="store_true", help="read the password's line from standard input")
        reset = verbs.add_parser(
            "reset-factors", help="take app, passkeys and recovery codes away: the password signs in"
        )
        reset.add_argument("name", metavar="NAME")

    def work(self, *, verb: str, name: str, **options: Any) -> int:
        return self._reset(name) if verb == "reset-factors" else self._add(name, **options)

    def _reset(self, name: str) -> int:
        person = User.objects.filter(username=name).first()
        if person is None:
            usage(f"There is no person “{name}”.")
        removed = factors.reset(person, by=None)
        self.stdout.write(f"{name}: {plural(removed, 'second factor')} removed" if removed else f"{name}: had none")
        return 0

    def _add(self, name: str, *, role: str, password_stdin: bool, **_: Any) -> int:
        if password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        elif sys.stdin.isatty():
            password = getpass.getpass(f"Password of {name}: ")
        else:
            usage("There is no terminal to ask for the password; give it in a line with --password-stdin.")
        person, new = persons.add(name, role, password)
        self.stdout.write(f"{person.username}: {person.role}, {'added' if new else 'password set'}")
        return 0
