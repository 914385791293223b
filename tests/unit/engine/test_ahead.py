"""Blocks that are read in another thread, a few ahead."""

import threading

import pytest

from aiscore.engine.ahead import ReadAhead
from aiscore.engine.buffers import Buffers
from aiscore.model.stream import BLOCK_SIZE
from aiscore.testing.content import pattern


class Source:
    """Content that is read in short steps."""

    def __init__(self, data: bytes, *, fails_at: int = -1) -> None:
        self.data = data
        self.position = 0
        self.fails_at = fails_at
        self.threads: set[int] = set()

    def fill(self, block: memoryview) -> int:
        self.threads.add(threading.get_ident())
        if 0 <= self.fails_at <= self.position:
            raise OSError("broken")
        part = self.data[self.position : self.position + min(len(block), 700_001)]
        block[: len(part)] = part
        self.position += len(part)
        return len(part)


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, 3 * BLOCK_SIZE, 9 * BLOCK_SIZE + 5])
def test_all_comes_in_order(size: int) -> None:
    source = Source(pattern(size))
    with ReadAhead(Buffers(), source.fill, size) as blocks:
        assert b"".join(map(bytes, blocks)) == source.data
    is_beside = source.threads != {threading.get_ident()}
    assert is_beside == (size > 4 * BLOCK_SIZE)


def test_a_failure_is_the_readers() -> None:
    source = Source(pattern(9 * BLOCK_SIZE), fails_at=3 * BLOCK_SIZE)
    with ReadAhead(Buffers(), source.fill, len(source.data)) as blocks:
        iterator = iter(blocks)
        with pytest.raises(OSError, match="broken"):
            assert source.data.startswith(b"".join(map(bytes, iterator)))


def test_nothing_is_read_any_more_when_it_is_left_early() -> None:
    source = Source(pattern(40 * BLOCK_SIZE))
    with ReadAhead(Buffers(), source.fill, len(source.data)) as blocks:
        assert bytes(next(iter(blocks))) == source.data[:700_001]
    position = source.position
    assert position < len(source.data)
    with ReadAhead(Buffers(), Source(b"").fill, len(source.data)) as blocks:
        assert list(blocks) == []
    assert source.position == position
