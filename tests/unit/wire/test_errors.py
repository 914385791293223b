import json

import pytest

from aiscore import errors
from aiscore.errors import (
    AisError,
    ArchiveError,
    ArchpathNotFoundError,
    BatchAbortedError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    BusyError,
    CapacityExceededError,
    CorruptionError,
    InvalidArgumentError,
    ObjectNotFoundError,
    TransportError,
    UnavailableError,
    XactionNotFoundError,
)
from aiscore.wire.errors import decode_error, encode_error, error_of_code

OURS = [
    cls
    for name in errors.__all__
    if not issubclass(cls := getattr(errors, name), TransportError) and cls.code
]


def encode(exc: AisError) -> bytes:
    return encode_error(exc, method="GET", path="/v1/objects/b/o", peer="1.2.3.4:5", node="t[x]")


@pytest.mark.parametrize("cls", OURS)
def test_every_class_comes_back(cls: type[AisError]) -> None:
    there = decode_error(cls.status, encode(cls("caf\u00e9 ais://b/o", hint="try")), method="GET")
    assert type(there) is cls
    assert (there.message, there.hint) == ("caf\u00e9 ais://b/o", "try")


def test_kind_of_corruption_comes_back() -> None:
    there = decode_error(500, encode(CorruptionError("x", kind="missing piece")), method="GET")
    assert isinstance(there, CorruptionError)
    assert there.kind == "missing piece"
    assert isinstance(error_of_code("ErrCorruption", "x"), CorruptionError)


def test_body_is_what_published_clients_expect() -> None:
    body = encode(BucketNotFoundError('bucket "ais://b" does not exist'))
    fields = json.loads(body)
    assert body.endswith(b"\n")
    assert body.count(b"\n") == 1
    assert fields["tcode"] == "ErrBckNotFound"
    assert {"message", "method", "url_path", "remote_addr", "caller", "node"} < set(fields)
    assert fields["status"] == 404
    assert json.loads(encode(ObjectNotFoundError("x")))["tcode"] == "ErrNotFound"
    assert "tcode" not in json.loads(encode(InvalidArgumentError("x")))


def test_body_fits_a_header_whatever_the_message() -> None:
    body = encode(InvalidArgumentError('a\r\nb\0"\u2028\u00e9'))
    assert body.isascii()
    assert not any(byte < 32 for byte in body[:-1])


@pytest.mark.parametrize(
    ("status", "body", "method", "cls"),
    [
        (404, {"tcode": "ErrRemoteBckNotFound", "message": "x"}, "GET", BucketNotFoundError),
        (
            404,
            {"tcode": "ErrNotFound", "message": "t[a]: ais://b/o does not exist"},
            "GET",
            ObjectNotFoundError,
        ),
        (404, {"message": 'bucket "s3://b" does not exist'}, "GET", BucketNotFoundError),
        (404, {"message": 'bucket "ais://@u#n/b" does not exist'}, "GET", BucketNotFoundError),
        (404, {"tcode": "ErrXactNotFound", "message": "x"}, "GET", XactionNotFoundError),
        (404, {"message": '"x--ais://b" not found'}, "GET", XactionNotFoundError),
        (
            404,
            {"message": "t[a]: m/1.jpg in ais://b/s.tar does not exist"},
            "GET",
            ArchpathNotFoundError,
        ),
        (
            400,
            {"message": 'unrecognized or unsupported file format: "o"'},
            "GET",
            ArchiveError,
        ),
        (400, {"message": "exceeded soft-errors limit: 2 (max: 1)"}, "GET", BatchAbortedError),
        (409, {"message": "x"}, "GET", BusyError),
        (409, {"message": 'bucket "ais://b" already exists'}, "POST", BucketAlreadyExistsError),
        (400, {"message": 'bucket "ais://b" already exists'}, "POST", BucketAlreadyExistsError),
        (507, {"message": "x"}, "PUT", CapacityExceededError),
        (418, {"message": "x"}, "PUT", InvalidArgumentError),
        (500, {"tcode": "ErrConnect", "code": "ErrConnect", "message": "x"}, "GET", AisError),
    ],
)
def test_errors_of_other_servers(
    status: int, body: dict[str, str], method: str, cls: type[AisError]
) -> None:
    assert type(decode_error(status, json.dumps(body).encode(), method=method)) is cls


def test_the_object_is_named_when_the_server_does_not() -> None:
    target = "/v1/objects/b/d/%C3%BC?provider=aws&namespace=%40u%23n"
    body = b'{"message": "object size = 5, range [9-] not satisfiable"}'
    error = decode_error(416, body, method="GET", target=target)
    assert error.message == "s3://@u#n/b/d/ü: object size = 5, range [9-] not satisfiable"
    for other in (
        decode_error(416, body, method="GET", target="/v1/buckets/b"),
        decode_error(416, body[:-1] + b', "code": "x"}', method="GET", target=target),
    ):
        assert other.message == "object size = 5, range [9-] not satisfiable"


def test_errors_of_jobs() -> None:
    text = "t[a]: ais://b/o does not exist"
    assert type(error_of_code("", text)) is ObjectNotFoundError
    assert type(error_of_code("", "x")) is AisError
    assert type(error_of_code("ErrBusy", text)) is BusyError


def test_what_is_no_json_is_the_message() -> None:
    assert decode_error(400, b"Bad thing\n", method="GET").message == "Bad thing"
    assert decode_error(400, b'{"message": 7}', method="GET").message
    assert type(decode_error(503, b"", method="GET")) is UnavailableError
    assert decode_error(599, b"\xff\xfe", method="GET").message
