"""Suite: the archive of a GetBatch, read by the standard library."""

import io
import tarfile
from collections.abc import Iterator

import pytest

from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.testing.archives import FORMATS, unpack
from aiscore.testing.batches import fill, member_name
from aiscore.testing.content import join_views, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import Fixtures
from aiscore.transport.base import Transport

__all__ = ["BatchOutputTests"]


class BatchOutputTests(Fixtures):
    """The output archive."""

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize("only_obj_name", [True, False])
    def test_archive_has_every_entry_in_order(
        self,
        transport: Transport,
        bucket: BucketRef,
        kind: ArchiveFormat,
        streaming: bool,
        only_obj_name: bool,
    ) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(
            entries=dataset.entries,
            bucket=bucket,
            output_format=kind,
            only_obj_name=only_obj_name,
            streaming=streaming,
        )
        with transport.get_batch_archive(request) as archive:
            data = join_views(archive)
            results = list(archive.results)
        names = [member_name(bucket, e, only_obj_name=only_obj_name) for e in dataset.entries]
        assert unpack(kind, data) == list(zip(names, dataset.contents, strict=True))
        assert [result.entry for result in results] == dataset.entries
        assert [result.member_name for result in results] == names
        assert [result.size for result in results] == list(map(len, dataset.contents))
        assert {(result.bucket, result.error) for result in results} == {(bucket, None)}

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("streaming", [True, False])
    def test_missing_entries_have_a_place(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, streaming: bool
    ) -> None:
        transport.put(bucket, "o", b"content")
        entries = [BatchEntry("x"), BatchEntry("o"), BatchEntry("x"), BatchEntry("o")]
        request = BatchRequest(
            entries=entries,
            bucket=bucket,
            output_format=kind,
            cont_on_err=True,
            streaming=streaming,
        )
        with transport.get_batch_archive(request) as archive:
            data = join_views(archive)
            errors = [result.error for result in archive.results]
        missing, found = (f"{MISSING_PREFIX}{bucket.name}/x", b""), (f"{bucket.name}/o", b"content")
        assert unpack(kind, data) == [missing, found, missing, found]
        assert [error is None for error in errors] == [False, True, False, True]

    @pytest.mark.parametrize("kind", FORMATS)
    def test_results_of_a_buffered_batch_come_first(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(
            entries=dataset.entries, bucket=bucket, output_format=kind, streaming=False
        )
        with transport.get_batch_archive(request) as archive:
            blocks = iter(archive)
            first = bytes(next(blocks))
            assert [result.entry for result in archive.results] == dataset.entries
            data = first + join_views(blocks)
        assert [content for _, content in unpack(kind, data)] == dataset.contents

    def test_results_of_a_streaming_batch_grow(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for i in range(20):
            transport.put(bucket, f"o-{i}", pattern(2_000_000, seed=i))
        entries = [BatchEntry(f"o-{i}") for i in range(20)]
        counts = []
        with transport.get_batch_archive(BatchRequest(entries=entries, bucket=bucket)) as archive:
            for _ in archive:
                counts.append(len(archive.results))  # noqa: PERF401 - it grows meanwhile
        assert counts == sorted(counts)
        assert counts[0] < counts[-1] == 20

    @pytest.mark.parametrize("kind", FORMATS)
    def test_output_is_the_same_each_time(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket, output_format=kind)
        outputs = set()
        for _ in range(2):
            with transport.get_batch_archive(request) as archive:
                outputs.add(join_views(archive))
        assert len({tuple(unpack(kind, output)) for output in outputs}) == 1

    @pytest.mark.parametrize("kind", FORMATS)
    def test_awkward_names(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat
    ) -> None:
        names = ["a" * 99, "b" * 100, "c" * 101, "d" * 200 + "/" + "e" * 200, "日本/ünï", "sp ace"]
        for name in names:
            transport.put(bucket, name, name.encode())
        request = BatchRequest(
            entries=[BatchEntry(name) for name in names],
            bucket=bucket,
            output_format=kind,
            only_obj_name=True,
        )
        with transport.get_batch_archive(request) as archive:
            data = join_views(archive)
        assert unpack(kind, data) == [(name, name.encode()) for name in names]

    def test_tar_can_be_read_as_a_stream(self, transport: Transport, bucket: BucketRef) -> None:
        dataset = fill(transport, bucket)
        request = BatchRequest(entries=dataset.entries, bucket=bucket)
        with (
            transport.get_batch_archive(request) as archive,
            tarfile.open(fileobj=_Blocks(iter(archive)), mode="r|") as tar,
        ):
            contents = [file.read() for m in tar if (file := tar.extractfile(m)) is not None]
        assert contents == dataset.contents

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("taken", [0, 1, 3])
    def test_archive_left_early_leaves_nothing_behind(
        self, transport: Transport, bucket: BucketRef, kind: ArchiveFormat, taken: int
    ) -> None:
        dataset = fill(transport, bucket)
        for streaming in (True, False):
            request = BatchRequest(
                entries=dataset.entries, bucket=bucket, output_format=kind, streaming=streaming
            )
            archive = transport.get_batch_archive(request)
            blocks = iter(archive)
            for _ in range(taken):
                next(blocks, None)
            archive.close()
            archive.close()
        with transport.get_batch_archive(request) as whole:
            assert len(unpack(kind, join_views(whole))) == len(dataset.entries)

    def test_empty_request_is_refused(self) -> None:
        with refuses(InvalidArgumentError, "empty"):
            BatchRequest(entries=[])


class _Blocks(io.RawIOBase):
    """Blocks as a file, as far as tarfile's stream mode asks."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while len(self._rest) < size and (block := next(self._blocks, None)) is not None:
            self._rest += block
        out, self._rest = self._rest[:size], self._rest[size:]
        return out
