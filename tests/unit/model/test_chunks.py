"""Layout of chunks, and what completes an upload: the rules without a store."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import ChecksumMismatchError, InvalidArgumentError
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.chunks import (
    RechunkOptions,
    chunk_size_for,
    conforms,
    is_chunked_at,
    policy_of,
)
from aiscore.model.multipart import (
    CHUNK_COUNT_MAX,
    PartInfo,
    PartRef,
    check_part_number,
    check_upload_id,
    choose_parts,
    composite_etag,
)
from aiscore.model.policies import CHUNK_SIZE_MAX, CHUNK_SIZE_MIN, ChunksPolicy
from aiscore.model.units import GIB, KIB, TIB

limits = st.integers(0, 4 * GIB)
chunk_sizes = st.integers(CHUNK_SIZE_MIN, CHUNK_SIZE_MAX)
sizes = st.integers(0, 20 * GIB)


def policy(limit: int, chunk_size: int, hard: int = TIB) -> ChunksPolicy:
    return ChunksPolicy(objsize_limit=limit, chunk_size=chunk_size, max_monolithic_size=hard)


def layout(rules: ChunksPolicy, size: int) -> list[int]:
    """What a writer makes of it."""
    chunk_size = chunk_size_for(rules, size)
    full, rest = divmod(size, chunk_size)
    return [chunk_size] * full + ([rest] if rest or not size else [])


@given(limit=limits, chunk_size=chunk_sizes, size=sizes)
def test_what_a_writer_makes_conforms(limit: int, chunk_size: int, size: int) -> None:
    rules = policy(limit, chunk_size, 4 * GIB)
    pieces = layout(rules, size)
    assert sum(pieces) == size
    assert len(pieces) <= CHUNK_COUNT_MAX
    assert max(pieces) <= rules.max_monolithic_size
    assert conforms(rules, pieces)
    assert is_chunked_at(rules, size) or len(pieces) == 1


@given(limit=limits, chunk_size=chunk_sizes, size=sizes)
def test_another_layout_does_not(limit: int, chunk_size: int, size: int) -> None:
    rules = policy(limit, chunk_size, 4 * GIB)
    pieces = layout(rules, size)
    if len(pieces) > 1:
        assert not conforms(rules, [sum(pieces)])
        assert not conforms(rules, [pieces[0] - 1, *pieces[1:-1], pieces[-1] + 1])
    if size > 1:
        assert conforms(rules, [size // 2, size - size // 2]) == (
            pieces == [size // 2, size - size // 2]
        )


@pytest.mark.parametrize(
    ("limit", "chunk", "hard", "size", "expected"),
    [
        (0, GIB, TIB, 100 * GIB, TIB),
        (0, GIB, GIB, GIB, GIB),
        (0, 5 * GIB, GIB, GIB + 1, GIB),
        (4 * KIB, KIB, TIB, 4 * KIB - 1, TIB),
        (4 * KIB, KIB, TIB, 4 * KIB, KIB),
        (1, KIB, TIB, 9_999 * KIB, KIB),
        (1, KIB, TIB, 9_999 * KIB + 1, KIB + 1),
        (1, KIB, TIB, 3 * 9_999 * KIB, 3 * KIB),
        (0, 5 * GIB, TIB, TIB + 1, 5 * GIB),
        (0, KIB, TIB, 4_000 * TIB, -(-4_000 * TIB // 9_999)),
    ],
)
def test_chunk_size(limit: int, chunk: int, hard: int, size: int, expected: int) -> None:
    assert chunk_size_for(policy(limit, chunk, hard), size) == expected


def test_chunk_size_of_what_has_no_size_yet() -> None:
    assert chunk_size_for(policy(4 * KIB, KIB), None) == KIB
    assert chunk_size_for(policy(0, KIB), None) == TIB


def test_options_over_the_policy_of_the_bucket() -> None:
    rules = policy(4 * KIB, KIB)
    assert policy_of(rules, RechunkOptions()) == rules
    assert policy_of(rules, RechunkOptions(objsize_limit=0)).objsize_limit == 0
    assert policy_of(rules, RechunkOptions(chunk_size=5 * KIB)).chunk_size == 5 * KIB
    for options in (RechunkOptions(chunk_size=1), RechunkOptions(objsize_limit=2 * TIB)):
        with pytest.raises(InvalidArgumentError, match="chunks"):
            policy_of(rules, options)


# completing


def stored(*numbers: int) -> list[PartInfo]:
    return [
        PartInfo(
            number=number,
            size=1,
            etag=f"e{number}",
            checksum=Checksum(ChecksumType.CRC32C, f"{number:08x}"),
        )
        for number in numbers
    ]


def refs(*numbers: int) -> list[PartRef]:
    return [PartRef(number=number) for number in numbers]


def test_all_in_any_order() -> None:
    assert choose_parts(refs(3, 1, 2), stored(1, 2, 3), "u", partial=False) == stored(1, 2, 3)


def test_some_in_order() -> None:
    chosen = choose_parts(refs(2, 9), stored(1, 2, 9), "u", partial=True)
    assert chosen == stored(2, 9)


@pytest.mark.parametrize(
    ("listed", "has", "partial", "message"),
    [
        ((), (1,), False, "empty parts list"),
        ((), (1,), True, "empty parts list"),
        ((1,), (1, 2), False, "requested 1 parts, have 2"),
        ((1, 2, 3), (1, 2), False, "requested 3 parts, have 2"),
        ((1, 3), (1, 3), False, "exactly 1..2: got 3 at position 1"),
        ((2, 3), (2, 3), False, "exactly 1..2: got 2 at position 0"),
        ((1, 1), (1, 2), False, "exactly 1..2: got 1 at position 1"),
        ((1, 1), (1, 2), True, "ascending"),
        ((2, 1), (1, 2), True, "ascending"),
        ((0, 1), (1, 2), True, "ascending"),
        ((1, 4), (1, 2), True, "part 4"),
        ((1, 2), (1, 3), False, "part 2"),
        (range(1, 10_001), (1,), True, "the limit is 9999"),
    ],
)
def test_wrong_lists(
    listed: tuple[int, ...], has: tuple[int, ...], partial: bool, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as info:
        choose_parts(refs(*listed), stored(*has), "the upload", partial=partial)
    assert "the upload" in info.value.message


def test_etags_and_checksums() -> None:
    right = Checksum(ChecksumType.CRC32C, "00000001")
    for ref in (
        PartRef(number=1, etag="e1"),
        PartRef(number=1, etag='"e1"'),
        PartRef(number=1, checksum=right),
    ):
        assert choose_parts([ref], stored(1), "u", partial=False) == stored(1)
    for wrong in (
        PartRef(number=1, etag="e2"),
        PartRef(number=1, checksum=Checksum(ChecksumType.CRC32C, "00000002")),
    ):
        with pytest.raises(ChecksumMismatchError, match="part 1 of u"):
            choose_parts([wrong], stored(1), "u", partial=False)


def test_composite_etag_is_that_of_s3() -> None:
    md5s = [hashlib.md5(data).hexdigest() for data in (b"a", b"b")]
    joined = hashlib.md5(bytes.fromhex(md5s[0]) + bytes.fromhex(md5s[1])).hexdigest()
    assert composite_etag(md5s) == f"{joined}-2"


@pytest.mark.parametrize("number", [0, -5, 10_001])
def test_part_numbers(number: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{number} of u"):
        check_part_number(number, "u")


@pytest.mark.parametrize("text", ["", "1234567", "x" * 129, "a b c d e", "a/b/c/d/e", "a\\bcdefg"])
def test_no_upload_ids(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="upload id"):
        check_upload_id(text)
    with pytest.raises(InvalidArgumentError, match="upload id"):
        check_upload_id("....../..")


@pytest.mark.parametrize("text", ["12345678", "x" * 128, "a-b_c.d~e!"])
def test_upload_ids(text: str) -> None:
    assert check_upload_id(text) == text
