"""People who log in."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import usage
from autossl_panel.people import persons


class Command(Base):
    help = "Add a person who logs in, or set role and password of a known one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        add = verbs.add_parser("add")
        add.add_argument("name", metavar="NAME")
        add.add_argument("--role", choices=["root", "reseller"], required=True)
        add.add_argument("--password-stdin", action="store_true", help="read the password's line from standard input")

    def work(self, *, name: str, role: str, password_stdin: bool, **_: Any) -> int:
        if password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
        elif sys.stdin.isatty():
            password = getpass.getpass(f"Password of {name}: ")
        else:
            usage("There is no terminal to ask for the password; give it in a line with --password-stdin.")
        person, new = persons.add(name, role, password)
        self.stdout.write(f"{person.username}: {person.role}, {'added' if new else 'password set'}")
        return 0
