"""The question before something that costs: what follows, in numbers, and the form that says yes."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpResponse

from . import access, shell

TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that follows: the fact in bold, the rest, and a `sample` of the names, with how many more there are."""

    fact: str
    rest: str = ""
    icon: str = "warn"
    css: str = "is-warn"
    sample: Sequence[str] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """One answer of several."""

    value: str
    label: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What has to be said beside yes; the first option is ticked."""

    name: str
    label: str
    options: Sequence[Option]


def good(fact: str, rest: str = "") -> Point:
    """What is not lost."""
    return Point(fact, rest, "ok", "is-ok")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its points. `hidden` are the fields that were typed; the button adds `sure`.

    `typed`: what has to be typed before yes is taken, in the field TYPED; `wrong`: something else was.
    `again`: the name and the words of a button that leads back to the form with what was typed.
    `focus` is the id of what tells, on the page after it, that it was done, where no message does.
    """

    title: str
    points: Sequence[Point]
    verb: str
    keep: str
    back: str
    action: str
    hidden: Sequence[tuple[str, str]] = ()
    sure: str = "yes"
    red: bool = True
    choice: Choice | None = None
    typed: str = ""
    wrong: bool = False
    focus: str = ""
    again: tuple[str, str] | None = None


def is_typed(request: access.PanelRequest, text: str) -> bool:
    """Whether the answer holds what had to be typed."""
    return request.POST.get(TYPED, "").strip().lower() == text.lower()


def ask(request: access.PanelRequest, tab: str, question: Question) -> HttpResponse:
    """The question as a page of its own."""
    return shell.page(request, "question.html", tab, {"question": question})
