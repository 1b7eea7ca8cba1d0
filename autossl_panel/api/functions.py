"""What a function of the API is: one small declared thing. The catalogue, the doors and the description go by it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from autossl_panel import names
from autossl_panel.autossl import options
from autossl_panel.autossl.models import Options
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost
from autossl_panel.names import NameProblem
from autossl_panel.people.models import Role, User

from .parameters import Parameter, Value
from .refusals import Failed, Wrong
from .schema import Schema

OPERATORS = (Role.ROOT, Role.RESELLER)
LOGINS = (Role.USER,)


@dataclass(frozen=True, slots=True)
class Streamed:
    """Data that is too much for memory at once: a JSON text in pieces."""

    pieces: Iterator[str]


Data = Mapping[str, Any] | Sequence[Any] | int | Streamed


@dataclass(frozen=True, slots=True)
class Call:
    """What a function gets: who calls, where, when, and the values of its parameters."""

    person: User
    server: Server
    now: datetime
    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        """A parameter's text; "" where it was left out."""
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def flag(self, name: str) -> bool:
        """Whether a parameter is 1; False where it was left out."""
        value = self.values[name]
        assert isinstance(value, bool)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """What was given of a repeated parameter, each once."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    @property
    def options(self) -> Options:
        """The options of the server, which came with it where somebody has set any."""
        return getattr(self.server, "options", None) or options.current(self.server)

    def domain(self, name: str) -> str:
        """A parameter's text as a name in A-labels. Raises Wrong."""
        try:
            return names.normalize(self.text(name))
        except NameProblem as problem:
            raise Wrong(name, problem.text) from problem

    def hosts_of_domain(self, name: str) -> QuerySet[VirtualHost]:
        """The virtual hosts with the name that a parameter names. Raises Wrong: a foreign one is not there."""
        mine = visible.virtual_hosts(self.person).filter(server=self.server, gone_at__isnull=True)
        found = mine.filter(pk__in=Domain.objects.filter(name=self.domain(name)).values("virtual_host"))
        if not found.exists():
            raise Wrong(name, "there is no such name.")
        return found

    def user(self, name: str) -> HostingUser:
        """The hosting user that a parameter names. Raises Wrong: a foreign one is answered as one that is not there."""
        mine = visible.users(self.person).filter(server=self.server, gone_at__isnull=True)
        found = mine.select_related("feature_list").filter(name=self.text(name)).first()
        if found is None:
            raise Wrong(name, "there is no such user.")
        return found

    def own_user(self, name: str) -> HostingUser:
        """The hosting user of a login; the parameter names it where the login is for several. Raises Failed."""
        if self.text(name):
            return self.user(name)
        mine = visible.users(self.person).filter(server=self.server, gone_at__isnull=True)
        found = list(mine.select_related("feature_list").order_by("name")[:2])
        if not found:
            raise Failed("This login is for no hosting user of this server.")
        if len(found) > 1:
            raise Wrong(name, "it is missing: this login is for several users.")
        return found[0]


Work = Callable[[Call], Data]


@dataclass(frozen=True, slots=True)
class Function:
    """A function: what it is called, who may call it with which parameters, what it answers.

    One that `changes` something refuses tokens that only read. `ours`: WHM has none of this name.
    """

    name: str
    work: Work
    about: str
    roles: tuple[Role, ...]
    answers: Schema
    parameters: tuple[Parameter, ...]
    changes: bool
    ours: bool


def function(
    *roles: Role,
    answers: Schema,
    parameters: Sequence[Parameter] = (),
    changes: bool = False,
    ours: bool = False,
    name: str = "",
) -> Callable[[Work], Function]:
    """Declare what follows as a function of the API: its docstring, and its name unless another is given, are what
    the world reads.
    """

    def declare(work: Work) -> Function:
        about = " ".join((work.__doc__ or "").split())
        return Function(name or work.__name__, work, about, roles, answers, tuple(parameters), changes, ours)

    return declare
