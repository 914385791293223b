"""`ais cp` and `ais sync` between stores: embedded to server, back, and everything that can go wrong on the way."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.fault.support import mounted_tmpfs
from tests.integration.ais import Cli, Reach
from tests.integration.remote.support import serving

from aiscli.actions.between.ferry import RECHECK_SIZE_MIN, TRIES, Ferry
from aiscli.actions.between.pick import End
from aiscore.errors import BusyError, ChecksumMismatchError, CorruptionError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.testing.proxy import FaultProxy
from aiscore.transport import open_transport
from aiscore.transport.base import DEFAULT_GET, ObjectReader, Transport

MIB = 1 << 20
B = BucketRef("b")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[str]:
    """A server with a store of its own."""
    directory = tmp_path / "there"
    directory.mkdir()
    with serving(directory) as url:
        yield url


@pytest.fixture
def cli(tmp_path: Path, there: str, quick_ais: str) -> Cli:
    """An embedded store with a bucket of some objects, and a context of the server."""
    made = Cli(tmp_path, Reach(command=(quick_ais,)))
    made.run("config", "context", "set", "far", there)
    made.run("create", "ais://b", "--props", "checksum.type=md5 versioning.enabled=false")
    for name in ("a.jpg", "d/b.jpg", "d/e c é", "d/x.tmp"):
        made.file(f"src/{name}", name.encode() * 9)
    made.run("put", "src", "ais://b", "-r")
    made.run("object", "set-custom", "ais://b/a.jpg", "kind=cat", "from=here now")
    return made


@contextmanager
def store(cli: Cli) -> Iterator[Transport]:
    with open_transport(f"file://{cli.home}") as transport:
        yield transport


def names(cli: Cli, *args: str) -> list[str]:
    return [entry["name"] for entry in cli.json("ls", *args)]


def statuses(records: list[dict[str, str]]) -> dict[str, str]:
    return {record["source"].removeprefix("ais://b/"): record["status"] for record in records}


ALL = ["a.jpg", "d/b.jpg", "d/e c é", "d/x.tmp"]


def test_there_and_back(cli: Cli, there: str) -> None:
    done = cli.json("cp", "ais://b", "ais://c", "--to-context", "far")
    assert statuses(done) == dict.fromkeys(ALL, "done")
    assert {record["reason"] for record in done} == {"new"}
    assert names(cli, "ais://c", "--context", "far") == ALL
    props = cli.json("show", "bucket", "ais://c", "--endpoint", there)
    assert props["checksum"]["type"] == "md5", "the bucket is like its source"
    assert not props["versioning"]["enabled"]
    custom = cli.json("show", "object", "ais://c/a.jpg", "--context", "far")["custom"]
    assert custom == {"kind": "cat", "from": "here now"}
    cli.run("cp", "ais://c", "ais://back", "--from-endpoint", there)
    assert "No differences: 4 names" in cli.out("diff", "ais://b", "ais://back")
    again = cli.run("cp", "ais://c", "ais://back", "--from-context", "far")
    assert b"0 objects (0B), 4 were there already" in again.stdout


def test_a_second_run_copies_what_differs(cli: Cli) -> None:
    to = ("--to-context", "far")
    cli.run("cp", "ais://b", "ais://b", *to)
    cli.run("put", "-", "ais://b/d/b.jpg", stdin=b"other")
    cli.run("put", "-", "ais://b/d/x.tmp", stdin=b"d/x.tmp".swapcase() * 9)
    cli.run("object", "set-custom", "ais://b/a.jpg", "kind=dog")
    plan = cli.json("cp", "ais://b", "ais://b", *to, "--dry-run")
    assert {r["source"][8:]: (r["status"], r["reason"]) for r in plan} == {
        "a.jpg": ("planned", "metadata"),
        "d/b.jpg": ("planned", "size"),
        "d/e c é": ("unchanged", None),
        "d/x.tmp": ("planned", "checksum"),
    }
    assert "3 objects" in cli.out("cp", "ais://b", "ais://b", *to)
    assert (
        cli.json("show", "object", "ais://b/a.jpg", "--context", "far")["custom"]["kind"] == "dog"
    )
    assert cli.out("get", "ais://b/d/b.jpg", "-", "--context", "far") == "other"


def test_selections(cli: Cli) -> None:
    def copied(*args: str, code: int = 0) -> list[str]:
        records = cli.json("cp", *args, "--to-context", "far", "--dry-run", code=code)
        return [r["target"].removeprefix("ais://t/") for r in records if r["status"] == "planned"]

    assert copied("ais://b/d/", "ais://t") == ALL[1:]
    assert copied("ais://b", "ais://t", "--prefix", "d/e") == ["d/e c é"]
    assert copied("ais://b", "ais://t", "--exclude", "*.tmp", "--include", "d/") == ALL[1:3]
    assert copied("ais://b/**/*.jpg", "ais://t") == ["a.jpg", "d/b.jpg"]
    assert copied("ais://b", "ais://t", "--list", "a.jpg,none", code=5) == ["a.jpg"]
    assert copied("ais://b", "ais://t", "--template", "d/{0..3}.jpg") == []
    assert copied("ais://b", "ais://t", "--prepend", "new/") == [f"new/{name}" for name in ALL]
    assert copied("ais://b/a.jpg", "ais://t") == ["a.jpg"]
    assert copied("ais://b/a.jpg", "ais://t/x.jpg") == ["x.jpg"]
    assert copied("ais://b/d/b.jpg", "ais://t/y/") == ["y/b.jpg"]
    assert cli.json("ls", "--context", "far") == [], "a dry run makes no bucket"


def test_patterns_within_a_store(cli: Cli) -> None:
    cli.run("cp", "ais://b", "ais://c", "--exclude", "*.tmp")
    assert names(cli, "ais://c") == ALL[:3]
    assert "1 were there already" in cli.out("cp", "ais://b", "ais://c", "--include", "a.jpg")
    refused = cli.err("cp", "ais://b", "ais://b", "--include", "*", "--prepend", "x/", code=2)
    assert "into the same bucket" in refused


def test_failures(cli: Cli, there: str) -> None:
    to = ("--to-context", "far")
    lacking = cli.run(
        "cp", "ais://b", "ais://n", "--list", "a.jpg,x,y", *to, "--cont-on-err", code=5
    )
    assert b"failed to copy 2 of 3 objects" in lacking.stderr
    assert names(cli, "ais://n", "--context", "far") == ["a.jpg"]
    assert "does not exist" in cli.err("cp", "ais://b/nope", "ais://made", *to, code=4)
    assert "does not exist" in cli.err("cp", "ais://nope", "ais://made", *to, code=3)
    assert [b["name"] for b in cli.json("ls", "--context", "far")] == ["ais://n"]
    assert "cannot copy many objects" in cli.err("cp", "ais://b", "ais://n/o", *to, code=2)
    assert "mutually exclusive" in cli.err("cp", "b", "c", *to, "--to-endpoint", there, code=2)
    assert "needs --to-context" in cli.err("cp", "b", "c", "--to-token-file", "f", code=2)
    assert "does not exist" in cli.err("cp", "b", "c", "--to-context", "none", code=3)
    assert "cannot reach" in cli.err("cp", "b", "c", "--to-endpoint", "http://127.0.0.1:9", code=7)
    assert "ais sync" in cli.err("cp", "b", "c", "--sync", *to, code=2)
    assert "expected http" in cli.err("cp", "b", "c", "--to-endpoint", "ftp://x", code=2)


def test_checksums_of_other_types(cli: Cli) -> None:
    to = ("--to-context", "far")
    for kind in ("sha256", "none"):
        cli.run("create", f"ais://{kind}", "--props", f"checksum.type={kind}", "--context", "far")
        assert "4 objects" in cli.out("cp", "ais://b", f"ais://{kind}", *to)
        cli.run("cp", f"ais://{kind}", f"ais://{kind}", "--from-context", "far")
        assert "No differences: 4 names" in cli.out("diff", "ais://b", f"ais://{kind}")
    assert "4 were there already" in cli.out("cp", "ais://b", "ais://sha256", *to)
    cli.run("put", "-", "ais://b/a.jpg", stdin=b"A" * 45)
    records = cli.json("cp", "ais://b", "ais://sha256", *to)
    assert statuses(records) == {**dict.fromkeys(ALL, "unchanged"), "a.jpg": "done"}


def test_sync(cli: Cli, there: str) -> None:
    to = ("--to-endpoint", there)
    assert "does not exist" in cli.err("sync", "ais://b", "ais://s", *to, code=3)
    cli.run("create", "ais://s", "--endpoint", there)
    cli.run("put", "-", "ais://s/old", "--endpoint", there, stdin=b"x")
    assert "4 copied" in cli.out("sync", "ais://b", "ais://s", *to, "--delete", "--yes")
    assert names(cli, "ais://s", "--endpoint", there) == ALL
    assert "0 copied" in cli.out("sync", "ais://b", "ais://s", *to, "--delete", "--yes")
    assert "0 copied" in cli.out("sync", "src", "ais://s", *to), "a directory, too"
    assert "4 copied" in cli.out("sync", "ais://s", "out", "--from-endpoint", there)
    assert "is a directory" in cli.err("sync", "src", "ais://s", "--from-endpoint", there, code=2)


def test_killed_in_the_middle(cli: Cli, there: str) -> None:
    count, size = 120, MIB
    with store(cli) as transport:
        for number in range(count):
            transport.put(B, f"k/{number:03}", bytes([number]) * size)
    command = [sys.executable, "-m", "aiscli", "cp", "ais://b/k/", "ais://k", "--to-context", "far"]
    process = subprocess.Popen(
        command, cwd=cli.work, env=cli.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with open_transport(there) as far:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if BucketRef("k") in far.list_buckets() and far.list_page(BucketRef("k")).entries:
                break
        process.kill()
        process.wait(60)
        there_already = len(far.list_page(BucketRef("k")).entries)
    records = cli.json("cp", "ais://b/k/", "ais://k", "--to-context", "far")
    unchanged = sum(record["status"] == "unchanged" for record in records)
    assert unchanged == there_already
    assert len(records) == count
    assert there_already > 0
    assert cli.out("sync", "ais://b/k", "ais://k/k", "--to-context", "far").split(": ")[1][0] == "0"
    assert cli.json("storage", "validate", "--context", "far")["faults"] == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(cli: Cli, there: str, stop: signal.Signals) -> None:
    with store(cli) as transport:
        for number in range(60):
            transport.put(B, f"k/{number:03}", bytes([number]) * 2 * MIB)
    command = ["cp", "ais://b", "ais://k", "--to-context", "far", "-o", "json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "aiscli", *command],
        cwd=cli.work,
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with open_transport(there) as far:
        while process.poll() is None:
            if BucketRef("k") in far.list_buckets() and far.list_page(BucketRef("k")).entries:
                break
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    records = json.loads(out)
    if process.returncode:
        assert process.returncode == 128 + stop
        assert b"interrupted after" in err
        assert b"run it again" in err
    done = {record["target"] for record in records if record["status"] == "done"}
    assert done <= {f"ais://k/{name}" for name in names(cli, "ais://k", "--context", "far")}


def test_the_server_goes_away(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    with serving(tmp_path / "gone") as url, FaultProxy(url) as proxy:
        cli.run("cp", "ais://b", "ais://b", "--to-endpoint", proxy.url)
        address = proxy.url
    failed = cli.err("cp", "ais://b", "ais://b", "--to-endpoint", address, code=7)
    assert failed.startswith("NetworkError: cannot reach")


def test_a_full_disk(cli: Cli, tmp_path: Path) -> None:
    with store(cli) as transport:
        for number in range(20):
            transport.put(B, f"k/{number:02}", os.urandom(MIB))
    small = str(tmp_path / "small")
    with mounted_tmpfs(small, 8 * MIB):
        full = f"file://{small}/home"
        done = cli.run("cp", "ais://b", "ais://k", "--to-endpoint", full, "--cont-on-err", code=1)
        assert b"Traceback" not in done.stderr
        assert b"no space" in done.stderr.lower() or b"capacity" in done.stderr.lower()
        with open_transport(full) as transport:
            assert transport.validate().faults == ()


class _Refusing(BaseHTTPRequestHandler):
    """A server that lets nobody in, and remembers who knocked."""

    seen: list[str]

    def handle_any(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = handle_any

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[tuple[str, list[str]]]:
    class Handler(_Refusing):
        seen: list[str] = []  # noqa: RUF012

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Handler.seen
        server.shutdown()


def test_whom_the_token_is_sent_to(cli: Cli, there: str, refusing: tuple[str, list[str]]) -> None:
    url, seen = refusing
    cli.env["AIS_AUTHN_TOKEN"] = "secret"
    cli.err("cp", "ais://b", "ais://t", "--to-endpoint", url, code=6)
    assert set(seen) == {"Bearer secret"}, "the only server"
    seen.clear()
    cli.env["AIS_ENDPOINT"] = there
    cli.run("create", "ais://b")
    cli.err("cp", "ais://b", "ais://t", "--to-endpoint", url, code=6)
    assert set(seen) == {""}, "another server than that of the token"
    cli.file("token", b'{"token": "other"}')
    seen.clear()
    cli.err("cp", "ais://b", "ais://t", "--to-endpoint", url, "--to-token-file", "token", code=6)
    assert set(seen) == {"Bearer other"}


# one object, with a source that does not keep still


class Restless:
    """A transport whose object is replaced whenever it has been opened."""

    def __init__(self, inner: Transport, times: int) -> None:
        self._inner = inner
        self.left = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> ObjectReader:
        reader = self._inner.open(bucket, name, options)
        if self.left:
            self.left -= 1
            self._inner.put(bucket, name, bytes([self.left]) * RECHECK_SIZE_MIN)
        return reader


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Transport, Transport]]:
    with (
        open_transport(f"file://{tmp_path}/one") as one,
        open_transport(f"file://{tmp_path}/two") as two,
    ):
        for transport in (one, two):
            transport.create_bucket(B)
        yield one, two


@pytest.mark.parametrize("times", [1, TRIES - 1])
def test_an_object_that_changes_is_copied_again(
    two: tuple[Transport, Transport], times: int
) -> None:
    one, other = two
    one.put(B, "o", b"x" * RECHECK_SIZE_MIN)
    ferry = Ferry(End(Restless(one, times), B), End(other, B), lambda: None)  # type: ignore[arg-type]
    ferry.copy("o", "o")
    assert other.read(B, "o") == one.read(B, "o")


def test_an_object_that_never_keeps_still_is_reported(two: tuple[Transport, Transport]) -> None:
    one, other = two
    one.put(B, "o", b"x" * RECHECK_SIZE_MIN)
    ferry = Ferry(End(Restless(one, 99), B), End(other, B), lambda: None)  # type: ignore[arg-type]
    with pytest.raises(BusyError, match=f"changed each of {TRIES} times"):
        ferry.copy("o", "o")
    assert len(set(other.read(B, "o"))) == 1, "whole, whichever it is"


def test_a_damaged_source_is_told_from_a_damaged_way(
    two: tuple[Transport, Transport], tmp_path: Path
) -> None:
    one, other = two
    one.put(B, "o", b"x" * 3 * MIB)
    (piece,) = [
        p for p in (tmp_path / "one").rglob("*") if p.is_file() and p.stat().st_size == 3 * MIB
    ]
    with piece.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"y")
    with pytest.raises((CorruptionError, ChecksumMismatchError)) as caught:
        Ferry(End(one, B), End(other, B), lambda: None).copy("o", "o")
    assert isinstance(caught.value, CorruptionError)
    assert other.list_page(B).entries == []


@pytest.mark.parametrize("kinds", [("md5", "none"), ("none", "md5"), ("none", "none")])
def test_ends_without_checksums(two: tuple[Transport, Transport], kinds: tuple[str, str]) -> None:
    ends = []
    for transport, kind in zip(two, kinds, strict=True):
        bucket = BucketRef(f"{kind}-bucket")
        transport.create_bucket(bucket, {"checksum.type": kind})
        ends.append(End(transport, bucket))
    data = os.urandom(3 * MIB)
    for content in (data, b"small", b""):
        ends[0].transport.put(ends[0].bucket, "o", content, PutOptions(custom={"k": "v"}))
        Ferry(ends[0], ends[1], lambda: None).copy("o", "o")
        assert ends[1].transport.read(ends[1].bucket, "o") == content
        assert ends[1].transport.head(ends[1].bucket, "o").custom == {"k": "v"}


# completion


def completed(cli: Cli, *words: str) -> list[str]:
    return [line.partition("\t")[0] for line in cli.out("__complete", *words).splitlines()]


def test_names_of_the_other_store_are_completed(cli: Cli, there: str) -> None:
    cli.run("create", "ais://over", "--context", "far")
    cli.run("put", "src/a.jpg", "ais://over/dir/x", "--context", "far")
    assert completed(cli, "cp", "--from-context", "far", "ais://ov") == ["ais://over/"]
    assert completed(cli, "cp", "--to-context=far", "ais://b/a.jpg", "ais://o") == ["ais://over/"]
    assert completed(cli, "cp", "--to-endpoint", there, "ais://b") == ["ais://b/"]
    assert completed(cli, "ls", "--endpoint", there, "ais://over/d") == ["ais://over/dir/"]
    assert completed(cli, "cp", "--to-context", "f") == ["far"]
    assert len(completed(cli, "show", "cluster", "smap", "--context", "far", "")) == 4
    started = time.monotonic()
    assert completed(cli, "ls", "--endpoint", "http://127.0.0.1:9", "ais://") == []
    assert time.monotonic() - started < 5


# large objects


class Counting:
    """A transport that remembers which ranges were read."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.ranges: list[tuple[int, int | None]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open(self, bucket: BucketRef, name: str, options: GetOptions = DEFAULT_GET) -> ObjectReader:
        wanted = options.byte_range
        if wanted is not None:
            self.ranges.append((wanted.offset, wanted.length))
        return self._inner.open(bucket, name, options)


class StopError(Exception):
    """The copy is interrupted here."""


def in_parts(source: Transport, target: Transport, parts: int) -> list[tuple[int, int | None]]:
    """Copy an object in parts of 2 MiB, at most so many and a block; the ranges that were read."""
    counting = Counting(source)

    def on_block() -> None:
        if len(counting.ranges) > parts:
            raise StopError

    ends = End(counting, B), End(target, B)  # type: ignore[arg-type]
    ferry = Ferry(*ends, on_block, resume_size_min=4 * MIB, part_size=2 * MIB)
    with contextlib.suppress(StopError):
        ferry.copy("o", "o")
    return counting.ranges


@pytest.fixture(params=["file", "http"])
def pair(
    request: pytest.FixtureRequest, two: tuple[Transport, Transport], tmp_path: Path
) -> Iterator[tuple[Transport, Transport]]:
    """An embedded store, and another one: embedded, too, or behind HTTP."""
    one, other = two
    if request.param == "file":
        yield one, other
        return
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as url, open_transport(url) as far:
        far.create_bucket(B)
        yield one, far


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_large_object_goes_on(pair: tuple[Transport, Transport], direction: str) -> None:
    source, target = pair if direction == "up" else pair[::-1]
    data = os.urandom(9 * MIB)
    source.put(B, "o", data, PutOptions(custom={"k": "v"}))
    first = in_parts(source, target, 2)
    assert first == [(offset * MIB, 2 * MIB) for offset in (0, 2, 4)]
    assert target.list_page(B).entries == [], "nothing is visible before the whole"
    second = in_parts(source, target, 10)
    assert [offset for offset, _ in second] == [
        offset * MIB for offset in range(second[0][0] // MIB, 9, 2)
    ]
    assert second[0][0] in {first[-1][0], first[-1][0] + 2 * MIB}, "it goes on"
    assert target.read(B, "o") == data
    assert target.head(B, "o").custom == {"k": "v"}
    assert target.list_uploads(B) == []


def test_parts_of_another_content_are_not_gone_on_from(two: tuple[Transport, Transport]) -> None:
    source, target = two
    source.put(B, "o", b"a" * 9 * MIB)
    in_parts(source, target, 2)
    source.put(B, "o", b"b" * 9 * MIB)
    assert in_parts(source, target, 10)[0] == (0, 2 * MIB)
    assert target.read(B, "o") == b"b" * 9 * MIB
