"""Suite: GetBatch. Entries of every kind, in order."""

import random
import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest

from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace
from aiscore.testing.archives import FORMATS, build
from aiscore.testing.content import LARGE, drain, pattern
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import Transport

__all__ = ["BatchTests", "Dataset", "as_bytes", "as_streams", "fill", "member_name"]

MEMBERS = [
    (f"dir/{i:03d}.bin", pattern(size, seed=i)) for i, size in enumerate((0, 1, 999, 70_000))
]


class Dataset(NamedTuple):
    """Entries of every kind, and the content each must give."""

    bucket: BucketRef
    entries: list[BatchEntry]
    contents: list[bytes]


def fill(transport: Transport, bucket: BucketRef) -> Dataset:
    """Objects of several sizes, shards in every format, and ranges of both, in a fixed random order."""
    pairs: list[tuple[BatchEntry, bytes]] = []
    for size in (0, 1, 512, 10_000, LARGE):
        name, data = f"objects/{size}", pattern(size)
        transport.put(bucket, name, data)
        pairs.append((BatchEntry(name), data))
        if size > 100:
            pairs.append((BatchEntry(name, start=7, length=50), data[7:57]))
            pairs.append((BatchEntry(name, start=size - 9, length=-1), data[-9:]))
            pairs.append((BatchEntry(name, start=0, length=size), data))
    for kind in FORMATS:
        shard = f"shards/s{kind}"
        archive = build(kind, MEMBERS)
        transport.put(bucket, shard, archive)
        pairs.append((BatchEntry(shard), archive))
        for name, data in MEMBERS:
            pairs.append((BatchEntry(shard, archpath=name), data))
            if len(data) > 100:
                pairs.append((BatchEntry(shard, archpath=name, start=3, length=90), data[3:93]))
    pairs += pairs[:5]  # duplicates
    random.Random(4).shuffle(pairs)
    return Dataset(bucket, [entry for entry, _ in pairs], [data for _, data in pairs])


def member_name(bucket: BucketRef, entry: BatchEntry, *, only_obj_name: bool = False) -> str:
    """The name of an entry in the output archive."""
    name = entry.name if only_obj_name else f"{(entry.bucket or bucket).name}/{entry.name}"
    return f"{name}/{entry.archpath}" if entry.archpath else name


def as_bytes(transport: Transport, request: BatchRequest) -> list[tuple[BatchResult, bytes]]:
    """The batch, each entry whole."""
    with transport.get_batch(request) as stream:
        return list(stream)


def as_streams(transport: Transport, request: BatchRequest) -> list[tuple[BatchResult, bytes]]:
    """The batch, each entry through its reader."""
    with transport.get_batch(request) as stream:
        return [(result, drain(reader)) for result, reader in stream.streams()]


HOW: dict[str, Callable[[Transport, BatchRequest], list[tuple[BatchResult, bytes]]]] = {
    "bytes": as_bytes,
    "streams": as_streams,
}


class BatchTests(Fixtures):
    """GetBatch that succeeds."""

    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize("cont_on_err", [True, False])
    @pytest.mark.parametrize("only_obj_name", [True, False])
    def test_every_kind_of_entry_in_order(
        self,
        transport: Transport,
        bucket: BucketRef,
        how: str,
        streaming: bool,
        cont_on_err: bool,
        only_obj_name: bool,
    ) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(
            entries=dataset.entries,
            bucket=bucket,
            cont_on_err=cont_on_err,
            only_obj_name=only_obj_name,
            streaming=streaming,
        )
        answers = HOW[how](transport, request)
        assert [result.entry for result, _ in answers] == dataset.entries
        assert [content for _, content in answers] == dataset.contents
        for (result, content), entry in zip(answers, dataset.entries, strict=True):
            assert (result.bucket, result.size, result.error) == (bucket, len(content), None)
            expected = member_name(bucket, entry, only_obj_name=only_obj_name)
            assert result.member_name == expected

    def test_opaque_comes_back(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        tags = [b"", b"\0\xff", b"id-7", None, pattern(1000)]
        request = BatchRequest(entries=[BatchEntry("o", opaque=t) for t in tags], bucket=bucket)
        answers = as_bytes(transport, request)
        assert [result.entry.opaque for result, _ in answers] == tags

    @pytest.mark.parametrize("default", [True, False])
    def test_several_buckets(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef, default: bool
    ) -> None:
        scoped = buckets.reserve(Namespace(name="suite-batch"))
        transport.create_bucket(scoped)
        refs = [bucket, buckets.create(), scoped]
        for ref in refs:
            transport.put(ref, "o", ref.cname.encode())
            transport.put(ref, "s.tar", build(ArchiveFormat.TAR, [("m", ref.cname.encode())]))
        order = [0, 2, 1, 1, 0, 2]
        entries = [
            BatchEntry(
                "o" if i % 2 else "s.tar",
                None if default and refs[which] == bucket else refs[which],
                None if i % 2 else "m",
            )
            for i, which in enumerate(order)
        ]
        request = BatchRequest(entries=entries, bucket=bucket if default else None)
        answers = as_bytes(transport, request)
        assert [result.bucket for result, _ in answers] == [refs[which] for which in order]
        assert [content for _, content in answers] == [refs[w].cname.encode() for w in order]
        assert answers[1][0].member_name == f"{scoped.name}/o"

    def test_duplicates_are_answered_as_often_as_asked(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "a", b"a")
        transport.put(bucket, "b", b"b")
        names = list("abaabbab" * 20)
        request = BatchRequest(entries=[BatchEntry(name) for name in names], bucket=bucket)
        assert [content.decode() for _, content in as_bytes(transport, request)] == names

    @pytest.mark.parametrize("how", HOW)
    def test_many_entries(self, transport: Transport, bucket: BucketRef, how: str) -> None:
        members = [(f"{i:04d}", str(i).encode() * 3) for i in range(1000)]
        for kind in FORMATS:
            transport.put(bucket, f"s{kind}", build(kind, members))
        for name, data in members[:200]:
            transport.put(bucket, name, data)
        chosen = random.Random(2)
        entries, expected = [], []
        for _ in range(4096):
            i = chosen.randrange(1000)
            name, data = members[i]
            if i < 200:
                entries.append(BatchEntry(name))
            else:
                entries.append(BatchEntry(f"s{chosen.choice(FORMATS)}", archpath=name))
            expected.append(data)
        request = BatchRequest(entries=entries, bucket=bucket)
        assert [content for _, content in HOW[how](transport, request)] == expected

    def test_one_entry(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        ((result, content),) = as_bytes(transport, BatchRequest(entries=(BatchEntry("o", bucket),)))
        assert (result.member_name, content) == (f"{bucket.name}/o", b"content")

    def test_leading_slash_of_an_archpath_is_ignored(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "s.tar", build(ArchiveFormat.TAR, [("m", b"content")]))
        request = BatchRequest(entries=[BatchEntry("s.tar", bucket, "/m")])
        ((_, content),) = as_bytes(transport, request)
        assert content == b"content"

    def test_length_to_the_end_from_the_start_is_the_whole(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "o", b"content")
        request = BatchRequest(entries=[BatchEntry("o", bucket, start=0, length=-1)])
        ((result, content),) = as_bytes(transport, request)
        assert (result.size, content) == (7, b"content")

    # streams

    def test_streams_may_be_read_in_part(self, transport: Transport, bucket: BucketRef) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        seen = []
        with transport.get_batch(request) as stream:
            for i, (_, reader) in enumerate(stream.streams()):
                seen.append(drain(reader) if i % 3 == 0 else reader.read(5) if i % 3 == 1 else b"")
        for i, (part, whole) in enumerate(zip(seen, dataset.contents, strict=True)):
            if i % 3 == 0:
                assert part == whole
            else:
                assert whole.startswith(part)
                assert part or i % 3 == 2 or not whole

    def test_streams_give_large_entries_in_blocks(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        data = pattern(LARGE)
        transport.put(bucket, "o", data)
        transport.put(bucket, "s.tar", build(ArchiveFormat.TAR, [("m", data)]))
        entries = [BatchEntry("o"), BatchEntry("s.tar", archpath="m")]
        with transport.get_batch(BatchRequest(entries=entries, bucket=bucket)) as stream:
            for result, reader in stream.streams():
                buffer, out = bytearray(100_000), bytearray()
                while count := reader.readinto(buffer):
                    out += buffer[:count]
                assert bytes(out) == data
                assert result.size == LARGE

    # life of a batch

    @pytest.mark.parametrize("taken", [0, 1, 5])
    def test_leaving_early_leaves_nothing_behind(
        self, transport: Transport, bucket: BucketRef, taken: int
    ) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        for _ in range(3):
            with transport.get_batch(request) as stream:
                results = iter(stream)
                assert [next(results)[1] for _ in range(taken)] == dataset.contents[:taken]
            stream.close()
            readers = transport.get_batch(request)
            streams = readers.streams()
            for _ in range(taken):
                next(streams)
            readers.close()
            readers.close()
        assert [content for _, content in as_bytes(transport, request)] == dataset.contents

    def test_request_can_be_used_again(self, transport: Transport, bucket: BucketRef) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        first, second = as_bytes(transport, request), as_streams(transport, request)
        assert [c for _, c in first] == [c for _, c in second] == dataset.contents
        assert request.entries == dataset.entries

    def test_batches_run_side_by_side(self, transport: Transport, bucket: BucketRef) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        wrong: list[object] = []

        def run() -> None:
            try:
                if [content for _, content in as_bytes(transport, request)] != dataset.contents:
                    wrong.append("another content")
            except BaseException as exc:
                wrong.append(exc)

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        assert not wrong

    def test_two_batches_can_be_read_in_turn(self, transport: Transport, bucket: BucketRef) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        with transport.get_batch(request) as first, transport.get_batch(request) as second:
            for (_, one), (_, other), content in zip(first, second, dataset.contents, strict=True):
                assert one == other == content

    def test_counters_count(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        transport.put(bucket, "s.tar", build(ArchiveFormat.TAR, [("m", b"member")]))
        before = dict(transport.counters())
        entries = [BatchEntry("o"), BatchEntry("o"), BatchEntry("s.tar", archpath="m")]
        as_bytes(transport, BatchRequest(entries=entries, bucket=bucket))
        after = transport.counters()

        def grown(name: str) -> int:
            return after.get(name, 0) - before.get(name, 0)

        assert grown("getbatch.n") == 1
        assert (grown("getbatch.obj.n"), grown("getbatch.obj.size")) == (2, 14)
        assert (grown("getbatch.file.n"), grown("getbatch.file.size")) == (1, 6)
