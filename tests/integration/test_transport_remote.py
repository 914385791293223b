"""The behaviour suite over the remote transport: one worker and two, without TLS and with it.

With one worker the whole of it runs every time. The other three set-ups repeat it whole in the soak; every time run the
parts that they could break: what one process must know of another, and what passes through the encryption.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import cast

import pytest
from tests.integration.remote.support import (
    make_certificate,
    needs_openssl,
    serving,
    serving_apart,
)

from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    ConnectError,
    InvalidArgumentError,
    InvalidNameError,
    UnsupportedError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode, GetOptions, PutOptions
from aiscore.testing import BucketFactory, TransportSuite, pattern
from aiscore.testing.archives import FORMATS, unpack
from aiscore.testing.batches import BatchTests
from aiscore.testing.buckets import BucketTests
from aiscore.testing.content import LARGE
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import Fixtures
from aiscore.testing.jobs import JobTests
from aiscore.testing.listing import ListingTests
from aiscore.testing.managing import ManagingTests
from aiscore.testing.multipart import MultipartTests
from aiscore.testing.reading import ReadingTests
from aiscore.testing.shard_writes import ShardWriteTests
from aiscore.testing.store import StoreTests
from aiscore.testing.writing import WritingTests
from aiscore.transport import MemberInput, Transport, open_transport
from aiscore.transport.options import ConnectionOptions

BUCKET = BucketRef("bucket")
MIB = 1 << 20


Encrypted = tuple[str, ConnectionOptions]


class Scattered:
    """A transport whose operations take turns on several connections: with two workers, they reach both."""

    CONNECTIONS = 8

    def __init__(self, url: str, options: ConnectionOptions) -> None:
        one = replace(options, pool_size=1)
        self._transports = [open_transport(url, connection=one) for _ in range(self.CONNECTIONS)]
        self._turns = cycle(self._transports)

    def __getattr__(self, name: str) -> object:
        return getattr(next(self._turns), name)

    def close_all(self) -> None:
        for transport in self._transports:
            transport.close()


@contextmanager
def scattered(url: str, options: ConnectionOptions) -> Iterator[Transport]:
    transport = Scattered(url, options)
    yield cast("Transport", transport)
    transport.close_all()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transport]:
    """A server of two processes."""
    with (
        serving_apart(tmp_path_factory.mktemp("workers"), workers=2) as url,
        scattered(url, ConnectionOptions()) as transport,
    ):
        yield transport


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    """A server with a certificate, and how to trust it."""
    with serving_encrypted(tmp_path_factory.mktemp("tls"), workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def encrypted_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transport]:
    """Both."""
    directory = tmp_path_factory.mktemp("tls-workers")
    with (
        serving_encrypted(directory, workers=2) as (url, options),
        scattered(url, options) as transport,
    ):
        yield transport


@contextmanager
def serving_encrypted(directory: Path, workers: int) -> Iterator[Encrypted]:
    cert, key = make_certificate(directory)
    with serving_apart(directory, cert=cert, key=key, workers=workers) as url:
        assert url.startswith("https://")
        yield url, ConnectionOptions(ca_file=cert)


class TestRemote(TransportSuite):
    @pytest.fixture
    def transport(self, tmp_path: Path) -> Iterator[Transport]:
        with serving(tmp_path) as url, open_transport(url) as transport:
            yield transport
            # Every test is a test of consistency too.
            assert transport.validate().faults == ()

    @pytest.fixture
    def buckets(self, transport: Transport) -> BucketFactory:
        # Leaves the buckets: the home is the test's own, and what is in them is to be validated.
        return BucketFactory(transport)


class OverWorkers(Fixtures):
    """Two processes answer, so what one has written the other must know."""

    @pytest.fixture
    def transport(self, workers: Transport) -> Transport:
        return workers


class OverTls(Fixtures):
    """One process, with a certificate."""

    @pytest.fixture
    def transport(self, encrypted: Encrypted) -> Iterator[Transport]:
        with open_transport(encrypted[0], connection=encrypted[1]) as transport:
            yield transport


class TestRemoteWorkers(
    OverWorkers,
    BucketTests,
    WritingTests,
    ReadingTests,
    ListingTests,
    ManagingTests,
    MultipartTests,
    JobTests,
    StoreTests,
):
    """The parts that have state."""

    def test_files_put_into_one_shard_at_once_are_all_there(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        # Small bodies and large ones, which take different ways through the server.
        contents = {f"{i}": pattern(2 * MIB if i % 3 == 0 else 100, seed=i) for i in range(9)}
        files = {name: MemberInput(name, len(data), data) for name, data in contents.items()}

        def put(name: str) -> None:
            transport.put_members(bucket, "s.tar", [files[name]], ArchivePutMode.APPEND_OR_CREATE)

        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(put, files))
        found = dict(unpack(ArchiveFormat.TAR, transport.read(bucket, "s.tar")))
        assert found == contents


@pytest.mark.soak
class TestRemoteWorkersWhole(OverWorkers, TransportSuite):
    """All of it."""


@needs_openssl
@pytest.mark.soak
class TestRemoteTlsWhole(OverTls, TransportSuite):
    """All of it."""


@needs_openssl
@pytest.mark.soak
class TestRemoteTlsWorkersWhole(TransportSuite):
    """All of it, with both."""

    @pytest.fixture
    def transport(self, encrypted_workers: Transport) -> Transport:
        return encrypted_workers


@needs_openssl
class TestRemoteTls(OverTls, WritingTests, ReadingTests, BatchTests, ShardWriteTests):
    """The parts whose contents are large, or come in other ways."""

    def test_certificate_that_is_not_trusted_is_refused(
        self, encrypted: Encrypted, tmp_path: Path
    ) -> None:
        url, _ = encrypted
        other, _ = make_certificate(tmp_path)
        for options in (ConnectionOptions(), ConnectionOptions(ca_file=other)):
            with open_transport(url, connection=options) as transport:
                with pytest.raises(ConnectError, match="certificate") as info:
                    transport.list_buckets()
                assert not info.value.retryable
                assert info.value.hint is not None
                assert "AIS_CLIENT_CA" in info.value.hint
                with pytest.raises(ConnectError):
                    transport.create_bucket(BUCKET)
        with open_transport(url, connection=ConnectionOptions(verify=False)) as transport:
            transport.list_buckets()


class TestEndpoint:
    def test_close_can_be_repeated(self, tmp_path: Path) -> None:
        with serving(tmp_path) as url:
            transport = open_transport(url)
            transport.create_bucket(BUCKET)
            transport.close()
            transport.close()
            for operation in (transport.list_buckets, lambda: transport.create_bucket(BUCKET)):
                with refuses(AisError, "closed"):
                    operation()

    def test_endpoint_comes_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving(tmp_path) as url:
            monkeypatch.setenv("AIS_ENDPOINT", url)
            with open_transport() as transport:
                assert transport.endpoint == url
                assert transport.list_buckets() == []

    @pytest.mark.parametrize(
        "endpoint", ["http://", "http://host/path", "https://host:0", "http:/x"]
    )
    def test_bad_endpoint_is_named(self, endpoint: str) -> None:
        with refuses(InvalidArgumentError, endpoint):
            open_transport(endpoint)

    def test_nobody_there(self) -> None:
        with open_transport("http://127.0.0.1:1") as transport:
            for operation in (transport.list_buckets, lambda: transport.create_bucket(BUCKET)):
                with refuses(ConnectError, "http://127.0.0.1:1"):
                    operation()

    def test_usable_after_a_fork_and_by_threads(self, tmp_path: Path) -> None:
        import os

        with serving_apart(tmp_path) as url, open_transport(url) as transport:
            transport.create_bucket(BUCKET)
            for i in range(8):
                transport.put(BUCKET, f"o{i}", pattern(100_000, seed=i))
            child = os.fork()
            if not child:
                status = 1
                try:
                    transport.put(BUCKET, "child", b"content")
                    transport.set_bucket_props(BUCKET, {"versioning.enabled": "false"})
                    status = 0
                finally:
                    os._exit(status)
            wrong: list[object] = []

            def run(number: int) -> None:
                for _ in range(20):
                    if transport.read(BUCKET, f"o{number}") != pattern(100_000, seed=number):
                        wrong.append(number)  # noqa: PERF401 - a failure must not lose what was found

            threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert not wrong
            assert transport.read(BUCKET, "child") == b"content"
            assert not transport.head_bucket(BUCKET).versioning.enabled


class TestImports:
    READ = """
import sys
from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport
with open_transport(sys.argv[1]) as transport:
    transport.list_buckets()
    transport.list_page(BucketRef("bucket"))
    transport.read(BucketRef("bucket"), "o")
    transport.put(BucketRef("bucket"), "p", b"content")
"""

    def test_neither_the_engine_nor_httpx_is_loaded_to_read(self, tmp_path: Path) -> None:
        with serving(tmp_path) as url:
            with open_transport(url) as transport:
                transport.create_bucket(BUCKET)
                transport.put(BUCKET, "o", b"content")
            report = "print(*sorted(sys.modules))"
            loaded = subprocess.run(
                [sys.executable, "-c", self.READ + report, url],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
        for name in ("aiscore.engine", "aiscore.node", "aiscore.server", "sqlite3"):
            assert name not in loaded
        for name in ("httpx", "pydantic", "ssl", "asyncio", "tarfile", "numpy", "random"):
            assert name not in loaded

    def test_the_engine_is_not_loaded_to_write_either(self, tmp_path: Path) -> None:
        program = """
import sys
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import Selection
from aiscore.transport import open_transport
with open_transport(sys.argv[1]) as transport:
    bucket = BucketRef("bucket")
    transport.create_bucket(bucket)
    transport.delete_many(bucket, Selection(everything=True))
    transport.validate()
    transport.config()
    transport.mountpaths()
    print([name for name in sys.modules if name.startswith(("aiscore.engine", "aiscore.node"))])
"""
        with serving(tmp_path) as url:
            out = subprocess.run(
                [sys.executable, "-c", program, url], capture_output=True, text=True, check=True
            ).stdout
        assert out == "[]\n"


class TestVerification:
    """With `verify_content` what arrives is compared with the checksum that comes along."""

    @pytest.mark.parametrize("kind", ["xxhash2", "md5", "crc32c", "sha256"])
    def test_whole_objects_are_verified(self, tmp_path: Path, kind: str) -> None:
        options = ConnectionOptions(verify_content=True)
        with serving(tmp_path) as url, open_transport(url, connection=options) as transport:
            transport.create_bucket(BUCKET, {"checksum.type": kind})
            for size in (0, 10, LARGE):
                transport.put(BUCKET, "o", pattern(size))
                assert transport.read(BUCKET, "o") == pattern(size)
                with transport.open(BUCKET, "o", GetOptions(verify_checksum=True)) as reader:
                    assert b"".join(reader) == pattern(size)


class TestForeignServer:
    """A server without extensions, as AIStore's: the nearest native call, or a refusal by name."""

    @pytest.fixture
    def transport(self, tmp_path: Path) -> Iterator[Transport]:
        with serving(tmp_path) as url, open_transport(url) as transport:
            transport._store._extensions = frozenset()  # type: ignore[attr-defined]
            transport.create_bucket(BUCKET)
            yield transport

    def test_what_it_cannot_do_is_named(self, transport: Transport) -> None:
        from aiscore.model.objects import ArchivePutMode, Precondition
        from aiscore.transport import MemberInput

        with refuses(UnsupportedError, "validate"):
            transport.validate()
        absent = PutOptions(precondition=Precondition(if_absent=True))
        with refuses(UnsupportedError, "precondition"):
            transport.put(BUCKET, "o", b"content", absent)
        members = [MemberInput("a", 1, b"a"), MemberInput("b", 1, b"b")]
        with refuses(UnsupportedError, "2 members"):
            transport.put_members(BUCKET, "s.tar", members, ArchivePutMode.APPEND_OR_CREATE)

    @pytest.mark.parametrize("kind", FORMATS)
    def test_a_new_shard_is_made_here(self, transport: Transport, kind: ArchiveFormat) -> None:
        from aiscore.transport import MemberInput

        files = [("b", pattern(LARGE)), ("a/ü", b"content"), ("empty", b"")]
        members = [MemberInput(name, len(data), data) for name, data in files]
        stored = transport.put_members(BUCKET, "s", iter(members), archmime=kind)
        data = transport.read(BUCKET, "s", GetOptions(verify_checksum=True))
        assert unpack(kind, data) == files
        assert stored.size == len(data)
        short = MemberInput("c", 3, iter([b"cc"]))
        for bad, error in (
            ([*members, MemberInput("../c", 1, b"c")], InvalidNameError),
            ([*members, short], InvalidArgumentError),
        ):
            with refuses(error):
                transport.put_members(BUCKET, "s", bad, archmime=kind)
            assert transport.read(BUCKET, "s") == data

    def test_members_one_by_one(self, transport: Transport) -> None:
        from aiscore.model.objects import ArchivePutMode
        from aiscore.transport import MemberInput

        transport.put_members(BUCKET, "s.tar", [MemberInput("b", 2, b"bb")])
        transport.put_members(BUCKET, "s.tar", [MemberInput("a", 1, b"a")], ArchivePutMode.APPEND)
        listed = transport.list_members(BUCKET, "s.tar")
        assert sorted((member.name, member.size) for member in listed) == [("a", 1), ("b", 2)]
        assert transport.read(BUCKET, "s.tar", GetOptions(archpath="a")) == b"a"

    def test_ranges_of_a_batch_are_cut_here(self, transport: Transport) -> None:
        from aiscore.errors import RangeNotSatisfiableError
        from aiscore.model.batch import BatchEntry, BatchRequest

        data = pattern(LARGE)
        transport.put(BUCKET, "o", data)
        entries = [
            BatchEntry("o", start=5, length=10),
            BatchEntry("o", start=LARGE - 3, length=-1),
            BatchEntry("o", start=1, length=LARGE - 2),
            BatchEntry("o"),
        ]
        expected = [data[5:15], data[-3:], data[1:-1], data]
        for streaming in (True, False):
            request = BatchRequest(entries=entries, bucket=BUCKET, streaming=streaming)
            with transport.get_batch(request) as batch:
                assert [content for _, content in batch] == expected
            with transport.get_batch(request) as batch:
                assert [b"".join(reader) for _, reader in batch.streams()] == expected
        bad = [BatchEntry("o", start=LARGE, length=1), BatchEntry("o")]
        with (
            refuses(RangeNotSatisfiableError, BUCKET.object_cname("o")),
            transport.get_batch(BatchRequest(entries=bad, bucket=BUCKET)) as batch,
        ):
            list(batch)
        tolerant = BatchRequest(entries=bad, bucket=BUCKET, cont_on_err=True)
        with transport.get_batch(tolerant) as batch:
            assert [(result.error is None, content) for result, content in batch] == [
                (False, b""),
                (True, data),
            ]
        with refuses(UnsupportedError, "ranges"):
            transport.get_batch_archive(tolerant)

    def test_disks_and_counters(self, transport: Transport, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        transport.add_mountpath(str(disk))
        assert str(disk) in {info.path for info in transport.mountpaths()}
        transport.remove_mountpath(str(disk))
        assert str(disk) not in {info.path for info in transport.mountpaths()}
        assert all(isinstance(value, int) for value in transport.counters().values())
        assert transport.summarize_bucket(BUCKET).object_count == 0
        with refuses(BucketNotFoundError, "ais://absent"):
            transport.summarize_bucket(BucketRef("absent"))
