"""Plays recorded command lines: files `NAME.in`, `NAME.stdout` and `NAME.cleanup`, see docs/replay.md.

A case is played in a scratch directory of its own, with a store and settings of its own, and with
the `ais` of this interpreter first on PATH. Files of the case directory that are no cases are
linked into the scratch directory, so lines may read them and nothing is written beside them.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from pathlib import Path

__all__ = ["Options", "Outcome", "Result", "Status", "find_cases", "play"]

STEP_TIMEOUT_S = 300.0
_CONTEXT_LINES = 2
SUFFIXES = frozenset({".in", ".stdout", ".cleanup"})
CONDITIONS = frozenset(
    {"authn", "clean-cluster", "k8s", "local-deployment", "promote-root", "remais"}
)


class Status(StrEnum):
    """How a case came out."""

    PASSED = "pass"
    FAILED = "fail"
    SKIPPED = "skip"


@dataclass(frozen=True)
class Result:
    """The outcome of a case; `detail` is the diff, or why it was skipped."""

    name: str
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Options:
    """How to play.

    Attributes:
        ais: the program that `ais` stands for; None is the one of this interpreter.
        endpoint: a running store to use; "" is a new one for each case.
        conditions: what `// RUN` may ask for, besides `clean-cluster`, which is looked at.
        variables: more `$NAME` to replace.
        step_timeout_s: a line that takes longer fails.
    """

    ais: str | None = None
    endpoint: str = ""
    conditions: frozenset[str] = frozenset({"local-deployment"})
    variables: Mapping[str, str] = field(default_factory=dict)
    step_timeout_s: float = STEP_TIMEOUT_S


class Outcome(Exception):
    """Ends a case before its last line."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Step:
    """One line: what to run, and what to make of it."""

    line: int
    command: str
    is_ignored: bool = False
    is_saved: bool = False
    failure: str | None = None  # what stderr must hold; None: the step must succeed


def find_cases(directory: Path, names: Sequence[str] = ()) -> list[Path]:
    """The `.in` files of a directory, sorted; only those of `names`, if there are any.

    Raises:
        FileNotFoundError: a name without a file.
    """
    if not names:
        return sorted(directory.glob("*.in"))
    cases = [directory / f"{name.removesuffix('.in')}.in" for name in names]
    for case in cases:
        if not case.is_file():
            raise FileNotFoundError(f"no case {case}")
    return cases


def play(case: Path, options: Options | None = None) -> Result:
    """Play one case and clean up after it."""
    with tempfile.TemporaryDirectory(prefix="replay-", ignore_cleanup_errors=True) as scratch:
        player = _Player(case, options or Options(), Path(scratch))
        try:
            try:
                player.run()
            finally:
                player.clean_up()
        except Outcome as outcome:
            return Result(case.stem, outcome.status, outcome.detail)
    return Result(case.stem, Status.PASSED)


def squeeze(line: str) -> str:
    """`line` without blanks."""
    return re.sub(r"\s+", "", line)


def matches(expected: str, got: str) -> bool:
    """Is a squeezed line of output what a squeezed expected line, or its expression, asks for?"""
    if len(expected) > 2 and expected.startswith("^") and expected.endswith("$"):
        return re.search(expected, got) is not None
    return expected == got


def parse_step(number: int, text: str) -> Step:
    """Split a line into the command and the note behind ` //`."""
    command, separator, note = text.partition(" //")
    if not separator:
        return Step(number, text)
    note = note.partition(" //")[0]
    failure = None
    if "FAIL" in note:
        first, last = note.find('"'), note.rfind('"')
        failure = note[first + 1 : last] if last > first else ""
    return Step(number, command, "IGNORE" in note, "SAVE_RESULT" in note, failure)


def read_lines(path: Path) -> list[str]:
    """Lines without their ends; the last one may lack it."""
    lines = path.read_text("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


class _Player:
    def __init__(self, case: Path, options: Options, scratch: Path) -> None:
        self.case = case.resolve()
        self.options = options
        self.work = scratch / "work"
        self.result = ""
        self.output: list[str] = []
        self.bucket = "".join(random.choices(string.ascii_lowercase, k=10))
        self.object = scratch / "files" / "e2e"
        self.object.parent.mkdir()
        self.object.touch()
        self.etl = f"etlname-{''.join(random.choices(string.ascii_lowercase, k=4))}"
        self.environment = _environment(options, scratch)
        _link_data(self.case.parent, self.work)

    def run(self) -> None:
        """Play the lines, then compare.

        Raises:
            Outcome: the case is to be skipped, or has failed.
        """
        for number, text in enumerate(read_lines(self.case), 1):
            if not text:
                continue
            if text.startswith("//"):
                self._obey(number, text)
            else:
                self._play(parse_step(number, text))
        expected = self.case.with_suffix(".stdout")
        wanted = read_lines(expected) if expected.exists() else []
        self._compare([self._substitute(squeeze(line)) for line in wanted])

    def clean_up(self) -> None:
        """Destroy the buckets that are named after the case's random word; run the cleanup lines."""
        buckets = self._query("ls", "ais:")
        if isinstance(buckets, list):
            for entry in buckets:
                if self.bucket in entry["name"]:
                    self._ais("bucket", "rm", entry["name"], "--yes")
        cleanup = self.case.with_suffix(".cleanup")
        for line in read_lines(cleanup) if cleanup.exists() else []:
            if line:
                self._shell(self._substitute(line))

    def _obey(self, number: int, text: str) -> None:
        word, _, rest = text.removeprefix("//").strip().partition(" ")
        rest = rest.strip()
        if word == "SKIP":
            raise Outcome(Status.SKIPPED, rest.strip('"'))
        if word != "RUN" or rest not in CONDITIONS:
            raise self._failure(number, text, "expected // RUN CONDITION or // SKIP REASON")
        if rest == "clean-cluster":
            if self._query("ls", "ais:"):
                raise Outcome(Status.SKIPPED, "needs a store without buckets")
        elif rest not in self.options.conditions:
            raise Outcome(Status.SKIPPED, f"needs {rest}")

    def _play(self, step: Step) -> None:
        command = self._substitute(step.command)
        if "$PRINT_SIZE" in command:
            name = command.replace("$PRINT_SIZE ", "")
            command = f"wc -c {name} | awk '{{print $1}}'"
        code, stdout, stderr = self._shell(command)
        if step.failure is not None:
            wanted = self._substitute(step.failure)
            if code == 0:
                raise self._failure(step.line, command, "expected to fail, but exit 0", stdout)
            if wanted.lower() not in stderr.lower():
                raise self._failure(step.line, command, f"expected on stderr: {wanted}", stderr)
            return
        if code != 0:
            raise self._failure(step.line, command, f"exit {code}", stdout + stderr)
        if step.is_saved:
            self.result = stdout.strip()
        elif not step.is_ignored:
            lines = stdout.split("\n")
            self.output += lines[:-1] if lines[-1] == "" else lines

    def _compare(self, expected: Sequence[str]) -> None:
        got = [squeeze(line).replace("&#34;", "") for line in self.output]
        pairs = list(zip(expected, got, strict=False))
        if len(expected) == len(got) and all(matches(left, right) for left, right in pairs):
            return
        raise Outcome(Status.FAILED, "\n".join(_diff(expected, got, self.output)))

    def _substitute(self, text: str) -> str:
        values = {
            "BUCKET": self.bucket,
            "OBJECT": str(self.object),
            "RANDOM_TARGET": self._target if "$RANDOM_TARGET" in text else "",
            "RANDOM_MOUNTPATH": self._mountpath if "$RANDOM_MOUNTPATH" in text else "",
            "DIR": str(self.case.parent),
            "RESULT": self.result,
            "BACKENDS": "ais",
            "ETL_NAME": self.etl,
            **self.options.variables,
        }
        for name, value in values.items():
            text = text.replace(f"${name}", value)
        return text

    @property
    def _target(self) -> str:
        nodes = self._query("show", "cluster", "target")
        if isinstance(nodes, list) and nodes and isinstance(nodes[0], dict):
            return next((str(nodes[0][k]) for k in ("id", "node", "target") if k in nodes[0]), "t")
        return "t"

    @property
    def _mountpath(self) -> str:
        found = self._query("storage", "mountpath", "show")
        if isinstance(found, list) and found:
            return str(random.choice(found)["path"])
        return ""

    def _query(self, *words: str) -> object:
        code, stdout, _ = self._ais(*words, "-o", "json")
        try:
            answer: object = json.loads(stdout) if code == 0 else None
        except ValueError:
            return None
        return answer

    def _ais(self, *words: str) -> tuple[int, str, str]:
        return self._run(["ais", *words])

    def _shell(self, command: str) -> tuple[int, str, str]:
        return self._run(["bash", "-c", command])

    def _run(self, words: Sequence[str]) -> tuple[int, str, str]:
        """Exit code, stdout and stderr; whatever the line has started ends with it."""
        with subprocess.Popen(
            words,
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=self.options.step_timeout_s)
            except BaseException as exc:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(exc, subprocess.TimeoutExpired):
                    raise
                text = f"line took longer than {self.options.step_timeout_s:g} s: {words[-1]}"
                raise Outcome(Status.FAILED, text) from None
        return (
            process.returncode,
            stdout.decode("utf-8", "replace"),
            stderr.decode("utf-8", "replace"),
        )

    def _failure(self, number: int, command: str, what: str, printed: str = "") -> Outcome:
        lines = [f"{self.case.name}:{number}: {what}", f"  {command}"]
        lines += [f"  | {line}" for line in printed.rstrip().splitlines()]
        return Outcome(Status.FAILED, "\n".join(lines))


def _environment(options: Options, scratch: Path) -> dict[str, str]:
    """Neither settings nor data of the user; the wanted `ais` first on PATH."""
    directory = scratch / "bin"
    directory.mkdir()
    program = directory / "ais"
    if options.ais is None:
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aiscli "$@"\n')
        program.chmod(0o755)
    else:
        program.symlink_to(os.path.abspath(shutil.which(options.ais) or options.ais))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIS_")}
    store = {"AIS_ENDPOINT": options.endpoint} if options.endpoint else {}
    return {
        **kept,
        **store,
        "AIS_HOME": str(scratch / "home"),
        "AIS_CLI_CONFIG_DIR": str(scratch / "settings"),
        "PATH": f"{directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


def _link_data(source: Path, work: Path) -> None:
    work.mkdir()
    for path in source.iterdir():
        if path.suffix not in SUFFIXES:
            (work / path.name).symlink_to(path)


def _diff(expected: Sequence[str], got: Sequence[str], raw: Sequence[str]) -> Iterator[str]:
    """What is missing and what is too much; blanks are gone from what is expected."""
    yield f"{len(expected)} lines expected, {len(got)} printed (- expected, + printed)"
    # To align both, a printed line stands for the expected one that it matches: that in its place,
    # or else, where lines are missing or too many, the first.
    stands_for = []
    for index, line in enumerate(got):
        others = expected if len(expected) != len(got) else ()
        found = (e for e in (*expected[index : index + 1], *others) if matches(e, line))
        stands_for.append(next(found, line))
    aligned = SequenceMatcher(None, expected, stands_for, autojunk=False)
    for group in aligned.get_grouped_opcodes(_CONTEXT_LINES):
        yield f"@@ line {group[0][1] + 1} of what is expected, {group[0][3] + 1} of what is printed"
        for tag, left, left_end, right, right_end in group:
            if tag == "equal":
                yield from (f"  {line}" for line in raw[right:right_end])
                continue
            yield from (f"- {line}" for line in expected[left:left_end])
            yield from (f"+ {line}" for line in raw[right:right_end])
