"""Reads and batches go on after a connection broke, at whatever place and in whatever way."""

import io
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.remote.support import QUICK, proxied, serving

from aiscore.errors import (
    BatchAbortedError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ProtocolError,
    TransportError,
    TransportTimeoutError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.testing.archives import build, unpack
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.proxy import FAULTS, Fault, FaultKind, FaultProxy
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

BUCKET = BucketRef("bucket")
SIZE = 1_500_000
DATA = pattern(SIZE)
MEMBER = pattern(700_000, seed=9)
ENTRIES = [
    BatchEntry("s0"),
    BatchEntry("s1"),
    BatchEntry("s700"),
    BatchEntry("big"),
    BatchEntry("missing"),
    BatchEntry("s.tar", archpath="m"),
    BatchEntry("big", start=100, length=400_000),
    BatchEntry("s1"),
]
CONTENTS = [
    b"",
    b"1",
    pattern(700),
    DATA,
    b"",
    MEMBER,
    DATA[100:400_100],
    b"1",
]
TOLERANT = BatchRequest(entries=ENTRIES, bucket=BUCKET, cont_on_err=True)

Proxied = tuple[RemoteTransport, FaultProxy]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("resume")) as url, RemoteTransport(url) as transport:
        transport.create_bucket(BUCKET)
        transport.put(BUCKET, "big", DATA)
        transport.put(BUCKET, "s0", b"")
        transport.put(BUCKET, "s1", b"1")
        transport.put(BUCKET, "s700", pattern(700))
        for kind in ArchiveFormat:
            transport.put(BUCKET, f"s{kind}", build(kind, [("a", b"a"), ("m", MEMBER)]))
        yield url


@pytest.fixture
def broken(url: str) -> Iterator[Proxied]:
    with proxied(url) as pair:
        yield pair


def whole(transport: RemoteTransport) -> list[bytes]:
    with transport.get_batch(TOLERANT) as batch:
        return [content for _, content in batch]


def streams(transport: RemoteTransport) -> list[bytes]:
    with transport.get_batch(TOLERANT) as batch:
        return [b"".join(reader) for _, reader in batch.streams()]


def archive(transport: RemoteTransport) -> list[bytes]:
    with transport.get_batch_archive(TOLERANT) as archive:
        data = b"".join(map(bytes, archive))
        results = archive.results
    assert [result.size for result in results] == list(map(len, CONTENTS))
    assert [result.error is None for result in results] == [
        entry.name != "missing" for entry in ENTRIES
    ]
    return [content for _, content in unpack(ArchiveFormat.TAR, data)]


def buffered(transport: RemoteTransport) -> list[bytes]:
    from dataclasses import replace

    with transport.get_batch(replace(TOLERANT, streaming=False)) as batch:
        return [content for _, content in batch]


HOW: dict[str, Callable[[RemoteTransport], list[bytes]]] = {
    "whole": whole,
    "streams": streams,
    "archive": archive,
    "buffered": buffered,
}


def places(recorded: bytes, kind: FaultKind) -> list[int]:
    """Byte positions of every class in an answer: heads, tar headers, contents, padding, end marker, framing."""
    chosen = random.Random(3)
    head_end = recorded.index(b"\r\n\r\n") + 4
    found = {0, 1, 9, head_end - 1, head_end, head_end + 1, len(recorded) - 1, len(recorded) - 5}
    at = recorded.find(b"ustar\0")
    while at >= 0:
        header = at - 257
        found |= {header - 1, header, header + 1, header + 130, header + 511, header + 512}
        found |= {header + 513, header + 1023, header + 1024}
        at = recorded.find(b"ustar\0", at + 1)
    found |= {len(recorded) - offset for offset in (100, 512, 513, 1024, 1030, 1535, 1537)}
    found |= {chosen.randrange(len(recorded)) for _ in range(20)}
    ordered = sorted(place for place in found if 0 <= place < len(recorded))
    # Each stall is waited for.
    return ordered if kind != "stall" else chosen.sample(ordered, 12)


class TestObjects:
    @pytest.mark.parametrize("kind", FAULTS)
    def test_read_goes_on_at_every_place(self, broken: Proxied, kind: FaultKind) -> None:
        transport, proxy = broken
        proxy.record()
        assert transport.read(BUCKET, "big") == DATA
        for place in places(proxy.recorded, kind):
            proxy.arm(Fault(kind, place))
            assert transport.read(BUCKET, "big") == DATA, place
            assert proxy.fired

    @pytest.mark.parametrize("kind", FAULTS)
    def test_small_object(self, broken: Proxied, kind: FaultKind) -> None:
        transport, proxy = broken
        proxy.record()
        assert transport.read(BUCKET, "s700") == pattern(700)
        total = len(proxy.recorded)
        for place in range(0, total, 61 if kind != "stall" else 401):
            proxy.arm(Fault(kind, place))
            assert transport.read(BUCKET, "s700") == pattern(700), place

    def test_only_what_is_missing_is_asked_for(self, broken: Proxied) -> None:
        transport, proxy = broken
        proxy.arm(Fault("reset", SIZE - 1000))
        assert transport.read(BUCKET, "big") == DATA
        assert proxy.passed < SIZE + 200_000

    @pytest.mark.parametrize("times", [2, 7])
    def test_many_breaks_that_each_bring_something(self, broken: Proxied, times: int) -> None:
        transport, proxy = broken
        proxy.arm(Fault("cut", 200_000, times=times))
        assert transport.read(BUCKET, "big") == DATA
        proxy.arm(Fault("cut", 200_000, times=times))
        with transport.open(BUCKET, "big", GetOptions(verify_checksum=True)) as reader:
            assert b"".join(reader) == DATA

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, None), (1000, None), (1000, 900_000), (-900_000, None)]
    )
    def test_ranges_go_on(self, broken: Proxied, offset: int, length: int | None) -> None:
        transport, proxy = broken
        end = None if length is None else offset + length
        options = GetOptions(byte_range=ByteRange(offset=offset, length=length))
        for place in (0, 100, 300_000, 700_000):
            proxy.arm(Fault("reset", place))
            with transport.open(BUCKET, "big", options) as reader:
                assert b"".join(reader) == DATA[offset:end]
            assert proxy.fired

    @pytest.mark.parametrize("shard", ["s.tar", "s.tgz", "s.zip"])
    def test_members_go_on(self, broken: Proxied, shard: str) -> None:
        transport, proxy = broken
        options = GetOptions(archpath="m")
        ranged = GetOptions(archpath="m", byte_range=ByteRange(offset=1000, length=600_000))
        for place in (0, 500, 300_000, 600_000):
            proxy.arm(Fault("cut", place))
            assert transport.read(BUCKET, shard, options) == MEMBER
            proxy.arm(Fault("cut", place))
            assert transport.read(BUCKET, shard, ranged) == MEMBER[1000:601_000]

    @pytest.mark.parametrize("change", ["replaced", "same size", "removed"])
    def test_another_content_is_never_mixed_in(self, broken: Proxied, change: str) -> None:
        transport, proxy = broken
        transport.put(BUCKET, "o", DATA)
        proxy.arm(Fault("cut", 600_000))
        with transport.open(BUCKET, "o") as reader:
            start = reader.read(1000)
            assert DATA.startswith(start)
            if change == "removed":
                transport_other(transport, "delete")
            else:
                transport_other(
                    transport, "put", pattern(SIZE if change == "same size" else 10, seed=5)
                )
            error = ObjectNotFoundError if change == "removed" else PreconditionFailedError
            with refuses(error, BUCKET.object_cname("o")):
                reader.read()

    def test_selection_of_members_is_not_pieced_together(self, broken: Proxied) -> None:
        from aiscore.model.archive import ArchiveMode

        transport, proxy = broken
        options = GetOptions(archregx="m", archmode=ArchiveMode.PREFIX)
        proxy.arm(Fault("cut", 100))
        ((name, content),) = unpack(ArchiveFormat.TAR, transport.read(BUCKET, "s.tar", options))
        assert (name, content) == ("m", MEMBER)
        proxy.arm(Fault("cut", 400_000))
        with pytest.raises(ProtocolError):
            transport.read(BUCKET, "s.tar", options)

    def test_it_ends(self, broken: Proxied) -> None:
        transport, proxy = broken
        transport.list_buckets()
        proxy.arm(Fault("cut", 0, times=10_000))
        before = proxy.connections
        with pytest.raises(TransportError):
            transport.read(BUCKET, "big")
        assert proxy.connections - before <= QUICK.retries + 2

    def test_deadline_holds(self, url: str) -> None:
        import time

        options = ConnectionOptions(read_timeout_s=0.3, deadline_s=0.5, retries=50, backoff_s=0.01)
        with proxied(url, options) as (transport, proxy):
            transport.list_buckets()
            proxy.arm(Fault("stall", 0, times=10_000))
            began = time.monotonic()
            with pytest.raises(TransportTimeoutError, match=r"0\.3 s"):
                transport.read(BUCKET, "big")
            assert time.monotonic() - began < 3


def transport_other(transport: RemoteTransport, what: str, data: bytes = b"") -> None:
    """Change the object while another connection reads it, past the proxy's fault."""
    if what == "put":
        transport.put(BUCKET, "o", data)
    else:
        transport.delete(BUCKET, "o")


class TestWrites:
    @pytest.mark.parametrize("kind", FAULTS)
    @pytest.mark.parametrize("is_request", [True, False])
    def test_put_of_bytes_is_repeated(
        self, broken: Proxied, kind: FaultKind, is_request: bool
    ) -> None:
        transport, proxy = broken
        for place in (0, 50, 300) if not is_request else (0, 50, 300, 700_000, SIZE):
            proxy.arm(Fault(kind, place, is_request=is_request))
            assert transport.put(BUCKET, "put", DATA).size == SIZE
            proxy.arm(Fault(kind, place, is_request=is_request))
            assert transport.put(BUCKET, "put", io.BytesIO(DATA)).size == SIZE
            proxy.arm(None)
            assert transport.read(BUCKET, "put", GetOptions(verify_checksum=True)) == DATA

    def test_half_of_an_upload_is_never_visible(self, broken: Proxied) -> None:
        transport, proxy = broken
        before = transport.put(BUCKET, "half", b"before")

        def body() -> Iterator[bytes]:
            for start in range(0, SIZE, 100_000):
                yield DATA[start : start + 100_000]

        for place in (100, 600_000, SIZE - 10):
            for options in (PutOptions(), PutOptions(size=SIZE)):
                proxy.arm(Fault("cut", place, is_request=True))
                with pytest.raises(TransportError):
                    transport.put(BUCKET, "half", body(), options)
                assert transport.read(BUCKET, "half") == b"before"
        assert transport.head(BUCKET, "half").etag == before.etag

    def test_what_may_happen_once_happens_once(self, broken: Proxied) -> None:
        transport, proxy = broken
        transport.put(BUCKET, "append", b"")
        handle = transport.append(BUCKET, "append", b"one ")
        proxy.arm(Fault("cut", 0))
        with pytest.raises(TransportError):
            transport.append(BUCKET, "append", b"two ", handle)
        proxy.arm(None)
        before = proxy.connections
        proxy.arm(Fault("cut", 0))
        with pytest.raises(TransportError):
            transport.rename(BUCKET, "append", "renamed")
        assert proxy.connections - before <= 1

    def test_delete_whose_answer_was_lost_is_done(self, broken: Proxied) -> None:
        transport, proxy = broken
        transport.put(BUCKET, "gone", b"content")
        proxy.arm(Fault("cut", 0))
        transport.delete(BUCKET, "gone")
        with refuses(ObjectNotFoundError, BUCKET.object_cname("gone")):
            transport.delete(BUCKET, "gone")


class TestBatches:
    @pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.soak)])
    @pytest.mark.parametrize("kind", FAULTS)
    @pytest.mark.parametrize("how", HOW)
    def test_batch_goes_on_at_every_place(
        self, broken: Proxied, how: str, kind: FaultKind, step: int
    ) -> None:
        """With a step, each way and each fault takes another share of the places; with the soak, all."""
        transport, proxy = broken
        proxy.record()
        assert HOW[how](transport) == CONTENTS
        first = (list(HOW).index(how) + list(FAULTS).index(kind)) % step
        for place in places(proxy.recorded, kind)[first::step]:
            proxy.arm(Fault(kind, place))
            assert HOW[how](transport) == CONTENTS, place

    @pytest.mark.parametrize("how", HOW)
    def test_many_breaks(self, broken: Proxied, how: str) -> None:
        transport, proxy = broken
        proxy.arm(Fault("reset", 900_000, times=3))
        # What is asked for whole must come through in one piece; it fits between two breaks.
        if how in {"streams", "archive"}:
            assert HOW[how](transport) == CONTENTS

    def test_delivered_entries_are_not_asked_for_again(self, broken: Proxied) -> None:
        transport, proxy = broken
        request = BatchRequest(entries=[BatchEntry("big")] * 4, bucket=BUCKET)
        proxy.arm(Fault("cut", 3 * SIZE + 100_000))
        with transport.get_batch(request) as batch:
            assert [content for _, content in batch] == [DATA] * 4
        assert proxy.fired
        assert proxy.passed < 5.5 * SIZE

    @pytest.mark.parametrize("size", [10, SIZE])
    def test_entry_replaced_in_its_middle_is_never_mixed(self, broken: Proxied, size: int) -> None:
        transport, proxy = broken
        for read in ("streams", "archive"):
            transport.put(BUCKET, "o", DATA)
            request = BatchRequest(entries=[BatchEntry("s1"), BatchEntry("o")], bucket=BUCKET)
            proxy.arm(Fault("cut", 1_200_000))
            seen = bytearray()
            with refuses(PreconditionFailedError, BUCKET.object_cname("o")):
                if read == "streams":
                    with transport.get_batch(request) as batch:
                        for _, reader in batch.streams():
                            for number, block in enumerate(reader):
                                seen += block
                                if number == 0 and len(seen) > 1:
                                    transport.put(BUCKET, "o", pattern(size, seed=5))
                else:
                    with transport.get_batch_archive(request) as archive:
                        for view in archive:
                            seen += view
                            if 600_000 < len(seen) < 900_000:
                                transport.put(BUCKET, "o", pattern(size, seed=5))
            assert pattern(SIZE, seed=5)[:1000] not in seen

    def test_budget_does_not_begin_anew(self, broken: Proxied) -> None:
        transport, proxy = broken
        budget = transport.config().get_batch.max_soft_errs
        entries = []
        for i in range(budget + 1):
            entries += [BatchEntry("s700"), BatchEntry(f"missing-{i}"), BatchEntry("big")]
        request = BatchRequest(entries=entries, bucket=BUCKET, cont_on_err=True)
        proxy.arm(Fault("cut", 1_000_000, times=4))
        with (
            refuses(BatchAbortedError, f"missing-{budget}"),
            transport.get_batch(request) as batch,
        ):
            for _, reader in batch.streams():
                b"".join(reader)

    def test_strict_batch_tells_what_was_missing(self, broken: Proxied) -> None:
        transport, proxy = broken
        request = BatchRequest(entries=ENTRIES, bucket=BUCKET)
        proxy.arm(Fault("reset", 1_000_000))
        seen = []
        with (
            refuses(NotFoundError, BUCKET.object_cname("missing")),
            transport.get_batch(request) as batch,
        ):
            for _, content in batch:
                seen.append(content)
        assert seen == CONTENTS[:4]

    @pytest.mark.parametrize(
        "packed", [ArchiveFormat.TGZ, ArchiveFormat.TAR_LZ4, ArchiveFormat.ZIP]
    )
    def test_compressed_archive_is_whole_or_an_error(
        self, broken: Proxied, packed: ArchiveFormat
    ) -> None:
        transport, proxy = broken
        request = BatchRequest(
            entries=[BatchEntry("s700"), BatchEntry("big"), BatchEntry("s1")],
            bucket=BUCKET,
            output_format=packed,
        )
        for place in (0, 50, 300_000, 1_200_000):
            proxy.arm(Fault("cut", place))
            try:
                with transport.get_batch_archive(request) as archive:
                    data = b"".join(map(bytes, archive))
            except ProtocolError:
                continue
            assert [c for _, c in unpack(packed, data)] == [pattern(700), DATA, b"1"]

    def test_server_that_restarts_is_waited_for(self, tmp_path: Path) -> None:
        with serving(tmp_path) as url, RemoteTransport(url) as direct:
            direct.create_bucket(BUCKET)
            for i in range(6):
                direct.put(BUCKET, f"o{i}", pattern(SIZE, seed=i))
            with proxied(url) as (transport, proxy):
                request = BatchRequest(
                    entries=[BatchEntry(f"o{i}") for i in range(6)], bucket=BUCKET
                )
                with transport.get_batch(request) as batch:
                    for i, (_, content) in enumerate(batch):
                        assert content == pattern(SIZE, seed=i)
                        proxy.drop_all()


def test_tar_of_the_archive_can_be_read_as_a_stream(broken: Proxied) -> None:
    transport, proxy = broken
    proxy.arm(Fault("reset", 1_000_000))
    with transport.get_batch_archive(TOLERANT) as archive:
        data = b"".join(map(bytes, archive))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as tar:
        contents = [file.read() for info in tar if (file := tar.extractfile(info)) is not None]
    assert contents == CONTENTS
