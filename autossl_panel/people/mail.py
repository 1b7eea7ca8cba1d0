"""E-mail addresses: the one form in which they are kept, and what is wrong with one that cannot be."""

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext as _

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
        raise AddressProblem(_("“%(shown)s” is not an e-mail address: it is like name@example.com.") % {"shown": shown})
    try:
        found = f"{local}@{names.normalize(domain)}"
        EmailValidator(allowlist=[])(found)
    except names.NameProblem as problem:
        raise AddressProblem(
            _("“%(shown)s” is not an e-mail address: %(why)s") % {"shown": shown, "why": problem.text}
        ) from problem
    except ValidationError as error:
        raise AddressProblem(
            _("“%(shown)s” is not an e-mail address: it is like name@example.com, in letters without accents.")
            % {"shown": shown}
        ) from error
    if len(found) > LONGEST:
        raise AddressProblem(_("“%(shown)s…” is longer than %(most)d characters.") % {"shown": shown, "most": LONGEST})
    return found
