"""What comes next for a job that is in an ordering thread's hands. None: it is out of them, ended or elsewhere."""

from dataclasses import dataclass

from ..choosing import Chosen
from ..facts import ProviderFacts
from ..models import Order


@dataclass(frozen=True, slots=True)
class Decide:
    """Its names are judged: say what that means, and order where it means that."""


@dataclass(frozen=True, slots=True)
class TakeUp:
    """It has an order already, open or issued: go on with that."""


@dataclass(frozen=True, slots=True)
class Advance:
    """Take its order as far as the CA lets it. `fresh`: it was saved a moment ago with a permit, and not sent yet."""

    order: Order
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Ask the rules anew, with what is known by now; `code` says what went wrong before."""

    code: str = ""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Go on with the provider that was chosen. `pinned`: it is to be that one, though others would come before it."""

    provider: ProviderFacts
    chosen: Chosen
    pinned: bool = False


Move = Decide | TakeUp | Advance | Again | Elsewhere | None
