from itertools import pairwise
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from aiscore.model.checksum import ChecksumType
from aisloader.content import BUFFER_MAX, Made, ViewsReader, WorkerContent
from aisloader.params import Params, parse
from aisloader.payload import Pool
from aisloader.plan import Op, OpKind

POOL = Pool.create(1, 1 << 20)


def params(*flags: str, endpoint: str = "http://127.0.0.1:1") -> Params:
    return parse(
        ["-bucket=ais://b", "-pctput=100", "-cleanup=false", f"-endpoint={endpoint}", *flags], {}
    )


def put(size: int, key: int = 1) -> Op:
    return Op(OpKind.PUT, "o", size, 0, 0, "", (), 0, key)


def content_of(made: Made) -> bytes:
    return b"".join(made.pieces)


def body_of(body: object) -> bytes:
    if isinstance(body, ViewsReader):
        return body.read()
    return b"".join(body) if isinstance(body, list) else bytes(body)  # type: ignore[call-overload]


@given(st.lists(st.binary(max_size=20)), st.integers(0, 100), st.integers(1, 30))
def test_views_read_like_one_file(pieces: list[bytes], start: int, step: int) -> None:
    whole = b"".join(pieces)
    reader = ViewsReader(pieces)
    assert reader.seek(0, 2) == len(whole)
    assert reader.seek(start) == min(start, len(whole)) == reader.tell()
    read = b""
    while block := reader.read(step):
        assert len(block) <= step
        read += block
    assert read == whole[start:]
    reader.seek(0)
    assert reader.read() == whole


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 70_000, (1 << 20) + 5, BUFFER_MAX + 1])
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "file:///tmp/x"])
@pytest.mark.parametrize("reader", ["sg", "rand", "file"])
def test_every_form_has_the_size_the_checksum_and_the_parts(
    tmp_path: Path, size: int, endpoint: str, reader: str
) -> None:
    content = WorkerContent(
        params(f"-readertype={reader}", f"-tmpdir={tmp_path}", endpoint=endpoint), POOL, 0
    )
    made = content.plain(put(size))
    whole = content_of(made)
    assert len(whole) == made.size == size
    assert body_of(made.body()) == whole
    checksum = made.checksum(ChecksumType.XXHASH)
    assert checksum is not None
    assert checksum.value == xxhash.xxh64_hexdigest(whole)
    assert made.checksum(ChecksumType.NONE) is None
    cuts = [0, size // 3, size // 2, size]
    parts = [body_of(made.part(a, b)) for a, b in pairwise(cuts) if a < b]
    assert b"".join(parts) == whole
    content.close()
    assert not list(tmp_path.iterdir())


def test_no_two_contents_are_alike() -> None:
    content = WorkerContent(params(), POOL, 0)
    found = {content_of(content.plain(put(1000, key))) for key in range(200)}
    assert len(found) == 200


def test_a_worker_keeps_one_buffer_of_bounded_size() -> None:
    content = WorkerContent(params(), POOL, 0)
    content.plain(put(BUFFER_MAX))
    before = content._buffer.obj
    for size in (BUFFER_MAX, 100, BUFFER_MAX // 2):
        content.plain(put(size))
    assert content._buffer.obj is before
    assert len(content._buffer) == BUFFER_MAX


def test_shards_count_their_real_bytes() -> None:
    content = WorkerContent(
        params("-arch.pct=100", "-minsize=10K", "-maxsize=10K", "-arch.maxsize=2K"), POOL, 0
    )
    made = content.shard(put(10_240))
    assert made.size == len(content_of(made)) > 10_240
