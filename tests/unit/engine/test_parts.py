"""Parts of the engine that need no store: prefixes, bodies, checksums, readers, system calls."""

import errno
import hashlib
import io
import subprocess
from collections.abc import Iterator

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from aiscore.engine.blocks import BlockReader
from aiscore.engine.bodies import blocks_of
from aiscore.engine.buffers import Buffers
from aiscore.engine.checksum import MultiHasher, checksum_of, new_hasher
from aiscore.engine.fileio import storage_error, write_all
from aiscore.engine.hashing import BackgroundHasher
from aiscore.engine.index.objects import after_prefix
from aiscore.engine.layout import piece_directory, piece_path
from aiscore.errors import AisError, CapacityExceededError, InvalidArgumentError, StorageError
from aiscore.model import ChecksumType
from aiscore.model.stream import BLOCK_SIZE, Body

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)


@given(NAMES, NAMES)
def test_prefix_bounds_hold_exactly_the_names_with_the_prefix(prefix: str, name: str) -> None:
    end = after_prefix(prefix)
    raw, low = name.encode(), prefix.encode()
    is_inside = raw >= low and (end is None or raw < end.encode())
    assert is_inside == raw.startswith(low)


def test_prefix_of_the_last_character_has_no_end() -> None:
    assert after_prefix("\U0010ffff") is None
    assert after_prefix("a\U0010ffff") == "b"
    assert after_prefix("\ud7ff") == "\ue000"
    assert after_prefix("") is None


class OneByteWriter:
    """A file that takes one byte a call, as a nearly full pipe does."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, _: int, data: bytes | bytearray | memoryview) -> int:
        self.data += bytes(data[:1])
        return min(len(data), 1)


def test_write_all_survives_short_writes() -> None:
    file = OneByteWriter()
    write_all(file.write, 0, b"hello")
    write_all(file.write, 0, b"")
    assert file.data == b"hello"
    with pytest.raises(OSError, match="write returned 0"):
        write_all(lambda _fd, _data: 0, 0, b"x")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, CapacityExceededError),
        (errno.EDQUOT, CapacityExceededError),
        (errno.EIO, StorageError),
        (errno.EMFILE, StorageError),
        (errno.EROFS, StorageError),
    ],
)
def test_system_errors_have_a_class(number: int, kind: type[AisError]) -> None:
    failure = storage_error(OSError(number, "reason"), "ais://b/o")
    assert type(failure) is kind
    assert "ais://b/o" in failure.message


class Readable:
    """Has `read` and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE])
def test_every_kind_of_body_gives_its_bytes(size: int) -> None:
    data = bytes(size)
    bodies: tuple[Body, ...] = (
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        Readable(data),
        iter([data[:1], b"", data[1:]]),
        [memoryview(data)],
    )
    for body in bodies:
        assert b"".join(bytes(block) for block in blocks_of(body, size, "ais://b/o")) == data


@pytest.mark.parametrize("body", ["text", 7, None, ["text"], io.StringIO("text")])
def test_bodies_that_are_not_bytes_are_refused(body: object) -> None:
    with pytest.raises(InvalidArgumentError, match="ais://b/o"):
        list(blocks_of(body, None, "ais://b/o"))  # type: ignore[arg-type]


@pytest.mark.parametrize("announced", [0, 4, 6])
def test_bodies_of_another_length_are_refused(announced: int) -> None:
    with pytest.raises(InvalidArgumentError, match="announced"):
        list(blocks_of(b"hello", announced, "ais://b/o"))


def test_checksums_agree_with_other_implementations() -> None:
    data = b"The quick brown fox jumps over the lazy dog"
    assert (
        checksum_of(ChecksumType.MD5, data) == hashlib.md5(data, usedforsecurity=False).hexdigest()
    )
    assert checksum_of(ChecksumType.SHA256, data) == hashlib.sha256(data).hexdigest()
    assert checksum_of(ChecksumType.SHA512, data) == hashlib.sha512(data).hexdigest()
    assert checksum_of(ChecksumType.XXHASH, data) == xxhash.xxh64(data, seed=0).hexdigest()
    assert checksum_of(ChecksumType.CRC32C, b"123456789") == "e3069283"  # RFC 3720, B.4
    assert checksum_of(ChecksumType.NONE, data) == ""
    done = subprocess.run(["sha512sum"], input=data, capture_output=True, check=True)
    assert done.stdout.split()[0].decode() == checksum_of(ChecksumType.SHA512, data)


@pytest.mark.parametrize("kind", [k for k in ChecksumType if k is not ChecksumType.NONE])
def test_checksums_in_pieces_are_those_of_the_whole(kind: ChecksumType) -> None:
    data = bytes(range(256)) * 100
    several = MultiHasher([kind, ChecksumType.NONE])
    for start in range(0, len(data), 999):
        several.update(data[start : start + 999])
    assert several.value(kind) == checksum_of(kind, data)
    assert len(several.value(kind)) == kind.digits
    assert several.checksum(ChecksumType.NONE) is None


@pytest.mark.parametrize("block", [b"x" * BLOCK_SIZE, bytearray(BLOCK_SIZE)])
def test_background_hashing_keeps_the_order(block: bytes | bytearray) -> None:
    hasher = new_hasher(ChecksumType.MD5)
    background = BackgroundHasher.start(hasher.update)
    assert background is not None
    expected = hashlib.md5(usedforsecurity=False)
    for _ in range(20):
        background.submit([block, b"behind"])
        expected.update(block)
        expected.update(b"behind")
        background.wait(1)
    background.wait()
    background.close()
    assert hasher.hexdigest() == expected.hexdigest()


def test_background_hashing_tells_a_failure() -> None:
    def fail(_: object) -> None:
        raise MemoryError

    background = BackgroundHasher.start(fail)
    assert background is not None
    background.submit([b"x"])
    with pytest.raises(MemoryError):
        background.wait()
    background.close()


@given(st.lists(st.binary(max_size=5)), st.lists(st.integers(1, 7)))
def test_a_block_reader_gives_the_blocks_as_one_stream(
    blocks: list[bytes], sizes: list[int]
) -> None:
    with BlockReader(iter(blocks)) as reader:
        found = b"".join(reader.read(size) for size in sizes)
        buffer = bytearray(3)
        count = reader.readinto(buffer)
        found += buffer[:count] + reader.read()
        assert reader.read() == b""
        assert reader.readinto(buffer) == 0
    assert found == b"".join(blocks)


def test_a_closed_block_reader_gives_nothing() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"abc"

    reader = BlockReader(blocks())
    assert reader.read(1) == b"a"
    reader.close()
    assert reader.read() == b""
    assert list(reader) == []


def test_buffers_are_used_again_and_not_kept_without_limit() -> None:
    buffers = Buffers()
    first = buffers.take()
    buffers.give_back(first)
    assert buffers.take() is first
    assert buffers.take() is not first
    buffers.give_back(memoryview(b""))
    assert len(buffers.take()) == BLOCK_SIZE


def test_piece_paths_spread_over_directories() -> None:
    session = 5 << 32
    directories = {piece_directory("/mp", session | counter) for counter in range(1 << 16)}
    assert len(directories) == 256
    assert len({piece_directory("/mp", session | counter) for counter in range(256)}) == 1
    assert len({piece_directory("/mp", (number << 32)) for number in range(256)}) == 256
    assert piece_path("/mp", session).startswith(piece_directory("/mp", session))
    assert piece_path("/mp", session) == "/mp/pieces/05/0000000500000000"
