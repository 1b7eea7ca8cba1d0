"""Charts as SVG that the server draws, each with the table behind it. Reads no rows; colours are the stylesheet's."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import words

WEEKS = 13
# The plot inside the picture, in the picture's own units
LEFT, RIGHT, TOP, BASE, HEIGHT = 40, 12, 23, 164, 190
# Where the numbers on the left carry a unit
WIDE_LEFT = 52
# A bar that stands for something is seen, and kinds are parted
LEAST, GAP = 2.4, 1.4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of bar: its class in the stylesheet, and its pattern where colour alone would have to tell it."""

    key: str
    css: str
    label: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Rect:
    kind: Kind
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    x: str
    y: str
    css: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the legend, with what its bars sum up to."""

    kind: Kind
    total: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table behind."""

    head: str
    cells: tuple[str, ...]
    href: str = ""
    # The moment of the head to the second, in UTC
    exact: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """What one bar stands for: a number of each kind, the label below it (if any), and its row of the table."""

    label: str
    numbers: Mapping[str, int]
    head: str
    href: str = ""
    exact: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its title, its description in words, and the table that says the same."""

    name: str
    title: str
    text: str
    width: int
    ticks: tuple[tuple[str, str], ...]
    rects: tuple[Rect, ...] = ()
    texts: tuple[Text, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    legend: tuple[Entry, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[Row, ...] = field(default_factory=tuple)
    height: int = HEIGHT
    base: int = BASE
    left: int = LEFT

    @property
    def tick_x(self) -> int:
        return self.left - 8

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def patterns(self) -> set[str]:
        return {entry.kind.pattern for entry in self.legend if entry.kind.pattern}


def expiry(days: Iterable[tuple[date, str, int]], today: date, *, disabled: bool = False) -> Chart:
    """Certificates by the week in which they expire: (day, kind, number), kinds “renews”, “held” and “foreign”.

    Thirteen weeks from today, and what comes later; what has expired is not in it. `disabled`: no provider is in use,
    so that nothing renews.
    """
    foreign = Kind("foreign", "fo", _("Foreign, never renewed by AutoSSL"))
    if disabled:
        days = [(day, kind if kind == foreign.key else "lapses", n) for day, kind, n in days]
        kinds: tuple[Kind, ...] = (foreign, Kind("lapses", "bad-o", _("Lapses: AutoSSL is disabled"), "hatch"))
    else:
        renews = Kind("renews", "renews", _("Renews by itself"))
        kinds = (renews, foreign, Kind("held", "bad-o", _("Held back, needs a person"), "hatch"))
    weeks: list[Counter[str]] = [Counter() for _week in range(WEEKS + 1)]
    for day, kind, n in days:
        if day >= today:
            weeks[min((day - today).days // 7, WEEKS)][kind] += n
    columns = []
    for number, week in enumerate(weeks):
        begins = today + timedelta(weeks=number)
        label = words.date_of(begins) if number < WEEKS else _("later")
        head = _("Week from %(day)s") % {"day": label} if number < WEEKS else _("Later")
        columns.append(Column(label, week, head))
    total: Counter[str] = sum(weeks, Counter())
    said = (
        _("%(lapses)d lapsing, because AutoSSL is disabled, %(foreign)d foreign.")
        if disabled
        else _("%(renews)d renewing by itself, %(held)d held back, %(foreign)d foreign.")
    )
    text = ngettext("%(n)d certificate:", "%(n)d certificates:", total.total()) % {"n": total.total()}
    text += " " + said % {kind.key: total[kind.key] for kind in kinds}
    if any(week["held"] for week in weeks):
        last = max(number for number, week in enumerate(weeks) if week["held"])
        if last < WEEKS:
            before = words.date_of(today + timedelta(weeks=last + 1))
            text += " " + _("All that are held back expire before %(day)s.") % {"day": before}
    return _bars("expiry", _("Certificates by the week they expire"), text, kinds, columns, _("Week"))


def outcomes(columns: Sequence[Column]) -> Chart:
    """What runs did, the oldest first: numbers of “done”, “put_off” and “failed” sites."""
    kinds = (
        Kind("done", "f-ok", _("Secured or renewed")),
        Kind("put_off", "warn-o", _("Deferred or waiting"), "rows"),
        Kind("failed", "bad-o", _("Failed"), "hatch"),
    )
    failing = sum(1 for column in columns if column.numbers.get("failed"))
    text = ngettext("%(n)d run.", "%(n)d runs.", len(columns)) % {"n": len(columns)} + " "
    text += ngettext("%(n)d had failures.", "%(n)d had failures.", failing) % {"n": failing}
    return _bars("outcomes", _("Outcomes of the last runs"), text, kinds, columns, _("Run"), width=560, values=False)


def share(days: Sequence[tuple[date, int, int]]) -> Chart:
    """Which part of the sites was secured, day by day: (day, secured, sites), the oldest first."""
    noted = [(day, 100 * secured / sites) for day, secured, sites in days if sites]
    axes = _Axes.of(noted)
    texts = [Text(words.date_of(day), axes.x(day), str(BASE + 18), "m") for day in _spread(noted)]
    if noted:
        day, value = noted[-1]
        texts.append(Text(f"{_percent(value)} %", axes.x(day, 6), axes.y(value, 4), "s"))
    line = "L".join(f"{axes.x(day)} {axes.y(value)}" for day, value in noted)
    if len(noted) == 1:
        # A line of no length is a dot; without it nothing would be drawn
        line += "h0"
    rows = tuple(
        Row(words.whole_date(day), (str(secured), str(sites), f"{_percent(100 * secured / sites)} %"))
        for day, secured, sites in reversed(days)
        if sites
    )
    return Chart(
        name="share",
        title=_("Share of the sites that are secured"),
        text=_share_text(noted),
        width=axes.width,
        ticks=tuple((f"{value} %", axes.y(value)) for value in range(axes.low, 101, axes.step)),
        texts=tuple(texts),
        lines=((f"M{line}", "line"),) if line else (),
        head=(_("Day"), _("Secured"), _("Sites"), _("Share")),
        rows=rows,
        left=WIDE_LEFT,
    )


def _share_text(noted: Sequence[tuple[date, float]]) -> str:
    if not noted:
        return _("No day has been noted yet; the first one is within a minute of the first sites.")
    day, value = noted[-1]
    if len(noted) == 1:
        text = _("%(value)s %% of the sites on %(day)s, the first day that is noted.")
        return text % {"value": _percent(value), "day": words.date_of(day)}
    return _("%(value)s %% of the sites on %(day)s; %(low)s %% at the lowest since %(first)s.") % {
        "value": _percent(value),
        "day": words.date_of(day),
        "low": _percent(min(value for _day, value in noted)),
        "first": words.date_of(noted[0][0]),
    }


@dataclass(frozen=True, slots=True)
class _Axes:
    """Days from left to right, per cent from `low` to 100 upwards."""

    first: date
    span: int
    low: int
    width: int = 560

    @classmethod
    def of(cls, noted: Sequence[tuple[date, float]]) -> "_Axes":
        if not noted:
            return cls(date.min, 1, 0)
        low = 10 * int(max(0.0, min(value for _day, value in noted) - 1) // 10)
        return cls(noted[0][0], max((noted[-1][0] - noted[0][0]).days, 1), low)

    @property
    def step(self) -> int:
        return 20 if self.low < 50 else 10 if self.low < 80 else 5 if self.low < 90 else 2

    def x(self, day: date, more: float = 0) -> str:
        left, right = WIDE_LEFT + 12, self.width - RIGHT - 44
        return _n(left + (right - left) * ((day - self.first).days / self.span) + more)

    def y(self, value: float, more: float = 0) -> str:
        return _n(BASE - (BASE - TOP) * (value - self.low) / (100 - self.low) + more)


def _percent(value: float) -> str:
    """Never rounded up to a hundred: one site of ten thousand that is missing is missing."""
    return "100" if value >= 100 else formats.number_format(min(value, 99.9), 1)


def _spread(noted: Sequence[tuple[date, float]]) -> list[date]:
    """At most five days, even apart, the last one among them."""
    days = [day for day, _value in noted]
    if len(days) <= 5:
        return days
    return [days[round(place * (len(days) - 1) / 4)] for place in range(5)]


def _bars(
    name: str,
    title: str,
    text: str,
    kinds: Sequence[Kind],
    columns: Sequence[Column],
    head: str,
    *,
    width: int = 1180,
    values: bool = True,
) -> Chart:
    """Stacked bars on one base line; the kinds from the foot up."""
    totals = [sum(column.numbers.get(kind.key, 0) for kind in kinds) for column in columns]
    ticks = scale(max(totals, default=0))
    top = ticks[-1] or 1
    pitch = (width - LEFT - RIGHT) / max(len(columns), 1)
    bar = min(44.0, pitch * 0.62)
    rects: list[Rect] = []
    texts: list[Text] = []
    for number, column in enumerate(columns):
        x, y = LEFT + pitch * number + (pitch - bar) / 2, float(BASE)
        for kind in kinds:
            n = column.numbers.get(kind.key, 0)
            if n:
                height = max(LEAST, (BASE - TOP) * n / top)
                y -= height
                rects.append(Rect(kind, _n(x), _n(y), _n(bar), _n(height)))
                y -= GAP
        if values and totals[number]:
            texts.append(Text(str(totals[number]), _n(x + bar / 2), _n(y - 3), "v"))
        if column.label:
            texts.append(Text(column.label, _n(x + bar / 2), str(BASE + 18), "m"))
    told = _told(kinds)
    rows = [[column.numbers.get(kind.key, 0) for kind in told] for column in columns]
    legend = tuple(Entry(kind, str(sum(row[place] for row in rows))) for place, kind in enumerate(told))
    table = tuple(
        Row(column.head, tuple(map(str, (*row, sum(row)))), column.href, column.exact)
        for column, row in zip(columns, rows, strict=True)
    )
    return Chart(
        name=name,
        title=title,
        text=text,
        width=width,
        ticks=tuple((str(tick), _n(BASE - (BASE - TOP) * tick / top)) for tick in ticks),
        rects=tuple(rects),
        texts=tuple(texts),
        legend=legend,
        head=(head, *(kind.label for kind in told), _("Total")),
        rows=table,
    )


def _told(kinds: Sequence[Kind]) -> Sequence[Kind]:
    """In the order of telling: as drawn, but what is foreign last."""
    return sorted(kinds, key=lambda kind: kind.key == "foreign")


def scale(most: int) -> list[int]:
    """Round numbers from 0 up to `most` or a little more: three or four of them."""
    if most <= 0:
        return [0]
    step = next(unit * 10**power for power in range(12) for unit in (1, 2, 5) if unit * 10**power * 4 >= most)
    count = -(-most // step)
    return [step * place for place in range(count + 1)]


def _n(value: float) -> str:
    """A number as SVG takes it, whatever the language."""
    return f"{value:.1f}".removesuffix(".0")
