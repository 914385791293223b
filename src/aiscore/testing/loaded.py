"""Suite: a machine that is short of something. The setting `store.load` makes it so."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiscore.errors import InvalidArgumentError, ThrottledError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.cluster import NodeRole
from aiscore.model.objects import Selection
from aiscore.model.xaction import XactionFilter, XactionKind
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import Fixtures
from aiscore.transport.base import Transport
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.registry import open_transport

__all__ = ["LoadTests"]


class LoadTests(Fixtures):
    """Jobs go slower, batches are refused, and the rest goes on."""

    def test_a_short_machine_is_told(self, transport: Transport) -> None:
        with _forced(transport, "memory:high,cpu:critical"):
            (target,) = transport.cluster_info().of(NodeRole.TARGET)
        assert {"low-memory", "out-of-cpu"} <= set(target.alerts)
        assert (target.pressure["memory"], target.pressure["cpu"]) == ("high", "critical")

    def test_grades_that_do_not_exist(self, transport: Transport) -> None:
        before = transport.config()
        with refuses(InvalidArgumentError, 'invalid load "memory:full"'):
            transport.set_config({"store.load": "memory:full"})
        assert transport.config() == before

    @pytest.mark.parametrize("streaming", [True, False])
    def test_a_batch_is_refused_when_memory_runs_out(
        self, transport: Transport, bucket: BucketRef, streaming: bool
    ) -> None:
        transport.put(bucket, "o", b"content")
        request = BatchRequest(entries=[BatchEntry("o")], bucket=bucket, streaming=streaming)
        with _forced(transport, "memory:critical"), _impatient(transport) as other:
            for ask in (other.get_batch, other.get_batch_archive):
                with pytest.raises(ThrottledError, match="memory=critical") as info:
                    ask(request)
                assert info.value.retry_after_s >= 1
            assert transport.read(bucket, "o") == b"content", "only batches are refused"
        with _impatient(transport) as other:
            ((_, data),) = other.get_batch(request)
        assert data == b"content"

    def test_a_batch_is_not_refused_for_less(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        request = BatchRequest(entries=[BatchEntry("o")], bucket=bucket)
        with _forced(transport, "memory:high,cpu:critical,disk:critical,loop:critical"):
            for _ in range(3):
                with _impatient(transport) as other:
                    assert [data for _, data in other.get_batch(request)] == [b"content"]

    def test_a_job_is_slowed_down_and_says_so(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for number in range(100):
            transport.put(bucket, f"o{number:02}", pattern(2000))
        options = RechunkOptions(objsize_limit=1024, chunk_size=1024)
        with _forced(transport, "memory:low,cpu:low,disk:high,loop:low"):
            deleted = transport.delete_many(bucket, Selection(template="o{00..49}"))
            result = transport.rechunk_bucket(bucket, options)
        assert (deleted.deleted, result.chunked) == (50, 50)
        throttled = {
            snap.kind: int(str(snap.ext.get("throttled_ns", 0)))
            for snap in transport.list_xactions(XactionFilter(bucket=bucket))
        }
        assert throttled[XactionKind.RECHUNK] > 0
        assert throttled[XactionKind.DELETE_OBJECTS] == 0, "it moves no content"


@contextmanager
def _forced(transport: Transport, load: str) -> Iterator[None]:
    """Grades in place of measured ones, and the setting of before after it."""
    before = transport.config().store.load
    transport.set_config({"store.load": load})
    try:
        yield
    finally:
        transport.set_config({"store.load": before})


def _impatient(transport: Transport) -> Transport:
    """To the same store; it does not try again."""
    return open_transport(transport.endpoint, connection=ConnectionOptions(retries=0))
