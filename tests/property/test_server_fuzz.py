"""Requests that nobody should send, to a real server: none is a defect (500), none hangs, and it goes on serving.

Valid requests of every kind are taken and damaged: in their bytes, their query, their headers, and the structure of
their JSON. Each slice of requests follows from its number alone.
"""

import json
import logging
import socket
from collections.abc import Iterator
from random import Random
from urllib.parse import quote, quote_from_bytes, urlsplit

import pytest

from aiscore.model.archive import ArchiveFormat
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ArchivePutMode
from aiscore.serve import ServerSettings, running
from aiscore.testing.content import pattern
from aiscore.transport.base import MemberInput
from aiscore.transport.remote import RemoteTransport
from aiscore.wire.names import Action, Q, What

HANG_S = 10.0
REQUESTS = 250
"""Of a slice."""
BUCKET = BucketRef("fuzz")
KEPT = pattern(100_000, 1)
DEFECTS = frozenset(range(500, 600)) - {501, 503}
BODY_MAX = 200_000

Json = object

_TEXTS = (
    *("", "0", "1", "-1", "007", "true", "no", "null", "9" * 30, "1e9", "0x10", " 5", "5 ", "NaN"),
    *("a", "o", "t.tar", "kept", "*", "..", "a/../b", "/", "//", "%", "%zz", "\x00", "\r\nX: y"),
    *("ä", "日本", "\ud800", "a" * 2_000, "[", "(", "o-{1..5}", "o-{5..1}", "@#", "@a#b", "ais"),
    *("aws", "10s", "-10s", "5MiB", "-5MiB", ".tar", ".zip", ".tgz", "regexp", "prefix", "wdskey"),
    *("name,size", "name,nosuch", "xxhash2", "md5", "deadbeef", "Mon, 23 Nov 2026 05:00:00 GMT"),
)
_NUMBERS = (0, 1, -1, 5, 1000, 10_001, 2**31, 2**63, 2**64, -(2**63) - 1, 1.5, -0.0, 1e300)
_RANGES = (
    *("bytes=0-", "bytes=-1", "bytes=0-0", "bytes=5-2", "bytes=-0", "bytes=", "bytes=a-b", "0-5"),
    *("bytes=99999-100001", "bytes=100000-", "bytes=0-1,5-6", "bytes=-" + "9" * 25, "items=0-1"),
    *("bytes=" + "0-0," * 500, "bytes = 1 - 2", "bytes=0-" + "9" * 19, "bytes=+1-2", "bytes=٣-"),
)
_HEADERS = (
    *("Range", "If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since"),
    *(
        "Ais-Custom-Md",
        "Ais-Pine",
        "Ais-Checksum-Type",
        "Ais-Checksum-Value",
        "Ais-Version",
        "Accept",
    ),
    *("Ais-If-Version", "Ais-Mtime", "Ais-Soft-Errors", "Ais-Chunk-Size", "Content-Type", "Cookie"),
    *("Ais-Atime", "Content-MD5", "User-Agent", "Ais-Blob-Download", "X-Amz-Date", "Authorization"),
)
_QUERIES = tuple(value for name, value in vars(Q).items() if name.isupper())
_QUESTIONS = tuple(value for name, value in vars(What).items() if name.isupper())
_ACTIONS = tuple(
    value
    for name, value in vars(Action).items()
    # Those that would read, or take, directories of whoever runs the tests.
    if name.isupper() and value not in {Action.PROMOTE, Action.MOUNTPATH_ATTACH}
)
_PATHS = (
    *("/v1/objects/fuzz/o", "/v1/objects/fuzz/t.tar", "/v1/objects/fuzz/new", "/v1/objects/fuzz"),
    *("/v1/buckets/fuzz", "/v1/buckets", "/v1/buckets/other", "/v1/cluster", "/v1/daemon"),
    *(
        "/v1/reverse/daemon",
        "/v1/daemon/mountpaths",
        "/v1/health",
        "/v1/ml/moss/fuzz",
        "/v1/ml/moss",
    ),
    *(
        "/v1/x",
        "/v1/x/validate",
        "/v1/x/members/fuzz/t.tar",
        "/v1/x/mountpaths",
        "/v1/x/summary/fuzz",
    ),
    *("/v1/x/counters", "/v1/x/xactions", "/v1/x/uploads/fuzz/o", "/v1/x/rechunk/fuzz", "/v1/etl"),
    *(
        "/v1/download",
        "/v1/sort",
        "/v1/tokens",
        "/metrics",
        "/s3/fuzz",
        "/ais/fuzz/o",
        "/v2/x",
        "/",
    ),
    *(
        "/v1/x/uploads/fuzz",
        "/v1/cluster/proxy/x",
        "/v1/daemon/proxies",
        "/gs/fuzz/o",
        "/ais//fuzz//o",
    ),
)
_METHODS = ("GET", "GET", "GET", "HEAD", "PUT", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
_SELECTION = {"objnames": ["o", "nosuch"], "template": ""}
_TO = {"name": "other", "provider": "ais", "namespace": {"uuid": "", "name": ""}}
_MESSAGES: tuple[Json, ...] = (
    {"action": "list", "value": {"props": "name,size,checksum", "pagesize": 10, "flags": "0"}},
    {"action": "list", "value": {"prefix": "o", "continuation_token": "o", "start_after": "a"}},
    {
        "action": "create-bck",
        "value": {"checksum": {"type": "md5"}, "versioning": {"enabled": True}},
    },
    {"action": "set-bprops", "value": {"mirror": {"copies": 2}, "chunks": {"chunk_size": "1MiB"}}},
    {"action": "copy-bck", "value": {"prefix": "o", "prepend": "p/", "dry_run": True}},
    {"action": "copy-listrange", "value": {**_SELECTION, "tobck": _TO, "coer": True}},
    {"action": "delete-listrange", "value": {**_SELECTION, "objnames": ["nosuch"]}},
    {
        "action": "archive",
        "value": {**_SELECTION, "archname": "a.tar", "mime": ".tar", "tobck": _TO},
    },
    {
        "action": "summary-bck",
        "value": {"uuid": "", "prefix": "o", "cached": True, "present": True},
    },
    {
        "action": "set-config",
        "value": {"timeout": {"max_keepalive": "4s"}, "store": {"durable": False}},
    },
    {"action": "start", "value": {"kind": "lru", "bck": _TO}},
    {"action": "stop", "value": {"id": "nosuch123", "kind": "copy-bck"}},
    {"action": "rename-obj", "name": "other"},
    {"action": "mpt-complete", "value": [{"part-number": 1, "etag": "x"}]},
    {"action": "rechunk", "value": {"objsize_limit": 5, "chunk_size": 5}},
    {"action": "", "value": {"custom": {"a": "b"}}, "name": ""},
    {"ID": "x", "kind": "copy-bck", "bck": _TO, "show_active": True},
    {"in": [{"objname": "o"}, {"objname": "t.tar", "archpath": "m"}], "mime": ".tar", "strm": True},
    {
        "in": [{"objname": "o", "start": 0, "length": 5, "opaque": "eHk="}],
        "coer": True,
        "onob": True,
    },
    {
        "in": [{"objname": "nosuch", "bucket": "fuzz", "provider": "ais"}],
        "coer": True,
        "strm": False,
    },
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("fuzz") / "home"
    settings = ServerSettings(home=str(home), port=0, body_timeout_s=2, head_timeout_s=2)
    with running(settings) as found:
        with RemoteTransport(found) as client:
            client.create_bucket(BUCKET)
        yield found


def test_number_is_all_it_takes() -> None:
    assert [request(Random(5)) for _ in range(3)] == [request(Random(5)) for _ in range(3)]


@pytest.mark.parametrize("number", range(8))
def test_no_request_is_a_defect(url: str, number: int, caplog: pytest.LogCaptureFixture) -> None:
    fuzz(url, number, caplog)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("first", range(1_000, 5_000, 500))
def test_no_request_of_many_is_a_defect(
    url: str, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(first, first + 500):
        fuzz(url, number, caplog)


def fuzz(url: str, number: int, caplog: pytest.LogCaptureFixture) -> None:
    random = Random(number)
    with RemoteTransport(url) as client:
        if BUCKET not in client.list_buckets():
            client.create_bucket(BUCKET)
        client.reset_bucket_props(BUCKET)
        client.put(BUCKET, "o", KEPT)
        member = MemberInput("m", 5, b"12345")
        client.put_members(BUCKET, "t.tar", [member], ArchivePutMode.CREATE, ArchiveFormat.TAR)
        for _ in range(REQUESTS):
            data = request(random)
            status = send(url, data)
            assert status not in DEFECTS, f"{status} after {data[:3000]!r}"
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert errors == []
        if BUCKET not in client.list_buckets():
            client.create_bucket(BUCKET)
        client.reset_bucket_props(BUCKET)
        client.reset_config()
        client.put(BUCKET, "kept", KEPT)
        assert client.read(BUCKET, "kept") == KEPT
        assert client.validate().faults == ()


def send(url: str, data: bytes) -> int:
    """Send it, and all there is; the status of the first answer, 0 when the server just closes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=HANG_S) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except OSError:  # refused half way: the answer is there
            pass
        answer = b""
        try:
            while block := peer.recv(1 << 20):
                if len(answer) < 64:
                    answer += block
        except TimeoutError:
            raise AssertionError(f"no end of the answer to {data[:3000]!r}") from None
        except ConnectionResetError:
            pass
    if not answer:
        return 0
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def request(random: Random) -> bytes:
    """One request; most are damaged in one way or in several."""
    path = random.choice(_PATHS)
    if random.random() < 0.15:
        path += "/" + quote(_text(random), safe="/%" if random.random() < 0.5 else "")
    query = "&".join(_parameter(random) for _ in range(random.choice([0, 0, 1, 1, 2, 5])))
    if random.random() < 0.02:
        query = "&".join(f"a{number}=1" for number in range(random.choice([99, 100, 101, 5_000])))
    body = _body(random)
    headers = ["Host: h", *(_header(random) for _ in range(random.choice([0, 0, 1, 2, 4])))]
    if random.random() < 0.1:
        headers.append("Transfer-Encoding: chunked")
        body = _chunked(random, body)
    elif body or random.random() < 0.3:
        length = len(body) + random.choice([0] * 20 + [1, -1])
        headers.append(f"Content-Length: {max(length, 0)}")
    random.shuffle(headers)
    target = f"{path}?{query}" if query else path
    lines = [f"{random.choice(_METHODS)} {target} HTTP/1.1", *headers, "", ""]
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        head = _damaged(random, head)
    return head + body


def _text(random: Random) -> str:
    return random.choice(_TEXTS).encode("utf-8", "replace").decode()


def _parameter(random: Random) -> str:
    name: str = random.choice(_QUERIES)
    if name == Q.WHAT and random.random() < 0.8:
        return f"{name}={random.choice(_QUESTIONS)}"
    value = quote_from_bytes(random.choice(_TEXTS).encode("utf-8", "surrogatepass"))
    if random.random() < 0.1:
        value = value.replace("%", "")
    return random.choice([f"{name}={value}"] * 9 + [name, f"={value}", f"{name}=%ff%fe", "&&"])


def _header(random: Random) -> str:
    name = random.choice(_HEADERS)
    value = random.choice(_RANGES) if name == "Range" else random.choice(_TEXTS)
    if name in {"If-Match", "If-None-Match"} and random.random() < 0.5:
        value = f'"{value}"'
    if random.random() < 0.9:
        value = value.replace("\r\n", "").replace("\0", "")
    return f"{name}: {value}"


def _body(random: Random) -> bytes:
    kind = random.random()
    if kind < 0.3:
        return b""
    if kind < 0.4:
        return random.randbytes(random.choice([1, 10, 512, 1024, 70_000]))
    if kind < 0.42:
        return b"[" * random.choice([500, 100_000])
    message = _bent(random, random.choice(_MESSAGES), 0)
    if isinstance(message, dict) and random.random() < 0.2:
        message["action"] = random.choice(_ACTIONS)
    data = json.dumps(message).encode()
    return (_damaged(random, data) if random.random() < 0.15 else data)[:BODY_MAX]


def _bent(random: Random, value: Json, depth: int) -> Json:
    """The same, with some of it replaced, dropped, repeated or added to."""
    if depth and random.random() < 0.12:
        return random.choice(
            [
                *(None, True, [], {}, [[]], {"": None}, _text(random), random.choice(_TEXTS)),
                *(random.choice(_NUMBERS), [value, value], {"x": value}),
            ]
        )
    if isinstance(value, dict):
        found = {key: _bent(random, item, depth + 1) for key, item in value.items()}
        if random.random() < 0.1:
            found.pop(random.choice(list(found)), None) if found else None
        if random.random() < 0.05:
            found[random.choice(_TEXTS)] = random.choice(_NUMBERS)
        return found
    if isinstance(value, list):
        return [_bent(random, item, depth + 1) for item in value] * random.choice([1] * 9 + [50])
    if isinstance(value, str) and random.random() < 0.15:
        return random.choice(_TEXTS)
    if isinstance(value, int) and random.random() < 0.15:
        return random.choice(_NUMBERS)
    return value


def _chunked(random: Random, body: bytes) -> bytes:
    pieces = []
    while body:
        size = random.choice([1, 16, 1000, 65_536])
        piece, body = body[:size], body[size:]
        extension = random.choice(["", "", "", ";a=b", ";" + "x" * 20_000, "\x00"])
        pieces.append(b"%x%b\r\n%b\r\n" % (len(piece), extension.encode(), piece))
        if len(pieces) > 200:
            break
    ends = [b"0\r\n\r\n"] * 8 + [b"0\r\nTrailer: x\r\n\r\n", b"", b"-1\r\n\r\n", b"f" * 40]
    return b"".join(pieces) + random.choice(ends)


def _damaged(random: Random, data: bytes) -> bytes:
    """Some bytes changed, dropped, repeated or cut off."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5])):
        if not changed:
            break
        at = random.randrange(len(changed))
        match random.randrange(5):
            case 0:
                changed[at] = random.randrange(256)
            case 1:
                del changed[at : at + random.choice([1, 2, 8])]
            case 2:
                changed[at:at] = changed[at : at + 8]
            case 3:
                changed[at:at] = random.choice([b"\0", b"\r", b"\n", b"\r\n", b" ", b"\xff", b":"])
            case _:
                del changed[at:]
    return bytes(changed)
