"""The published Python client, in four releases at once, against a real server; and curl."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compat.clients.environments import RELEASES, ensure, python_of
from tests.compat.clients.scenario import Scenario
from tests.integration.server.process import Served, ais_serve
from tests.integration.server.test_data_sdk import make_certificate

SCENARIO = Path(__file__).parent / "clients" / "scenario.py"
STEPS = [name.removeprefix("step_") for name in vars(Scenario) if name.startswith("step_")]
DEADLINE_S = 120


@pytest.fixture(scope="session")
def clients() -> None:
    """Environments of all releases."""
    ensure(*(f"aistore-{release}" for release in RELEASES))


class Run:
    """One release doing everything."""

    def __init__(self, release: str, server: Served, directory: Path, ca: str = "") -> None:
        self.release = release
        own = directory / release
        own.mkdir()
        name = f"sdk-{release.replace('.', '-')}"
        environ = {"PATH": os.environ["PATH"], "HOME": str(own), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [python_of(release), str(SCENARIO), server.url, str(own), name, *([ca] if ca else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def problem(self, deadline: float) -> str:
        """What went wrong, or nothing."""
        try:
            stdout, stderr = self._process.communicate(timeout=max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            stdout, stderr = self._process.communicate()
            stderr += "\nover time"
        passed = stdout.split()
        if self._process.returncode == 0 and passed == STEPS:
            return ""
        return f"aistore {self.release}, after {passed[-1:]}:\n{stderr}"


def run_all(releases: tuple[str, ...], server: Served, directory: Path, ca: str = "") -> None:
    runs = [Run(release, server, directory, ca) for release in releases]
    deadline = time.monotonic() + DEADLINE_S
    problems = [run.problem(deadline) for run in runs]
    assert not any(problems), "\n".join(problems)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.usefixtures("clients")
def test_every_release_does_everything(tmp_path: Path, workers: str) -> None:
    with ais_serve(tmp_path, "--workers", workers) as server:
        run_all(RELEASES, server, tmp_path)


@pytest.mark.usefixtures("clients")
def test_the_newest_release_does_everything_over_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    with ais_serve(tmp_path, "--workers", "2", "--cert", cert, "--key", key) as server:
        assert server.url.startswith("https://")
        run_all(RELEASES[-1:], server, tmp_path, cert)


# curl


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ais_serve(tmp_path_factory.mktemp("curl"), "--workers", "2") as server:
        assert server.act("POST", "/v1/buckets/b", "create-bck").status == 200
        yield server


def curl(*args: str, code: int = 0) -> bytes:
    program = shutil.which("curl")
    assert program, "curl is not installed"
    done = subprocess.run(
        [program, "-sS", "-q", "--max-time", "30", *args], capture_output=True, check=False
    )
    assert done.returncode == code, done
    return done.stdout


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_curl_puts_and_gets(server: Served, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "in"
    path.write_bytes(data)
    url = f"{server.url}/v1/objects/b/curl/{size}?provider=ais"
    # Over a megabyte curl asks first whether it may send.
    assert curl("-T", str(path), url) == b""
    assert curl(url) == data
    assert curl("-L", "--compressed", url) == data
    assert curl("-X", "PUT", "--data-binary", f"@{path}", url) == b""
    assert curl(url) == data
    head = curl("-I", url).decode().lower()
    assert head.startswith("http/1.1 200 ok\r\n")
    assert f"content-length: {size}\r\n" in head
    assert "ais-checksum-type: xxhash2\r\n" in head


def test_curl_sends_what_has_no_length(server: Served, tmp_path: Path) -> None:
    data = os.urandom(2_000_000)
    url = f"{server.url}/ais/b/piped"
    done = subprocess.run(
        ["curl", "-sS", "-T", "-", url], input=data, capture_output=True, check=True
    )
    assert done.stdout == b""
    assert curl(url) == data


def test_curl_reads_ranges_and_goes_on(server: Served, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    path = tmp_path / "part"
    path.write_bytes(data)
    url = f"{server.url}/ais/b/ranges"
    curl("-T", str(path), url)
    assert curl("-r", "10-19", url) == data[10:20]
    assert curl("-r", "-7", url) == data[-7:]
    path.write_bytes(data[:40_000])
    curl("-C", "-", "-o", str(path), url)
    assert path.read_bytes() == data
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-r", "100000-", url) == b"416"


def test_curl_uses_easy_urls(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"easy")
    url = f"{server.url}/ais/b/dir/easy%20name"
    curl("-T", str(path), url)
    assert curl("-L", url) == b"easy"
    assert curl(f"{server.url}/v1/objects/b/dir/easy%20name") == b"easy"
    assert b'"dir/easy name"' in curl(f"{server.url}/ais/b")
    assert curl("-X", "DELETE", url) == b""
    assert curl("-f", url, code=22) == b""
    assert b'"message":"ais://b/dir/easy name does not exist"' in curl(url)


def test_curl_makes_buckets(server: Served) -> None:
    url = f"{server.url}/v1/buckets/made?provider=ais"
    message = ("-X", "POST", "-H", "Content-Type: application/json", "-d")
    assert curl(*message, '{"action":"create-bck"}', url) == b""
    assert b'"status":409' in curl(*message, '{"action":"create-bck"}', url)
    assert b'"name":"made"' in curl(f"{server.url}/v1/buckets")
    assert curl("-X", "DELETE", "-d", '{"action":"destroy-bck"}', url) == b""
    assert b'"name":"made"' not in curl(f"{server.url}/v1/buckets")
