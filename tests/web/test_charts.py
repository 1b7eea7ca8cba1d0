"""Charts: what a bar stands for, round axes, words for those who do not see it, and the table behind."""

from datetime import date, timedelta
from html.parser import HTMLParser

import pytest
from django.template import engines
from django.utils import translation

from autossl_panel.web import charts
from autossl_panel.web.charts import Column, scale

TODAY = date(2026, 11, 23)


def draw(chart: charts.Chart) -> str:
    return engines["django"].from_string("{% load charts %}{% chart it %}").render({"it": chart})


def table(chart: charts.Chart) -> dict[str, tuple[str, ...]]:
    return {row.head: row.cells for row in chart.rows}


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, [0]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (52, [0, 20, 40, 60]),
        (400, [0, 100, 200, 300, 400]),
        (50_000, [0, 20_000, 40_000, 60_000]),
    ],
)
def test_axes_have_round_numbers(most, ticks):
    assert scale(most) == ticks
    assert len(scale(most)) <= 5


def expiry() -> charts.Chart:
    return charts.expiry(
        [
            (TODAY - timedelta(days=1), "renews", 9),
            (TODAY, "held", 2),
            (TODAY + timedelta(days=6), "foreign", 1),
            (TODAY + timedelta(days=7), "renews", 5),
            (TODAY + timedelta(days=90), "renews", 3),
            (TODAY + timedelta(days=91), "renews", 4),
            (TODAY + timedelta(days=4000), "foreign", 1),
        ],
        TODAY,
    )


def test_thirteen_weeks_and_later_and_nothing_that_has_expired():
    found = table(expiry())
    assert len(found) == 14
    assert found["Week from 23 Nov"] == ("0", "2", "1", "3")
    assert found["Week from 30 Nov"] == ("5", "0", "0", "5")
    assert found["Week from 15 Feb"] == ("3", "0", "0", "3")
    assert found["Later"] == ("4", "0", "1", "5")


def test_the_three_kinds_are_told_apart_without_colour():
    chart = expiry()
    assert [entry.total for entry in chart.legend] == ["12", "2", "2"]
    assert [entry.kind.css for entry in chart.legend] == ["renews", "bad-o", "fo"]
    assert chart.patterns == {"hatch"}
    html = draw(chart)
    assert html.count("url(#expiry-hatch)") == 2, "one bar, one entry of the legend"


def test_it_says_in_words_what_it_shows():
    assert expiry().text == (
        "16 certificates: 12 renewing by itself, 2 held back, 2 foreign. All that are held back expire before 30 Nov."
    )
    late = charts.expiry([(TODAY + timedelta(days=400), "held", 1)], TODAY)
    assert late.text == "1 certificate: 0 renewing by itself, 1 held back, 0 foreign."
    html = draw(expiry())
    assert 'role="img" aria-labelledby="expiry-t expiry-d"' in html
    assert '<desc id="expiry-d">16 certificates:' in html


def test_bars_stand_on_one_another_and_none_is_too_small_to_be_seen():
    chart = charts.expiry([(TODAY, "renews", 100_000), (TODAY, "held", 1)], TODAY)
    below, above = chart.rects
    assert float(above.height) == charts.LEAST
    assert float(above.y) + float(above.height) <= float(below.y)
    assert float(below.y) + float(below.height) == pytest.approx(charts.BASE, abs=0.11)
    assert float(above.y) > 0


class Frames(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[dict[str, str | None]] = []
        self.styles = 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.styles += "style" in values
        if values.get("class") == "wrap":
            self.frames.append(values)


def test_picture_and_table_have_frames_that_a_keyboard_can_scroll():
    found = Frames()
    found.feed(draw(expiry()))
    assert found.styles == 0
    assert [(frame["tabindex"], frame["role"]) for frame in found.frames] == [("0", "region")] * 2
    assert len({frame["aria-label"] for frame in found.frames}) == 2


def test_outcomes_lead_to_their_runs():
    columns = [
        Column("", {"done": 3, "put_off": 0, "failed": 0}, "20 Nov, 03:12, All users", "/runs/1/"),
        Column("23 Nov", {"done": 2, "put_off": 1, "failed": 4}, "<23> Nov", "/runs/2/"),
    ]
    chart = charts.outcomes(columns)
    assert chart.text == "2 runs. 1 had failures."
    assert table(chart)["<23> Nov"] == ("2", "1", "4", "7")
    assert chart.patterns == {"hatch", "rows"}
    html = draw(chart)
    assert '<a class="who" href="/runs/2/">&lt;23&gt; Nov</a>' in html


def test_a_run_that_did_nothing_is_a_gap():
    chart = charts.outcomes([Column("", {}, "a"), Column("", {"done": 1}, "b")])
    assert len(chart.rects) == 1
    assert charts.outcomes([]).rects == ()


def test_the_share_has_an_axis_that_shows_the_difference():
    days = [(TODAY - timedelta(days=2), 940, 1000), (TODAY - timedelta(days=1), 951, 1000), (TODAY, 999, 1000)]
    chart = charts.share(days)
    assert [label for label, _y in chart.ticks] == ["90 %", "92 %", "94 %", "96 %", "98 %", "100 %"]
    assert chart.text == "99.9 % of the sites on 23 Nov; 94.0 % at the lowest since 21 Nov."
    assert next(iter(table(chart).items())) == ("23 Nov 2026", ("999", "1000", "99.9 %"))
    ((path, css),) = chart.lines
    assert css == "line"
    assert path.count("L") == 2


def test_the_first_day_is_called_that():
    chart = charts.share([(date(2026, 11, 23), 8, 11)])
    assert chart.text == "72.7 % of the sites on 23 Nov, the first day that is noted."


def test_one_site_that_is_missing_is_never_rounded_away():
    assert "99.9 % of the sites" in charts.share([(TODAY, 49_999, 50_000)]).text
    assert "100 % of the sites" in charts.share([(TODAY, 50_000, 50_000)]).text


@pytest.mark.parametrize("days", [[], [(TODAY, 0, 0)], [(TODAY, 3, 4)], [(TODAY, 0, 4)]])
def test_few_days_are_no_trouble(days):
    html = draw(charts.share(days))
    assert "nan" not in html
    assert "None" not in html


def test_numbers_of_a_picture_do_not_depend_on_the_language():
    with translation.override("de"):
        html = draw(expiry())
    assert 'viewBox="0 0 1180 190"' in html
    assert ",5" not in html.partition("<figcaption>")[0].replace("text>", "")
