"""Suite: GetBatch that meets what is missing or wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiscore.errors import (
    AisError,
    ArchpathNotFoundError,
    BatchAbortedError,
    BucketNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
)
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.testing.archives import build, unpack
from aiscore.testing.batches import HOW, as_bytes, member_name
from aiscore.testing.content import join_views, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.transport.base import Transport

__all__ = ["BatchErrorTests"]

BAD_ENTRIES: dict[str, tuple[BatchEntry, type[AisError], str]] = {
    "object": (BatchEntry("missing"), ObjectNotFoundError, "missing"),
    "shard": (BatchEntry("missing.tar", archpath="m"), ObjectNotFoundError, "missing.tar"),
    "member": (BatchEntry("s.tar", archpath="missing"), ArchpathNotFoundError, "s.tar"),
    "no archive": (BatchEntry("o", archpath="m"), InvalidArgumentError, "o"),
    "range starts at the end": (
        BatchEntry("o", start=10, length=1),
        RangeNotSatisfiableError,
        "o",
    ),
    "range is too long": (BatchEntry("o", start=5, length=6), RangeNotSatisfiableError, "o"),
    "open range past the end": (
        BatchEntry("o", start=10, length=-1),
        RangeNotSatisfiableError,
        "o",
    ),
    "range of a member": (
        BatchEntry("s.tar", archpath="m", start=5, length=6),
        RangeNotSatisfiableError,
        "s.tar",
    ),
    "range of nothing": (
        BatchEntry("empty", start=0, length=1),
        RangeNotSatisfiableError,
        "empty",
    ),
}


class BatchErrorTests(Fixtures):
    """GetBatch that does not succeed."""

    @pytest.fixture
    def filled(self, transport: Transport, bucket: BucketRef) -> BucketRef:
        """A bucket with an object, an empty one and a shard; content of 10 bytes each."""
        transport.put(bucket, "o", b"0123456789")
        transport.put(bucket, "empty", b"")
        transport.put(bucket, "s.tar", build(ArchiveFormat.TAR, [("m", b"9876543210")]))
        return bucket

    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize("bad", BAD_ENTRIES)
    def test_first_failure_ends_a_strict_batch(
        self, transport: Transport, filled: BucketRef, bad: str, streaming: bool, how: str
    ) -> None:
        entry, error, name = BAD_ENTRIES[bad]
        entries = [BatchEntry("o"), BatchEntry("empty"), entry, BatchEntry("o")]
        request = BatchRequest(entries=entries, bucket=filled, streaming=streaming)
        with refuses(error, filled.object_cname(name)):
            HOW[how](transport, request)

    def test_entries_before_the_failure_are_delivered(
        self, transport: Transport, filled: BucketRef
    ) -> None:
        entries = [BatchEntry("o"), BatchEntry("empty"), BatchEntry("missing"), BatchEntry("o")]
        seen = []
        request = BatchRequest(entries=entries, bucket=filled)
        with (
            refuses(ObjectNotFoundError, filled.object_cname("missing")),
            transport.get_batch(request) as stream,
        ):
            for _, content in stream:
                seen.append(content)
        assert seen == [b"0123456789", b""]

    def test_buffered_batch_delivers_nothing_of_a_failure(
        self, transport: Transport, filled: BucketRef
    ) -> None:
        entries = [BatchEntry("o"), BatchEntry("missing")]
        request = BatchRequest(entries=entries, bucket=filled, streaming=False)
        seen = []
        with (
            refuses(ObjectNotFoundError, filled.object_cname("missing")),
            transport.get_batch(request) as stream,
        ):
            for _, content in stream:
                seen.append(content)
        with (
            refuses(ObjectNotFoundError, filled.object_cname("missing")),
            transport.get_batch_archive(request) as archive,
        ):
            seen += map(bytes, archive)
        assert seen == []

    @pytest.mark.parametrize("how", HOW)
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize("only_obj_name", [True, False])
    @pytest.mark.parametrize("bad", BAD_ENTRIES)
    def test_tolerant_batch_goes_on(
        self,
        transport: Transport,
        filled: BucketRef,
        bad: str,
        only_obj_name: bool,
        streaming: bool,
        how: str,
    ) -> None:
        entry, _, name = BAD_ENTRIES[bad]
        entries = [BatchEntry("o"), entry._replace(opaque=b"tag"), BatchEntry("empty"), entry]
        request = BatchRequest(
            entries=entries,
            bucket=filled,
            cont_on_err=True,
            only_obj_name=only_obj_name,
            streaming=streaming,
        )
        answers = HOW[how](transport, request)
        assert [result.entry for result, _ in answers] == entries
        assert [content for _, content in answers] == [b"0123456789", b"", b"", b""]
        assert [result.size for result, _ in answers] == [10, 0, 0, 0]
        for index in (1, 3):
            result = answers[index][0]
            assert result.error is not None
            assert filled.object_cname(name) in result.error
            expected = member_name(filled, entry, only_obj_name=only_obj_name)
            assert result.member_name == f"{MISSING_PREFIX}{expected}"
        # An empty object is no failure.
        assert answers[2][0].error is None
        assert not answers[2][0].member_name.startswith(MISSING_PREFIX)

    @pytest.mark.parametrize("cont_on_err", [True, False])
    @pytest.mark.parametrize("streaming", [True, False])
    def test_missing_bucket_fails_the_whole_batch(
        self,
        transport: Transport,
        buckets: BucketFactory,
        filled: BucketRef,
        cont_on_err: bool,
        streaming: bool,
    ) -> None:
        missing = buckets.reserve()
        request = BatchRequest(
            entries=[BatchEntry("o"), BatchEntry("o", missing)],
            bucket=filled,
            cont_on_err=cont_on_err,
            streaming=streaming,
        )
        seen: list[object] = []
        with (
            refuses(BucketNotFoundError, missing.cname),
            transport.get_batch(request) as stream,
        ):
            seen += stream
        with (
            refuses(BucketNotFoundError, missing.cname),
            transport.get_batch_archive(request) as archive,
        ):
            seen += archive
        assert seen == []

    def test_entry_without_any_bucket(self, transport: Transport, filled: BucketRef) -> None:
        request = BatchRequest(entries=[BatchEntry("o", filled), BatchEntry("o")])
        with refuses(InvalidArgumentError):
            as_bytes(transport, request)

    @pytest.mark.parametrize("name", ["", "/o", "a/../o", "o/"])
    def test_bad_object_name(self, transport: Transport, filled: BucketRef, name: str) -> None:
        with refuses(InvalidArgumentError):
            as_bytes(transport, BatchRequest(entries=[BatchEntry(name)], bucket=filled))

    @pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, -2), (3, 0)])
    def test_range_that_is_none(
        self, transport: Transport, filled: BucketRef, start: int, length: int
    ) -> None:
        request = BatchRequest(entries=[BatchEntry("o", start=start, length=length)], bucket=filled)
        with refuses(AisError) as info:
            as_bytes(transport, request)
        assert isinstance(info.value, InvalidArgumentError | RangeNotSatisfiableError)

    # the budget

    @pytest.mark.parametrize("budget", [0, 1, 6])
    @pytest.mark.parametrize("streaming", [True, False])
    @pytest.mark.parametrize("how", HOW)
    def test_budget_of_soft_errors(
        self, transport: Transport, filled: BucketRef, budget: int, streaming: bool, how: str
    ) -> None:
        def request(missing: int) -> BatchRequest:
            entries = [BatchEntry("o"), *(BatchEntry(f"missing-{i}") for i in range(missing))]
            return BatchRequest(
                entries=[*entries, BatchEntry("o")],
                bucket=filled,
                cont_on_err=True,
                streaming=streaming,
            )

        with _soft_errors(transport, budget):
            answers = HOW[how](transport, request(budget))
            assert [result.error is None for result, _ in answers] == [
                True,
                *[False] * budget,
                True,
            ]
            with refuses(BatchAbortedError, filled.object_cname(f"missing-{budget}")):
                HOW[how](transport, request(budget + 1))
            with (
                refuses(BatchAbortedError, filled.object_cname(f"missing-{budget}")),
                transport.get_batch_archive(request(budget + 1)) as archive,
            ):
                join_views(archive)

    def test_budget_is_of_each_batch(self, transport: Transport, filled: BucketRef) -> None:
        entries = [BatchEntry("missing"), BatchEntry("o")]
        request = BatchRequest(entries=entries, bucket=filled, cont_on_err=True)
        with _soft_errors(transport, 1):
            for _ in range(3):
                assert [content for _, content in as_bytes(transport, request)][1]

    def test_soft_errors_are_counted(self, transport: Transport, filled: BucketRef) -> None:
        before = dict(transport.counters())
        entries = [BatchEntry("missing"), BatchEntry("o"), BatchEntry("missing")]
        as_bytes(transport, BatchRequest(entries=entries, bucket=filled, cont_on_err=True))
        with refuses(NotFoundError):
            as_bytes(transport, BatchRequest(entries=entries, bucket=filled))
        after = transport.counters()

        def grown(name: str) -> int:
            return after.get(name, 0) - before.get(name, 0)

        assert grown("err.soft.getbatch.n") == 2
        assert grown("err.getbatch.n") == 1

    # what happens meanwhile

    def test_object_deleted_meanwhile_is_whole_or_missing(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        contents = {f"o-{i}": pattern(50_000, seed=i) for i in range(40)}
        for name, data in contents.items():
            transport.put(bucket, name, data)
        names = list(contents)
        request = BatchRequest(
            entries=[BatchEntry(name) for name in names], bucket=bucket, cont_on_err=True
        )
        with _soft_errors(transport, 1000), transport.get_batch(request) as stream:
            for i, (result, content) in enumerate(stream):
                if i == 2:
                    for name in names[10:20]:
                        transport.delete(bucket, name)
                    for name in names[20:30]:
                        transport.put(bucket, name, b"another")
                if result.error is None:
                    assert content in {contents[result.entry.name], b"another"}
                else:
                    assert (content, result.entry.name in names[10:20]) == (b"", True)

    def test_missing_entries_in_the_archive(self, transport: Transport, filled: BucketRef) -> None:
        entries = [BatchEntry("missing"), BatchEntry("o"), BatchEntry("s.tar", archpath="gone")]
        request = BatchRequest(entries=entries, bucket=filled, cont_on_err=True)
        with transport.get_batch_archive(request) as archive:
            data = join_views(archive)
            results = archive.results
        assert unpack(ArchiveFormat.TAR, data) == [
            (f"{MISSING_PREFIX}{filled.name}/missing", b""),
            (f"{filled.name}/o", b"0123456789"),
            (f"{MISSING_PREFIX}{filled.name}/s.tar/gone", b""),
        ]
        assert [result.error is None for result in results] == [False, True, False]


@contextmanager
def _soft_errors(transport: Transport, budget: int) -> Iterator[None]:
    """A limit of soft errors, and the one before after it."""
    before = transport.config().get_batch.max_soft_errs
    transport.set_config({"get_batch.max_soft_errs": str(budget)})
    try:
        yield
    finally:
        transport.set_config({"get_batch.max_soft_errs": str(before)})
