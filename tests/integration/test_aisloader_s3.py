"""`aisloader -s3endpoint` as users run it: against our own S3 API, and endpoints that misbehave."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aiscore.model.bucket import BucketRef
from aiscore.serve import ServerSettings, running
from aiscore.transport import Transport, open_transport
from aisloader.cli import run_command

DEADLINE_S = 60.0
BUCKET = BucketRef("b")
FAULT = b"<Error><Code>%s</Code><Message>said the endpoint \x7f</Message><Region>eu-x-1</Region></Error>"


@dataclass
class Loader:
    """Runs `aisloader` on one endpoint."""

    url: str
    environ: dict[str, str]

    def run(self, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "aisloader", "-quiet", "-numworkers=2", "-processes=1", "-cleanup=false",
             "-bucket=s3://b", f"-s3endpoint={self.url}", *flags],
            capture_output=True, text=True, env=self.environ, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        assert "hush" not in done.stdout + done.stderr
        return done

    def json(self, *flags: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("-json", *flags, code=code).stdout)[-1]
        return found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hush-hush",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_path),
    }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[str, Transport]]:
    with (
        running(ServerSettings(home=str(tmp_path / "home"), port=0, workers=1)) as url,
        open_transport(url) as transport,
    ):
        transport.create_bucket(BUCKET)
        yield f"{url}/s3", transport


def sizes(transport: Transport) -> dict[str, int]:
    return {entry.name: entry.size for entry in transport.list_page(BUCKET).entries}


def test_every_operation(store: tuple[str, Transport], environ: dict[str, str]) -> None:
    loader = Loader(store[0], environ)
    put = loader.json(
        "-pctput=100", "-maxputs=40", "-minsize=1K", "-maxsize=9K", "-subdir=a b/+é%", "-cksum-type=md5"
    )["put"]  # fmt: skip
    names = sizes(store[1])
    assert (put["count"], put["errors"]) == ("40", 0)
    assert len(names) == 40
    assert sum(names.values()) == int(put["bytes"])
    assert all(name.startswith("a b/+é%/") for name in names)

    done = loader.run("-epochs=2", "-subdir=a b/+é%", "-get-batchsize=0")
    assert "Found 40 existing objects" in done.stdout
    assert "coverage 100.000% dup 0 (2 x 40 names)" in done.stdout

    ranged = loader.json("-epochs=1", "-readoff=100", "-readlen=50")["get"]
    assert (ranged["count"], ranged["bytes"], ranged["errors"]) == ("40", "2000", 0)

    updated = loader.json("-epochs=1", "-pctupdate=100")
    assert updated["get"]["count"] == updated["put"]["count"] == "40"
    assert sizes(store[1]) == names

    mixed = loader.json("-duration=500ms", "-pctput=30", "-minsize=1K", "-maxsize=1K")
    assert mixed["put"]["errors"] == mixed["get"]["errors"] == 0
    assert len(sizes(store[1])) == 40 + int(mixed["put"]["count"])

    parts = loader.json(
        "-pctput=100", "-maxputs=3", "-minsize=11M", "-maxsize=11M", "-multipart-chunks=2",
        "-pctmultipart=100", "-subdir=large",
    )["put_multipart"]  # fmt: skip
    assert (parts["count"], parts["errors"]) == ("3", 0)
    large = [name for name in sizes(store[1]) if name.startswith("large/")]
    assert all(store[1].head(BUCKET, name).chunk_count == 2 for name in large)
    assert len(large) == 3
    assert not store[1].list_uploads(BUCKET)

    # What is below the prefix only, in groups.
    loader.run("-duration=0", "-cleanup=true", "-subdir=a b", "-evict-batchsize=7")
    left = sizes(store[1])
    assert left
    assert not any(name.startswith("a b/") for name in left)
    loader.run("-duration=0", "-cleanup=true")
    assert not sizes(store[1])
    assert BUCKET in store[1].list_buckets()


def test_hangup_switches_tracing_and_breaks_nothing(
    store: tuple[str, Transport], environ: dict[str, str]
) -> None:
    store[1].put(BUCKET, "o", b"content")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(DEADLINE_S)
        with subprocess.Popen(
            [sys.executable, "-m", "aisloader", "-quiet", "-numworkers=1", "-bucket=s3://b",
             f"-s3endpoint={store[0]}", "-cleanup=false", "-duration=1h", "-stoppable",
             "-statsinterval=1", "-statsdip=127.0.0.1", f"-statsdport={statsd.getsockname()[1]}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
        ) as process:  # fmt: skip
            assert "latency" in packet_with(statsd, "get.latency")
            process.send_signal(signal.SIGHUP)
            assert "targetresponse" in packet_with(statsd, "get.latency.target")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert "HTTP tracing enabled" in err
    assert "failed" not in out + err


def packet_with(server: socket.socket, word: str) -> str:
    """The next packet that has the word in it."""
    limit = time.monotonic() + DEADLINE_S
    while time.monotonic() < limit:
        packet = server.recv(65536).decode()
        if word in packet:
            return packet
    raise AssertionError(f"no packet with {word}")


@pytest.fixture
def complaint(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a run that cannot begin writes to stderr; in this process, because it is over before there are others."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in environ.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)

    def run(url: str, *flags: str) -> str:
        argv = ["-quiet", "-cleanup=false", "-duration=1s", "-bucket=s3://b", *flags]
        assert run_command([*argv, f"-s3endpoint={url}"], os.environ) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "hush" not in err
        return err

    return run


def test_what_is_wrong_is_one_error(
    store: tuple[str, Transport], complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "s3://b has no objects" in complaint(store[0])
    for flags in ((), ("-pctput=100",), ("-duration=0", "-cleanup=true")):
        assert "s3://absent: NoSuchBucket" in complaint(store[0], "-bucket=s3://absent", *flags)
    unreachable = complaint("http://127.0.0.1:1")
    assert "cannot reach http://127.0.0.1:1" in unreachable
    assert "-s3endpoint" in unreachable
    assert "-s3-use-path-style" in complaint("http://localhost.invalid:1")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/absent")
    assert "no credentials" in complaint(store[0])


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """An endpoint that says the same to everything."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer = server.accept()[0]
                except OSError:
                    return
                with peer:
                    if peer.recv(65536):
                        peer.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE_S)


def fault(status: str, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (
            fault("403 F", FAULT % b"SignatureDoesNotMatch"),
            "SignatureDoesNotMatch: said",
            "AWS_REGION",
        ),
        (fault("400 B", FAULT % b"AuthorizationHeaderMalformed"), "Malformed", "AWS_REGION=eu-x-1"),
        (
            fault("301 M", b"", "x-amz-bucket-region: us-y-2\r\n"),
            "status 301",
            "AWS_REGION=us-y-2",
        ),
        (fault("503 S", FAULT % b"SlowDown"), "SlowDown", ""),
        (fault("200 O", b"<html>\x1b</html>"), "without the XML of S3", "check -s3endpoint"),
        (fault("404 N", b"nothing"), "not as S3 does", ""),
    ],
)
def test_what_an_endpoint_says_is_shown(
    answer: bytes, message: str, hint: str, complaint: Callable[..., str]
) -> None:
    with answering(answer) as url:
        said = complaint(url)
    assert message in said
    assert hint in said
    assert len(said.splitlines()) <= 2
    assert said.replace("\n", "").isprintable()


class Gateway(BaseHTTPRequestHandler):
    """Sends every request on to the node that has the object, as AIStore's gateways do."""

    protocol_version = "HTTP/1.1"
    target = ""
    hosts: ClassVar[list[str]] = []

    def redirect(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hosts.append(self.headers["Host"])
        self.send_response(307)
        self.send_header("Location", f"{self.target}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = redirect

    def log_message(self, *_: object) -> None:
        return


def test_redirects_are_followed_and_signed_anew(
    store: tuple[str, Transport], environ: dict[str, str]
) -> None:
    Gateway.target = store[0]
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        loader = Loader(f"http://127.0.0.1:{server.server_port}", environ)
        loader.run("-pctput=100", "-maxputs=5", "-minsize=9K", "-maxsize=9K")
        done = loader.json("-epochs=2")["get"]
        server.shutdown()
        thread.join(DEADLINE_S)
    assert (done["count"], done["bytes"], done["errors"]) == ("10", "92160", 0)
    # The gateway's connections are kept, and every request came by it.
    assert len(Gateway.hosts) >= 17
