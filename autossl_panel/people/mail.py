"""E-mail addresses: the one form in which they are kept, and what is wrong with one that cannot be."""

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from autossl_panel import names

LONGEST = 254


class AddressProblem(ValueError):
    """A text that is no e-mail address we can send to."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def address(text: str) -> str:
    """The address with its domain as A-labels in lower case (RFC 5321, no SMTPUTF8); raises AddressProblem."""
    typed = text.strip()
    shown = typed[:80]
    local, at, domain = typed.rpartition("@")
    if not at or not local:
        raise AddressProblem(f"“{shown}” is not an e-mail address: it is like name@example.com.")
    try:
        found = f"{local}@{names.normalize(domain)}"
        EmailValidator(allowlist=[])(found)
    except names.NameProblem as problem:
        raise AddressProblem(f"“{shown}” is not an e-mail address: {problem.text}") from problem
    except ValidationError as error:
        raise AddressProblem(
            f"“{shown}” is not an e-mail address: it is like name@example.com, in letters without accents."
        ) from error
    if len(found) > LONGEST:
        raise AddressProblem(f"“{shown}…” is longer than {LONGEST} characters.")
    return found
