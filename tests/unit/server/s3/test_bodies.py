"""Bodies: framing comes off, every digest is compared, and what is wrong never reaches its end."""

import base64
import hashlib
import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import cast

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.s3.heads import head

from aiscore.model.objects import CHECKSUM_KEY
from aiscore.server.http import Response
from aiscore.server.s3.algorithms import Algorithm, Watcher, decode, encode, new_digest
from aiscore.server.s3.awschunked import AwsChunkedDecoder
from aiscore.server.s3.body import ANONYMOUS, Identity, Received
from aiscore.server.s3.checksums import (
    body_sink,
    content_encoding,
    content_length,
    elements,
    stored_headers,
)
from aiscore.server.s3.chunksignatures import WAITING_MAX, ChunkSignatures
from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.review import CompleteReview, upload_custom, upload_headers
from aiscore.server.s3.sigv4 import ChunkSigning, signing_key

UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHECK = {
    Algorithm.CRC32: "y/Q5Jg==",
    Algorithm.CRC32C: "4waSgw==",
    Algorithm.CRC64NVME: "rosUhgp5mIg=",
    Algorithm.SHA1: "98O8HYCOBHMq32eZZczDTKeuNEE=",
    Algorithm.SHA256: "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
}
"""Of `123456789`: the check values of the catalogues."""


class Taken:
    """Who takes a body."""

    def __init__(self) -> None:
        self.content = b""
        self.received: Received | None = None
        self.is_aborted = False
        self.watchers: Sequence[Watcher] = ()

    def watch(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def write(self, data: memoryview) -> None:
        self.content += bytes(data)
        for watcher in self.watchers:
            watcher.update(data)

    def finish(self, verify: Callable[[], Received]) -> Response:
        self.received = verify()
        return Response(200)

    def abort(self) -> None:
        self.is_aborted = True


def send(
    headers: Mapping[str, str],
    *blocks: bytes,
    identity: Identity = ANONYMOUS,
    compares_md5: bool = True,
) -> Taken:
    """A PUT with this body."""
    taken = Taken()
    length = str(sum(map(len, blocks)))
    request = head("PUT", "/b/o", {"Content-Length": length, **headers})
    sink = body_sink(request, taken, identity, compares_md5=compares_md5)
    for block in blocks:
        assert sink.write(memoryview(block)) is None
    sink.finish()
    return taken


def refused(headers: Mapping[str, str], *blocks: bytes, identity: Identity = ANONYMOUS) -> str:
    with pytest.raises(S3Error) as caught:
        send(headers, *blocks, identity=identity)
    return caught.value.s3_code


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[low:high] for low, high in pairwise(places)]


# algorithms


@pytest.mark.parametrize("algorithm", Algorithm)
def test_algorithms_are_those_of_the_catalogues(algorithm: Algorithm) -> None:
    digest = new_digest(algorithm)
    digest.update(b"1234")
    digest.update(memoryview(b"56789"))
    assert encode(digest.digest()) == CHECK[algorithm]
    assert decode(CHECK[algorithm], algorithm.size) == digest.digest()


@pytest.mark.parametrize(
    "text", ["", "====", "y/Q5Jg", "y/Q5Jg==\n", "y/Q5Jg==AA", "y_Q5Jg==", "ü"]
)
def test_a_value_is_strict_base64(text: str) -> None:
    assert decode(text, 4) is None


# plain bodies


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_checksum_in_a_header_is_compared(algorithm: Algorithm) -> None:
    headers = {algorithm.header: CHECK[algorithm]}
    received = send(headers, b"1234", b"56789").received
    assert received is not None
    assert received.checksum == f"{algorithm}:FULL_OBJECT:{CHECK[algorithm]}"
    assert (algorithm.header, CHECK[algorithm]) in received.headers
    assert refused(headers, b"12345678X") == "BadDigest"


def test_digests_are_compared() -> None:
    data = b"content"
    good = base64.b64encode(hashlib.md5(data).digest()).decode()
    assert send({"Content-MD5": good}, data).content == data
    assert refused({"Content-MD5": good}, b"CONTENT") == "BadDigest"
    assert refused({"Content-MD5": "abc"}, data) == "InvalidDigest"
    assert refused({"Content-MD5": "AAAA"}, data) == "InvalidDigest"
    sha = hashlib.sha256(data).hexdigest()
    assert send({"x-amz-content-sha256": sha}, data).content == data
    assert refused({"x-amz-content-sha256": sha}, b"CONTENT") == "XAmzContentSHA256Mismatch"
    assert refused({"x-amz-content-sha256": "AB"}, data) == "InvalidArgument"
    assert send({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, data).content == data


def test_nothing_is_computed_that_nobody_compares() -> None:
    data = b"content"
    sha = hashlib.sha256(data)
    in_header = {"x-amz-checksum-sha256": base64.b64encode(sha.digest()).decode()}
    md5 = {"Content-MD5": base64.b64encode(hashlib.md5(data).digest()).decode()}
    for headers, count in (
        ({}, 0),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, 0),
        ({"x-amz-content-sha256": sha.hexdigest()}, 1),
        ({"x-amz-content-sha256": sha.hexdigest(), **in_header}, 1),
        ({**md5, **in_header}, 2),
    ):
        assert len(send(headers, data).watchers) == count, headers
    assert not send(md5, data, compares_md5=False).watchers
    refused_all = {**in_header, "x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    assert refused(refused_all, data) == "XAmzContentSHA256Mismatch"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAA="}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": ""}, "InvalidRequest"),
        (
            {"x-amz-checksum-crc32": "y/Q5Jg==", "x-amz-checksum-crc32c": "4waSgw=="},
            "InvalidRequest",
        ),
        ({"x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, "NotImplemented"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC99"}, "InvalidRequest"),
        (
            {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "y/Q5Jg=="},
            "InvalidRequest",
        ),
        ({"x-amz-trailer": "x-amz-checksum-crc32"}, "InvalidRequest"),
        ({"x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, "NotImplemented"),
    ],
)
def test_refuses_what_cannot_be_right(headers: Mapping[str, str], code: str) -> None:
    assert refused(headers, b"123456789") == code


def test_a_refused_body_is_aborted() -> None:
    taken = Taken()
    request = head("PUT", "/b/o", {"Content-Length": "1", "x-amz-checksum-crc32": "bad"})
    with pytest.raises(S3Error):
        body_sink(request, taken, ANONYMOUS)
    assert taken.is_aborted


# aws-chunked without signatures: botocore's own framing


def framed(data: bytes, chunk_size: int) -> bytes:
    wrapper = AwsChunkedWrapper(
        io.BytesIO(data),
        checksum_cls=Crc32Checksum,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=chunk_size,
    )
    return bytes(wrapper.read())


def trailing(length: int | None, name: str = "x-amz-checksum-crc32") -> dict[str, str]:
    headers = {
        "x-amz-content-sha256": UNSIGNED_TRAILER,
        "Content-Encoding": "aws-chunked",
        "x-amz-trailer": name,
        "x-amz-sdk-checksum-algorithm": "CRC32",
    }
    return headers if length is None else {**headers, "x-amz-decoded-content-length": str(length)}


@given(st.binary(max_size=200), st.integers(1, 60), st.lists(st.integers(0, 2000), max_size=8))
def test_framing_of_botocore_comes_off(data: bytes, size: int, cuts: list[int]) -> None:
    taken = send(trailing(len(data)), *split(framed(data, size), cuts))
    assert taken.content == data
    assert taken.received is not None
    value = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    assert taken.received.checksum == f"CRC32:FULL_OBJECT:{value}"


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_changed_byte_is_found(data: bytes, draw: st.DataObject) -> None:
    body = bytearray(framed(data, 30))
    place = draw.draw(st.integers(0, len(body) - 1))
    body[place] ^= draw.draw(st.integers(1, 255))
    try:
        taken = send(trailing(len(data)), bytes(body))
    except S3Error:
        return
    assert taken.content == data  # upper case of a digit or a name says the same


@given(st.binary(max_size=100), st.data())
def test_a_cut_body_is_found(data: bytes, draw: st.DataObject) -> None:
    body = framed(data, 30)
    place = draw.draw(st.integers(0, len(body) - 1))
    assert refused(trailing(len(data)), body[:place])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n", ""),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\n\r\n", ""),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\nX", "InvalidRequest"),
        (b"3\r\nabc\r\n0\r\n\r\n", "MalformedTrailerError"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:zz\r\n\r\n", "InvalidRequest"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-sha1:NSRBwg==\r\n\r\n", "MalformedTrailerError"),
        (b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n", "MalformedTrailerError"),
        (
            b"3\r\nabc\r\n0\r\n" + b"".join(b"%d:%1000d\r\n" % (n, 0) for n in range(9)),
            "MalformedTrailerError",
        ),
        (b"3\r\nabc\r\n0\r\n" + b"a" * 2000, "InvalidRequest"),
        (b"3\r\nabcd\r\n", "InvalidRequest"),
        (b"3\nabc\r\n", "InvalidRequest"),
        (b"-3\r\nabc\r\n", "InvalidRequest"),
        (b"0x3\r\nabc\r\n", "InvalidRequest"),
        (b"\r\nabc\r\n", "InvalidRequest"),
        (b"11111111111111111\r\nabc", "InvalidRequest"),
        (b"ffffffffffffffff\r\nabcdef", "IncompleteBody"),
        (b"2\r\nab\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n", "IncompleteBody"),
        (b"", "IncompleteBody"),
    ],
)
def test_framing_is_strict(body: bytes, code: str) -> None:
    if code:
        assert refused(trailing(3), body) == code
    else:
        assert send(trailing(3), body).content == b"abc"


def test_lines_without_end_do_not_grow() -> None:
    decoder = AwsChunkedDecoder(signatures=None, has_trailers=False)
    for _ in range(10):
        assert not list(decoder.take(memoryview(b"1" * 100)))
    with pytest.raises(S3Error):
        list(decoder.take(memoryview(b"1" * 100)))


def test_length_and_encoding_are_those_of_the_content() -> None:
    headers = {**trailing(3), "Content-Encoding": "aws-chunked,gzip", "Content-Length": "99"}
    request = head("PUT", "/b/o", headers)
    assert content_length(request) == 3
    assert content_encoding(request) == "gzip"
    assert content_length(head("PUT", "/b/o", {"Content-Length": "5"})) == 5
    assert content_encoding(head("PUT", "/b/o", {})) == ""
    with pytest.raises(S3Error):
        content_length(head("PUT", "/b/o", {**headers, "x-amz-decoded-content-length": "-1"}))


# signed chunks: the examples of AWS's documentation


def example_identity(seed: str) -> Identity:
    key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1")
    scope = "20130524/us-east-1/s3/aws4_request"
    return Identity(
        "AKIAIOSFODNN7EXAMPLE", signing=ChunkSigning(key, "20130524T000000Z", scope, seed)
    )


PLAIN = example_identity("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
PLAIN_CHUNKS = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)
TRAILED = example_identity("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")
TRAILED_CHUNKS = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)
PLAIN_HEADERS = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "66560"}
TRAILED_HEADERS = {
    "x-amz-content-sha256": f"{SIGNED}-TRAILER",
    "x-amz-decoded-content-length": "66560",
    "x-amz-trailer": "x-amz-checksum-crc32c",
}


def test_signed_chunks_are_verified() -> None:
    assert send(PLAIN_HEADERS, PLAIN_CHUNKS, identity=PLAIN).content == b"a" * 66560
    received = send(TRAILED_HEADERS, TRAILED_CHUNKS, identity=TRAILED).received
    assert received is not None
    assert received.checksum == "CRC32C:FULL_OBJECT:sOO8/Q=="
    # Without keys signatures are not looked at, and the content is the same.
    assert send(PLAIN_HEADERS, PLAIN_CHUNKS).content == b"a" * 66560


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"chunk-signature=ad80", b"chunk-signature=ad81"),
        (b"chunk-signature=0055", b"chunk-signature=0155"),
        (b"chunk-signature=b6c6", b"chunk-signature=b6c7"),
        (b";chunk-signature=ad80", b";chunk-signaturx=ad80"),
        (b"aaa\r\n400", b"aab\r\n400"),
        (b"a\r\n0;", b"b\r\n0;"),
    ],
)
def test_a_forged_chunk_is_refused(old: bytes, new: bytes) -> None:
    assert PLAIN_CHUNKS.count(old) == 1
    forged = PLAIN_CHUNKS.replace(old, new)
    assert refused(PLAIN_HEADERS, forged, identity=PLAIN) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"sOO8/Q==", b"AAAAAA=="),
        (b"trailer-signature:d8", b"trailer-signature:d9"),
        (b"x-amz-trailer-signature:d8", b"x-amz-nothing:d8"),
    ],
)
def test_a_forged_trailer_is_refused(old: bytes, new: bytes) -> None:
    forged = TRAILED_CHUNKS.replace(old, new)
    assert refused(TRAILED_HEADERS, forged, identity=TRAILED) == "SignatureDoesNotMatch"


def test_a_chunk_cannot_be_left_out() -> None:
    first = PLAIN_CHUNKS[: PLAIN_CHUNKS.index(b"400;")]
    rest = PLAIN_CHUNKS[PLAIN_CHUNKS.index(b"400;") :]
    headers = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "1024"}
    assert refused(headers, rest, identity=PLAIN) == "SignatureDoesNotMatch"
    assert refused(PLAIN_HEADERS, first, identity=PLAIN) == "IncompleteBody"


def test_chunks_too_small_for_their_number_are_refused() -> None:
    chunk = b"1;chunk-signature=" + b"0" * 64 + b"\r\na\r\n"
    headers = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "2000"}
    signatures = ChunkSignatures(cast("ChunkSigning", PLAIN.signing))
    decoder = AwsChunkedDecoder(signatures=signatures, has_trailers=False)
    with pytest.raises(S3Error, match="too small"):
        list(decoder.take(memoryview(chunk * (WAITING_MAX + 1))))
    assert refused(headers, chunk * 2000, identity=PLAIN) == "SignatureDoesNotMatch"


# what is stored


def test_stored_checksums_are_told_to_who_asks() -> None:
    custom = {CHECKSUM_KEY: "CRC32:FULL_OBJECT:y/Q5Jg=="}
    assert stored_headers(custom, head("GET", "/b/o")) == []
    asking = head("GET", "/b/o", {"x-amz-checksum-mode": "ENABLED"})
    assert stored_headers(custom, asking) == [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ]
    assert elements(custom) == [("ChecksumCRC32", "y/Q5Jg=="), ("ChecksumType", "FULL_OBJECT")]
    for other in (
        "",
        "nonsense",
        "CRC32:y/Q5Jg==",
        "CRC99:FULL_OBJECT:AA==",
        "CRC32:FULL_OBJECT:\r\n",
    ):
        assert stored_headers({CHECKSUM_KEY: other}, asking) == []


# multipart uploads

PARTS = {1: b"1234", 2: b"56789"}


def value(algorithm: Algorithm, data: bytes) -> str:
    digest = new_digest(algorithm)
    digest.update(data)
    return encode(digest.digest())


def composite(algorithm: Algorithm) -> str:
    raw = b"".join(base64.b64decode(value(algorithm, data)) for data in PARTS.values())
    return f"{value(algorithm, raw)}-{len(PARTS)}"


def complete(
    custom: Mapping[str, str],
    listed: Mapping[int, Mapping[str, str]],
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    review = CompleteReview(head("POST", "/b/o?uploadId=x", headers), custom, listed)
    for _ in range(2):  # parts that are changed meanwhile are read again
        review.begin()
        for number, data in PARTS.items():
            for place in range(len(data)):
                review.update(number, memoryview(data)[place : place + 1])
        added = review.finish()
    return added, review.elements


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_upload_has_the_checksum_it_began_with(algorithm: Algorithm) -> None:
    for kind in algorithm.kinds:
        headers = {"x-amz-checksum-algorithm": algorithm.value, "x-amz-checksum-type": kind.value}
        custom = upload_custom(head("POST", "/b/o?uploads", headers))
        assert dict(upload_headers(custom)) == headers
        listed = {n: {algorithm.element: value(algorithm, data)} for n, data in PARTS.items()}
        whole = CHECK[algorithm] if kind == "FULL_OBJECT" else composite(algorithm)
        added, told = complete(
            custom, listed, {algorithm.header: whole, "x-amz-mp-object-size": "9"}
        )
        assert added[CHECKSUM_KEY] == f"{algorithm}:{kind}:{whole}"
        assert told == [(algorithm.element, whole), ("ChecksumType", kind.value)]
        wrong = {**listed, 2: {algorithm.element: value(algorithm, b"other")}}
        with pytest.raises(S3Error) as caught:
            complete(custom, wrong)
        assert caught.value.s3_code == "InvalidPart"
        with pytest.raises(S3Error) as caught:
            complete(custom, listed, {algorithm.header: value(algorithm, b"other")})
        assert caught.value.s3_code == "BadDigest"


def test_a_composite_checksum_needs_that_of_every_part() -> None:
    custom = upload_custom(head("POST", "/b/o?uploads", {"x-amz-checksum-algorithm": "SHA256"}))
    with pytest.raises(S3Error, match="missing for part 2"):
        complete(custom, {1: {"ChecksumSHA256": value(Algorithm.SHA256, PARTS[1])}, 2: {}})


def test_a_whole_checksum_needs_no_list() -> None:
    headers = {"x-amz-checksum-algorithm": "CRC64NVME"}
    custom = upload_custom(head("POST", "/b/o?uploads", headers))
    added, _ = complete(custom, {})
    assert added[CHECKSUM_KEY] == f"CRC64NVME:FULL_OBJECT:{CHECK[Algorithm.CRC64NVME]}"


def test_an_upload_without_checksums_has_none() -> None:
    assert upload_custom(head("POST", "/b/o?uploads")) == {}
    assert upload_headers({}) == []
    assert complete({}, {}) == ({}, [])
    with pytest.raises(S3Error, match="mp-object-size"):
        complete({}, {}, {"x-amz-mp-object-size": "8"})


def test_checksums_at_the_end_are_enough() -> None:
    listed = {n: {"ChecksumCRC32": value(Algorithm.CRC32, data)} for n, data in PARTS.items()}
    added, _ = complete({}, listed)
    assert added[CHECKSUM_KEY] == f"CRC32:COMPOSITE:{composite(Algorithm.CRC32)}"
    added, _ = complete({}, {}, {"x-amz-checksum-crc32": CHECK[Algorithm.CRC32]})
    assert added[CHECKSUM_KEY] == f"CRC32:FULL_OBJECT:{CHECK[Algorithm.CRC32]}"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-algorithm": "CRC99"},
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "SHA1", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "PARTIAL"},
    ],
)
def test_refuses_checksums_that_no_upload_can_have(headers: Mapping[str, str]) -> None:
    with pytest.raises(S3Error) as caught:
        upload_custom(head("POST", "/b/o?uploads", headers))
    assert caught.value.s3_code == "InvalidRequest"
