"""Runs `ais` for tests: against a store in the process of the command, and against one behind HTTP.

A module of tests imports `pytest_generate_tests` and `reach`, and its fixture `cli` asks for `reach`:
every test of it then runs both ways, but for those that its `EMBEDDED_ONLY` names.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.remote.support import serving

__all__ = ["Cli", "Reach", "pytest_generate_tests", "reach"]

_COLD = (sys.executable, "-m", "aiscli")


@dataclass(frozen=True)
class Reach:
    """How the store is reached.

    Attributes:
        endpoint: URL of the server; "" for the embedded store.
        command: what runs `ais`.
    """

    endpoint: str = ""
    command: tuple[str, ...] = _COLD


class Cli:
    """Runs `ais` in a directory of its own, with a home of its own."""

    def __init__(self, tmp_path: Path, reach: Reach | None = None) -> None:
        self.reach = reach or Reach()
        self.home = tmp_path / "home"
        self.work = tmp_path / "work"
        self.work.mkdir()
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIS_")},
            "AIS_HOME": str(self.home),
            "AIS_CLI_CONFIG_DIR": str(tmp_path / "settings"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COLUMNS": "80",
        }
        if self.reach.endpoint:
            self.env["AIS_ENDPOINT"] = self.reach.endpoint

    def run(
        self, *args: str, stdin: bytes = b"", code: int = 0
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*self.reach.command, *args],
            cwd=self.work,
            env=self.env,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, (args, done)
        assert b"Traceback" not in done.stderr
        return done

    def out(self, *args: str, stdin: bytes = b"", code: int = 0) -> str:
        return self.run(*args, stdin=stdin, code=code).stdout.decode()

    def err(self, *args: str, stdin: bytes = b"", code: int) -> str:
        return self.run(*args, stdin=stdin, code=code).stderr.decode()

    def json(self, *args: str, code: int = 0) -> Any:  # noqa: ANN401
        return json.loads(self.out(*args, "-o", "json", code=code))

    def file(self, name: str, content: bytes) -> str:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both ways, embedded and HTTP."""
    if "reach" in metafunc.fixturenames:
        only: frozenset[str] = getattr(metafunc.module, "EMBEDDED_ONLY", frozenset())
        ways = ["embedded"] if metafunc.function.__name__ in only else ["embedded", "http"]
        metafunc.parametrize("reach", ways, indirect=True)


@pytest.fixture
def reach(request: pytest.FixtureRequest, tmp_path: Path, quick_ais: str) -> Iterator[Reach]:
    """How this run of the test reaches its store."""
    if request.param == "embedded":
        yield Reach(command=(quick_ais,))
        return
    with serving(tmp_path) as url:
        yield Reach(url, (quick_ais,))
