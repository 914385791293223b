"""One output engine: commands hand over records and texts, the format decides what is written.

- Records are mappings with stable keys and raw values (sizes are bytes, times ISO 8601), declared in
  `aiscli.output.fields`. `json` writes them as one array, `jsonl` one a line, `yaml` as a sequence,
  `csv` with a header row; only `table` shows them through columns.
- Texts (messages, captions, footers) belong to the table format and are left out of the others, and
  of a table whose columns the user has chosen: that is read by scripts, too.
- Notes, warnings and errors go to stderr in every format, as text: the exit code is for machines.
- Nothing is cut to the width of the terminal: a name that is shown is a name that can be pasted.
"""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, TextIO

from aiscli.output.records import (
    Column,
    Record,
    RecordWriter,
    choose,
    dump_json,
    open_writer,
)
from aiscli.output.text import printable
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import Units, format_size

__all__ = ["Column", "Format", "Output", "OutputOptions", "Record", "RecordWriter"]

_RED, _CYAN, _BLUE, _RESET = "\033[91m", "\033[96m", "\033[94m", "\033[0m"


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    YAML = "yaml"

    @classmethod
    def read(cls, text: str) -> "Format":
        """Read the value of `--output`.

        Raises:
            InvalidArgumentError: unknown format.
        """
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise InvalidArgumentError(
                f'invalid output format "{text}"', hint=f"use one of: {', '.join(cls)}"
            ) from None


_WITHOUT_COLUMNS = frozenset({Format.JSON, Format.JSONL, Format.YAML})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How one run prints.

    Attributes:
        format: table or one of the machine formats.
        headers: print the header row of tables and CSV.
        units: how tables and messages show sizes; None is IEC. Machine formats always have bytes.
        color: colour on a terminal, or wherever FORCE_COLOR is set.
        columns: fields that the user chose, in order, checked to be of the command; empty for all.
    """

    format: Format = Format.TABLE
    headers: bool = True
    units: Units | None = None
    color: bool = True
    columns: Sequence[Column] = ()


class Output:
    """Writes results to stdout and everything else to stderr."""

    def __init__(
        self,
        options: OutputOptions | None = None,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.options = options or OutputOptions()
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr

    @property
    def is_table(self) -> bool:
        """True when people read the result."""
        return self.options.format is Format.TABLE and not self.options.columns

    @property
    def columns(self) -> tuple[str, ...]:
        """Fields that the user chose; empty for all."""
        return tuple(column.field for column in self.options.columns)

    @property
    def is_terminal(self) -> bool:
        """True when stdout is a terminal."""
        return self._stdout.isatty()

    @property
    def binary(self) -> BinaryIO:
        """Stdout for object content."""
        return self._stdout.buffer

    def size(self, size: int) -> str:
        """A size in the units of this run."""
        return format_size(size, self.options.units or Units.IEC)

    # results

    def text(self, text: str = "") -> None:
        """A line of the table format: message, caption, footer."""
        if self.is_table:
            self._stdout.write(f"{printable(text)}\n")

    def plain(self, text: str) -> None:
        """Text in every format, as it is: help, version."""
        self._stdout.write(text if text.endswith("\n") else f"{text}\n")

    def records(self, columns: Sequence[Column]) -> RecordWriter:
        """Begin a list of records; a context manager. Pages are written as they come.

        Args:
            columns: of tables and CSV, unless the user chose others.
        """
        fields = [column.field for column in columns]
        if fields == ["property", "value"]:
            self._require(fields)
        return open_writer(
            self.options.format,
            self._stdout,
            self._columns(columns),
            headers=self.options.headers,
            units=self.options.units or Units.IEC,
            color=self._colors(self._stdout),
            chosen=self.columns,
        )

    def table(self, columns: Sequence[Column], rows: Iterable[Record]) -> None:
        """A list of records that is at hand."""
        with self.records(columns) as writer:
            writer.page(rows)

    def item(self, record: Record, *texts: str) -> None:
        """One result: `texts` as lines of a table run, `record` otherwise."""
        if self.is_table:
            for text in texts:
                self.text(text)
        elif self.options.format is Format.JSON:
            self._stdout.write(f"{dump_json(choose(record, self.columns), indent=4)}\n")
        elif self.options.format is Format.YAML:
            from aiscli.output.yaml import dump_yaml

            self._stdout.write(dump_yaml(choose(record, self.columns)))
        else:
            self.table([Column(key) for key in record], [record])

    def properties(self, record: Record, shown: Mapping[str, str]) -> None:
        """One thing with properties: PROPERTY and VALUE by name in a table, `record` otherwise."""
        by_name = [Column("property"), Column("value")]
        asks_by_name = set(self.columns) & {"property", "value"}
        if self.is_table or (asks_by_name and not {"property", "value"} & record.keys()):
            rows = ({"property": key, "value": value or "-"} for key, value in shown.items())
            self.table(by_name, rows)
        else:
            self._require(record.keys())
            self.item(record)

    # everything else

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._say(_BLUE, "Note", text)

    def warning(self, text: str) -> None:
        """Something that may not be what the user wants."""
        self._say(_CYAN, "Warning", text)

    def error(self, text: str, *, label: str = "Error", hint: str | None = None) -> None:
        """Why the run failed, and one thing to do next."""
        self._say(_RED, label, text)
        if hint:
            self._stderr.write(f"Hint: {printable(hint)}\n")
        self._stderr.flush()

    def trace(self, text: str) -> None:
        """Raw text on stderr: tracebacks of a debug run, usage blocks."""
        self._stderr.write(text if text.endswith("\n") else f"{text}\n")

    def prompt(self, text: str) -> None:
        """A question without line end; on stderr when stdout carries a machine format."""
        stream = self._stdout if self.is_table else self._stderr
        stream.write(text)
        stream.flush()

    def flush(self) -> None:
        """Hand over what is buffered."""
        self._stdout.flush()

    def _say(self, color: str, label: str, text: str) -> None:
        self._stdout.flush()  # keeps the order of the two streams on one terminal
        head = f"{color}{label}:{_RESET}" if self._colors(self._stderr) else f"{label}:"
        self._stderr.write(f"{head} {printable(text)}\n")

    def _require(self, known: Collection[str]) -> None:
        """Check the chosen fields of a tree, whose names are known when it is there.

        Raises:
            InvalidArgumentError: a field that the result does not have.
        """
        for name in self.columns:
            if name not in known:
                raise InvalidArgumentError(
                    f'--columns: there is no column "{name}"',
                    hint=f"columns are: {', '.join(known)}",
                )

    def _columns(self, columns: Sequence[Column]) -> Sequence[Column]:
        if not self.options.columns or self.options.format in _WITHOUT_COLUMNS:
            return columns
        return self.options.columns

    def _colors(self, stream: TextIO) -> bool:
        if not self.options.color:
            return False  # --no-color, NO_COLOR, TERM=dumb, or the setting no_color
        return os.environ.get("FORCE_COLOR", "0") not in {"", "0"} or stream.isatty()
