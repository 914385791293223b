"""One output engine: commands hand over records and texts, the format decides what is written.

- Records are mappings with stable keys and raw values (sizes are bytes, times ISO 8601). `json`
  writes them as one array, `jsonl` one a line, `csv` with a header row; only `table` shows them
  through columns.
- Texts (messages, captions, footers) belong to the table format and are left out of the others.
- Notes, warnings and errors go to stderr in every format.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, TextIO

from aiscli.output.records import Column, Record, RecordWriter, dump_json, open_writer
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

    @classmethod
    def read(cls, text: str) -> "Format":
        """Read the value of `--output`.

        Raises:
            InvalidArgumentError: unknown format.
        """
        try:
            return cls(text.lower())
        except ValueError:
            raise InvalidArgumentError(
                f'invalid output format "{text}"', hint=f"use one of: {', '.join(cls)}"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How one run prints.

    Attributes:
        format: table or one of the machine formats.
        headers: print the header row of tables and CSV.
        units: how tables and messages show sizes; None is IEC. Machine formats always have bytes.
        color: colour on a terminal; never in pipes.
    """

    format: Format = Format.TABLE
    headers: bool = True
    units: Units | None = None
    color: bool = True


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
        return self.options.format is Format.TABLE

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
        """Begin a list of records; a context manager. Pages are written as they come."""
        return open_writer(
            self.options.format,
            self._stdout,
            columns,
            headers=self.options.headers,
            units=self.options.units or Units.IEC,
            color=self._colors(self._stdout),
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
            self._stdout.write(f"{dump_json(record, indent=4)}\n")
        else:
            self.table([Column(key) for key in record], [record])

    def properties(self, record: Record, shown: Mapping[str, str]) -> None:
        """One thing with properties: PROPERTY and VALUE by name in a table, `record` otherwise."""
        if self.is_table:
            columns = [Column("property"), Column("value")]
            self.table(
                columns, [{"property": key, "value": value or "-"} for key, value in shown.items()]
            )
        else:
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

    def _colors(self, stream: TextIO) -> bool:
        if os.environ.get("FORCE_COLOR"):
            return True
        return self.options.color and stream.isatty()
