"""What commands share: clear problems with exit status, the table, and the log on the terminal."""

import os
import pwd
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import DatabaseError, OperationalError, ProgrammingError

from autossl_panel.autossl.inventory import UserMapProblem
from autossl_panel.autossl.limits import LimitProblem
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.notify.channels import ChannelProblem
from autossl_panel.autossl.options import OptionProblem
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.revocation import RevocationProblem
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import HostingUser, Server
from autossl_panel.hosting.users import UserProblem
from autossl_panel.people import audit
from autossl_panel.people.persons import PersonProblem

# Instead of a provider's name: no choice of one's own
DEFAULT = "default"
USAGE = 2
FAILED = 1
T = TypeVar("T")


# How the command line calls what the forms of the panel have as fields
FLAGS = {
    "directory_url": "--directory",
    "ca_bundle": "--ca-bundle",
    "eab_kid": "--eab-kid",
    "eab_hmac_key": "--eab-hmac-key",
    "max_names": "--max-names",
    "agree_terms": "--agree-tos",
    "contact": "--contact",
    "target": "--target",
    "secret": "--secret-stdin",
    "reason": "--reason",
    "hosting_users": "--for",
    "move_to": "--move-to",
    "pattern": "--pattern",
}


class Refused(CommandError):
    """What a command says before it ends; Django puts the class's name before the text."""


Refused.__name__ = "autossl-panel"

PROBLEMS = (ChannelProblem, OptionProblem, UserProblem, PersonProblem, ProviderProblem, RevocationProblem, LimitProblem)


class Command(BaseCommand):
    """A command whose `work` returns the exit status; what cannot be taken is one line and status 2."""

    requires_migrations_checks = False
    # They look at our own code, every page of it: a test runs them (tests/test_settings.py), not each command.
    requires_system_checks: list[str] = []
    # Django's own arguments work, but say nothing to an admin.
    suppressed_base_arguments = {
        "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
        "--skip-checks",
    }  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with audit.coming_from("command", _who()):
                status = self.work(**options)
        except PROBLEMS as problem:
            field = FLAGS.get(problem.field, problem.field)
            raise Refused(f"{field}: {problem.text}", returncode=USAGE) from problem
        except UserMapProblem as problem:
            raise Refused(f"AUTOSSL_USER_MAP: {problem}", returncode=USAGE) from problem
        except HelperGone as problem:
            raise Refused(f"The helper does not answer: {problem}", returncode=FAILED) from problem
        except HelperProblem as problem:
            where = f" ({problem.file}:{problem.line})" if problem.file else ""
            raise Refused(f"{problem.text}{where}", returncode=FAILED) from problem
        except DatabaseError as problem:
            hint = ""
            if isinstance(problem, (OperationalError, ProgrammingError)) and _no_table(str(problem)):
                hint = " Set it up with: autossl-panel migrate"
            raise Refused(f"The database: {str(problem).strip()}.{hint}", returncode=FAILED) from problem
        except BrokenPipeError:
            # The reader of our output went away (| head); that is its right.
            sys.stderr.close()
            status = 0
        if status:
            raise SystemExit(status)

    def work(self, *args: Any, **options: Any) -> int:
        """Do it; 0 done, 1 something failed, 2 usage."""
        raise NotImplementedError


def _who() -> str:
    """Who runs the command, for the audit trail: the account, or the one that it was reached from by sudo."""
    if os.getuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"][:64]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _no_table(text: str) -> bool:
    return "no such table" in text or ("relation" in text and "does not exist" in text)


def usage(text: str) -> NoReturn:
    """End with a usage problem."""
    raise Refused(text, returncode=USAGE)


def failed(text: str) -> NoReturn:
    """End with a failure."""
    raise Refused(text, returncode=FAILED)


def hosting_user(server: Server, name: str) -> HostingUser:
    """The hosting user of that name, or a usage problem."""
    found = HostingUser.objects.select_related("feature_list", "owner").filter(server=server, name=name).first()
    if found is None:
        usage(f"There is no hosting user “{name}”. Run discover if it is new.")
    return found


def provider_named(name: str) -> Provider:
    """The provider of that name, or a usage problem that says which there are."""
    found = Provider.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Provider.objects.values_list("name", flat=True)) or "none yet"
        usage(f"There is no provider “{name}”. There are: {known}.")
    return found


def table(out: OutputWrapper, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns as wide as what stands in them."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def plural(number: int, one: str, more: Callable[[str], str] = lambda word: word + "s") -> str:
    """“1 site”, “2 sites”."""
    return f"{number} {one if number == 1 else more(one)}"
