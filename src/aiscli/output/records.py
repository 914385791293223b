"""Writers of record lists, one a format. Each holds one page at most."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, Self, TextIO

from aiscli.output.text import align, is_steady, printable, widths
from aiscore.model.units import Units, format_size

__all__ = ["Column", "Record", "RecordWriter", "choose", "dump_json", "open_writer"]

Record = Mapping[str, object]

PAGE_ROWS = 10_000
"""Rows aligned together in a table; a longer page is cut, so that memory stays flat."""

_BOLD, _RESET = "\033[1m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        field: key of the record.
        header: shown above; the field in upper case unless given.
        is_size: the value is bytes and is shown in units.
        show: makes the cell out of the whole record, where the value alone is not enough.
    """

    field: str
    header: str = ""
    is_size: bool = False
    show: Callable[[Record], str] | None = None

    @property
    def title(self) -> str:
        """The header."""
        return self.header or self.field.upper().replace("_", " ")

    def cell(self, record: Record, units: Units) -> str:
        """What the table shows of `record`."""
        if self.show is not None:
            return printable(self.show(record))
        value = record.get(self.field)
        if self.is_size and isinstance(value, int):
            return format_size(value, units)
        if value is None and record.get("directory") is True:
            return ""  # it has a name and nothing else; scripts of AIStore's take an empty cell
        return printable(_plain(value)) or "-"


class RecordWriter(Protocol):
    """Takes pages of records. A context manager; leaving it completes the output."""

    def page(self, records: Iterable[Record]) -> None:
        """Write records now."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def open_writer(
    format_name: str,
    stream: TextIO,
    columns: Sequence[Column],
    *,
    headers: bool = True,
    units: Units = Units.IEC,
    color: bool = False,
    chosen: Sequence[str] = (),
) -> RecordWriter:
    """The writer of a format.

    Args:
        format_name: value of `Format`.
        stream: where to.
        columns: of tables and CSV, in order.
        headers: of tables and CSV.
        units: of sizes in tables.
        color: of table headers.
        chosen: fields of the other formats, in order; empty for all that a record has.
    """
    if format_name == "json":
        return _JsonWriter(stream, chosen)
    if format_name == "jsonl":
        return _JsonLinesWriter(stream, chosen)
    if format_name == "yaml":
        return _YamlWriter(stream, chosen)
    if format_name == "csv":
        return _CsvWriter(stream, columns, headers=headers)
    return _TableWriter(stream, columns, headers=headers, units=units, color=color)


def dump_json(value: object, *, indent: int | None = None) -> str:
    """JSON as the command prints it: UTF-8 kept, keys in the order of the documentation.

    What could steer a terminal is escaped, which JSON readers undo.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if is_steady(text):
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)


def choose(record: Record, chosen: Sequence[str]) -> Record:
    """`record` with the chosen fields only, in that order; one that it has not is None."""
    return {field: record.get(field) for field in chosen} if chosen else record


class _Writer:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            self.close()

    def close(self) -> None:
        self._stream.flush()


class _TreeWriter(_Writer):
    """A format whose records have their fields with them."""

    def __init__(self, stream: TextIO, chosen: Sequence[str]) -> None:
        super().__init__(stream)
        self._chosen = chosen
        self._is_empty = True

    def page(self, records: Iterable[Record]) -> None:
        for record in records:
            self._write(choose(record, self._chosen))
            self._is_empty = False

    def _write(self, record: Record) -> None:
        raise NotImplementedError


class _JsonWriter(_TreeWriter):
    """An array; one record a line, so that `grep` and `diff` work on it too."""

    def _write(self, record: Record) -> None:
        self._stream.write("[\n    " if self._is_empty else ",\n    ")
        self._stream.write(dump_json(record))

    def close(self) -> None:
        self._stream.write("[]\n" if self._is_empty else "\n]\n")
        super().close()


class _JsonLinesWriter(_TreeWriter):
    def _write(self, record: Record) -> None:
        self._stream.write(f"{dump_json(record)}\n")


class _YamlWriter(_TreeWriter):
    """A sequence of mappings; written in pieces that together are one document."""

    def page(self, records: Iterable[Record]) -> None:
        from aiscli.output.yaml import iter_yaml

        for piece in iter_yaml(choose(record, self._chosen) for record in records):
            self._stream.write(piece)
            self._is_empty = False

    def close(self) -> None:
        if self._is_empty:
            self._stream.write("[]\n")
        super().close()


class _CsvWriter(_Writer):
    def __init__(self, stream: TextIO, columns: Sequence[Column], *, headers: bool) -> None:
        super().__init__(stream)
        self._fields = [column.field for column in columns]
        self._csv = csv.writer(stream, lineterminator="\n")
        # In a pipe a name is exact; on a terminal it must not steer.
        self._text = (lambda value: printable(_plain(value))) if stream.isatty() else _plain
        if headers:
            self._csv.writerow(self._fields)

    def page(self, records: Iterable[Record]) -> None:
        self._csv.writerows(
            [self._text(record.get(field)) for field in self._fields] for record in records
        )


class _TableWriter(_Writer):
    def __init__(
        self, stream: TextIO, columns: Sequence[Column], *, headers: bool, units: Units, color: bool
    ) -> None:
        super().__init__(stream)
        self._columns = columns
        self._headers = headers
        self._units = units
        self._color = color
        self._widths = [len(column.title) if headers else 0 for column in columns]

    def page(self, records: Iterable[Record]) -> None:
        rest = iter(records)
        while batch := list(islice(rest, PAGE_ROWS)):
            rows = [
                [column.cell(record, self._units) for column in self._columns] for record in batch
            ]
            # A later page may be wider, never narrower: columns do not jump back.
            self._widths = widths(rows, self._widths)
            self._header()
            self._stream.write("".join(f"{align(row, self._widths)}\n" for row in rows))

    def _header(self) -> None:
        if not self._headers:
            return
        line = align([column.title for column in self._columns], self._widths)
        self._stream.write(f"{_BOLD}{line}{_RESET}\n" if self._color else f"{line}\n")
        self._headers = False


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list, tuple)):
        return dump_json(value)
    return str(value)
