"""A form of a rendered page filled in again with what somebody had typed. Knows HTML, nothing of requests."""

from collections.abc import Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit

Values = Mapping[str, Sequence[str]]
# Typed into, so that `value` says what is in it; what is hidden is the page's own, a password is nobody's to repeat
TYPED = frozenset({"", "text", "search", "email", "url", "number", "time", "date", "tel"})
TICKED = frozenset({"checkbox", "radio"})


def fill(html: str, here: str, path: str, values: Values) -> tuple[str, bool]:
    """The page at `here` with its form that is sent to `path` filled in, and whether there is such a form."""
    filler = _Filler(here, path, values)
    filler.feed(html)
    filler.close()
    return "".join(filler.out), filler.filled


class _Filler(HTMLParser):
    """Hands everything through as it stands, but for the fields of that form."""

    def __init__(self, here: str, path: str, values: Values) -> None:
        super().__init__(convert_charrefs=False)
        self.here, self.path, self.values = here, path, values
        self.out: list[str] = []
        self.filled = False
        self._inside = False
        # The select that is open, and whether a text area's own text is left out
        self._select: str | None = None
        self._skips = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        text = self.get_starttag_text() or ""
        if tag == "form":
            action = urlsplit(found.get("action") or self.here).path
            self._inside = found.get("method", "").lower() == "post" and action == self.path
        elif self._inside and tag == "select":
            self._select = found.get("name", "")
        elif self._inside:
            text = self._field(tag, found, text)
        self.out.append(text)
        if self._inside and tag == "textarea" and found.get("name", "") in self.values:
            self.out.append(escape(self.values[found["name"]][-1]))
            self.filled = self._skips = True

    def _field(self, tag: str, found: dict[str, str], text: str) -> str:
        name = found.get("name", "")
        if tag == "option" and self._select in self.values and "value" in found:
            return _marked(found, "option", "selected", found["value"] in self.values[self._select or ""])
        if tag != "input" or "disabled" in found or not name:
            return text
        kind = found.get("type", "").lower()
        if kind in TICKED and (name in self.values or kind == "checkbox"):
            self.filled |= name in self.values
            return _marked(found, "input", "checked", found.get("value", "on") in self.values.get(name, ()))
        if kind in TYPED and name in self.values:
            self.filled = True
            return _tag("input", {**found, "value": self.values[name][-1]})
        return text

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._skips = False
        self.out.append(f"</{tag}>")

    def _through(self, text: str) -> None:
        if not self._skips:
            self.out.append(text)

    def handle_data(self, data: str) -> None:
        self._through(data)

    def handle_entityref(self, name: str) -> None:
        self._through(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._through(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self._through(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self._through(f"<!{decl}>")


def _marked(found: dict[str, str], tag: str, mark: str, on: bool) -> str:
    rest = {name: value for name, value in found.items() if name != mark}
    return _tag(tag, {**rest, mark: mark} if on else rest)


def _tag(tag: str, attributes: Mapping[str, str]) -> str:
    return f"<{tag}" + "".join(f' {name}="{escape(value)}"' for name, value in attributes.items()) + ">"
