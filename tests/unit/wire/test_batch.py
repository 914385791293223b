import io
from types import SimpleNamespace

import pytest
from aistore.sdk.batch.multipart.multipart_decoder import MultipartDecoder  # type: ignore[import-untyped]
from aistore.sdk.batch.types import MossIn, MossReq, MossResp  # type: ignore[import-untyped]

from aiscore.errors import InvalidArgumentError, InvalidNameError, ProtocolError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.wire.batch import (
    boundary_of,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    member_name,
    multipart_head,
    multipart_tail,
    multipart_type,
    new_boundary,
    split_multipart,
)

BUCKET = BucketRef("b")
FAR = BucketRef("b", Provider.AIS, Namespace("u", "n"))
ENTRIES = [
    BatchEntry("plain"),
    BatchEntry("shard.tar", archpath="a/b", start=5, length=-1),
    BatchEntry("o", BucketRef("c", Provider.AWS), opaque=b"\xfb\xff\xfe"),
    BatchEntry("o", FAR, opaque=b""),
]
REQUEST = BatchRequest(
    entries=ENTRIES, bucket=BUCKET, output_format=ArchiveFormat.TGZ, cont_on_err=True
)
RESULTS = [
    BatchResult(ENTRIES[0], BUCKET, "b/plain", 3),
    BatchResult(ENTRIES[1], BUCKET, "__404__/b/shard.tar/a/b", 0, "missing"),
    BatchResult(ENTRIES[2], BucketRef("c", Provider.AWS), "c/o", 0),
    BatchResult(ENTRIES[3], FAR, "b/o", 1),
]


def test_requests_come_back() -> None:
    assert decode_request(encode_request(REQUEST), BUCKET) == REQUEST


def test_our_request_is_the_python_clients() -> None:
    theirs = MossReq.model_validate_json(encode_request(REQUEST))
    assert theirs.output_format == ".tgz"
    assert theirs.moss_in[1].archpath == "a/b"
    assert (theirs.moss_in[2].bck, theirs.moss_in[2].provider) == ("c", "aws")
    assert theirs.moss_in[3].uname == "ais/@u#n/b/o"


def test_python_clients_request_is_read() -> None:
    theirs = MossReq(moss_in=[MossIn(objname="o", bucket="c", opaque="-__-")], output_format="tar")
    found = decode_request(theirs.model_dump_json(by_alias=True).encode(), BUCKET)
    assert found.entries == [BatchEntry("o", BucketRef("c"), opaque=b"\xfb\xff\xfe")]
    assert not found.streaming


def test_bucket_without_provider_is_ais() -> None:
    body = b'{"in":[{"objname":"o","bucket":"c"}]}'
    found = decode_request(body, BucketRef("b", Provider.AWS))
    assert found.entries[0].bucket == BucketRef("c")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"in":[]}',
        b'{"in":[{}]}',
        b'{"in":[{"objname":"o"}],"mime":"rar"}',
        b'{"in":[{"objname":"o"}],"coloc":3}',
        b'{"in":[{"objname":"o","opaque":"!"}]}',
        b'{"in":[{"objname":"o","uname":"x"}]}',
    ],
)
def test_bad_requests(body: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        decode_request(body, BUCKET)


def test_name_that_is_no_unicode() -> None:
    with pytest.raises(InvalidNameError):
        encode_request(BatchRequest(entries=[BatchEntry("a\ud800")]))


def test_responses_come_back() -> None:
    body = encode_response("gbt-1", RESULTS)
    assert decode_response(body, REQUEST) == ("gbt-1", RESULTS)
    theirs = MossResp.model_validate_json(body)
    assert [out.size for out in theirs.out] == [3, 0, 0, 1]
    assert [out.err_msg for out in theirs.out] == [None, "missing", None, None]
    assert theirs.out[2].opaque == b"\xfb\xff\xfe"


def test_response_that_does_not_fit_the_request() -> None:
    for results in (RESULTS[:3], RESULTS[::-1]):
        with pytest.raises(ProtocolError):
            decode_response(encode_response("x", results), REQUEST)
    for body in (b"", b"[]", b'{"out":[{}]}'):
        with pytest.raises(ProtocolError):
            decode_response(body, REQUEST)


def test_member_names() -> None:
    entry = BatchEntry("s.tar", archpath="x")
    assert member_name(entry, BUCKET, only_obj_name=False) == "b/s.tar/x"
    assert member_name(entry, BUCKET, only_obj_name=True, is_missing=True) == "__404__/s.tar/x"


CONTENT = b"\r\n--" * 50 + bytes(range(256)) + b"\r\n"


def answer(boundary: str, content: bytes = CONTENT) -> bytes:
    head = multipart_head(boundary, encode_response("u", RESULTS), "get-batch[u]")
    return head + content + multipart_tail(boundary)


@pytest.mark.parametrize("step", [1, 2, 63, 64, 65, 1 << 20])
def test_answer_is_taken_apart(step: int) -> None:
    boundary = boundary_of(multipart_type(new_boundary()))
    body = answer(boundary)
    blocks = (body[at : at + step] for at in range(0, len(body), step))
    metadata, archive = split_multipart(blocks, boundary)
    assert decode_response(metadata, REQUEST)[1] == RESULTS
    assert b"".join(archive) == CONTENT


def test_empty_archive() -> None:
    assert b"".join(split_multipart([answer("x", b"")], "x")[1]) == b""


def test_answer_cut_anywhere_is_an_error() -> None:
    body = answer("x")
    end = len(body) - len(b"--\r\n")
    for cut in range(0, end, 7):
        with pytest.raises(ProtocolError):
            list(split_multipart([body[:cut]], "x")[1])


def test_python_client_takes_our_answer_apart() -> None:
    boundary = new_boundary()
    body = answer(boundary)
    for as_stream in (False, True):
        response = SimpleNamespace(
            headers={"Content-Type": multipart_type(boundary)},
            content=body,
            raw=io.BytesIO(body),
            iter_content=lambda chunk_size, body=body: iter(
                [body[i : i + chunk_size] for i in range(0, len(body), chunk_size)]
            ),
        )
        parts = []
        for _, part in MultipartDecoder(parse_as_stream=as_stream).decode(response):
            parts.append(part.read() if as_stream else part)
        assert MossResp.model_validate_json(parts[0]).uuid == "u"
        # It is not exact about line ends around the last boundary; archives do not mind.
        assert parts[1].rstrip() == CONTENT.rstrip()


@pytest.mark.parametrize("kind", ["application/json", "multipart/mixed", "multipart/x; boundary="])
def test_answer_of_another_type(kind: str) -> None:
    with pytest.raises(ProtocolError):
        boundary_of(kind)
