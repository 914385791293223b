"""Multipart upload and rechunk over plain HTTP: statuses, texts, headers, and what a broken client leaves."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.integration.server.data import BUCKET, MIB, Answer, Server, pieces, serving

from aiscore.engine.store import Store
from aiscore.model.multipart import UploadOptions
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.model.xaction import XactionState
from aiscore.testing.content import pattern

OBJECTS = "/v1/objects/b"
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("multipart")) as server:
        yield server


def create(server: Server, name: str = "o", query: str = "", **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"action": "mpt-upload"}).encode()
    answer = server.call("POST", f"{OBJECTS}/{name}{query}", body, named)
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert int(answer.headers["content-length"]) == len(text)
    assert text == text.strip('" \n')
    return text


def part(
    server: Server, upload: str, number: object, data: bytes, name: str = "o", **headers: str
) -> Answer:
    path = f"{OBJECTS}/{name}?uploadId={upload}&partNumber={number}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.call("PUT", path, data, named)


def complete(
    server: Server, upload: str, value: object, name: str = "o", query: str = ""
) -> Answer:
    body = json.dumps({"action": "mpt-complete", "value": value}).encode()
    return server.call("POST", f"{OBJECTS}/{name}?uploadId={upload}{query}", body)


def listed(*numbers: int) -> list[dict[str, object]]:
    """What AIStore's clients send."""
    return [{"part-number": number, "etag": ""} for number in numbers]


def refused(answer: Answer, status: int, *texts: str) -> None:
    assert answer.status == status, answer
    assert answer.error["status"] == status
    for text in texts:
        assert text in answer.error["message"]


class TestUpload:
    def test_parts_in_any_order(self, server: Server) -> None:
        contents = {3: pattern(100, 3), 1: pattern(3 * MIB, 1), 2: pattern(5, 2)}
        upload = create(server, "any/order")
        for number, data in contents.items():
            assert part(server, upload, number, data, "any/order").status == 200
        answer = complete(server, upload, listed(2, 3, 1), "any/order")
        assert answer.status == 200
        assert answer.body == b""
        whole = contents[1] + contents[2] + contents[3]
        found = server.call("GET", f"{OBJECTS}/any/order?validate-checksum=true")
        assert found.body == whole
        for wanted in ("", "?props=chunked"):
            head = server.call("HEAD", f"{OBJECTS}/any/order{wanted}")
            assert head.headers["ais-chunks-count"] == "3"
            assert head.headers["ais-chunks-max-chunk-size"] == str(3 * MIB)
            assert head.headers["content-length"] == str(len(whole))
        assert (
            "ais-chunks-count" not in server.call("HEAD", f"{OBJECTS}/any/order?props=size").headers
        )

    def test_numbers_of_the_list_in_any_case_and_as_text(self, server: Server) -> None:
        upload = create(server)
        part(server, upload, 1, b"a")
        part(server, upload, "2", b"b")
        value = [{"Part-Number": "1", "ETag": None, "more": 1}, {"PART-NUMBER": 2}]
        assert complete(server, upload, value).status == 200

    def test_listing_has_the_flag(self, server: Server) -> None:
        upload = create(server, "flagged")
        part(server, upload, 1, b"a", "flagged")
        part(server, upload, 2, b"b", "flagged")
        complete(server, upload, listed(1, 2), "flagged")
        value = {"action": "list", "value": {"prefix": "flagged", "props": "name,size,chunked"}}
        answer = server.call("GET", "/v1/buckets/b", json.dumps(value).encode())
        (entry,) = json.loads(answer.body)["entries"]
        assert int(entry["flags"]) & 8192

    def test_part_can_be_replaced(self, server: Server) -> None:
        upload = create(server)
        first, second = part(server, upload, 1, b"first"), part(server, upload, 1, b"second")
        assert first.headers["etag"] != second.headers["etag"]
        complete(server, upload, listed(1))
        assert server.call("GET", f"{OBJECTS}/o").body == b"second"

    def test_answer_tells_checksum_and_etag(self, server: Server) -> None:
        upload = create(server, query="?md5=true")
        data = pattern(1000)
        answer = part(server, upload, 1, data)
        assert answer.headers["etag"] == f'"{hashlib.md5(data).hexdigest()}"'
        assert answer.headers["ais-checksum-type"] == "xxhash2"
        assert answer.headers["ais-size"] == "1000"
        done = complete(server, upload, [{"part-number": 1, "etag": answer.headers["etag"]}])
        assert done.headers["etag"].endswith('-1"')

    def test_checksum_of_a_part_is_verified(self, server: Server) -> None:
        upload = create(server)
        md5 = {"Ais_Checksum_Type": "md5"}
        wrong = part(server, upload, 1, b"data", Ais_Checksum_Value="0" * 32, **md5)
        refused(wrong, 400, "part 1", "md5")
        assert wrong.error["tcode"] == "ErrInvalidCksum"
        right = hashlib.md5(b"data").hexdigest()
        assert part(server, upload, 1, b"data", Ais_Checksum_Value=right, **md5).status == 200

    def test_body_without_length(self, server: Server) -> None:
        upload = create(server)
        path = f"{OBJECTS}/o?uploadId={upload}&partNumber=1"
        assert server.call("PUT", path, iter([b"in ", b"pieces"])).status == 200
        refused(server.call("PUT", path, iter([b""])), 400, "empty")
        complete(server, upload, listed(1))
        assert server.call("GET", f"{OBJECTS}/o").body == b"in pieces"

    def test_metadata_of_the_object(self, server: Server) -> None:
        upload = create(server, "custom", Ais_Custom_Md="k=v")
        part(server, upload, 1, b"data", "custom")
        assert complete(server, upload, listed(1), "custom").headers["ais-custom-md"] == "k=v"

    def test_condition_holds_at_completion(self, server: Server) -> None:
        server.call("PUT", f"{OBJECTS}/there", b"old")
        upload = create(server, "there")
        part(server, upload, 1, b"new", "there")
        body = json.dumps({"action": "mpt-complete", "value": listed(1)}).encode()
        path = f"{OBJECTS}/there?uploadId={upload}"
        refused(server.call("POST", path, body, {"If-None-Match": "*"}), 412, "ais://b/there")
        assert server.call("POST", path, body).status == 200

    def test_bucket_of_a_namespace(self, server: Server) -> None:
        query = "?provider=ais&namespace=%23ns"
        server.act("POST", f"/v1/buckets/n{query}", "create-bck")
        answer = server.act("POST", f"/v1/objects/n/o{query}", "mpt-upload")
        upload = answer.body.decode()
        path = f"/v1/objects/n/o{query}&uploadId={upload}"
        assert server.call("PUT", f"{path}&partNumber=1", b"data").status == 200
        refused(complete(server, upload, listed(1)), 404, "ais://b/o")
        assert server.act("POST", path, "mpt-complete", value=listed(1)).status == 200


class TestRefusals:
    @pytest.mark.parametrize("number", ["", "x", "1.5", "0", "-1", "10001", "99999999999999999999"])
    def test_part_number(self, server: Server, number: str) -> None:
        upload = create(server)
        refused(part(server, upload, number, b"data"), 400, "ais://b/o", "part number")

    def test_empty_part(self, server: Server) -> None:
        upload = create(server)
        refused(part(server, upload, 1, b""), 400, "part 1", "ais://b/o", "empty")

    @pytest.mark.parametrize("upload", ["unknown-upload", "0123456789abcdef0123456789abcdef"])
    def test_unknown_upload(self, server: Server, upload: str) -> None:
        for answer in (
            part(server, upload, 1, b"data"),
            complete(server, upload, listed(1)),
            server.act("DELETE", f"{OBJECTS}/o?uploadId={upload}", "mpt-abort"),
            server.call("GET", f"/v1/x/uploads/b/o?uploadId={upload}"),
        ):
            refused(answer, 404, upload, "ais://b/o", "does not exist")
            assert answer.error["tcode"] == "ErrNotFound"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "nil parts list"),
            ([], "empty parts list"),
            (listed(1), "requested 1 parts, have 2"),
            (listed(1, 2, 3), "requested 3 parts, have 2"),
            (listed(1, 1), "must be exactly 1..2: got 1 at position 1"),
            (listed(1, 3), "must be exactly 1..2: got 3 at position 1"),
            ("x", "expected a JSON array"),
            ([1], "expected a JSON object"),
            ([{"part-number": "x"}], "part-number"),
            ([{}], "part-number"),
            ([{"part-number": 1, "etag": 5}], "ETag"),
            ([{"part-number": 1, "checksum": {"type": "md5", "value": "x"}}], "md5"),
        ],
        ids=str,
    )
    def test_list_of_parts(self, server: Server, value: object, text: str) -> None:
        upload = create(server)
        part(server, upload, 1, b"a")
        part(server, upload, 2, b"b")
        refused(complete(server, upload, value), 400, text)
        assert complete(server, upload, listed(1, 2)).status == 200

    def test_etag_that_is_not_the_parts(self, server: Server) -> None:
        upload = create(server)
        part(server, upload, 1, b"a")
        refused(complete(server, upload, [{"part-number": 1, "etag": "zz"}]), 400, "part 1", "zz")

    def test_missing_names(self, server: Server) -> None:
        for action in ("mpt-upload", "mpt-complete"):
            refused(server.act("POST", OBJECTS, action), 400, action, "object name")
        refused(server.act("POST", "/v1/objects/none/o", "mpt-upload"), 404, 'bucket "ais://none"')
        refused(
            server.act("POST", f"{OBJECTS}/o", "mpt-complete", value=listed(1)), 400, "upload id"
        )

    def test_without_an_id_it_is_a_put(self, server: Server) -> None:
        """As with AIStore: a number alone means nothing."""
        assert server.call("PUT", f"{OBJECTS}/plain?partNumber=1", b"data").status == 200
        assert server.call("GET", f"{OBJECTS}/plain").body == b"data"

    def test_parts_are_not_throttled(self, server: Server) -> None:
        upload = create(server, "many")
        with ThreadPoolExecutor(16) as pool:
            answers = pool.map(
                lambda n: part(server, upload, n, pattern(5_000, n), "many").status, range(1, 201)
            )
            assert set(answers) == {200}
        assert complete(server, upload, listed(*range(1, 201)), "many").status == 200
        whole = b"".join(pattern(5_000, n) for n in range(1, 201))
        assert server.call("GET", f"{OBJECTS}/many").body == whole


class TestEnds:
    def test_abort(self, server: Server) -> None:
        before = pieces(server.store)
        upload = create(server)
        part(server, upload, 1, pattern(MIB))
        answer = server.act("DELETE", f"{OBJECTS}/o?uploadId={upload}", "mpt-abort")
        assert (answer.status, answer.body) == (200, b"")
        assert pieces(server.store) == before
        refused(part(server, upload, 1, b"data"), 404, upload)

    def test_client_that_goes_in_the_middle_leaves_no_part(self, server: Server) -> None:
        upload = create(server, "gone")
        part(server, upload, 1, b"kept", "gone")
        before = pieces(server.store)
        head = (
            f"PUT {OBJECTS}/gone?uploadId={upload}&partNumber=%d HTTP/1.1\r\nHost: h\r\n"
            f"Content-Length: {8 * MIB}\r\n\r\n"
        )
        for number in (1, 2, 3):
            with socket.create_connection(server.address) as sock:
                sock.sendall((head % number).encode() + pattern(MIB))
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1_000):  # until the server has seen that nothing more comes
                    pass
        deadline = time.monotonic() + DEADLINE_S
        while pieces(server.store) != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert pieces(server.store) == before
        found = json.loads(server.call("GET", f"/v1/x/uploads/b/gone?uploadId={upload}").body)
        assert [(p["number"], p["size"]) for p in found["parts"]] == [(1, 4)]

    def test_upload_that_ends_while_a_part_arrives(self, server: Server) -> None:
        upload = create(server)
        sock = socket.create_connection(server.address)
        with sock:
            head = (
                f"PUT {OBJECTS}/o?uploadId={upload}&partNumber=1 HTTP/1.1\r\nHost: h\r\n"
                f"Content-Length: {2 * MIB}\r\nConnection: close\r\n\r\n"
            )
            sock.sendall(head.encode() + pattern(MIB))
            server.act("DELETE", f"{OBJECTS}/o?uploadId={upload}", "mpt-abort")
            sock.sendall(pattern(MIB))
            answer = b""
            while block := sock.recv(65536):
                answer += block
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert upload.encode() in answer

    def test_one_of_several_completions_wins(self, server: Server) -> None:
        upload = create(server, "once")
        for number in (1, 2, 3):
            part(server, upload, number, pattern(MIB, number), "once")
        with ThreadPoolExecutor(4) as pool:
            found = list(
                pool.map(
                    lambda _: complete(server, upload, listed(1, 2, 3), "once").status, range(4)
                )
            )
        assert sorted(found) == [200, 404, 404, 404]
        assert server.call("HEAD", f"{OBJECTS}/once").headers["ais-version"] == "1"


class TestCounters:
    def test_parts_are_bytes_and_the_object_is_one_put(self, server: Server) -> None:
        before = json.loads(server.call("GET", "/v1/x/counters").body)
        upload = create(server)
        for number in (1, 2, 3):
            part(server, upload, number, b"12345")
        complete(server, upload, listed(1, 2, 3))
        gone = create(server)
        server.act("DELETE", f"{OBJECTS}/o?uploadId={gone}", "mpt-abort")
        after = json.loads(server.call("GET", "/v1/x/counters").body)
        changes = {name: after.get(name, 0) - before.get(name, 0) for name in after}
        assert changes.get("put.n") == 1
        assert changes.get("put.size") == 15
        assert not changes.get("del.n")


class TestLists:
    def test_uploads_and_their_parts_in_pages(self, server: Server) -> None:
        made = [
            (name, server.store.create_upload(BUCKET, name, UploadOptions(custom={"k": name})))
            for name in ("list/a b", "list/ü?&", "list/z")
        ]
        found: list[tuple[str, str]] = []
        after = ""
        while True:
            path = f"/v1/x/uploads/b?prefix=list/&limit=2{after}"
            page = json.loads(server.call("GET", path).body)["uploads"]
            if not page:
                break
            found += [(upload["name"], upload["upload_id"]) for upload in page]
            after = f"&after={quote(found[-1][0])}&after_id={found[-1][1]}"
        assert found == sorted(made)
        for query in ("limit=0", "limit=x", "limit=10001"):
            refused(server.call("GET", f"/v1/x/uploads/b?{query}"), 400, "limit")
        refused(server.call("GET", "/v1/x/uploads/none"), 404, "ais://none")


class TestRechunk:
    def rechunk(self, server: Server, value: object) -> Answer:
        return server.act("POST", "/v1/buckets/b", "rechunk", value=value)

    def wait(self, server: Server, job: str) -> dict[str, object]:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            body = json.dumps({"id": job}).encode()
            answer = server.call("GET", "/v1/cluster?what=qryxstats", body)
            ((snap,),) = json.loads(answer.body).values()
            if not snap["end-time"].startswith("0001"):
                found: dict[str, object] = snap
                return found
            time.sleep(0.01)
        raise AssertionError(job)

    def test_there_and_back(self, server: Server) -> None:
        server.call("PUT", f"{OBJECTS}/r/large", pattern(10_000))
        server.call("PUT", f"{OBJECTS}/r/small", pattern(10))
        wanted = {"ObjSizeLimit": 5000, "ChunkSize": 3000, "Prefix": "r/"}
        snap = self.wait(server, self.rechunk(server, wanted).body.decode())
        assert snap["kind"] == "rechunk"
        assert snap["ctlmsg"] == "objsize-limit:5000, chunk-size:3000, prefix:r/"
        assert snap["stats"] == {
            "loc-objs": "2",
            "loc-bytes": "10010",
            "out-objs": "0",
            "out-bytes": "0",
            "in-objs": "0",
            "in-bytes": "0",
        }
        assert snap["ext"] == {
            "objects": 2,
            "size": 10010,
            "chunked": 1,
            "chunked_size": 10000,
            "restored": 0,
            "restored_size": 0,
            "overtaken": 0,
        }
        assert server.call("HEAD", f"{OBJECTS}/r/large").headers["ais-chunks-count"] == "4"
        whole = {"objsizelimit": "0", "chunksize": "3000", "prefix": "r/"}
        self.wait(server, self.rechunk(server, whole).body.decode())
        head = server.call("HEAD", f"{OBJECTS}/r/large")
        assert "ais-chunks-count" not in head.headers
        assert head.headers["ais-version"] == "1"
        assert server.call("GET", f"{OBJECTS}/r/large").body == pattern(10_000)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "chunk size is not set"),
            ({}, "chunk size is not set"),
            ({"ObjSizeLimit": 0, "ChunkSize": 0}, "chunk size"),
            ({"ObjSizeLimit": 1, "ChunkSize": -5}, "chunk size"),
            ({"ObjSizeLimit": -1, "ChunkSize": 5000}, "objsize limit"),
            ({"ChunkSize": 10}, "chunks.chunk_size"),
            ({"ChunkSize": "x"}, "ChunkSize"),
            ({"ChunkSize": 5000, "Prefix": "../x"}, "path component"),
            ([], "JSON object"),
        ],
        ids=str,
    )
    def test_what_is_refused(self, server: Server, value: object, text: str) -> None:
        refused(self.rechunk(server, value), 400, text)

    def test_plan_changes_nothing(self, server: Server) -> None:
        server.call("PUT", f"{OBJECTS}/plan/o", pattern(5000))
        path = "/v1/x/rechunk/b?prefix=plan/&objsize_limit=2000&chunk_size=1024"
        found = json.loads(server.call("GET", path).body)
        assert (found["objects"], found["chunked"], found["chunked_size"]) == (1, 1, 5000)
        assert "ais-chunks-count" not in server.call("HEAD", f"{OBJECTS}/plan/o").headers
        refused(server.call("GET", "/v1/x/rechunk/none"), 404, "ais://none")
        refused(server.call("GET", "/v1/x/rechunk/b?chunk_size=x"), 400, "chunk_size")

    def test_start_takes_the_sizes_of_the_bucket(self, server: Server) -> None:
        bucket = {"name": "b", "provider": "ais"}
        for value in ({"Kind": "rechunk", "Bck": bucket}, {"kind": "rechunk", "buckets": [bucket]}):
            answer = server.act("PUT", "/v1/cluster", "start", value=value)
            snap = self.wait(server, answer.body.decode())
            assert "chunk-size:1073741824" in str(snap["ctlmsg"])
        refused(
            server.act("PUT", "/v1/cluster", "start", value={"Kind": "rechunk"}),
            400,
            'xaction "rechunk" requires a bucket to start',
        )

    def test_second_with_other_sizes_is_refused_while_one_runs(self, server: Server) -> None:
        server.call("PUT", f"{OBJECTS}/slow/o", pattern(4 * MIB))
        slow = {"ObjSizeLimit": MIB, "ChunkSize": MIB, "Prefix": "slow/", "bandwidth": MIB}
        job = self.rechunk(server, slow).body.decode()
        again = self.rechunk(server, slow).body.decode()
        assert again == job
        refused(self.rechunk(server, {"ChunkSize": 2 * MIB}), 409, "other options", job)
        stopped = server.act("PUT", "/v1/cluster", "stop", value={"ID": job, "Kind": "rechunk"})
        assert stopped.status == 200
        snap = self.wait(server, job)
        assert snap["aborted"]
        assert server.call("GET", f"{OBJECTS}/slow/o").body == pattern(4 * MIB)


def test_a_server_that_stops_has_its_jobs_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = {f"o{n:02}": pattern(MIB, n) for n in range(30)}
    with serving(tmp_path) as server:
        home = server.store.core.home
        for name, data in bodies.items():
            server.store.put(BUCKET, name, data, PutOptions())
        # At this pace it takes half a minute.
        slow = {"ObjSizeLimit": MIB // 2, "ChunkSize": MIB // 2, "bandwidth": MIB}
        job = server.act("POST", "/v1/buckets/b", "rechunk", value=slow).body.decode()
    store = Store(home)
    snap = store.find_xaction(job)
    assert (snap.state, snap.error) == (XactionState.ABORTED, f"rechunk[{job}] was stopped")
    assert {
        name: store.read(BUCKET, name, GetOptions(verify_checksum=True)) for name in bodies
    } == bodies
    store.close()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_soak_of_parallel_parts(server: Server) -> None:
    """Uploads that overlap, each part sent twice by one of several clients: every byte is right."""
    uploads = {f"soak/{n}": create(server, f"soak/{n}") for n in range(4)}
    sizes = [1, 4096, 70_000, MIB + 17]
    jobs = [(name, n) for n in range(1, 41) for name in uploads] * 2
    lock, failures = threading.Lock(), []

    def send(job: tuple[str, int]) -> None:
        name, number = job
        data = pattern(sizes[number % len(sizes)], number)
        answer = part(server, uploads[name], number, data, name)
        if answer.status != 200 or answer.headers["ais-size"] != str(len(data)):
            with lock:
                failures.append((job, answer))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, jobs))
    assert not failures
    whole = b"".join(pattern(sizes[n % len(sizes)], n) for n in range(1, 41))
    for name, upload in uploads.items():
        assert complete(server, upload, listed(*range(1, 41)), name).status == 200
        assert server.call("GET", f"{OBJECTS}/{name}").body == whole
        server.call("DELETE", f"{OBJECTS}/{name}")


def test_home_is_sound(server: Server, tmp_path: Path) -> None:
    """Uploads that are open are no fault."""
    create(server)
    assert server.store.validate(None, "").faults == ()
