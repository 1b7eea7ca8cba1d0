"""Who reads an advice: it names what this very person has, and sends nobody to a page that is not theirs."""

from enum import StrEnum

from autossl_panel.people.models import User


class Reader(StrEnum):
    """Whom the sentences are written for."""

    # Unknown: a file, a program, several people
    ANYBODY = "anybody"
    ROOT = "root"
    RESELLER = "reseller"
    # A hosting user: has a log, and no page of a site
    USER = "user"


def of(person: User) -> Reader:
    """How a person reads it on the pages."""
    if person.is_root:
        return Reader.ROOT
    return Reader.USER if person.is_login else Reader.RESELLER
