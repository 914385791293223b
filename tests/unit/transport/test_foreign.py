"""What AIStore answers otherwise than our server does, as recorded from a cluster."""

import io
import json
import tarfile
from collections.abc import Sequence

import pytest
from tests.unit.transport.peer import Peer, Script, ok

from aiscore.errors import ObjectNotFoundError, ProtocolError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum
from aiscore.model.objects import PutOptions
from aiscore.model.xaction import XactionKind
from aiscore.transport.control import ControlClient
from aiscore.transport.options import ConnectionOptions
from aiscore.transport.remote_batch import Delivery
from aiscore.transport.remote_jobs import IDLE_POLLS, Jobs
from aiscore.transport.remote_objects import RemoteObjects
from aiscore.transport.remote_store import RemoteStore
from aiscore.transport.session import Answer, Session

BUCKET = BucketRef("b")
QUICK = ConnectionOptions(backoff_s=0.01, read_timeout_s=5)
STORED = (
    b"Ais-Checksum-Type: xxhash2\r\nAis-Checksum-Value: bdaa1c76f68c6866\r\nAis-Version: 3\r\n"
    b"Ais-Present: true\r\n"
)


def answering(*connections: Sequence[bytes]) -> Peer:
    """A server that gives these answers, connection by connection; the last ones to all that follow."""

    def script_of(answers: Sequence[bytes]) -> Script:
        return lambda connection: peer.answers(*answers)(connection)

    peer = Peer(*map(script_of, connections))
    return peer


def head_of(size: int, headers: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (size, headers)


def snap(*, is_idle: bool, error: str = "") -> bytes:
    """One job of `GET /v1/cluster?what=qryxstats`."""
    job = {
        "id": "hvaFejhGZ",
        "kind": "archive",
        "bck": {"name": "b", "provider": "ais", "namespace": {"uuid": "", "name": ""}},
        "start-time": "2026-11-30T23:43:14.542924727Z",
        "end-time": "0001-01-01T00:00:00Z",
        "err": error,
        "stats": {"loc-objs": "1", "loc-bytes": "3072"},
        "aborted": False,
        "is_idle": is_idle,
    }
    return ok(json.dumps({"t1": [job]}).encode(), b"Content-Type: application/json\r\n")


def test_a_job_that_stays_idle_is_done() -> None:
    polls = [snap(is_idle=idle) for idle in (False, True, False, *[True] * IDLE_POLLS)]
    with answering(polls) as peer:
        session = Session(peer.url, QUICK)
        jobs = Jobs(session, lambda: False, sleep=lambda seconds: None)
        done = jobs.wait(XactionKind.ARCHIVE, Answer(200, {}, b"hvaFejhGZ"))
        session.close()
    assert done is not None
    assert (done.objects, done.size) == (1, 3072)
    assert len(peer.heads) == len(polls)


def put_again(*answers: bytes) -> tuple[str, list[bytes]]:
    """PUT of what the object has already; the version it is told to have."""
    with answering(answers) as peer:
        session = Session(peer.url, QUICK)
        try:
            checksum = Checksum.parse("xxhash2", "bdaa1c76f68c6866")
            objects = RemoteObjects(session, RemoteStore(session, ControlClient(session)))
            props = objects.put(BUCKET, "o", b"data0", PutOptions(checksum=checksum))
            assert props.size == 5
            return props.version, peer.heads
        finally:
            session.close()


def test_a_put_that_changes_nothing_has_no_headers() -> None:
    version, heads = put_again(ok(), head_of(5, STORED))
    assert version == "3"
    assert heads[1].startswith(b"HEAD /v1/objects/b/o?")


def test_a_web_server_is_no_store() -> None:
    with pytest.raises(ProtocolError, match="answers a PUT as AIStore does not"):
        put_again(ok(), head_of(5, b"Server: nginx\r\n"))


def test_a_batch_that_ends_early_names_what_is_missing() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("b/o")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"data0"))
    message = json.dumps({"message": "t[a]: ais://b/nope does not exist", "status": 404})
    missing = (
        f"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nHdr-Error: {message}\r\n\r\n".encode()
    )
    batch = ok(out.getvalue(), b"Content-Type: application/x-tar\r\n")
    request = BatchRequest(entries=[BatchEntry("o"), BatchEntry("nope")], bucket=BUCKET)
    for answer, error in ((missing, ObjectNotFoundError), (head_of(5, STORED), ProtocolError)):
        with answering([batch, answer], [answer]) as peer:
            session = Session(peer.url, QUICK)
            delivery = Delivery(session, request)
            found = delivery.next()
            assert found is not None
            buffer = memoryview(bytearray(16))
            while delivery.tar.left:
                delivery.tar.readinto(buffer)
            delivery.done(found[0])
            with pytest.raises(error):
                delivery.next()
            delivery.close()
            session.close()
        assert peer.heads[-1].startswith(b"HEAD /v1/objects/b/nope?")
