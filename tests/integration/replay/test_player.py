"""The player itself: what passes, what fails, and what is left behind (nothing)."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.integration.replay.player import (
    Options,
    Result,
    Status,
    matches,
    parse_step,
    play,
    squeeze,
)

RUN = str(Path(__file__).with_name("run.py"))


def play_lines(
    tmp_path: Path, lines: str, expected: str = "", options: Options | None = None
) -> Result:
    (tmp_path / "case.in").write_text(lines)
    (tmp_path / "case.stdout").write_text(expected)
    return play(tmp_path / "case.in", options)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("echo one\n\n# a comment\necho two // a note\n", "one\ntwo\n"),
        ("echo '  a   b\tc'\n", "ab c"),
        ("printf 'no end'\n", "no end\n"),
        ("printf 'a\\n\\n'\n", "a\n\n"),
        ("echo dropped // IGNORE\necho kept\n", "kept\n"),
        ("echo ' 42 ' // SAVE_RESULT\necho $RESULT-$RESULT\n", "42-42\n"),
        ('echo out; echo "Some THING" >&2; false // FAIL "some thing"\n', ""),
        ("false // FAIL\n", ""),
        ('echo \'a "b" c\' >&2; exit 3 // FAIL "a "b" c"\n', ""),
        ("printf 12345 > $OBJECT_x\n$PRINT_SIZE $OBJECT_x\n", "5\n"),
        ("echo $BUCKET_1\n", "$BUCKET_1\n"),
        ("echo x-$BUCKET | tr a-z A-Z\n", "^X-[A-Z]{10}$\n"),
        (
            "touch here\n[ -e here ] && echo state is in files\nX=1\necho .$X\n",
            "stateisinfiles\n.\n",
        ),
        ("cat; echo stdin is empty\n", "stdin is empty\n"),
        ("echo '&#34;quoted&#34;'\n", "quoted\n"),
        ("// RUN local-deployment\necho ran\n", "ran\n"),
        ("// RUN clean-cluster\necho ran\n", "ran\n"),
        ("cat data.txt; ls $DIR/data.txt | wc -l\n", "data\n1\n"),
    ],
)
def test_what_passes(tmp_path: Path, lines: str, expected: str) -> None:
    (tmp_path / "data.txt").write_text("data\n")
    assert play_lines(tmp_path, lines, expected) == Result("case", Status.PASSED)


@pytest.mark.parametrize(
    ("lines", "expected", "detail"),
    [
        ("echo one\n", "two\n", "- two\n+ one"),
        ("echo one\n", "", "+ one"),
        ("true\n", "one\n", "- one"),
        ("echo one\n", "one\n\n", "- "),
        ("echo one\n", "^t.*$\n", "- ^t.*$"),
        ("echo oops >&2; exit 3\n", "", "exit 3"),
        ("exit 3 // IGNORE\n", "", "exit 3"),
        ("true // FAIL\n", "", "expected to fail"),
        ('echo other >&2; false // FAIL "this"\n', "", "expected on stderr: this"),
        ("\n// RUN nowhere\n", "", "case.in:2"),
        ("// what is this\n", "", "case.in:1"),
    ],
)
def test_what_fails_and_why(tmp_path: Path, lines: str, expected: str, detail: str) -> None:
    result = play_lines(tmp_path, lines, expected)
    assert result.status is Status.FAILED
    assert detail in result.detail


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('// SKIP "not today"\nfalse\n', "not today"),
        ("// RUN k8s\nfalse\n", "needs k8s"),
        ("ais create b // IGNORE\n// RUN clean-cluster\nfalse\n", "needs a store without buckets"),
    ],
)
def test_what_is_skipped(tmp_path: Path, lines: str, why: str) -> None:
    assert play_lines(tmp_path, lines) == Result("case", Status.SKIPPED, why)


def test_conditions_and_variables_of_the_caller(tmp_path: Path) -> None:
    options = Options(conditions=frozenset({"k8s"}), variables={"WHO": "me"})
    result = play_lines(tmp_path, "// RUN k8s\necho $WHO\n", "me\n", options)
    assert result.status is Status.PASSED


def test_a_line_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    lines = f"sleep 100 & echo $! > {pid}; wait\n"
    result = play_lines(tmp_path, lines, options=Options(step_timeout_s=1))
    assert result.status is Status.FAILED
    assert "longer than 1 s" in result.detail
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", pid.read_text().strip()], capture_output=True, check=False
    )
    assert state.stdout.strip()[:1] in {b"", b"Z"}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "case.cleanup").write_text(f"echo $BUCKET >> {tmp_path}/cleaned\n\n")
    result = play_lines(
        cases, "ais create ais://$BUCKET_1 // IGNORE\ntouch litter $OBJECT_2\nfalse\n"
    )
    assert result.status is Status.FAILED
    assert sorted(os.listdir(cases)) == ["case.cleanup", "case.in", "case.stdout"]
    assert list(scratch.iterdir()) == []
    assert len((tmp_path / "cleaned").read_text().strip()) == 10


def test_in_a_store_of_the_caller_only_the_buckets_of_the_case_go(tmp_path: Path) -> None:
    store = f"file://{tmp_path}/store"
    options = Options(endpoint=store)
    keep = "ais create ais://keep // IGNORE\nais create ais://x-$BUCKET-y // IGNORE\n"
    keep += "echo 1 | ais put - ais://x-$BUCKET-y/o // IGNORE\n"
    assert play_lines(tmp_path, keep, options=options).status is Status.PASSED
    result = play_lines(tmp_path, "ais ls ais: -H\n", "ais://keep yes\n^Total.*$\n", options)
    assert result == Result("case", Status.PASSED)


def test_the_script_plays_a_directory(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, RUN, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    for name, line in (("good", "true"), ("bad", "echo x"), ("skipped", "// SKIP why")):
        (tmp_path / f"{name}.in").write_text(f"{line}\n")
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert "fail  bad\n" in done.stdout
    assert "+ x\n" in done.stdout
    assert "skip  skipped (why)\n" in done.stdout
    assert done.stdout.endswith("1 pass, 1 fail, 1 skip\n")
    assert run(str(tmp_path), "good", "skipped.in").returncode == 0
    assert run(str(tmp_path), "none").returncode == 2
    assert run(str(tmp_path / "none")).returncode == 2


def test_the_parts() -> None:
    assert squeeze(" a\t b \u00a0c") == "abc"
    assert matches("^a.*$", "abc")
    assert not matches("^a.*$", "bac")
    assert matches("^$", "^$"), "too short for an expression"
    assert parse_step(1, 'x // FAIL "a" // b').failure == "a"
    assert parse_step(1, "curl http://host/x").command == "curl http://host/x"
