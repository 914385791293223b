from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from tests.unit.aisloader.stats.conftest import MakeResult

from aisloader.stats.html import page
from aisloader.stats.result import read_result
from aisloader.stats.svg import Line, line_plot, ticks

VOID = {"meta", "br", "!doctype"}


class Nesting(HTMLParser):
    """Every element that is opened is closed, in order; collects what points elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(v) for name, v in attrs if name in {"src", "href", "xlink:href"}]
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(make_result: MakeResult) -> None:
    text = page(read_result(make_result("r", seconds=40, failed=3)))
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    assert parser.links == []
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<svg") == 4
    assert "3 failed (server)" in text


def test_what_comes_from_outside_is_escaped(make_result: MakeResult) -> None:
    result = read_result(make_result("r"))
    evil = "<script>alert(1)</script>"
    text = page(replace(result, config={"bucket": evil, "proxy": evil}, environment={"host": evil}))
    assert "<script" not in text


def test_a_long_run_is_thinned(make_result: MakeResult) -> None:
    text = page(read_result(make_result("r", seconds=4000, rate=2)))
    assert len(text) < 1_000_000


def test_plots_are_well_formed_and_stay_inside() -> None:
    lines = [Line("a<b", [1.0, 2.0, 3.0], [0.001, 5.0, 1e6]), Line("one", [2.0], [3.0])]
    for is_log in (False, True):
        root = ET.fromstring(line_plot(lines, "s", "ms", is_log=is_log))
        for element in root.iter("polyline"):
            for point in element.attrib["points"].split():
                x, y = (float(part) for part in point.split(","))
                assert 0 <= x <= 960
                assert 0 <= y <= 300
    assert line_plot([], "s", "ms") == ""


def test_ticks_are_round() -> None:
    assert ticks(0, 60) == [0, 10, 20, 30, 40, 50, 60]
    assert ticks(0, 0.7)[1] == 0.2
