"""Completion as people meet it: the scripts in real shells, with names that need quotes."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.testing.archives import build
from aiscore.transport import open_transport

COMPLETIONS = Path(__file__).parents[2] / "completions"
START = {
    "bash": (["--norc", "--noprofile", "-i"], "source {scripts}/ais.bash"),
    "zsh": (["-f", "-i"], "fpath=({scripts} $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": (["--no-config", "-i"], "source {scripts}/ais.fish"),
}
ESCAPES = re.compile(
    r"\x1b\[[0-9;?>=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[=>]|[\r\x08]"
)
DEADLINE_S = 30


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, name: str, work: Path, home: Path) -> None:
        program = shutil.which(name)
        assert program, f"this test needs the shell {name} (Debian: apt install {name})"
        arguments, start = START[name]
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIS_")},
            "AIS_HOME": str(home),
            "HOME": str(work),
            "PATH": f"{work}/bin:{os.environ['PATH']}",
            "TERM": "xterm",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONSAFEPATH": "1",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
        }
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, 200))
        self._process = subprocess.Popen(
            ["setsid", "--ctty", program, *arguments],  # fish wants a controlling terminal
            cwd=work,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._seen = ""
        self.type(start.format(scripts=COMPLETIONS) + "; echo rea''dy\n")
        self.expect("ready")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> None:
        """Wait until the terminal shows `text`, and forget what came before its end."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in (shown := ESCAPES.sub("", self._seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} in {shown!r}"
            if select.select([self._master], [], [], left)[0]:
                self._seen += os.read(self._master, 65536).decode(errors="replace")
        self._seen = shown[shown.index(text) + len(text) :]

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    bucket = BucketRef.parse("ais://train")
    with open_transport(f"file://{path}") as transport:
        transport.create_bucket(bucket)
        transport.create_bucket(BucketRef.parse("ais://other"))
        transport.put(bucket, "space and 'quote: x.txt", b"content of space\n")
        transport.put(bucket, "deep/er/leaf.txt", b"content of leaf\n")
        transport.put(bucket, "$dollar;&.txt", b"content of dollar\n")
        shard = build(ArchiveFormat.TAR, [("in/a b.txt", b"content of member\n")])
        transport.put(bucket, "shard.tar", shard)
    return path


@pytest.fixture(params=START)
def shell(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Iterator[Shell]:
    (tmp_path / "bin").mkdir()
    ais = tmp_path / "bin/ais"
    ais.write_text(f'#!/bin/sh\nexec {sys.executable} -m aiscli "$@"\n')
    ais.chmod(0o755)
    (tmp_path / "some local file").write_bytes(b"local content\n")
    running = Shell(request.param, tmp_path, home)
    yield running
    running.close()


def test_a_name_with_blanks_quotes_and_colons_is_completed_and_works(shell: Shell) -> None:
    shell.type("ais cat ais://tr\t")
    shell.expect("ain/")
    shell.type("sp\t")
    shell.expect(".txt")
    shell.type("\n")
    shell.expect("content of space")


def test_a_name_of_special_characters_is_quoted(shell: Shell) -> None:
    shell.type("ais cat ais://train/'$do\t")
    shell.expect("llar")
    shell.type("\n")
    shell.expect("content of dollar")


def test_directories_are_descended(shell: Shell) -> None:
    shell.type("ais cat ais://train/de\t")
    shell.expect("ep/")
    shell.type("\t")
    shell.expect("er/")
    shell.type("\t")
    shell.expect("leaf.txt")
    shell.type("\n")
    shell.expect("content of leaf")


def test_files_of_a_shard_are_offered(shell: Shell) -> None:
    shell.type("ais get ais://train/shard.tar/\t")
    shell.expect("in/")
    shell.type("a\t")
    shell.expect(".txt")
    shell.type(" -\n")
    shell.expect("content of member")


def test_commands_flags_and_values(shell: Shell) -> None:
    shell.type("ais obj\t")
    shell.expect("ect ")
    shell.type("ge\t")
    shell.expect("t ")
    shell.type("--archreg\t")
    shell.expect("x ")
    shell.type("foo --output jsonl\b\b\t")
    shell.expect("on")


def test_property_names_are_followed_by_their_value(shell: Shell) -> None:
    shell.type("ais bucket props set ais://train versioning.en\t")
    shell.expect("abled=")
    shell.type("f\t")
    shell.expect("alse ")


def test_local_files_are_left_to_the_shell(shell: Shell) -> None:
    shell.type("ais put some\t")
    shell.expect("file")
    shell.type(" ais://other/up\n")
    shell.expect("PUT")


def test_install_puts_the_script_where_fish_finds_it(tmp_path: Path) -> None:
    run_install(tmp_path, "fish")
    assert (tmp_path / ".config/fish/completions/ais.fish").read_text() == script("ais.fish")


def test_install_says_what_bash_and_zsh_need(tmp_path: Path) -> None:
    assert "source '" in run_install(tmp_path, "bash")
    assert "fpath+=(" in run_install(tmp_path, "zsh")
    path = tmp_path / ".local/share/bash-completion/completions/ais"
    assert path.read_text() == script("ais.bash")


def script(name: str) -> str:
    return (COMPLETIONS / name).read_text()


def run_install(home: Path, shell: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "aiscli", "completion", "install", shell],
        env={"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
