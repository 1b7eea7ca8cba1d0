"""What commands share: clear problems with exit status, the table, and the log on the terminal."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import DatabaseError, OperationalError, ProgrammingError

from autossl_panel.autossl.inventory import UserMapProblem
from autossl_panel.autossl.options import OptionProblem
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting.models import HostingUser, Server
from autossl_panel.hosting.users import UserProblem
from autossl_panel.people.persons import PersonProblem

USAGE = 2
FAILED = 1
T = TypeVar("T")


class Command(BaseCommand):
    """A command whose `work` returns the exit status; what cannot be taken is one line and status 2."""

    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            status = self.work(**options)
        except (OptionProblem, UserProblem, PersonProblem, ProviderProblem) as problem:
            raise CommandError(f"{problem.field}: {problem.text}", returncode=USAGE) from problem
        except UserMapProblem as problem:
            raise CommandError(f"AUTOSSL_USER_MAP: {problem}", returncode=USAGE) from problem
        except DatabaseError as problem:
            hint = ""
            if isinstance(problem, (OperationalError, ProgrammingError)) and _no_table(str(problem)):
                hint = " Set it up with: autossl-panel migrate"
            raise CommandError(f"The database: {str(problem).strip()}.{hint}", returncode=FAILED) from problem
        except BrokenPipeError:
            # The reader of our output went away (| head); that is its right.
            sys.stderr.close()
            status = 0
        if status:
            raise SystemExit(status)

    def work(self, *args: Any, **options: Any) -> int:
        """Do it; 0 done, 1 something failed, 2 usage."""
        raise NotImplementedError


def _no_table(text: str) -> bool:
    return "no such table" in text or ("relation" in text and "does not exist" in text)


def usage(text: str) -> NoReturn:
    """End with a usage problem."""
    raise CommandError(text, returncode=USAGE)


def failed(text: str) -> NoReturn:
    """End with a failure."""
    raise CommandError(text, returncode=FAILED)


def hosting_user(server: Server, name: str) -> HostingUser:
    """The hosting user of that name, or a usage problem."""
    found = HostingUser.objects.select_related("feature_list", "owner").filter(server=server, name=name).first()
    if found is None:
        usage(f"There is no hosting user “{name}”. Run discover if it is new.")
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
