"""`/v1/buckets` over plain HTTP, with two workers: operations, their exact errors, listings, summaries.

Statuses, type codes and messages are those of an AIStore 4.1 cluster, except where a comment says otherwise.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.integration.server.process import Served, ais_serve

AIS = "?provider=ais"
TO = "&bck_to=ais/%40%23/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ais_serve(tmp_path_factory.mktemp("control"), "--workers", "2") as server:
        for name in ("b", "listed", "summed"):
            assert server.act("POST", f"/v1/buckets/{name}{AIS}", "create-bck").status == 200
        for number in range(25):
            path = f"/v1/objects/listed/dir{number % 5}/{number:03d}{AIS}"
            assert server.call("PUT", path, b"x" * number).status == 200
        for number in range(4):
            assert (
                server.call("PUT", f"/v1/objects/summed/p{number % 2}/{number}", b"12345").status
                == 200
            )
        yield server


def exists(server: Served, name: str) -> bool:
    message = {"action": "list", "name": name}
    found = server.ask(f"/v1/buckets/{name}{AIS}", message)
    return bool(found)


def wait(server: Served, job_id: str) -> dict[str, Any]:
    for _ in range(1000):
        status: dict[str, Any] = server.ask("/v1/cluster?what=status", {"id": job_id})
        if status["end_time"]:
            return status
    raise AssertionError(job_id)


def names(server: Served, bucket: str) -> list[str]:
    page = server.ask(f"/v1/buckets/{bucket}{AIS}", {"action": "list", "value": {}})
    return [entry["name"] for entry in page["entries"]]


# operations


def test_a_bucket_lives_and_dies(server: Served) -> None:
    path = f"/v1/buckets/mortal{AIS}"
    created = server.act("POST", path, "create-bck", {"versioning": {"enabled": False}})
    assert (created.status, created.body) == (200, b"")
    assert exists(server, "mortal")
    props = json.loads(server.call("HEAD", path).headers["ais-bucket-props"])
    assert (props["provider"], props["versioning"]["enabled"]) == ("ais", False)
    assert props["access"] == "18446744073709551615"
    assert int(props["bid"])
    assert int(props["created"])
    changed = server.act("PATCH", path, "set-bprops", {"checksum": {"type": "md5"}})
    assert (changed.status, changed.body) == (200, b"")
    props = json.loads(server.call("HEAD", path).headers["ais-bucket-props"])
    assert props["checksum"]["type"] == "md5"
    assert server.act("PATCH", path, "reset-bprops").status == 200
    props = json.loads(server.call("HEAD", path).headers["ais-bucket-props"])
    assert props["checksum"]["type"] == "xxhash2"
    assert server.act("DELETE", path, "destroy-bck").status == 200
    assert not exists(server, "mortal")
    assert server.call("HEAD", path).status == 404


def test_buckets_are_listed(server: Served) -> None:
    found = server.ask("/v1/buckets", {"action": "list", "value": None})
    bucket = {"name": "listed", "provider": "ais", "namespace": {"uuid": "", "name": ""}}
    assert bucket in found
    assert server.ask("/v1/buckets?provider=aws", {"action": "list"}) == []
    assert server.ask("/v1/buckets?provider=ais&presence=2") == found
    assert server.call("GET", "/v1/buckets").status == 200, "without any message"


@pytest.mark.parametrize(
    ("method", "path", "action", "value", "status", "tcode", "message"),
    [
        ("POST", "b", "create-bck", None, 409, "ErrBucketAlreadyExists", 'bucket "ais://b" already exists'),
        ("DELETE", "none", "destroy-bck", None, 404, "ErrBckNotFound", 'bucket "ais://none" does not exist'),
        ("GET", "none", "list", {}, 404, "ErrBckNotFound", 'bucket "ais://none" does not exist'),
        ("GET", "none", "summary-bck", {}, 404, "ErrBckNotFound", 'bucket "ais://none" does not exist'),
        ("PATCH", "none", "set-bprops", {}, 404, "ErrBckNotFound", 'bucket "ais://none" does not exist'),
        ("DELETE", "none", "delete-listrange", {"objnames": ["a"]}, 404, "ErrBckNotFound",
         'bucket "ais://none" does not exist'),
        ("DELETE", "b", "evict-remote-bck", None, 400, "ErrNotRemoteBck",
         "evict-remote-bck: expecting remote bucket (have ais://b)"),
        ("DELETE", "b", "evict-listrange", {"objnames": ["a"]}, 400, "ErrNotRemoteBck",
         "evict-remote-bck: expecting remote bucket (have ais://b)"),
        ("POST", "b", "make-n-copies", "x", 400, None, "invalid number of copies 'x'"),
        ("POST", "b", "prefetch-listrange", {"objnames": ["a"]}, 400, "ErrNotRemoteBck",
         "prefetch-listrange: expecting remote bucket (have ais://b)"),
        ("GET", "b", "frobnicate", {}, 400, None, 'invalid action "frobnicate"'),
        ("POST", "b", "frobnicate", {}, 400, None, 'invalid action "frobnicate"'),
        ("PUT", "b", "frobnicate", {}, 400, None, 'invalid action "frobnicate"'),
        ("PATCH", "b", "frobnicate", {}, 400, None, 'invalid action "frobnicate"'),
        ("DELETE", "b", "frobnicate", {}, 400, None, 'invalid action "frobnicate"'),
    ],
)  # fmt: skip
def test_errors(
    server: Served,
    method: str,
    path: str,
    action: str,
    value: object,
    status: int,
    tcode: str | None,
    message: str,
) -> None:
    answer = server.act(method, f"/v1/buckets/{path}{AIS}", action, value)
    error = answer.error
    assert answer.status == status
    assert (error.get("tcode"), error["message"]) == (tcode, message)
    assert (error["method"], error["url_path"]) == (method, f"/v1/buckets/{path}")
    assert (error["status"], error["caller"]) == (status, "")
    assert error["node"].startswith("t[")
    assert error["remote_addr"].startswith("127.0.0.1:")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body.endswith(b"}\n")


@pytest.mark.parametrize(
    ("method", "query", "action", "status", "tcode", "message"),
    [
        (
            "POST",
            TO + "z/",
            "move-bck",
            404,
            "ErrBckNotFound",
            'bucket "ais://none" does not exist',
        ),
        (
            "POST",
            TO + "z/",
            "copy-bck",
            404,
            "ErrBckNotFound",
            'bucket "ais://none" does not exist',
        ),
    ],
)
def test_jobs_of_missing_buckets(
    server: Served, method: str, query: str, action: str, status: int, tcode: str, message: str
) -> None:
    error = server.act(method, f"/v1/buckets/none{AIS}{query}", action, {}).error
    assert (error["status"], error["tcode"], error["message"]) == (status, tcode, message)


# The wording below is our own, what it names and the status are not.
@pytest.mark.parametrize(
    ("method", "path", "action", "value", "part"),
    [
        ("POST", f"a$b{AIS}", "create-bck", None, '"a$b" is invalid'),
        ("POST", "z?provider=xyz", "create-bck", None, 'invalid backend provider "xyz"'),
        ("POST", f"z{AIS}", "create-bck", {"checksum": {"type": "nope"}}, '"nope"'),
        ("PATCH", f"b{AIS}", "set-bprops", {"checksum": {"type": "nope"}}, '"nope"'),
        ("PATCH", f"b{AIS}", "set-bprops", {"nosuch": 1}, '"nosuch"'),
        ("POST", f"b{AIS}", "move-bck", None, 'missing "bck_to"'),
        ("POST", f"b{AIS}", "copy-bck", {}, 'missing "bck_to"'),
        ("POST", f"b{AIS}{TO}b/", "move-bck", None, "ais://b to itself"),
        ("POST", f"b{AIS}{TO}b/", "copy-bck", {}, "ais://b onto itself"),
        ("POST", f"b{AIS}{TO}listed/", "move-bck", None, '"ais://listed" already exists'),
        ("DELETE", f"b{AIS}", "delete-listrange", {"template": "a{5..1}"}, '"a{5..1}"'),
        (
            "DELETE",
            f"b{AIS}",
            "delete-listrange",
            {"objnames": ["a"], "template": "a"},
            "exclusive",
        ),
        ("PUT", f"b{AIS}", "archive", {"objnames": ["a"], "archname": "a.xyz"}, "a.xyz"),
        ("PUT", f"b{AIS}", "archive", {"objnames": ["a"], "archname": "../a.tar"}, "../a.tar"),
        ("GET", f"b{AIS}", "list", None, 'bad list-buckets request: "b" vs ""'),
        ("GET", f"b{AIS}", "list", {"flags": "x"}, "flags"),
        ("GET", f"b{AIS}", "list", {"pagesize": -1}, "pagesize"),
        ("GET", f"b{AIS}", "list", {"continuation_token": 5}, "continuation_token"),
    ],
)
def test_refused_messages(
    server: Served, method: str, path: str, action: str, value: object, part: str
) -> None:
    answer = server.act(method, f"/v1/buckets/{path}", action, value)
    assert (answer.status, answer.error["status"]) == (400, 400), answer
    assert part in answer.error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{not json", b"[]", b'"text"', b"\xff\xfe", b'{"action":5}']
)
def test_what_is_no_message(server: Served, body: bytes) -> None:
    answer = server.call("POST", f"/v1/buckets/b{AIS}", body)
    assert (answer.status, answer.error["status"]) == (400, 400)


def test_clouds(server: Served) -> None:
    error = server.act("DELETE", "/v1/buckets/c?provider=aws", "destroy-bck").error
    message = "cannot destroy cloud bucket s3://c - operation not supported"
    assert (error["status"], error["tcode"], error["message"]) == (405, "ErrUnsupp", message)
    assert server.act("DELETE", "/v1/buckets/c?provider=aws", "evict-remote-bck").status == 200
    assert server.act("POST", "/v1/buckets/c?provider=aws", "create-bck").status == 501


@pytest.mark.parametrize("action", ["etl-bck", "etl-listrange", "ec-encode", "create-inventory"])
def test_what_is_not_built(server: Served, action: str) -> None:
    answer = server.act("POST", f"/v1/buckets/b{AIS}", action, {})
    error = answer.error
    assert (answer.status, error["tcode"]) == (501, "ErrUnsupp")
    assert error["message"].endswith(" - operation not supported")


def test_head_tells_its_error_in_a_header(server: Served) -> None:
    answer = server.call("HEAD", f"/v1/buckets/none{AIS}")
    assert (answer.status, answer.body) == (404, b"")
    error = json.loads(answer.headers["hdr-error"])
    assert (error["tcode"], error["message"]) == (
        "ErrBckNotFound",
        'bucket "ais://none" does not exist',
    )
    answer = server.call("HEAD", f"/v1/buckets/b/prefix{AIS}")
    message = (
        "invalid URL '/v1/buckets/b/prefix': expecting just the bucket name, got 'b' and 'prefix'"
    )
    assert (answer.status, answer.error["message"]) == (400, message)


def test_other_methods(server: Served) -> None:
    answer = server.call("TRACE", "/v1/buckets/b")
    assert (answer.status, answer.body) == (405, b"Method Not Allowed\n")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


# jobs


def test_copy_and_rename(server: Served) -> None:
    answer = server.act(
        "POST", f"/v1/buckets/listed{AIS}{TO}copied/", "copy-bck", {"prefix": "dir1/"}
    )
    assert answer.status == 200
    job_id = answer.body.decode()
    assert len(job_id) >= 9
    assert job_id.isascii()
    assert wait(server, job_id)["err"] == ""
    assert names(server, "copied") == [f"dir1/{n:03d}" for n in (1, 6, 11, 16, 21)]
    answer = server.act("POST", f"/v1/buckets/copied{AIS}{TO}renamed/", "move-bck")
    wait(server, answer.body.decode())
    assert not exists(server, "copied")
    answer = server.act(
        "DELETE", f"/v1/buckets/renamed{AIS}", "delete-listrange", {"template": "dir1/{001..011}"}
    )
    wait(server, answer.body.decode())
    assert names(server, "renamed") == ["dir1/016", "dir1/021"]
    assert server.act("DELETE", f"/v1/buckets/renamed{AIS}", "destroy-bck").status == 200


def test_keys_in_any_case(server: Served) -> None:
    message = {
        "ACTION": "copy-listrange",
        "Value": {"ObjNames": ["dir0/000"], "ToBck": {"Name": "cased"}},
    }
    answer = server.call("POST", f"/v1/buckets/listed{AIS}", json.dumps(message).encode())
    assert answer.status == 200, answer
    wait(server, answer.body.decode())
    assert names(server, "cased") == ["dir0/000"]


# listings

ALL = sorted(f"dir{n % 5}/{n:03d}" for n in range(25))


@pytest.mark.parametrize("size", [1, 7, "7", 25, 0])
@pytest.mark.parametrize("is_msgpack", [True, False])
def test_pages(server: Served, size: object, is_msgpack: bool) -> None:
    headers = {"Accept": "application/msgpack"} if is_msgpack else {}
    found: list[str] = []
    uuid = token = ""
    for _ in range(30):
        value = {"pagesize": size, "continuation_token": token, "uuid": uuid}
        answer = server.act("GET", f"/v1/buckets/listed{AIS}", "list", value, headers=headers)
        assert answer.status == 200
        if is_msgpack:
            assert answer.headers["content-type"] == "application/msgpack"
            page = msgspec.msgpack.decode(answer.body)
            assert set(page) == {"UUID", "ContinuationToken", "Entries", "Flags"}
            got = [entry["n"] for entry in page["Entries"] or []]
            assert all(
                entry["s"] == int(entry["n"][-3:]) for entry in page["Entries"] if entry.get("s")
            )
            uuid, token = page["UUID"], page["ContinuationToken"]
        else:
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            page = json.loads(answer.body)
            got = [entry["name"] for entry in page["entries"]]
            assert all(
                entry["size"] == str(int(entry["name"][-3:]))
                for entry in page["entries"]
                if "size" in entry
            )
            uuid, token = page["uuid"], page["continuation_token"]
        assert uuid
        assert len(got) <= int(str(size)) or not int(str(size))
        found += got
        if not token:
            break
    assert found == ALL


def test_a_listing_is_a_job(server: Served) -> None:
    """Its pages have its id."""
    path = f"/v1/buckets/listed{AIS}"

    def page(uuid: str, token: str) -> dict[str, Any]:
        value = {"pagesize": 10, "continuation_token": token, "uuid": uuid}
        answer: dict[str, Any] = server.ask(path, {"action": "list", "value": value})
        return answer

    first = page("", "")
    job_id = first["uuid"]
    second = page(job_id, first["continuation_token"])
    assert second["uuid"] == job_id
    (snaps,) = server.ask("/v1/cluster?what=qryxstats", {"id": job_id}).values()
    assert (snaps[0]["kind"], snaps[0]["bck"]["name"]) == ("list", "listed")
    assert snaps[0]["end-time"].startswith("0001")
    assert f"list[{job_id}]" in server.ask("/v1/cluster?what=running_all", {})
    assert page("another9id", "")["uuid"] == "another9id", "who comes with an id keeps it"


def test_listing_options(server: Served) -> None:
    path = f"/v1/buckets/listed{AIS}"

    def listed(**value: object) -> list[dict[str, Any]]:
        page = server.ask(path, {"action": "list", "value": value})
        entries: list[dict[str, Any]] = page["entries"]
        return entries

    assert [e["name"] for e in listed(prefix="dir3/")] == [
        "dir3/003",
        "dir3/008",
        "dir3/013",
        "dir3/018",
        "dir3/023",
    ]
    assert [e["name"] for e in listed(start_after="dir4/014")] == ["dir4/019", "dir4/024"]
    # not recursive: directories have a flag of their own
    assert [(e["name"], e["flags"] & 256) for e in listed(flags="2048")] == [
        (f"dir{n}/", 256) for n in range(5)
    ]
    (entry,) = listed(
        prefix="dir3/008",
        props="name,size,checksum,atime,version,cached,status,copies,location,custom",
    )
    assert (entry["size"], len(entry["checksum"]), entry["version"]) == ("8", 16, "1")
    assert entry["location"].startswith("t[")
    assert entry["flags"] & 64
    assert [set(e) for e in listed(prefix="dir3/008", props="name")] == [{"name", "flags"}]


# summaries


def test_a_summary_is_asked_for_twice(server: Served) -> None:
    path = f"/v1/buckets/summed{AIS}"
    first = server.act("GET", path, "summary-bck", {"uuid": "", "prefix": ""})
    assert first.status == 202
    uuid = first.body.decode()
    assert len(uuid) >= 9
    for _ in range(8):  # whichever worker is asked
        (summary,) = server.ask(path, {"action": "summary-bck", "value": {"uuid": uuid}})
        assert summary["name"] == "summed"
        assert summary["ObjCount"] == {"obj_count_present": "4", "obj_count_remote": "0"}
        assert summary["ObjSize"] == {"obj_min_size": 5, "obj_avg_size": 5, "obj_max_size": 5}
        assert summary["TotalSize"]["size_all_present_objs"] == "20"
        assert int(summary["TotalSize"]["total_disks_size"])
        assert (summary["used_pct"], summary["is_present"]) == (0, True)
    assert server.act("GET", path, "summary-bck", {"uuid": "nosuch-job1"}).status == 404


def test_a_summary_of_all(server: Served) -> None:
    first = server.act("GET", f"/v1/buckets{AIS}", "summary-bck", {"prefix": "p0/"})
    assert first.status == 202
    value = {"uuid": first.body.decode()}
    found = server.ask(f"/v1/buckets{AIS}", {"action": "summary-bck", "value": value})
    counts = {one["name"]: one["ObjCount"]["obj_count_present"] for one in found}
    assert (counts["summed"], counts["listed"]) == ("2", "0")


def test_bucket_info(server: Served) -> None:
    path = f"/v1/buckets/summed/p1{AIS}&bsumm_remote=True&presence=0"
    first = server.call("HEAD", path)
    assert first.status == 202
    assert json.loads(first.headers["ais-bucket-props"])["provider"] == "ais"
    assert "ais-bucket-summ" not in first.headers
    uuid = first.headers["ais-xaction-id"]
    for _ in range(8):
        # Clients leave the prefix out when they come back.
        second = server.call("HEAD", f"/v1/buckets/summed{AIS}&bsumm_remote=True&uuid={uuid}")
        assert second.status == 200
        info = json.loads(second.headers["ais-bucket-summ"])
        assert (info["name"], info["ObjCount"]["obj_count_present"]) == ("summed", "2")
    assert server.call("HEAD", f"/v1/buckets/none{AIS}&bsumm_remote=True").status == 404
    assert (
        server.call("HEAD", f"/v1/buckets/summed{AIS}&bsumm_remote=1&uuid=nosuch-job1").status
        == 404
    )


# limits


def test_everything_is_bounded(server: Served) -> None:
    many = "&".join(f"a{n}=1" for n in range(101))
    answer = server.call("GET", f"/v1/buckets?{many}")
    assert (answer.status, answer.error["message"]) == (
        400,
        "too many query parameters: more than 100",
    )
    page = server.ask(f"/v1/buckets/listed{AIS}", {"action": "list", "value": {"pagesize": 2**62}})
    assert len(page["entries"]) == 25
    answer = server.call("POST", f"/v1/buckets/b{AIS}", headers={"Content-Length": str(1 << 40)})
    assert answer.status == 413
