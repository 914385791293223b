"""The decoder of chunked bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.server.chunks import ChunkedDecoder
from aiscore.server.faults import HttpFault


def decode(data: bytes, step: int) -> tuple[bytes, int, bool]:
    """Body, bytes taken, whether it is complete; fed in pieces of `step` bytes."""
    decoder = ChunkedDecoder()
    body, at = b"", 0
    while at < len(data) and not decoder.is_complete:
        view = memoryview(data)[at : at + step]
        while len(view) and not decoder.is_complete:
            taken, piece = decoder.take(view)
            assert taken
            body += bytes(piece or b"")
            view = view[taken:]
            at += taken
    return body, at, decoder.is_complete


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from([b"", b";a=b", b" ", b"\t;x"]),
    st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]),
    st.integers(1, 50),
)
def test_bodies_come_back(parts: list[bytes], extension: bytes, trailer: bytes, step: int) -> None:
    chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    encoded = b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"
    body, taken, is_complete = decode(encoded + b"GET next", step)
    assert body == b"".join(parts)
    assert is_complete
    assert taken == len(encoded)  # what follows is the next request's
    assert not decode(encoded[:-1], step)[2]


@given(st.binary(max_size=60), st.integers(1, 20))
def test_anything_is_a_body_or_a_fault(data: bytes, step: int) -> None:
    try:
        body, taken, _ = decode(data, step)
    except HttpFault:
        return
    assert len(body) < max(1, taken)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"1\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na0\r\n\r\n",
        b"1;\0\r\na",
        b"1;\r\r\na",
        b"1111111111111111\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\n",
    ],
)
@pytest.mark.parametrize("step", [1, 100])
def test_what_is_not_chunked_is_refused(data: bytes, step: int) -> None:
    with pytest.raises(HttpFault):
        decode(data + b"\r\n" * 3, step)


def test_lines_and_trailers_are_limited() -> None:
    decode(b"1;" + b"x" * 200 + b"\r\na\r\n", 1000)
    with pytest.raises(HttpFault, match="line too long"):
        decode(b"1;" + b"x" * 300, 7)
    decode(b"0\r\n" + b"A: b\r\n" * 1000, 1000)
    with pytest.raises(HttpFault, match="trailer") as caught:
        decode(b"0\r\n" + b"A: b\r\n" * 2000, 1000)
    assert caught.value.status == 431
