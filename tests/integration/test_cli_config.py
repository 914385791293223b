"""Settings, contexts, aliases, suggestions and the doctor, as a subprocess."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiscli.actions.settings.doctor import Verdict, find_ais


class Cli:
    """Runs `ais` with settings and a default home of its own; no variable names a store."""

    def __init__(self, tmp_path: Path, command: str) -> None:
        self.command = command
        self.file = tmp_path / "config" / "cli.json"
        self.home = tmp_path / "data"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIS_")},
            "AIS_CLI_CONFIG_DIR": str(self.file.parent),
            "XDG_DATA_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COLUMNS": "80",
        }

    def run(self, *args: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.command, *args],
            env=self.env | env,
            input="",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, (args, done)
        assert "Traceback" not in done.stderr
        return done

    def out(self, *args: str, code: int = 0, **env: str) -> str:
        return self.run(*args, code=code, **env).stdout

    def err(self, *args: str, code: int, **env: str) -> str:
        return self.run(*args, code=code, **env).stderr

    def json(self, *args: str, code: int = 0, **env: str) -> Any:  # noqa: ANN401
        return json.loads(self.out(*args, "-o", "json", code=code, **env))


@pytest.fixture
def cli(tmp_path: Path, quick_ais: str) -> Cli:
    return Cli(tmp_path, quick_ais)


def test_settings(cli: Cli) -> None:
    assert cli.out("config", "cli", "show", "--path").strip() == str(cli.file)
    assert not cli.file.exists()
    text = cli.out("config", "cli", "set", "timeout.tcp_timeout=5s", "no_color=true")
    assert text == (
        '"timeout.tcp_timeout" set to: "5s" (was: "60s")\n"no_color" set to: "true" (was: "false")\n'
    )
    assert cli.out("config", "cli", "set", "no_color=true") == ""
    assert cli.json("config", "cli", "show", "no_color", "--origin") == [
        {"property": "no_color", "value": True, "origin": "file"}
    ]
    assert "cluster.url" in cli.err("config", "cli", "set", "clustr.url=x", code=2)
    assert "invalid endpoint" in cli.err("config", "cli", "set", "cluster.url=ftp://x", code=2)
    assert "duration" in cli.err("config", "cli", "set", "timeout.tcp_timeout=x", code=2)
    assert "boolean" in cli.err("config", "cli", "set", "verbose=maybe", code=2)
    assert "ais alias set" in cli.err("config", "cli", "set", "aliases.x=ls", code=2)
    assert cli.out("config", "reset") == "CLI config successfully reset to all defaults\n"
    assert not cli.file.exists()
    assert Path(f"{cli.file}.bak").exists()


def test_the_file_leads_to_a_store(cli: Cli, tmp_path: Path) -> None:
    note = cli.run("config", "cli", "set", "cluster.url=http://127.0.0.1:8080").stderr
    assert "context set" in note
    assert cli.json("ls") == []
    cli.run("config", "cli", "set", f"cluster.url=file://{tmp_path}/other")
    cli.run("create", "ais://there")
    assert (tmp_path / "other").exists()
    assert cli.json("ls", AIS_HOME=str(tmp_path / "home")) == []
    shown = cli.json("config", "cli", "show", "endpoint", "--origin")
    assert shown[0]["origin"] == "cluster.url"


def test_contexts(cli: Cli, tmp_path: Path) -> None:
    assert "No contexts" in cli.out("config", "context", "ls")
    for name in ("one", "two"):
        cli.run("config", "context", "set", name, f"file://{tmp_path}/{name}")
        cli.run("create", f"ais://in-{name}", "--context", name)
    assert cli.json("ls") == []
    cli.run("config", "context", "use", "one")
    assert [b["name"] for b in cli.json("ls")] == ["ais://in-one"]
    assert [b["name"] for b in cli.json("ls", AIS_CONTEXT="two")] == ["ais://in-two"]
    assert [b["name"] for b in cli.json("ls", "--context", "two")] == ["ais://in-two"]
    assert [c["current"] for c in cli.json("config", "context", "ls")] == [True, False]
    assert "does not exist" in cli.err("ls", "--context", "none", code=3)
    assert "does not exist" in cli.err("config", "context", "use", "none", code=3)
    assert "exclusive" in cli.err("ls", "--context", "one", "--endpoint", "/x", code=2)
    assert "AIS_HOME is set" in cli.run("config", "context", "use", "two", AIS_HOME="/x").stderr
    cli.run("config", "context", "rm", "two")
    assert cli.json("ls") == []
    assert (tmp_path / "two").exists()


def test_a_broken_file_stops_what_needs_it_and_nothing_else(cli: Cli) -> None:
    cli.file.parent.mkdir()
    cli.file.write_text("{")
    for line in (["ls"], ["lsl"], ["create", "b"], ["alias"], ["config", "cli", "show"]):
        assert "ais config reset" in cli.err(*line, code=1)
    cli.run("version")
    cli.run("--help")
    assert "cannot read" in cli.out("doctor", code=1)
    cli.run("config", "reset")
    assert cli.json("ls") == []


def test_aliases(cli: Cli) -> None:
    cli.run("create", "ais://b")
    assert cli.out("alias").splitlines()[:3][1].split() == ["=====", "======="]
    assert cli.out("alias", "set", "lsl", "ls --json") == 'Aliased "ls --json" = "lsl"\n'
    assert json.loads(cli.out("lsl"))[0]["name"] == "ais://b"
    assert "List buckets" in cli.out("lsl", "--help")
    assert "lsl" in cli.out("--help")
    text = cli.out("alias", "set", "lsl", "bucket", "ls")
    assert text == 'Alias "lsl" new command "bucket ls" (was: "ls --json")\n'
    assert {"alias": "lsl", "command": "bucket ls"} in cli.json("alias", "show")
    assert "is a command" in cli.err("alias", "set", "bucket", "ls", code=8)
    cli.run("alias", "set", "bucket", "ls", "--force")
    assert cli.json("bucket")[0]["name"] == "ais://b"
    cli.run("alias", "rm", "bucket")
    assert "not a command" in cli.err("alias", "set", "x", "wombat", code=2)
    assert cli.out("alias", "rm", "lsl") == ""
    assert "does not exist" in cli.err("alias", "rm", "lsl", code=3)
    cli.run("alias", "rm", "ls")
    assert "was removed" in cli.err("ls", code=2)
    assert cli.out("alias", "reset").startswith("Command aliases reset to all defaults:\n")
    cli.run("ls")


def test_aliases_of_aistore_that_lead_nowhere_here_are_left_out(cli: Cli) -> None:
    cli.file.parent.mkdir()
    cli.file.write_text('{"aliases": {"ls": "bucket ls", "nowhere": "wombat start"}}')
    done = cli.run("alias", "show")
    assert "nowhere" not in done.stdout
    assert "nowhere" in done.stderr


def test_names_that_are_nearly_right(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    cli.run("create", "ais://images")
    cli.run("put", str(tmp_path / "f"), "ais://images/train/shard-01.tar")
    assert 'did you mean "ais://images"?' in cli.err("ls", "ais://imgaes", code=3)
    name = "ais://images/train/shard-01.tar"
    assert f'did you mean "{name}"?' in cli.err("get", name.replace("shard", "shrad"), "-", code=4)
    assert f'did you mean "{name}"?' in cli.err("cat", name.replace("ages", "agse"), code=3)
    assert "did you mean" not in cli.err("get", "ais://images/something", "-", code=4)


def test_a_shard_is_not_offered_in_place_of_a_file_that_it_does_not_have(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("x")
    subprocess.run(["tar", "-cf", "s.tar", "f"], cwd=tmp_path, check=True)
    cli.run("create", "ais://images")
    cli.run("put", str(tmp_path / "s.tar"), "ais://images/s.tar")
    told = cli.err("get", "ais://images/s.tar", "--archpath", "g", "-", code=4)
    assert "did you mean" not in told
    assert "ais archive ls ais://images/s.tar" in told


def test_commands_that_are_nearly_right(cli: Cli) -> None:
    assert "'ais cp a b'" in cli.err("copy", "a", "b", code=2)
    assert "'ais bucket rm b'" in cli.err("bucket", "remove", "b", code=2)
    assert "'ais search wombat'" in cli.err("wombat", code=2)


def test_search(cli: Cli) -> None:
    assert "ais bucket cp\n" in cli.out("search", "copy")
    assert "ais bucket cp\n" in cli.out("search", "--regex", "^bucket c")
    assert {row["command"] for row in cli.json("search", "bucket", "replicate")} == {
        "ais bucket cp"
    }
    assert "no command found" in cli.err("search", "wombat", code=3)
    assert "regular expression" in cli.err("search", "--regex", "(", code=2)
    cli.run("search", code=2)


def test_the_doctor(cli: Cli, tmp_path: Path) -> None:
    bin_directory = str(Path(sys.executable).parent)
    rows = cli.json("doctor", PATH=bin_directory)
    checks = {row["check"]: row for row in rows}
    assert {"aiscore", "python", "typer", "settings", "endpoint", "home", "clock"} <= set(checks)
    assert checks["home"]["status"] == "ok"
    assert not cli.home.exists(), "nothing is made"
    cli.run("create", "b")
    assert "mountpath" in {row["check"] for row in cli.json("doctor", PATH=bin_directory)}
    assert "cannot reach" in cli.out("doctor", "--endpoint", "http://host.invalid:1", code=1)
    assert "not writable" in cli.out("doctor", "--endpoint", "file:///proc/x", code=1)


def test_another_ais_on_the_path(tmp_path: Path) -> None:
    def program(name: str, content: bytes) -> str:
        path = tmp_path / name / "ais"
        path.parent.mkdir()
        path.write_bytes(content)
        path.chmod(0o755)
        return str(path.parent)

    own = program("own", b"#!/usr/bin/python\nfrom aiscli.__main__ import main\n")
    other = program("other", b"\x7fELF")
    second = program("second", b"#!/usr/bin/python\nfrom aiscli.__main__ import main\n")
    assert find_ais(f"{own}:{other}", f"{own}/ais").verdict is Verdict.OK
    assert find_ais(f"{other}:{own}", f"{own}/ais").verdict is Verdict.WRONG
    assert find_ais(f"{second}:{own}", f"{own}/ais").verdict is Verdict.WARNING
    assert find_ais(str(tmp_path), f"{own}/ais").verdict is Verdict.WARNING
