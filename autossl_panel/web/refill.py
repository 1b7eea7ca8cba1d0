"""A form of a rendered page filled in again with what somebody had typed. Knows HTML, nothing of requests."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from itertools import accumulate
from urllib.parse import urlsplit

Values = Mapping[str, Sequence[str]]
Attributes = Mapping[str, str]
# Typed into, so that `value` says what is in it; what is hidden is the page's own, a password is nobody's to repeat
TYPED = frozenset({"", "text", "search", "email", "url", "number", "time", "date", "tel"})
# Of Django, another on each page
CSRF = "csrfmiddlewaretoken"


def fill(html: str, here: str, path: str, values: Values) -> tuple[str, bool]:
    """The page at `here` with its form that was sent to `path` filled in, and whether there is such a form.

    All else stands as it stood, to the byte. Of several forms that lead there it is the one whose hidden fields are
    what was sent.
    """
    reader = _Reader(html, here, path, values)
    reader.feed(html)
    reader.close()
    form = _sent(reader.forms)
    if form is None:
        return html, False
    out, at = [], 0
    for start, end, text in form.edits:
        out += [html[at:start], text]
        at = end
    return "".join([*out, html[at:]]), True


class _Form:
    """A form that leads to the path, and what filling it in would change; a value fills one field."""

    def __init__(self, values: Values) -> None:
        self.sent = values
        self.left = {name: list(some) for name, some in values.items()}
        self.hidden: Counter[tuple[str, str]] = Counter()
        self.filled = 0
        # Start, end and new text, in the page's order
        self.edits: list[tuple[int, int, str]] = []

    @property
    def is_as_sent(self) -> bool:
        """Whether its hidden fields are what was sent."""
        return self.hidden <= Counter((name, value) for name, some in self.sent.items() for value in some)

    def take(self, name: str) -> str | None:
        """The next value of this name: fields of one name were sent in their order."""
        left = self.left.get(name)
        if not left:
            return None
        self.filled += 1
        return left.pop(0)

    def ticks(self, name: str, value: str) -> bool:
        """Whether the box with this value was ticked."""
        self.filled += name in self.sent
        if value not in self.left.get(name, ()):
            return False
        self.left[name].remove(value)
        return True

    def hides(self, name: str, value: str) -> None:
        if name != CSRF:
            self.hidden[name, value] += 1
            if self.left.get(name):
                self.left[name].pop(0)


def _sent(forms: Sequence[_Form]) -> _Form | None:
    """The form that was sent. A page's only one is it even if what it hides has changed since, as counts do."""
    found = [form for form in forms if form.filled and (form.is_as_sent or len(forms) == 1)]
    return max(found, key=lambda form: (form.hidden.total(), form.filled), default=None)


class _Reader(HTMLParser):
    """Finds those forms, and where in the text their fields stand."""

    def __init__(self, html: str, here: str, path: str, values: Values) -> None:
        super().__init__(convert_charrefs=False)
        self.here, self.path, self.values = here, path, values
        self.forms: list[_Form] = []
        self._form: _Form | None = None
        self._lines = [0, *accumulate(len(line) + 1 for line in html.split("\n"))]
        # The chosen values of the select that is open; what a text area gets, and where its own text begins
        self._chosen: Sequence[str] | None = None
        self._area: tuple[int, str] | None = None

    def _at(self) -> int:
        line, offset = self.getpos()
        return self._lines[line - 1] + offset

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # To HTML, the slash of <input/> says nothing.
        self.handle_starttag(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = None
            action = urlsplit(found.get("action") or self.here).path
            if found.get("method", "").lower() == "post" and action == self.path:
                self._form = _Form(self.values)
                self.forms.append(self._form)
        elif self._form is not None:
            self._field(self._form, tag, found)

    def _field(self, form: _Form, tag: str, found: Attributes) -> None:
        name, start = found.get("name", ""), self._at()
        end = start + len(self.get_starttag_text() or "")
        if tag == "option" and self._chosen is not None and "value" in found:
            form.edits.append((start, end, _marked(found, "option", "selected", found["value"] in self._chosen)))
        if "disabled" in found or not name:
            return
        if tag == "select":
            self._chosen = _chosen(form, name, many="multiple" in found)
        elif tag == "textarea":
            value = form.take(name)
            self._area = None if value is None else (end, value)
        elif tag == "input":
            text = _input(form, name, found)
            if text is not None:
                form.edits.append((start, end, text))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._chosen = None
        elif tag == "textarea" and self._area is not None and self._form is not None:
            start, value = self._area
            # A line feed that follows the start tag is no part of what is in it.
            text = escape(value)
            self._form.edits.append((start, self._at(), f"\n{text}" if text.startswith(("\n", "\r")) else text))
            self._area = None


def _chosen(form: _Form, name: str, *, many: bool) -> Sequence[str] | None:
    """What of a select was chosen; None where nothing was sent of it."""
    if name not in form.sent:
        return None
    if many:
        form.filled += 1
        return form.sent[name]
    value = form.take(name)
    return None if value is None else [value]


def _input(form: _Form, name: str, found: Attributes) -> str | None:
    """An input as it was sent; None for one that stays as it is."""
    kind = found.get("type", "").lower()
    if kind == "hidden" and "data-shown" in found:
        # What its fields had shown goes with what was typed into them.
        value = form.take(name)
        return None if value is None else _tag("input", {**found, "value": value}.items())
    if kind == "hidden":
        form.hides(name, found.get("value", ""))
    elif kind == "checkbox":
        return _marked(found, "input", "checked", form.ticks(name, found.get("value", "on")))
    elif kind == "radio" and name in form.sent:
        form.filled += 1
        return _marked(found, "input", "checked", found.get("value", "on") in form.sent[name])
    elif kind in TYPED:
        value = form.take(name)
        if value is not None:
            return _tag("input", {**found, "value": value}.items())
    return None


def _marked(found: Attributes, tag: str, mark: str, on: bool) -> str:
    rest = [(name, value) for name, value in found.items() if name != mark]
    return _tag(tag, [*rest, (mark, mark)] if on else rest)


def _tag(tag: str, attributes: Iterable[tuple[str, str]]) -> str:
    return f"<{tag}" + "".join(f' {name}="{escape(value)}"' for name, value in attributes) + ">"
