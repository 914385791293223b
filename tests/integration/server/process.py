"""A real `ais serve` of several workers, and plain HTTP against it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.integration.server.data import Answer

STOP_S = 20
Json = Any


@dataclass
class Served:
    """A running server."""

    url: str
    home: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own: any worker may get it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
            repeated: dict[str, list[str]] = {}
            for name, value in response.getheaders():
                repeated.setdefault(name.lower(), []).append(value)
            plain = {name: ", ".join(values) for name, values in repeated.items()}
            return Answer(response.status, plain, data, repeated)
        finally:
            connection.close()

    def act(
        self,
        method: str,
        path: str,
        action: str,
        value: object = None,
        *,
        name: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """An action message."""
        message = {"action": action, "name": name, "value": value}
        return self.call(method, path, json.dumps(message).encode(), headers)

    def ask(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Json:
        """A question whose answer is JSON."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.call("GET", path, data, headers)
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        return json.loads(answer.body)


@contextmanager
def ais_serve(directory: Path, *args: str) -> Iterator[Served]:
    """`ais serve` in processes of its own until the block ends; it must have nothing to complain of."""
    home, log = directory / "home", directory / "log"
    environ = {
        "HOME": str(directory),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "aiscli", "serve", "--home", str(home), "--port", "0"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "-o", "json", *args],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environ,
        )
    assert process.stdout is not None
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        assert text, log.read_text()
        yield Served(json.loads(text)["url"], home, log)
        process.terminate()
        assert process.wait(STOP_S) == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
