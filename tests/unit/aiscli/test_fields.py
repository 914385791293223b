"""The declared fields of records, and `--columns`, which chooses among them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aiscli.output.fields import RECORDS, Shape, columns_of
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport

LS = "aiscli.commands.bucket:ls"
TYPES = {
    "string",
    "integer",
    "number",
    "boolean",
    "object",
    "null",
    "time",
    "list of string",
    "list of object",
}


@pytest.mark.parametrize("key", RECORDS)
def test_fields_are_declared_well(key: str) -> None:
    records = RECORDS[key]
    names = [field.name for field in records.fields]
    assert len(set(names)) == len(names)
    assert bool(names) == (records.shape not in {Shape.TREE, Shape.CONTENT})
    for field in records.fields:
        assert field.name == field.name.lower()
        assert set(field.type.split(" or ")) <= TYPES
        assert field.meaning


def test_columns_keep_their_order_and_come_once() -> None:
    columns = columns_of(LS, " size, name,size")
    assert [column.field for column in columns] == ["size", "name"]
    assert columns[0].is_size


def test_columns_are_spelled_as_props_too() -> None:
    assert [column.field for column in columns_of(LS, "last-modified")] == ["last_modified"]


def test_an_unknown_column_names_the_nearest_and_all() -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        columns_of(LS, "name,sizee")
    assert '"sizee"' in raised.value.message
    assert raised.value.hint is not None
    assert raised.value.hint.startswith('did you mean "size"?')
    assert "checksum" in raised.value.hint


@pytest.mark.parametrize("text", ["", ",", " "])
def test_no_column_is_an_error(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        columns_of(LS, text)


def test_content_has_no_columns() -> None:
    with pytest.raises(InvalidArgumentError):
        columns_of("aiscli.commands.object:cat", "name")


# as the command has them


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    bucket = BucketRef.parse("ais://b")
    with open_transport(f"file://{path}") as transport:
        transport.create_bucket(bucket)
        transport.put(bucket, "a", b"x" * 2048)
        transport.put(bucket, "no", b"")
        transport.put(bucket, "\u540d\u524d", b"1")
    return path


def ais(home: Path, *args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "aiscli", *args],
        env={"AIS_HOME": str(home), "HOME": str(home), "PYTHONPATH": ":".join(sys.path), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done
    return done


def test_columns_of_a_list_in_every_format(home: Path) -> None:
    def run(name: str) -> str:
        return ais(home, "ls", "ais://b", "--columns", "size,name,checksum", "-o", name).stdout

    records = json.loads(run("json"))
    assert [list(record) for record in records] == [["size", "name", "checksum"]] * 3
    assert records[0]["checksum"]["type"] == "xxhash2", "what is shown is asked for"
    assert [json.loads(line) for line in run("jsonl").splitlines()] == records
    assert yaml.safe_load(run("yaml")) == records
    rows = list(csv.reader(io.StringIO(run("csv"))))
    assert rows[0] == ["size", "name", "checksum"]
    assert [row[:2] for row in rows[1:]] == [["2048", "a"], ["0", "no"], ["1", "\u540d\u524d"]]
    lines = run("table").splitlines()
    assert lines[0].split() == ["SIZE", "NAME", "CHECKSUM"]
    assert lines[1].startswith("2.00KiB  a     xxhash2[")


def test_columns_of_one_thing_are_a_table_for_scripts(home: Path) -> None:
    args = ("show", "object", "ais://b/a", "--columns", "size", "-H", "--units", "raw")
    assert ais(home, *args).stdout == "2048\n"
    props = ais(home, "show", "bucket", "ais://b", "--columns", "value,property", "-o", "csv")
    assert props.stdout.splitlines()[0] == "value,property"
    one = ais(home, "show", "object", "ais://b/a", "--columns", "name", "-o", "yaml").stdout
    assert one == "name: a\n"


def test_columns_leave_out_messages(home: Path) -> None:
    args = ("ls", "ais://b", "--prefix", "none", "--columns", "name")
    assert ais(home, *args).stdout == ""


def test_a_wrong_column_changes_nothing(home: Path) -> None:
    done = ais(home, "rm", "ais://b/a", "--columns", "namee", code=2)
    assert done.stdout == ""
    assert 'did you mean "name"?' in done.stderr
    assert ais(home, "ls", "ais://b/a", "--name-only", "-H").returncode == 0


@pytest.mark.parametrize("name", ["table", "json", "csv", "yaml"])
def test_a_tree_has_the_columns_that_it_has(home: Path, name: str) -> None:
    done = ais(home, "show", "bucket", "ais://b", "--columns", "none", "-o", name, code=2)
    assert done.stdout == ""
    assert "columns are: " in done.stderr


def test_every_command_can_print_machine_formats(home: Path) -> None:
    assert json.loads(ais(home, "version", AIS_OUTPUT="json").stdout).keys() == {"version"}
    spelled = ais(home, "get-batch", "b", "a", "-o", "-", "--output-format", "xml", code=2)
    assert 'invalid output format "xml"' in spelled.stderr


def test_a_failure_is_text_on_standard_error_in_every_format(home: Path) -> None:
    for name in ("table", "json", "jsonl", "csv", "yaml"):
        done = ais(home, "show", "object", "ais://b/none", "-o", name, code=4)
        assert done.stdout == ""
        assert done.stderr.startswith("ErrObjNotFound: ")
