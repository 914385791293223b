"""Plain text for terminals: aligned columns, and names that cannot steer the terminal."""

from collections.abc import Iterable, Sequence

__all__ = ["GAP", "align", "printable", "widths"]

GAP = 2
"""Blanks between columns, at least."""


def printable(text: str) -> str:
    """`text` with control characters escaped: a name must not steer the terminal or forge a line."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def widths(rows: Iterable[Sequence[str]], at_least: Sequence[int] = ()) -> list[int]:
    """Width of each column over `rows`, not under `at_least`."""
    result = list(at_least)
    for row in rows:
        result.extend([0] * (len(row) - len(result)))
        for index, cell in enumerate(row):
            if len(cell) > result[index]:
                result[index] = len(cell)
    return result


def align(row: Sequence[str], column_widths: Sequence[int]) -> str:
    """One line: cells padded to their columns, without trailing blanks."""
    gap = " " * GAP
    return gap.join(
        cell.ljust(width) for cell, width in zip(row, column_widths, strict=True)
    ).rstrip()
