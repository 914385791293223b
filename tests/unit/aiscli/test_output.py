"""The output engine: formats, alignment, and names that try to steer the terminal."""

import io
import json
from collections.abc import Iterator

import pytest
import yaml

from aiscli.output import Column, Format, Output, OutputOptions
from aiscli.output.prompt import Prompter
from aiscore.errors import InvalidArgumentError
from aiscore.model.units import Units

COLUMNS = [Column("name"), Column("size", is_size=True)]
ROWS: list[dict[str, object]] = [{"name": "a", "size": 1536}, {"name": "long-name", "size": None}]


def make(options: OutputOptions) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(options, stdout=out, stderr=err), out, err


def test_a_table_is_aligned_without_trailing_blanks() -> None:
    output, out, _ = make(OutputOptions())
    output.table(COLUMNS, ROWS)
    assert out.getvalue() == "NAME       SIZE\na          1.50KiB\nlong-name  -\n"


def test_a_table_without_headers_and_with_raw_sizes() -> None:
    output, out, _ = make(OutputOptions(headers=False, units=Units.RAW))
    output.table(COLUMNS, ROWS)
    assert out.getvalue() == "a          1536\nlong-name  -\n"


def test_json_is_one_array_over_all_pages() -> None:
    output, out, _ = make(OutputOptions(format=Format.JSON))
    with output.records(COLUMNS) as writer:
        writer.page(ROWS[:1])
        writer.page(ROWS[1:])
    assert json.loads(out.getvalue()) == ROWS


def test_json_without_records_is_an_empty_array() -> None:
    output, out, _ = make(OutputOptions(format=Format.JSON))
    output.table(COLUMNS, [])
    assert json.loads(out.getvalue()) == []


def test_jsonl_and_csv() -> None:
    output, out, _ = make(OutputOptions(format=Format.JSONL))
    output.table(COLUMNS, ROWS)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == ROWS
    output, out, _ = make(OutputOptions(format=Format.CSV))
    output.table(COLUMNS, [{"name": 'a,"b"', "size": 1}])
    assert out.getvalue() == 'name,size\n"a,""b""",1\n'


def test_texts_belong_to_tables_and_notes_to_stderr() -> None:
    output, out, err = make(OutputOptions(format=Format.JSON))
    output.text("caption")
    output.note("n")
    output.warning("w")
    output.error("e", label="ErrX", hint="h")
    assert out.getvalue() == ""
    assert err.getvalue() == "Note: n\nWarning: w\nErrX: e\nHint: h\n"


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\rb", "x\x07", "\u202etxt"])
def test_control_characters_of_names_are_escaped_in_tables(name: str) -> None:
    output, out, _ = make(OutputOptions(headers=False))
    output.table([Column("name")], [{"name": name}])
    assert name not in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_a_line_end_in_a_name_does_not_forge_a_row() -> None:
    output, out, _ = make(OutputOptions(headers=False))
    output.table([Column("name")], [{"name": "a\nb"}])
    assert out.getvalue() == "a\\nb\n"


def test_pages_are_written_as_they_come() -> None:
    output, out, _ = make(OutputOptions(format=Format.JSONL))
    seen: list[int] = []

    def rows() -> Iterator[dict[str, object]]:
        for index in range(3):
            seen.append(out.getvalue().count("\n"))
            yield {"name": str(index)}

    output.table([Column("name")], rows())
    assert seen == [0, 1, 2]


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        Format.read("xml")
    assert raised.value.hint is not None
    assert "jsonl" in raised.value.hint


@pytest.mark.parametrize(
    ("answers", "expected", "text"),
    [
        ("y\n", True, ""),
        ("YES\n", True, ""),
        ("1\n", True, ""),
        ("n\n", False, "Operation canceled.\n"),
        ("", False, "Operation canceled.\n"),
        ("\n", False, "Operation canceled.\n"),
        ("what\non\n", True, ""),
    ],
)
def test_confirmation(answers: str, expected: bool, text: str) -> None:
    output, out, _ = make(OutputOptions())
    assert Prompter(output, io.StringIO(answers)).confirm("Sure?") is expected
    assert out.getvalue().endswith(f"Sure? [Y/N]: {text}")


def test_a_phrase_must_be_typed() -> None:
    output, out, err = make(OutputOptions())
    assert Prompter(output, io.StringIO("delete\nDELETE\n")).phrase("DELETE")
    assert out.getvalue().count("Type 'DELETE' to confirm (or 'N' to cancel): ") == 2
    assert "DELETE" in err.getvalue()
    assert not Prompter(output, io.StringIO("")).phrase("DELETE")


def test_without_input_a_question_is_an_error_that_names_the_flag() -> None:
    output, _, _ = make(OutputOptions())
    with pytest.raises(InvalidArgumentError) as raised:
        Prompter(output, io.StringIO("y\n"), no_input=True).confirm("Sure?")
    assert raised.value.hint == "pass --yes"


def test_a_question_does_not_spoil_a_machine_format() -> None:
    output, out, err = make(OutputOptions(format=Format.JSON))
    assert Prompter(output, io.StringIO("y\n")).confirm("Sure?")
    assert out.getvalue() == ""
    assert "Sure?" in err.getvalue()


# yaml

TRICKY = [
    *("no", "y", "012", "0o17", "1e3", "1_000", "12:30", "2026-11-23", "1.2.3", "~", "null", ""),
    *("a: b", "- a", "# x", " lead", "trail ", "\u00e9\U0001f600", "a\nb", "\x9b31m", "\u202ex"),
    *("0x1F", ".5", "+1", "-", "=", "<<", "*a", "&a", "!t", "@x", "`", "%", "[x]", "{a}", "NaN"),
    *("\x1b[2J", "\u2028", "a" * 300 + " b", "\x1b\U0001f600"),
]


def test_yaml_is_one_sequence_that_reads_back() -> None:
    output, out, _ = make(OutputOptions(format=Format.YAML))
    rows: list[dict[str, object]] = [{"s": text} for text in TRICKY]
    rows += [{"n": 1, "f": 1.5, "b": True, "z": None, "d": {}, "l": [], "t": [{"a": [1]}]}]
    with output.records(COLUMNS) as writer:
        writer.page(rows[:7])
        writer.page(rows[7:])
    assert yaml.safe_load(out.getvalue()) == rows
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert "\u00e9\U0001f600" in out.getvalue()
    assert out.getvalue().count("\n- ") == len(rows) - 1, "no string is folded into lines"


@pytest.mark.parametrize("word", TRICKY[:12])
def test_yaml_quotes_what_a_parser_could_take_for_something_else(word: str) -> None:
    output, out, _ = make(OutputOptions(format=Format.YAML))
    output.item({"value": word})
    assert out.getvalue() == f"value: '{word}'\n"


def test_yaml_has_no_aliases() -> None:
    output, out, _ = make(OutputOptions(format=Format.YAML))
    shared = {"a": 1}
    output.table(COLUMNS, [{"x": shared, "y": shared}])
    assert "&" not in out.getvalue()


def test_yaml_without_records_is_an_empty_sequence() -> None:
    output, out, _ = make(OutputOptions(format=Format.YAML))
    output.table(COLUMNS, [])
    assert yaml.safe_load(out.getvalue()) == []


# machine formats on terminals, colours, widths


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "x\x9b31m", "\u202etxt", "a\x7f"])
def test_json_escapes_what_could_steer_a_terminal(name: str) -> None:
    output, out, _ = make(OutputOptions(format=Format.JSON))
    output.table([Column("name")], [{"name": name}])
    assert name not in out.getvalue()
    assert json.loads(out.getvalue()) == [{"name": name}]


def test_csv_is_exact_in_a_pipe_and_harmless_on_a_terminal() -> None:
    row: dict[str, object] = {"name": "a\x1b[2J"}
    output, out, _ = make(OutputOptions(format=Format.CSV, headers=False))
    output.table([Column("name")], [row])
    assert out.getvalue() == "a\x1b[2J\n"
    screen = Terminal()
    terminal = Output(OutputOptions(format=Format.CSV, headers=False), stdout=screen)
    terminal.table([Column("name")], [row])
    assert "\x1b" not in screen.getvalue()


def test_wide_characters_are_aligned_by_their_columns() -> None:
    output, out, _ = make(OutputOptions(headers=False))
    output.table(COLUMNS, [{"name": "\u540d\u524d", "size": 1}, {"name": "abcdef", "size": 1}])
    assert out.getvalue() == "\u540d\u524d    1B\nabcdef  1B\n"


@pytest.mark.parametrize(
    ("options", "environment", "is_colored"),
    [
        (OutputOptions(), {}, True),
        (OutputOptions(color=False), {}, False),
        (OutputOptions(color=False), {"FORCE_COLOR": "1"}, False),
        (OutputOptions(), {"FORCE_COLOR": "0"}, True),
    ],
)
def test_colours_on_a_terminal(
    options: OutputOptions,
    environment: dict[str, str],
    is_colored: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Terminal()
    Output(options, stdout=screen, stderr=screen).error("e")
    assert ("\x1b[" in screen.getvalue()) == is_colored


def test_colours_in_a_pipe_are_forced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, is_colored in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv("FORCE_COLOR", value)
        output, _, err = make(OutputOptions())
        output.error("e")
        assert ("\x1b[" in err.getvalue()) == is_colored
