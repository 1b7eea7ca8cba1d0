"""One field of a form: what was typed, and what is wrong with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """An input as its form shows it again."""

    name: str
    value: str
    problem: str
    first_problem: bool

    @property
    def checked(self) -> bool:
        return self.value == "yes"
