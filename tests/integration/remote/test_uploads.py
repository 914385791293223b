"""Uploads in parts over connections that break: parts are sent again, a completion is looked for first."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.remote.support import QUICK, proxied, serving

from aiscore.errors import (
    NotFoundError,
    ProtocolError,
    TransportError,
    UnsupportedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.multipart import (
    CompleteOptions,
    PartInfo,
    PartOptions,
    PartRef,
    UploadOptions,
)
from aiscore.model.objects import GetOptions, Precondition
from aiscore.model.xaction import XactionFilter, XactionKind
from aiscore.testing.content import OnlyReads, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.proxy import Fault, FaultKind, FaultProxy
from aiscore.transport import Transport, open_transport
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote import RemoteTransport

BUCKET = BucketRef("bucket")
VERIFIED = GetOptions(verify_checksum=True)
SIZE = 300_000
ONCE = ConnectionOptions(backoff_s=0.01, read_timeout_s=0.3, deadline_s=20, retries=0)

Proxied = tuple[RemoteTransport, FaultProxy]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("uploads")) as url, RemoteTransport(url) as transport:
        transport.create_bucket(BUCKET)
        yield url
        assert transport.validate().faults == ()


@pytest.fixture
def direct(url: str) -> Iterator[RemoteTransport]:
    with RemoteTransport(url) as transport:
        yield transport


@pytest.fixture
def broken(url: str) -> Iterator[Proxied]:
    with proxied(url, QUICK) as pair:
        yield pair


def begin(transport: Transport, name: str) -> tuple[str, list[PartInfo]]:
    """An upload of two parts."""
    upload = transport.create_upload(BUCKET, name)
    parts = [transport.put_part(BUCKET, name, upload, n, pattern(SIZE, n)) for n in (1, 2)]
    with suppress(
        UnsupportedError
    ):  # what the server can do is asked now, and not when faults are armed
        transport.list_parts(BUCKET, name, upload)
    return upload, parts


def refs(parts: list[PartInfo]) -> list[PartRef]:
    return [PartRef(number=part.number, etag=part.etag) for part in parts]


WHOLE = pattern(SIZE, 1) + pattern(SIZE, 2)


class TestParts:
    @pytest.mark.parametrize("kind", ["cut", "reset", "stall"])
    @pytest.mark.parametrize("after", [0, 1, 150, 400, 70_000, SIZE])
    def test_part_is_sent_again(self, broken: Proxied, kind: FaultKind, after: int) -> None:
        transport, proxy = broken
        name = f"request-{kind}-{after}"
        upload = transport.create_upload(BUCKET, name)
        transport.list_parts(BUCKET, name, upload)
        proxy.arm(Fault(kind, after=after, is_request=True))
        part = transport.put_part(BUCKET, name, upload, 1, pattern(SIZE))
        assert proxy.fired
        assert transport.list_parts(BUCKET, name, upload) == [part]
        transport.complete_upload(BUCKET, name, upload, refs([part]))
        assert transport.read(BUCKET, name, VERIFIED) == pattern(SIZE)

    @pytest.mark.parametrize("kind", ["cut", "reset", "stall", "half-close"])
    @pytest.mark.parametrize("after", [0, 1, 30, 120])
    def test_answer_that_is_lost(self, broken: Proxied, kind: FaultKind, after: int) -> None:
        transport, proxy = broken
        name = f"answer-{kind}-{after}"
        upload = transport.create_upload(BUCKET, name)
        transport.list_parts(BUCKET, name, upload)
        proxy.arm(Fault(kind, after=after))
        part = transport.put_part(BUCKET, name, upload, 1, pattern(SIZE))
        proxy.arm(None)
        (stored,) = transport.list_parts(BUCKET, name, upload)
        assert (stored.number, stored.size, stored.checksum) == (1, SIZE, part.checksum)

    def test_stream_that_cannot_begin_again(self, broken: Proxied, direct: Transport) -> None:
        transport, proxy = broken
        upload = transport.create_upload(BUCKET, "stream")
        transport.list_parts(BUCKET, "stream", upload)
        proxy.arm(Fault("cut", after=2_000_000, is_request=True))
        with pytest.raises(TransportError):
            transport.put_part(BUCKET, "stream", upload, 1, OnlyReads(pattern(5_000_000)))
        assert direct.list_parts(BUCKET, "stream", upload) == []


class TestCompletion:
    @pytest.mark.parametrize("kind", ["cut", "reset", "half-close"])
    @pytest.mark.parametrize("after", [0, 1, 30, 200])
    @pytest.mark.parametrize("over", [False, True], ids=["new", "overwrite"])
    def test_answer_that_is_lost(
        self, broken: Proxied, direct: Transport, kind: FaultKind, after: int, over: bool
    ) -> None:
        """The server has done it: the object is found, and it is not made twice."""
        transport, proxy = broken
        name = f"done-{kind}-{after}-{over}"
        if over:
            direct.put(BUCKET, name, WHOLE)
        upload, parts = begin(transport, name)
        proxy.arm(Fault(kind, after=after))
        props = transport.complete_upload(BUCKET, name, upload, refs(parts))
        assert proxy.fired
        assert (props.size, props.chunk_count) == (2 * SIZE, 2)
        assert props.version == ("2" if over else "1")
        assert direct.head(BUCKET, name).etag == props.etag
        assert direct.read(BUCKET, name, VERIFIED) == WHOLE

    @pytest.mark.parametrize("kind", ["cut", "reset"])
    @pytest.mark.parametrize("after", [0, 1, 100, 300])
    def test_request_that_did_not_arrive(
        self, broken: Proxied, direct: Transport, kind: FaultKind, after: int
    ) -> None:
        """The upload is open still: it is completed now."""
        transport, proxy = broken
        name = f"again-{kind}-{after}"
        upload, parts = begin(transport, name)
        proxy.arm(Fault(kind, after=after, is_request=True))
        props = transport.complete_upload(BUCKET, name, upload, refs(parts))
        assert proxy.fired
        assert props.version == "1"
        assert direct.read(BUCKET, name, VERIFIED) == WHOLE

    def test_parts_of_another_client(self, broken: Proxied, direct: Transport) -> None:
        """What the sizes were is asked of the server, when this client did not send them."""
        transport, proxy = broken
        upload, parts = begin(direct, "others")
        proxy.record()
        transport.list_parts(BUCKET, "others", upload)
        first = len(proxy.recorded)
        transport.list_parts(BUCKET, "others", upload)
        length = len(proxy.recorded) - first
        proxy.arm(Fault("cut", after=length + 10))  # in the answer to the completion
        props = transport.complete_upload(BUCKET, "others", upload, refs(parts))
        assert proxy.fired
        assert props == direct.head(BUCKET, "others")

    def test_upload_that_somebody_aborted_meanwhile(
        self, broken: Proxied, direct: Transport
    ) -> None:
        """The old object has the size that the new one would have: it is not taken for it."""
        transport, proxy = broken
        direct.put(BUCKET, "aborted", WHOLE)
        upload, parts = begin(transport, "aborted")
        direct.abort_upload(BUCKET, "aborted", upload)
        proxy.arm(Fault("cut", after=0))
        with pytest.raises((TransportError, NotFoundError)):
            transport.complete_upload(BUCKET, "aborted", upload, refs(parts))
        assert direct.head(BUCKET, "aborted").version == "1"

    def test_condition_that_the_lost_completion_made_false(
        self, broken: Proxied, direct: Transport
    ) -> None:
        transport, proxy = broken
        upload, parts = begin(transport, "absent")
        proxy.arm(Fault("cut", after=0))
        absent = CompleteOptions(precondition=Precondition(if_absent=True))
        props = transport.complete_upload(BUCKET, "absent", upload, refs(parts), absent)
        assert props.version == direct.head(BUCKET, "absent").version == "1"

    def test_no_tries_left(self, url: str, direct: Transport) -> None:
        with proxied(url, ONCE) as (transport, proxy):
            upload, parts = begin(transport, "once")
            proxy.arm(Fault("cut", after=0))
            with pytest.raises(ProtocolError):
                transport.complete_upload(BUCKET, "once", upload, refs(parts))
        assert direct.read(BUCKET, "once") == WHOLE

    def test_metadata_comes_back_with_the_answer(self, direct: Transport) -> None:
        custom = {"a": "1", "b": "two words", "ü": "ö=", "日本": "x"}
        upload = direct.create_upload(BUCKET, "custom", UploadOptions(custom=custom))
        part = direct.put_part(BUCKET, "custom", upload, 1, b"data")
        props = direct.complete_upload(BUCKET, "custom", upload, refs([part]))
        assert dict(props.custom) == custom
        assert props == direct.head(BUCKET, "custom")


class TestAbort:
    @pytest.mark.parametrize("after", [0, 1, 30])
    def test_answer_that_is_lost(self, broken: Proxied, direct: Transport, after: int) -> None:
        transport, proxy = broken
        upload, _ = begin(transport, "gone")
        proxy.arm(Fault("cut", after=after))
        transport.abort_upload(BUCKET, "gone", upload)
        with pytest.raises(NotFoundError):
            direct.list_parts(BUCKET, "gone", upload)


class TestForeign:
    """A server without extensions, as AIStore's."""

    @pytest.fixture
    def transport(self, tmp_path: Path) -> Iterator[Transport]:
        with serving(tmp_path) as url, open_transport(url) as transport:
            transport._store._extensions = frozenset()  # type: ignore[attr-defined]
            transport.create_bucket(BUCKET)
            yield transport

    def test_upload(self, transport: Transport) -> None:
        upload, parts = begin(transport, "o")
        props = transport.complete_upload(BUCKET, "o", upload, refs(parts))
        assert props.size == 2 * SIZE
        assert transport.read(BUCKET, "o") == WHOLE
        dropped = transport.create_upload(BUCKET, "o")
        transport.abort_upload(BUCKET, "o", dropped)
        with pytest.raises(NotFoundError):
            transport.put_part(BUCKET, "o", dropped, 1, b"data")

    def test_what_it_cannot_do_is_named(self, transport: Transport) -> None:
        upload, parts = begin(transport, "o")
        with refuses(UnsupportedError, "list uploads"):
            transport.list_uploads(BUCKET)
        with refuses(UnsupportedError, "list the parts"):
            transport.list_parts(BUCKET, "o", upload)
        with refuses(UnsupportedError, "metadata"):
            transport.create_upload(BUCKET, "o", UploadOptions(custom={"k": "v"}))
        with refuses(UnsupportedError, "conditions"):
            partial = CompleteOptions(partial=True)
            transport.complete_upload(BUCKET, "o", upload, refs(parts), partial)
        with refuses(UnsupportedError, "unknown size"):
            body = OnlyReads(pattern(5_000_000))
            transport.put_part(BUCKET, "o", upload, 3, body)
        announced = PartOptions(size=5_000_000)
        transport.put_part(BUCKET, "o", upload, 3, OnlyReads(pattern(5_000_000)), announced)
        with refuses(UnsupportedError, "bandwidth"):
            transport.rechunk_bucket(BUCKET, RechunkOptions(bandwidth=1))

    def test_lost_completion(self, url: str, direct: Transport) -> None:
        for name, over in (("foreign-new", False), ("foreign-over", True)):
            if over:
                direct.put(BUCKET, name, b"old")
            with proxied(url, QUICK) as (transport, proxy):
                transport._store._extensions = frozenset()
                upload, parts = begin(transport, name)
                proxy.arm(Fault("cut", after=300 if over else 400))
                props = transport.complete_upload(BUCKET, name, upload, refs(parts))
            assert props.size == 2 * SIZE
            assert direct.head(BUCKET, name).version == ("2" if over else "1")

    def test_rechunk_is_planned_from_a_listing(self, transport: Transport) -> None:
        for n in range(4):
            transport.put(BUCKET, f"o{n}", pattern(10_000 * n))
        options = RechunkOptions(objsize_limit=15_000, chunk_size=5_000)
        expected = RechunkResult(objects=4, size=60_000, chunked=2, chunked_size=50_000)
        plan = transport.rechunk_bucket(BUCKET, replace(options, dry_run=True))
        assert plan == expected
        assert transport.list_xactions(XactionFilter(kind=XactionKind.RECHUNK)) == []
        assert transport.rechunk_bucket(BUCKET, options) == expected
        assert transport.head(BUCKET, "o3").chunk_count == 6
