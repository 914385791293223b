"""`ais serve` as processes that may be killed, and what its clients know of it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import psutil
from tests.fault.support import BUCKET, until

from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

START_S = 30
ONCE = ConnectionOptions(retries=0, read_timeout_s=10, deadline_s=10, connect_timeout_s=3)
"""A client that does not repeat: what fails is told."""


@dataclass
class Server:
    """A server that can be killed, and started again on its port."""

    directory: Path
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: "subprocess.Popen[str] | None" = None
    started: int = 0

    @property
    def home(self) -> str:
        return str(self.directory / "home")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that the servers of this directory have complained of."""
        return "".join(path.read_text() for path in sorted(self.directory.glob("log-*")))

    def start(self) -> None:
        """Start it; on the port it had, if it was killed."""
        environ = {
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            **{f"AIS_SERVE_{name.upper()}": value for name, value in self.settings.items()},
        }
        command = [sys.executable, "-m", "aiscli", "serve", "--home", self.home, "-o", "json"]
        self.started += 1
        with (self.directory / f"log-{self.started:04}").open("w") as errors:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--workers", str(self.workers)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environ,
            )
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":
                break
        assert text, self.log
        self.port = int(json.loads(text)["url"].rpartition(":")[2])

    def worker_pids(self) -> list[int]:
        """Processes that answer requests."""
        assert self.process is not None
        if self.workers == 1:
            return [self.process.pid]
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def kill_worker(self, index: int) -> None:
        """SIGKILL to one of the workers."""
        os.kill(sorted(self.worker_pids())[index], signal.SIGKILL)

    def kill(self, *, workers: bool = True) -> None:
        """SIGKILL to the supervisor, and at the same time to its workers; returns when all are gone."""
        assert self.process is not None
        everyone = [psutil.Process(pid) for pid in {self.process.pid, *self.worker_pids()}]
        for one in everyone:
            if workers or one.pid == self.process.pid:
                os.kill(one.pid, signal.SIGKILL)
        self.process.wait(START_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        until(lambda: not any(map(_is_there, everyone)), "the workers are gone", START_S)

    def stop(self) -> None:
        """End it politely."""
        if self.process is None:
            return
        self.process.terminate()
        code = self.process.wait(START_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        assert code == 0, self.log

    def open_files(self) -> int:
        """Descriptors of all workers."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.worker_pids())

    def put_status(self, name: str, data: bytes) -> int:
        """PUT by a client that knows nothing of us; the status."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        try:
            connection.request("PUT", f"/v1/objects/{BUCKET.name}/{name}", data)
            return connection.getresponse().status
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_S)


def _is_there(process: psutil.Process) -> bool:
    """True while it may hold files: a zombie too, as long as one of its threads sits in a system call."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


@contextmanager
def serving(directory: Path, workers: int = 1, **settings: str) -> Iterator[Server]:
    """A server with one bucket; whatever happens, its processes are gone at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    server = Server(directory, workers, settings)
    server.start()
    try:
        with RemoteTransport(server.url, ONCE) as client:
            client.create_bucket(BUCKET)
        yield server
        server.stop()
        assert "Traceback" not in server.log, server.log
    finally:
        if server.process is not None:
            server.kill()
