"""Settings that change what a run does: provider, verbosity, pager, token; and the doctor's findings."""

import fcntl
import json
import os
import pty
import shutil
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.integration.remote.support import serving


class Cli:
    """Runs `ais` with settings and a home of its own."""

    def __init__(self, tmp_path: Path, command: str) -> None:
        self.command = command
        self.tmp_path = tmp_path
        self.home = tmp_path / "home"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIS_")},
            "AIS_CLI_CONFIG_DIR": str(tmp_path / "config"),
            "AIS_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
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

    def json(self, *args: str, code: int = 0, **env: str) -> Any:  # noqa: ANN401
        return json.loads(self.run(*args, "-o", "json", code=code, **env).stdout)

    def doctor(self, code: int, **env: str) -> dict[str, dict[str, str]]:
        path = str(Path(sys.executable).parent)
        env.setdefault("PATH", path)
        rows = self.json("doctor", code=code, **env)
        return {row["check"]: row for row in rows}


@pytest.fixture
def cli(tmp_path: Path, quick_ais: str) -> Cli:
    return Cli(tmp_path, quick_ais)


# settings


def test_the_default_provider_is_that_of_bare_names(cli: Cli) -> None:
    cli.run("create", "b")
    cli.run("config", "cli", "set", "default_provider=gcp")
    assert 'gcp bucket "gs://b" does not exist' in cli.run("ls", "b", code=3).stderr
    cli.run("ls", "ais://b")
    assert cli.json("ls")[0]["name"] == "ais://b"
    (cli.tmp_path / "config" / "cli.json").write_text('{"default_provider": "nobody"}')
    failed = cli.run("ls", "b", code=2).stderr
    assert "default_provider" in failed
    assert "nobody" in failed
    cli.run("ls", "ais://b")
    cli.run("config", "cli", "set", "default_provider=ais")
    cli.run("ls", "b")


def test_verbose_adds_class_and_causes_and_no_traceback(cli: Cli) -> None:
    cli.run("create", "b")
    assert "Details" not in cli.run("cat", "ais://b/x", code=4).stderr
    cli.run("config", "cli", "set", "verbose=true")
    lines = cli.run("cat", "ais://b/x", code=4).stderr.splitlines()
    assert lines[0] == 'ErrObjNotFound: "ais://b/x" does not exist'
    assert lines[-1] == "Details: ObjectNotFoundError, status 404, code ErrObjNotFound"
    (cli.tmp_path / "file").write_text("")
    failed = cli.run("ls", "--endpoint", str(cli.tmp_path / "file"), code=1).stderr
    assert "\nCaused by: " in failed
    debug = subprocess.run(
        [sys.executable, "-m", "aiscli", "cat", "ais://b/x"],
        env=cli.env | {"AIS_DEBUG": "1"},
        capture_output=True,
        check=False,
    )
    assert b"Traceback" in debug.stderr


def test_a_token_is_masked(cli: Cli) -> None:
    rows = cli.json("config", "cli", "show", "auth", "--origin", AIS_AUTHN_TOKEN="s3cret")
    shown = {row["property"]: row for row in rows}
    assert shown["auth.token"]["origin"] == "AIS_AUTHN_TOKEN"
    assert "s3cret" not in json.dumps(rows)
    (cli.tmp_path / "config").mkdir(exist_ok=True)
    (cli.tmp_path / "config" / "auth.token").write_text('{"token": "s3cret"}')
    text = cli.run("config", "cli", "show", "--origin").stdout
    assert "********" in text
    assert "s3cret" not in text


def test_a_note_says_what_wins_over_a_setting(cli: Cli) -> None:
    note = cli.run("config", "cli", "set", "cluster.client_crt=/a", AIS_CRT="/b").stderr
    assert "AIS_CRT is set and wins over cluster.client_crt" in note


# help on a terminal


def on_terminal(cli: Cli, rows: int, *args: str, **env: str) -> str:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "aiscli", *args], cli.env | env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    output = b""
    try:
        while block := os.read(terminal, 65536):
            output += block
    except OSError:  # Linux's way to say that the other side is closed
        pass
    finally:
        os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return output.decode()


@pytest.mark.parametrize(
    ("rows", "env", "is_paged"),
    [
        (10, {"AIS_PAGER": "sed s/^/PAGED/"}, True),
        (10, {"PAGER": "sed s/^/PAGED/"}, True),
        (10, {"AIS_PAGER": "", "PAGER": "sed s/^/PAGED/"}, False),
        (10, {"PAGER": "no-such-pager"}, False),
        (10, {"PAGER": "unclosed '"}, False),
        (10, {}, False),
        (1000, {"PAGER": "sed s/^/PAGED/"}, False),
    ],
)
def test_long_help_is_paged_if_there_is_a_pager(
    cli: Cli, rows: int, env: dict[str, str], is_paged: bool
) -> None:
    cli.env = {k: v for k, v in cli.env.items() if k not in {"PAGER", "LINES"}}
    text = on_terminal(cli, rows, "--help", LINES=str(rows), **env)
    assert ("PAGED" in text) == is_paged
    assert "Usage: ais" in text
    assert "141" in text, "to the end"


def test_no_more_switches_the_pager_off_and_a_pipe_has_none(cli: Cli) -> None:
    cli.env |= {"AIS_PAGER": "sed s/^/PAGED/", "LINES": "10"}
    assert "PAGED" not in cli.run("--help").stdout
    assert "PAGED" not in on_terminal(cli, 10, "version")
    cli.run("config", "cli", "set", "no_more=true")
    assert "PAGED" not in on_terminal(cli, 10, "--help")


# the doctor


def test_another_ais_first_on_path(cli: Cli) -> None:
    other = cli.tmp_path / "bin" / "ais"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 0\n")
    other.chmod(0o755)
    path = f"{other.parent}{os.pathsep}{Path(sys.executable).parent}"
    found = cli.doctor(1, PATH=path)["command"]
    assert found["status"] == "wrong"
    assert str(other) in found["detail"]
    assert "PATH" in found["hint"]


def test_a_home_that_cannot_be_written(cli: Cli) -> None:
    cli.run("create", "b")
    drop: list[str] = []
    if os.geteuid() == 0:  # root writes anywhere, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or another user than root")
        drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    cli.home.chmod(0o555)
    try:
        done = subprocess.run(
            [*drop, sys.executable, "-m", "aiscli", "doctor", "-o", "json"],
            env=cli.env,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        cli.home.chmod(0o755)
    assert done.returncode == 1, done
    home = next(row for row in json.loads(done.stdout) if row["check"] == "home")
    assert home["status"] == "wrong"
    assert "not writable: permission denied" in home["detail"]


def test_a_home_of_a_newer_format(cli: Cli) -> None:
    cli.run("create", "b")
    with closing(sqlite3.connect(cli.home / "index.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    found = cli.doctor(1)["store"]
    assert found["status"] == "wrong"
    assert "format 99" in found["detail"]
    assert found["hint"]


class Handler(BaseHTTPRequestHandler):
    """Answers with the time that the server is told to have."""

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response_only(200)
        self.send_header("Date", self.server.date)  # type: ignore[attr-defined]
        self.end_headers()


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.paths = []  # type: ignore[attr-defined]
    server.date = "Wed, 01 Jan 2020 00:00:00 GMT"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_on_the_network_is_asked(cli: Cli, server: HTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    rows = cli.json("doctor", "--endpoint", url, code=1)
    reachable = next(row for row in rows if row["check"] == "reachable")
    assert reachable["status"] == "ok"
    assert "status 200" in reachable["detail"]
    assert "/v1/health" in server.paths  # type: ignore[attr-defined]
    clocks = [row for row in rows if row["check"] == "clock"]
    assert any("behind this machine" in row["detail"] for row in clocks)


def test_a_store_that_does_not_answer_and_how(cli: Cli, server: HTTPServer) -> None:
    port = server.server_port
    refused = cli.doctor(1, AIS_ENDPOINT="http://127.0.0.1:9")["reachable"]
    assert "connection refused" in refused["detail"]
    nowhere = cli.doctor(1, AIS_ENDPOINT="http://host.invalid:8080")["reachable"]
    assert "host.invalid" in nowhere["detail"]
    tls = cli.doctor(1, AIS_ENDPOINT=f"https://127.0.0.1:{port}")["reachable"]
    assert "TLS" in tls["detail"] or "does not speak" in tls["detail"]
    bad = cli.doctor(1, AIS_ENDPOINT=f"http://127.0.0.1:{port}", AIS_CRT="/none")["connection"]
    assert "AIS_CRT: no file /none" in bad["detail"]
    (cli.tmp_path / "ca").write_text("no certificate")
    ca = cli.doctor(
        1, AIS_ENDPOINT=f"https://127.0.0.1:{port}", AIS_CLIENT_CA=str(cli.tmp_path / "ca")
    )["reachable"]
    assert "cannot use the certificates" in ca["detail"]


def test_the_token_is_looked_at_and_not_shown(cli: Cli) -> None:
    expired = "eyJhbGciOiJub25lIn0.eyJleHAiOiAxNzAwMDAwMDAwfQ.signature"
    found = cli.doctor(1, AIS_AUTHN_TOKEN=expired)["token"]
    assert found["status"] == "wrong"
    assert "expired at 2023-11-14" in found["detail"]
    assert "eyJ" not in json.dumps(found)
    assert cli.doctor(0, AIS_AUTHN_TOKEN="opaque")["token"]["status"] == "ok"
    assert cli.doctor(1, AIS_AUTHN_TOKEN_FILE="/none")["token"]["status"] == "wrong"


def test_two_tokens_are_one_too_many(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "named").write_text("t")
    cli.env |= {"AIS_AUTHN_TOKEN": "a", "AIS_AUTHN_TOKEN_FILE": str(tmp_path / "named")}
    rows = cli.json("doctor", PATH=str(Path(sys.executable).parent))
    warned = next(row for row in rows if row["check"] == "token" and row["status"] == "warning")
    assert "AIS_AUTHN_TOKEN is used" in warned["detail"]
    (tmp_path / "there").mkdir()
    with serving(tmp_path / "there") as url:
        done = cli.run("ls", "--endpoint", url)
        assert done.stderr.startswith("Warning: AIS_AUTHN_TOKEN and AIS_AUTHN_TOKEN_FILE are both")


def test_a_server_is_compared_with_the_client(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("AIS_LOAD", "off")  # what else the machine does is no matter here
    with serving(tmp_path / "there") as url:
        found = cli.doctor(0, AIS_ENDPOINT=url)
        assert found["server"]["status"] == "ok"
        assert "fits this client (4.1)" in found["server"]["detail"]
        # All is well, but the disk of these tests may be full.
        told = found.get("node", {"detail": "t[x]: online"})["detail"].partition(": ")[2]
        assert set(told.split(", ")) <= {"online", "low-usable-capacity", "OOS"}
