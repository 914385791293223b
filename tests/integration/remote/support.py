"""Servers in threads and in processes of their own, and transports that do not wait long."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiscore.serve import ServerSettings, running
from aiscore.testing.proxy import FaultProxy
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

QUICK = ConnectionOptions(backoff_s=0.01, read_timeout_s=0.3, deadline_s=20, connect_timeout_s=2)
START_S = 20

_SERVE = """
import json, sys
from aiscore.serve import ServerSettings, serve
serve(ServerSettings(**json.loads(sys.argv[1])), lambda url: print(url, flush=True))
"""

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """A server in a thread; its URL."""
    with running(ServerSettings(home=str(directory / "home"), port=0)) as url:
        yield url


@contextmanager
def serving_apart(directory: Path, **settings: object) -> Iterator[str]:
    """A server in a process of its own; its URL. What it logs is in `server.log`."""
    import json

    given = json.dumps({"home": str(directory / "home"), "port": 0, **settings})
    with (
        open(directory / "server.log", "wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", _SERVE, given], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S)


@contextmanager
def proxied(
    url: str, options: ConnectionOptions = QUICK
) -> Iterator[tuple[RemoteTransport, FaultProxy]]:
    """A transport whose connections can be broken."""
    with FaultProxy(url) as proxy, RemoteTransport(proxy.url, options) as transport:
        yield transport, proxy


def make_certificate(directory: Path, name: str = "localhost") -> tuple[str, str]:
    """A certificate that is its own authority, and its key."""
    cert, key = str(directory / f"{name}.crt"), str(directory / f"{name}.key")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=DNS:{name},IP:127.0.0.1 -keyout"
    ).split()
    subprocess.run([*command, key, "-out", cert], check=True, capture_output=True)
    return cert, key
