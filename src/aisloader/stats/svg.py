"""Line plots as SVG text."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Line", "line_plot", "ticks"]

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 34, 34
_COLOURS = ("#1f6fb4", "#2c9a4b", "#d07a00", "#b3261e", "#6a51a3")
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: a name, and equally many x and y."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def line_plot(
    lines: Sequence[Line],
    x_unit: str,
    y_unit: str,
    *,
    is_log: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """The plot; on a logarithmic axis every y must be above 0.

    Args:
        lines: what is drawn; nothing comes of no points.
        x_unit: unit of x, behind the last number on its axis.
        y_unit: unit of y, above its axis.
        is_log: the axis of y is logarithmic.
        marks: places on the axis of x and what to write there, instead of round numbers.
    """
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in line.y]
    if not xs:
        return ""
    x_low, x_high = min(0.0, *xs), max(xs)
    y_low, y_high = 0.0, max(ys) * 1.05 or 1.0
    if is_log:
        y_low, y_high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
        y_high = max(y_high, y_low + 1)
    frame = _Frame(x_low, x_high if x_high > x_low else x_low + 1, y_low, y_high, is_log)
    parts = [*_axes(frame, x_unit, y_unit, marks), *_legend(lines)]
    for index, line in enumerate(lines):
        points = " ".join(
            f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(line.x, line.y, strict=True)
        )
        colour = _COLOURS[index % len(_COLOURS)]
        dots = ""
        if len(line.x) == 1:
            dots = f'<circle cx="{frame.x(line.x[0]):.1f}" cy="{frame.y(line.y[0]):.1f}" r="3" fill="{colour}"/>'
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>{dots}'
        )
    label = f"{', '.join(line.name for line in lines)} over {x_unit or 'percentiles'}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(label)}" '
        f'font-family="system-ui,sans-serif" font-size="14">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    is_log: bool

    def x(self, value: float) -> float:
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        if self.is_log:
            value = math.log10(value)
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Round numbers between two bounds."""
    rough = (high - low) / count
    if rough <= 0:
        return [low]
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _axes(
    frame: _Frame, x_unit: str, y_unit: str, marks: Sequence[tuple[float, str]]
) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    if not marks:
        marks = [(value, f"{value:g}") for value in ticks(frame.x_low, frame.x_high)]
        marks[-1] = (marks[-1][0], f"{marks[-1][1]} {x_unit}")
    for value, name in marks:
        at = frame.x(value)
        yield f'<line x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{bottom}" stroke="#e4e4e4"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 20}" text-anchor="middle">{html.escape(name)}</text>'
    heights = (
        [10.0**power for power in range(int(frame.y_low), int(frame.y_high) + 1)]
        if frame.is_log
        else ticks(frame.y_low, frame.y_high)
    )
    for value in heights:
        at = frame.y(value)
        yield f'<line x1="{_LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 5:.1f}" text-anchor="end">{value:g}</text>'
    yield f'<text x="6" y="{_TOP - 14}">{html.escape(y_unit)}</text>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    at = _LEFT + 40
    for index, line in enumerate(lines):
        colour = _COLOURS[index % len(_COLOURS)]
        yield f'<rect x="{at}" y="{_TOP - 25}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{at + 18}" y="{_TOP - 14}">{html.escape(line.name)}</text>'
        at += 44 + 9 * len(line.name)
