"""The command line as a process: usage, version, errors, exit codes, completion."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aisloader.params import parse
from aisloader.params.sections import SECTIONS, section_options
from aisloader.shells import FILE_NAMES, completion_script
from aisloader.usage import EXAMPLES, usage_text

ROOT = Path(__file__).parents[3]


def aisloader(*words: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aisloader", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": str(columns)},
    )


@pytest.mark.parametrize(
    "words", [(), ("usage",), ("help",), ("-usage",), ("--help",), ("-h",), ("-bucket=b", "-h")]
)
def test_the_usage_has_every_flag_and_goes_to_stdout(words: tuple[str, ...]) -> None:
    done = aisloader(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    for section, what in SECTIONS.items():
        assert f"{what.title} ({section}):" in done.stdout
        for each in section_options(section):
            assert re.search(rf"^  -{re.escape(each.name)}\b", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_the_usage_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in usage_text().splitlines():
        assert len(line) < columns


def test_the_examples_of_the_usage_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = usage_text().split("Examples:")[1]
    script = "aisloader() { printf '%s\\n' aisloader \"$@\"; }\n" + "\n".join(
        line for line in shown.splitlines() if line.startswith("    ")
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [word for _, command in EXAMPLES for word in command.split()]


def test_the_usage_of_a_group_and_of_a_flag() -> None:
    assert aisloader("usage", "arch").stdout.startswith("Archives (shards) (arch):\n")
    assert aisloader("usage", "--epochs").stdout.startswith("  -epochs UINT")
    done = aisloader("usage", "epoch")
    assert done.returncode == 2
    assert "did you mean epochs?" in done.stderr


def test_the_examples_of_the_usage_are_command_lines() -> None:
    for _, command in EXAMPLES:
        for line in command.split("\n"):
            name, *words = line.split()
            assert name == "aisloader"
            parse(words, {})


@pytest.mark.parametrize("word", ["version", "-version", "--version"])
def test_the_version(word: str) -> None:
    done = aisloader(word)
    assert done.returncode == 0
    assert re.fullmatch(r"version 2\.1 \(aiscore \S+\)\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (["-bukcet=b"], 2, 'unknown flag "-bukcet"', "did you mean -bucket?"),
        (["-bucket=b", "stray"], 2, 'unexpected argument "stray"', "every parameter is a flag"),
        (["-minsize=huge", "-bucket=b"], 2, "-minsize", ""),
        (["nonsense"], 2, 'unknown command "nonsense"', "run, report"),
        (["-bucket=b", "-pctput=101"], 1, "-pctput 101: expected 0 to 100", ""),
        (["-bucket=b", "-loaderid=x"], 1, "not a number", "-loaderidhashlen=32"),
        (["completion"], 2, "name of a shell", "bash, zsh, fish"),
        (["\x1b]0;x\x07"], 2, "\\x1b]0;x\\x07", ""),
        (["-bucket=b\x1b[2J"], 2, "cannot be printed", ""),
        (["-bucket=b\n-x"], 2, "cannot be printed", ""),
    ],
)
def test_errors_name_the_thing_on_stderr(
    words: list[str], code: int, message: str, hint: str
) -> None:
    done = aisloader(*words)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("aisloader: ")
    assert message in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


def test_the_loader_id() -> None:
    done = aisloader("-getloaderid", "-loaderid=loaderstring", "-loaderidhashlen=8")
    assert (done.returncode, done.stdout) == (0, "0xdb\n")
    done = aisloader("-getloaderid", "-loaderid=11")
    assert (done.returncode, done.stdout) == (0, "0xb\n")
    assert "random" in done.stderr


def test_a_closed_pipe_ends_silently() -> None:
    done = subprocess.run(
        f"{sys.executable} -m aisloader usage | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith("Usage")
    assert done.stderr == ""


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "aisloader", "usage"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "aisloader: cannot write to stdout: No space left on device\n"


def test_usage_and_errors_load_nothing_heavy() -> None:
    program = (
        "import os, sys; from aisloader.cli import run_command; "
        "run_command(['usage'], os.environ); run_command(['-bucket=b', '-pctput=101'], {}); "
        "print(sorted({'numpy', 'httpx', 'pydantic', 'rich', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("shell", list(FILE_NAMES))
def test_shipped_completions_are_current(shell: str) -> None:
    assert (ROOT / "completions" / FILE_NAMES[shell]).read_text() == completion_script(shell)


@pytest.mark.parametrize("shell", list(FILE_NAMES))
def test_completion_scripts_are_valid(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(aisloader("completion", shell).stdout)
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        (["-get-b"], ["-get-batchsize", "-get-batch-format"]),
        (["--get-b"], ["--get-batchsize", "--get-batch-format"]),
        (["-arrival", ""], ["closed", "constant", "poisson"]),
        (["-arrival", "=", "p"], ["poisson"]),
        (["comp"], ["compare", "completion"]),
        (["-bucket", "x"], []),
    ],
)
def test_bash_offers_flags_and_their_words(line: list[str], offers: list[str]) -> None:
    words = " ".join(f"'{word}'" for word in ["aisloader", *line])
    script = f"""
        source {ROOT}/completions/aisloader.bash
        COMP_WORDS=({words}); COMP_CWORD={len(line)}; COMPREPLY=()
        _aisloader; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == offers
