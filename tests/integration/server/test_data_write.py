"""PUT, DELETE, PATCH and POST of objects over a socket: what is stored, answered, and left after a failure."""

import io
import json
import os
import re
import socket
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.server.data import BUCKET, MIB, Server, pieces, serving

from aiscore.engine.checksum import checksum_of
from aiscore.errors import ObjectNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.testing.content import pattern

SIZES = [0, 1, 10_240, MIB - 1, MIB, MIB + 1, 5 * MIB + 17]
VERIFIED = GetOptions(verify_checksum=True)
WHOLE = GetOptions()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("write")) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server that no other test writes to."""
    with serving(tmp_path) as server:
        yield server


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if is_so():
            return True
        threading.Event().wait(0.02)
    return False


def descriptors() -> int:
    """Open files and sockets, but for the index: each thread of the pool opens that once."""
    found = 0
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += "index.db" not in os.readlink(f"/proc/self/fd/{fd}")
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_what_is_put_is_stored(server: Server, size: int, is_chunked: bool) -> None:
    data = pattern(size, 7)
    name = f"o{size}-{is_chunked}"
    body = iter([data[:70_000], data[70_000:]] if size else []) if is_chunked else data
    got = server.call("PUT", f"/v1/objects/b/{name}?provider=ais", body)
    assert (got.status, got.body) == (200, b"")
    assert got.headers["ais-checksum-value"] == checksum_of(ChecksumType.XXHASH2, data)
    assert got.headers["ais-version"] == "1"
    assert server.store.read(BUCKET, name, VERIFIED) == data


@pytest.mark.parametrize("size", [100, 2 * MIB])
@pytest.mark.parametrize("kind", ["xxhash2", "md5", "crc32c", "sha256"])
def test_a_checksum_is_verified_before_the_object_is_seen(
    own: Server, size: int, kind: str
) -> None:
    data = pattern(size)
    right = checksum_of(ChecksumType(kind), data)
    headers = {"Ais-Checksum-Type": kind, "Ais-Checksum-Value": right}
    assert own.call("PUT", "/v1/objects/b/o", data, headers).status == 200
    wrong = {**headers, "Ais-Checksum-Value": "0" * len(right)}
    got = own.call("PUT", "/v1/objects/b/o", pattern(size, 2), wrong)
    assert got.status == 400
    assert got.error["code"] == "ErrBadCksum"
    assert own.store.read(BUCKET, "o", VERIFIED) == data
    assert pieces(own.store) == 1
    bad = own.call("PUT", "/v1/objects/b/o", data, {**headers, "Ais-Checksum-Type": "sha1"})
    assert bad.status == 400


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_the_same_content_again_is_no_new_version(own: Server, size: int) -> None:
    data = pattern(size)
    headers = {
        "Ais-Checksum-Type": "xxhash2",
        "Ais-Checksum-Value": checksum_of(ChecksumType.XXHASH2, data),
    }
    path = "/v1/objects/b/o"
    assert own.call("PUT", path, data, headers).headers["ais-version"] == "1"
    assert own.call("PUT", path, data, headers).headers["ais-version"] == "1"
    assert own.call("PUT", f"{path}?skip_vc=true", data, headers).headers["ais-version"] == "2"
    assert own.call("PUT", path, data).headers["ais-version"] == "3"


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_conditions_are_checked_at_the_commit(own: Server, size: int) -> None:
    path, data = "/v1/objects/b/o", pattern(size)
    assert own.call("PUT", path, data, {"If-None-Match": "*"}).status == 200
    assert own.call("PUT", path, data, {"If-None-Match": "*"}).status == 412
    etag = own.call("HEAD", path).headers["etag"]
    assert own.call("PUT", path, b"new" + data, {"If-Match": etag}).status == 200
    assert own.call("PUT", path, data, {"If-Match": etag}).status == 412
    assert own.call("PUT", path, data, {"Ais-If-Version": "9"}).status == 412
    assert own.store.read(BUCKET, "o", VERIFIED) == b"new" + data
    assert own.call("DELETE", path, headers={"If-Match": etag}).status == 412
    assert own.call("DELETE", path, headers={"Ais-If-Version": "2"}).status == 200
    assert pieces(own.store) == 0


def test_custom_metadata_comes_in_repeated_headers(server: Server) -> None:
    with socket.create_connection(server.address) as connection:
        connection.sendall(
            b"PUT /v1/objects/b/custom HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n"
            b"Ais-Custom-Md: a=1\r\nais-custom-md: b=x=y\r\n\r\nhi"
        )
        assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    assert server.store.head(BUCKET, "custom").custom == {"a": "1", "b": "x=y"}
    got = server.call("PUT", "/v1/objects/b/custom", b"", {"Ais-Custom-Md": "k=" + "x" * 2048})
    assert got.status == 400
    assert server.call("PUT", "/v1/objects/b/custom", b"", {"Ais-Custom-Md": "x"}).status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/objects/nope/o", 404),
        ("/v1/objects/b", 400),
        ("/v1/objects/b/a/../b", 400),
        ("/v1/objects/b/o?uploadId=unknown-id&partNumber=1", 404),
        ("/v1/objects/b/o?etl_name=x", 501),
        ("/v1/objects/b/o?append_type=x", 400),
        ("/v1/objects/b/o?append_type=flush", 400),
        ("/v1/objects/b/o?append_type=append&append_handle=nope", 404),
        ("/v1/objects/b/o?append_type=flush&append_handle=nope", 404),
        ("/v1/objects/b/o?object_to=x", 400),
        ("/v1/objects/b/o?object_to=ais/@%23/b/", 400),
        ("/v1/objects/b/o?object_to=ais/@%23/nope/x", 404),
    ],
)
@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_what_cannot_be_put_is_refused(server: Server, path: str, status: int, size: int) -> None:
    got = server.call("PUT", path, bytes(size))
    assert got.status == status, got.body
    assert got.error["message"]


def test_a_bucket_that_forbids_it(own: Server) -> None:
    own.store.set_bucket_props(BUCKET, {"access": "ro"})
    assert own.call("PUT", "/v1/objects/b/o", b"x").status == 403
    assert own.call("PUT", "/v1/objects/b/o", bytes(2 * MIB)).status == 403
    assert own.call("DELETE", "/v1/objects/b/o").status == 403


def test_a_durable_bucket_takes_everything(own: Server) -> None:
    own.store.set_bucket_props(BUCKET, {"features": "Fsync-PUT"})
    for size in (10, 2 * MIB):
        assert own.call("PUT", "/v1/objects/b/o", pattern(size)).status == 200
        assert own.call("GET", "/v1/objects/b/o").body == pattern(size)
    assert own.call("DELETE", "/v1/objects/b/o").status == 200


@pytest.mark.parametrize("query", ["", "?append_type=append", "?archpath=m&archmime=tar"])
def test_a_client_that_goes_in_the_middle_leaves_nothing(own: Server, query: str) -> None:
    own.call("PUT", "/v1/objects/b/first", b"x")
    before = descriptors()
    for sent in (0, 1000, 3 * MIB):
        connection = socket.create_connection(own.address)
        connection.sendall(
            f"PUT /v1/objects/b/o{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {4 * MIB}\r\n\r\n".encode()
        )
        connection.sendall(bytes(sent))
        connection.close()
    assert eventually(lambda: pieces(own.store) == 1)
    assert eventually(lambda: descriptors() <= before)
    with pytest.raises(ObjectNotFoundError):
        own.store.head(BUCKET, "o")


@pytest.mark.parametrize("size", [5, 3 * MIB])
def test_what_is_sent_beyond_the_announced_length_is_no_content(own: Server, size: int) -> None:
    data = pattern(size)
    head = f"PUT /v1/objects/b/o HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(own.address, 20) as connection:
        connection.sendall(head.encode() + data + b"and more\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"400"]
    assert own.call("GET", "/v1/objects/b/o").body == data


def test_a_client_that_goes_while_it_reads_frees_the_file(own: Server) -> None:
    own.store.put(BUCKET, "large", pattern(40 * MIB), PutOptions())
    own.call("HEAD", "/v1/objects/b/large")
    before = descriptors()
    for _ in range(5):
        connection = socket.create_connection(own.address)
        connection.sendall(b"GET /v1/objects/b/large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000)
        connection.close()
    assert eventually(lambda: descriptors() <= before)


def test_a_reader_keeps_the_version_it_began_with(own: Server) -> None:
    old, new = pattern(20 * MIB, 1), pattern(20 * MIB, 2)
    own.store.put(BUCKET, "o", old, PutOptions())
    with socket.create_connection(own.address) as connection:
        connection.sendall(b"GET /v1/objects/b/o HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        file = connection.makefile("rb")
        while file.readline() != b"\r\n":
            pass
        first = file.read(1000)
        assert own.call("PUT", "/v1/objects/b/o", new).status == 200
        assert first + file.read() == old
    assert own.call("GET", "/v1/objects/b/o").body == new


def test_many_uploads_at_once(own: Server) -> None:
    bodies = {f"o{i}": pattern(2 * MIB + i, i) for i in range(12)}
    statuses: list[int] = []

    def send(name: str) -> None:
        statuses.append(own.call("PUT", f"/v1/objects/b/{name}", bodies[name]).status)

    threads = [threading.Thread(target=send, args=(name,)) for name in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * len(bodies)
    for name, data in bodies.items():
        assert own.store.read(BUCKET, name, VERIFIED) == data


def test_a_writer_of_another_process_keeps_nobody_waiting_who_reads(own: Server) -> None:
    own.store.put(BUCKET, "o", b"old", PutOptions())
    own.call("GET", "/v1/objects/b/o")
    # As another process would: this connection is not one of the store's.
    other = sqlite3.connect(f"{own.store.core.home}/index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers: list[int] = []

    def change(method: str, path: str) -> None:
        answers.append(own.call(method, path, b"new").status)

    changes = [("PUT", "/v1/objects/b/o"), ("PUT", "/v1/objects/b/new")]
    threads = [threading.Thread(target=change, args=each) for each in changes]
    for thread in threads:
        thread.start()
    for _ in range(50):
        # An event loop that waits does so for a minute, and a call gives up after 20 seconds.
        assert own.call("GET", "/v1/objects/b/o").body == b"old"
    assert answers == []
    other.execute("ROLLBACK")
    other.close()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    assert own.call("GET", "/v1/objects/b/o").body == b"new"


# append


def test_append_and_flush(server: Server) -> None:
    path = "/v1/objects/b/grown"
    parts = [b"one ", pattern(2 * MIB), b"", b" end"]
    handle = ""
    for part in parts:
        got = server.call("PUT", f"{path}?append_type=append&append_handle={handle}", part)
        assert got.status == 200
        handle = got.headers["ais-append-handle"]
    assert server.call("GET", path).status == 404
    whole = b"".join(parts)
    wrong = {"Ais-Checksum-Type": "md5", "Ais-Checksum-Value": "0" * 32}
    flush = f"{path}?append_type=flush&append_handle={handle}"
    assert server.call("PUT", flush, b"", wrong).status == 400
    assert server.call("PUT", flush, b"").status == 200
    assert server.store.read(BUCKET, "grown", VERIFIED) == whole
    # From here on, an append without a handle begins with what is there.
    got = server.call("PUT", f"{path}?append_type=append", b"!")
    flush = f"{path}?append_type=flush&append_handle={got.headers['ais-append-handle']}"
    assert server.call("PUT", flush).status == 200
    assert server.store.read(BUCKET, "grown", VERIFIED) == whole + b"!"


# shards


def members_of(server: Server, name: str) -> dict[str, bytes]:
    data = server.store.read(BUCKET, name, WHOLE)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_a_file_goes_into_a_shard(server: Server, size: int) -> None:
    one, two = pattern(size, 1), pattern(size, 2)
    name = f"s{size}.tar"
    path = f"/v1/objects/b/{name}?archpath="
    assert server.call("PUT", f"{path}one", one, {"Ais-Pine": "1"}).status == 404
    assert server.call("PUT", f"{path}/dir/one", one, {"Ais-Pine": "2"}).status == 200
    assert server.call("PUT", f"{path}two", two, {"Ais-Pine": "1"}).status == 200
    assert members_of(server, name) == {"dir/one": one, "two": two}
    # The name of the shard in front of the path is not part of it; without the flag the shard begins anew.
    assert server.call("PUT", f"{path}{name}/two", two).status == 200
    assert members_of(server, name) == {"two": two}
    assert server.call("PUT", f"{path}x", b"").status == 400
    assert server.call("PUT", f"{path}x", iter([])).status == 400
    assert server.call("PUT", f"{path}x", one, {"Ais-Pine": "7"}).status == 400
    assert server.call("PUT", f"{path}../x", one).status == 400
    assert server.call("PUT", "/v1/objects/b/nameless?archpath=x", one).status == 400
    assert server.call("PUT", "/v1/objects/b/nameless?archpath=x&archmime=tar", one).status == 200
    assert server.call("PUT", "/v1/objects/nope/s.tar?archpath=x", one).status == 404


# copies and messages


def test_copy_goes_from_the_path_to_the_parameter(server: Server) -> None:
    other = BucketRef("other")
    server.store.create_bucket(other)
    server.store.put(BUCKET, "source", b"content", PutOptions(custom={"k": "v"}))
    path = (
        "/v1/objects/b/source?object_to=ais/@%23/other/dir/copy&latest-ver=false&synchronize=false"
    )
    assert server.call("PUT", path).status == 200
    copied = server.store.head(other, "dir/copy")
    assert (copied.size, copied.custom) == (7, {"k": "v"})
    assert server.call("PUT", path.replace("source", "nope")).status == 404


def test_delete(server: Server) -> None:
    for body in (None, b"", b'{"action":"evict-listrange","name":"","value":null}'):
        server.store.put(BUCKET, "gone", b"x", PutOptions())
        assert server.call("DELETE", "/v1/objects/b/gone?provider=ais", body).status == 200
        got = server.call("DELETE", "/v1/objects/b/gone", body)
        assert got.status == 404
        assert got.error["message"].startswith("ais://b/gone do")
    assert server.act("DELETE", "/v1/objects/b/gone", "mpt-abort").status == 400
    assert server.act("DELETE", "/v1/objects/b/gone", "create-bck").status == 400
    assert server.call("DELETE", "/v1/objects/b/gone", b"{").status == 400
    assert server.call("DELETE", "/v1/objects/nope/gone").status == 404


def test_patch_merges_or_replaces_custom_metadata(server: Server) -> None:
    server.store.put(BUCKET, "p", b"x", PutOptions(custom={"a": "1", "b": "2"}))
    path = "/v1/objects/b/p"
    assert server.act("PATCH", path, "", value={"b": "3", "c": "ü"}).status == 200
    assert server.store.head(BUCKET, "p").custom == {"a": "1", "b": "3", "c": "ü"}
    assert server.act("PATCH", f"{path}?set-new-custom=True", "", value={"d": "4"}).status == 200
    assert server.store.head(BUCKET, "p").custom == {"d": "4"}
    assert server.act("PATCH", path, "", value={"d": 4}).status == 400
    assert server.act("PATCH", path, "", value=["d"]).status == 400
    assert server.act("PATCH", path, "", value={"d": "x" * 3000}).status == 400
    assert server.act("PATCH", "/v1/objects/b/nope", "", value={"d": "4"}).status == 404
    assert server.store.head(BUCKET, "p").custom == {"d": "4"}


def test_post_does_what_the_message_says(server: Server) -> None:
    server.store.put(BUCKET, "old", b"x", PutOptions())
    assert server.act("POST", "/v1/objects/b/old", "rename-obj", "dir/new").status == 200
    assert server.store.read(BUCKET, "dir/new", WHOLE) == b"x"
    assert server.act("POST", "/v1/objects/b/old", "rename-obj", "newer").status == 404
    assert server.act("POST", "/v1/objects/b/dir/new", "rename-obj", "../x").status == 400
    assert server.act("POST", "/v1/objects/b/dir/new", "check-lock").status == 200
    assert server.act("POST", "/v1/objects/nope/dir/new", "check-lock").status == 404
    assert server.act("POST", "/v1/objects/b", "blob-download", "o").status == 501
    assert server.act("POST", "/v1/objects/b/o", "nonsense").status == 400
    assert server.act("POST", "/v1/objects/b", "rename-obj", "x").status == 400
    assert server.call("POST", "/v1/objects/b/o", b"").status == 400
    assert server.call("POST", "/v1/objects/b/o", b"[1]").status == 400


def test_promote_answers_with_the_id_of_its_job(server: Server, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f1").write_bytes(b"one")
    (tmp_path / "d" / "f2").write_bytes(b"two")
    value = {"src": str(tmp_path / "d"), "obj": "in", "rcr": True, "ovw": True, "dls": False}
    got = server.act("POST", "/v1/objects/b", "promote", str(tmp_path / "d"), value)
    assert got.status == 200
    job = got.body.decode()
    assert eventually(lambda: server.store.find_xaction(job).is_finished)
    assert server.store.read(BUCKET, "in/f2", WHOLE) == b"two"
    assert server.act("POST", "/v1/objects/b", "promote", "relative", {}).status == 400
    assert server.act("POST", "/v1/objects/b", "promote", str(tmp_path / "nope"), {}).status == 404
    assert server.act("POST", "/v1/objects/nope", "promote", str(tmp_path), {}).status == 404


def test_methods_that_do_not_exist(server: Server) -> None:
    got = server.call("OPTIONS", "/v1/objects/b/o")
    assert got.status == 405
    assert got.headers["allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert got.headers["content-type"].startswith("text/plain")


def test_keys_of_messages_are_matched_in_any_case(server: Server) -> None:
    server.store.put(BUCKET, "case", b"x", PutOptions())
    message = json.dumps({"Action": "rename-obj", "NAME": "cased"}).encode()
    assert server.call("POST", "/v1/objects/b/case", message).status == 200
    assert server.store.head(BUCKET, "cased").size == 1
