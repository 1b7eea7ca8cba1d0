"""What each kind of notification is: how bad, whose, and which level asks for it. One table; decides nothing."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from ..models import Kind, NotifyLevel


class Severity(IntEnum):
    """How bad it is."""

    GOOD = 0
    WARNING = 1
    FAILURE = 2


class Audience(StrEnum):
    """Who reads it. A reseller reads what own users would, where these have no address."""

    USER = "user"
    RESELLER = "reseller"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Nature:
    """`rank` orders a digest, the worst first, and says which state of a site hides which. `users`: told to them too.

    `once`: it happened; else it lasts, and is told again.
    """

    severity: Severity
    rank: int
    users: bool = True
    once: bool = False


NATURES: dict[Kind, Nature] = {
    Kind.SERVER: Nature(Severity.FAILURE, 13, users=False),
    Kind.RUN: Nature(Severity.FAILURE, 12, users=False),
    Kind.PROVIDER: Nature(Severity.FAILURE, 11, users=False),
    Kind.REVOKED: Nature(Severity.FAILURE, 10, once=True),
    Kind.EXPIRED: Nature(Severity.FAILURE, 9),
    Kind.EXPIRING: Nature(Severity.FAILURE, 8),
    Kind.UNSECURED: Nature(Severity.FAILURE, 7),
    Kind.INSTALL: Nature(Severity.FAILURE, 6),
    Kind.DEFERRED: Nature(Severity.WARNING, 5),
    Kind.FOREIGN: Nature(Severity.WARNING, 4),
    Kind.REDUCED: Nature(Severity.WARNING, 3, once=True),
    Kind.UNCOVERED: Nature(Severity.WARNING, 2),
    Kind.RENEWED: Nature(Severity.GOOD, 1, once=True),
    Kind.SECURED: Nature(Severity.GOOD, 0, once=True),
}

# The states that a site can be in; one at a time, the worst
SITE_STATES = tuple(kind for kind, nature in NATURES.items() if nature.users and not nature.once)

LEAST = {
    NotifyLevel.ALL: Severity.GOOD,
    NotifyLevel.WARNINGS: Severity.WARNING,
    NotifyLevel.FAILURES: Severity.FAILURE,
}


@dataclass(frozen=True, slots=True)
class Reach:
    """Who can be told what: the hosting users with an address, and the kinds that users and administrator want.

    What nobody can be told, or wants to be, does not count as told: it is when that changes.
    """

    users: frozenset[int] = frozenset()
    user_kinds: frozenset[Kind] = frozenset()
    admin_kinds: frozenset[Kind] = frozenset()

    def user(self, kind: Kind, user_id: int | None) -> bool:
        """Whether that user is told of this kind."""
        return kind in self.user_kinds and user_id in self.users

    def admin(self, kind: Kind) -> bool:
        """Whether anybody is told of it as administrator."""
        return kind in self.admin_kinds


def wanted(kind: Kind, level: str, audience: Audience) -> bool:
    """Whether somebody with this level is told of this kind."""
    least = LEAST.get(NotifyLevel(level))
    nature = NATURES[kind]
    return least is not None and nature.severity >= least and (audience == Audience.ADMIN or nature.users)
