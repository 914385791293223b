"""Plain text for terminals: aligned columns, and names that cannot steer the terminal."""

from collections.abc import Iterable, Sequence

__all__ = ["GAP", "align", "is_steady", "printable", "width", "widths"]

GAP = 2
"""Blanks between columns, at least."""


def printable(text: str) -> str:
    """`text` with control characters escaped: a name must not steer the terminal or forge a line."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def is_steady(text: str, *, lines: bool = True) -> bool:
    """True when nothing in `text` can steer a terminal; line ends are allowed if `lines`."""
    return text.isprintable() or (lines and text.replace("\n", "").isprintable())


def width(text: str) -> int:
    """Columns that printable `text` takes on a terminal: wide characters count for two."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def widths(rows: Iterable[Sequence[str]], at_least: Sequence[int] = ()) -> list[int]:
    """Width of each column over `rows`, not under `at_least`."""
    result = list(at_least)
    for row in rows:
        result.extend([0] * (len(row) - len(result)))
        for index, cell in enumerate(row):
            columns = len(cell) if cell.isascii() else width(cell)
            if columns > result[index]:
                result[index] = columns
    return result


def align(row: Sequence[str], column_widths: Sequence[int]) -> str:
    """One line: cells padded to their columns, without trailing blanks."""
    gap = " " * GAP
    return gap.join(
        cell.ljust(columns) if cell.isascii() else cell + " " * (columns - width(cell))
        for cell, columns in zip(row, column_widths, strict=True)
    ).rstrip()
