"""GET and HEAD of objects over a socket: bytes, headers, ranges, conditions, members."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.server.data import BUCKET, MIB, Server, serving

from aiscore.engine.checksum import checksum_of
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import ArchivePutMode, GetOptions, PutOptions
from aiscore.testing.content import pattern
from aiscore.transport.base import MemberInput

SIZES = [0, 1, 10_240, 256 << 10, (256 << 10) + 1, MIB, 3 * MIB + 17]
SHARD = {"a/1.jpg": pattern(1000), "a/1.txt": b"one", "b/2.jpg": pattern(400_000, 2), "empty": b""}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("read")) as server:
        for size in SIZES:
            server.store.put(BUCKET, f"o{size}", pattern(size), PutOptions())
        members = [MemberInput(name, len(data), data) for name, data in SHARD.items()]
        for name in ("s.tar", "s.tgz", "s.tar.lz4", "s.zip"):
            server.store.put_members(BUCKET, name, members, ArchivePutMode.CREATE, None)
        yield server


@pytest.mark.parametrize("size", SIZES)
def test_get_gives_the_bytes_and_what_is_known_of_them(server: Server, size: int) -> None:
    for _ in range(2):  # the second answer's head comes from a cache
        got = server.call("GET", f"/v1/objects/b/o{size}?provider=ais")
        assert got.status == 200
        assert got.body == pattern(size)
        assert got.headers["content-length"] == str(size)
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["ais-checksum-type"] == "xxhash2"
        assert got.headers["ais-checksum-value"] == checksum_of(ChecksumType.XXHASH2, pattern(size))
        assert got.headers["ais-version"] == "1"
        assert int(got.headers["ais-atime"]) > 0
        assert got.headers["accept-ranges"] == "bytes"
        assert got.headers["etag"] == f'"{server.store.head(BUCKET, f"o{size}").etag}"'


def test_a_head_in_the_cache_follows_every_change(server: Server) -> None:
    path = "/v1/objects/b/changes"
    server.store.put(BUCKET, "changes", b"one", PutOptions(custom={"n": "1"}))
    assert server.call("GET", path).headers["ais-custom-md"] == "n=1"
    server.store.set_custom(BUCKET, "changes", {"n": "2", "m": "x y"}, replace=False)
    got = server.call("GET", path)
    assert sorted(got.repeated["ais-custom-md"]) == ["m=x y", "n=2"]
    assert server.call("PUT", path, b"three").status == 200
    got = server.call("GET", path)
    assert (got.body, got.headers["ais-version"]) == (b"three", "2")
    assert "ais-custom-md" not in got.headers


@pytest.mark.parametrize("size", SIZES)
def test_head_has_the_length_and_no_body(server: Server, size: int) -> None:
    got = server.call("HEAD", f"/v1/objects/b/o{size}")
    assert (got.status, got.body) == (200, b"")
    assert got.headers["content-length"] == str(size)
    assert got.headers["ais-name"] == f"o{size}"
    assert got.headers["ais-bucket-name"] == "b"
    assert got.headers["ais-bucket-provider"] == "ais"
    assert got.headers["ais-present"] == "true"
    assert got.headers["ais-mirror-copies"] == "1"
    assert got.headers["ais-mirror-paths"] == f"[{server.store.core.home}/mp]"
    assert got.headers["ais-location"].startswith(f"t[{server.store.home_id}]:mp[")
    assert "ais-ec-generation" not in got.headers


def test_head_of_the_second_kind_gives_only_what_was_asked(server: Server) -> None:
    got = server.call("HEAD", "/v1/objects/b/o10240?props=checksum,etag,last-modified,chunked")
    assert got.headers["content-length"] == "10240"
    assert got.headers["ais-present"] == "true"
    assert got.headers["etag"].startswith('"')
    assert got.headers["last-modified"].endswith(" GMT")
    assert "ais-name" not in got.headers
    assert "ais-chunks-count" not in got.headers
    bad = server.call("HEAD", "/v1/objects/b/o10240?props=cached")
    assert bad.status == 400
    assert "cached" in bad.error["message"]


@pytest.mark.parametrize(("presence", "status"), [(0, 200), (1, 200), (2, 200), (3, 200), (5, 400)])
def test_head_looks_at_presence(server: Server, presence: int, status: int) -> None:
    got = server.call("HEAD", f"/v1/objects/b/o1?presence={presence}")
    assert got.status == status
    assert ("ais-name" in got.headers) == (presence in {0, 2})
    assert server.call("HEAD", f"/v1/objects/b/nope?presence={presence}").status == 404


@pytest.mark.parametrize("size", [10_240, 3 * MIB + 17])
@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10000-", 10_000, None),
        ("bytes=-5", -5, None),
        ("bytes=-99999999", 0, None),
        ("bytes=3-99999999", 3, None),
    ],
)
def test_a_range_is_a_part(
    server: Server, size: int, text: str, start: int, stop: int | None
) -> None:
    whole = pattern(size)
    got = server.call("GET", f"/v1/objects/b/o{size}", headers={"Range": text})
    expected = whole[start:stop]
    first = start if start >= 0 else size + start
    assert got.status == 206
    assert got.body == expected
    assert got.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    assert got.headers["accept-ranges"] == "bytes"
    # The checksum is that of the whole object.
    assert got.headers["ais-checksum-value"] == checksum_of(ChecksumType.XXHASH2, whole)


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("bytes=10240-", True),
        ("bytes=99999-100000", True),
        ("bytes=0-1,3-4", False),
        ("bytes=5-3", False),
        ("bytes=-0", False),
        ("bytes=x-y", False),
        ("bytes=-", False),
        ("lines=1-2", False),
    ],
)
def test_a_range_that_cannot_be_is_416(server: Server, text: str, is_known: bool) -> None:
    got = server.call("GET", "/v1/objects/b/o10240", headers={"Range": text})
    assert got.status == 416
    assert got.error["tcode"] == "ErrRangeNotSatisfiable"
    assert got.headers.get("content-range") == ("bytes */10240" if is_known else None)


def test_no_range_of_an_empty_object_can_be(server: Server) -> None:
    got = server.call("GET", "/v1/objects/b/o0", headers={"Range": "bytes=0-"})
    assert (got.status, got.headers["content-range"]) == (416, "bytes */0")


@pytest.mark.parametrize("size", [10_240, 3 * MIB + 17])
def test_conditions_decide_between_304_412_and_the_object(server: Server, size: int) -> None:
    path = f"/v1/objects/b/o{size}"
    first = server.call("GET", path)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    past = "Thu, 01 Jan 2015 00:00:00 GMT"
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f'"x", W/{etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": past}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": modified}, 200),
        ({"If-Match": etag}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": f"W/{etag}"}, 412),
        ({"If-Unmodified-Since": past}, 412),
        ({"If-Unmodified-Since": modified}, 200),
        ({"If-Match": '"x"', "Range": "bytes=0-1"}, 412),
        ({"If-Range": etag, "Range": "bytes=0-1"}, 206),
        ({"If-Range": '"x"', "Range": "bytes=0-1"}, 200),
        ({"If-Range": modified, "Range": "bytes=0-1"}, 206),
        ({"If-Range": past, "Range": "bytes=0-1"}, 200),
    ):
        got = server.call("GET", path, headers=headers)
        assert got.status == status, headers
        if status == 304:
            assert (got.body, got.headers["etag"]) == (b"", etag)
        elif status == 412:
            assert "ais://b/o" in got.error["message"]
        elif status == 206:
            assert got.body == pattern(size)[:2]
        else:
            assert got.body == pattern(size)
    assert server.call("HEAD", path, headers={"If-None-Match": etag}).status == 304
    assert server.call("HEAD", path, headers={"If-Match": '"x"'}).status == 412


def test_what_is_not_there_is_404_and_says_what(server: Server) -> None:
    got = server.call("GET", "/v1/objects/b/no%20such%2Fname")
    assert got.status == 404
    assert got.error["message"] == "ais://b/no such/name does not exist"
    assert got.error["status"] == 404
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.body.endswith(b"}\n")
    got = server.call("GET", "/v1/objects/nope/o")
    assert got.error["tcode"] == "ErrBckNotFound"
    assert got.error["message"] == 'bucket "ais://nope" does not exist'
    got = server.call("HEAD", "/v1/objects/b/nope%0d%0aX:%20y")
    assert (got.status, got.body) == (404, b"")
    assert got.error["status"] == 404
    assert "x" not in got.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/objects", 400),
        ("/v1/objects/b", 400),
        ("/v1/objects/b/", 400),
        ("/v1/objects/b/a/../b", 400),
        ("/v1/objects/b/~/x", 400),
        ("/v1/objects/b/o1?provider=nosuch", 400),
        ("/v1/objects/b/o1?provider=s3", 404),
        ("/v1/objects/b/o1?etl_name=x", 501),
        ("/v1/objects/b!/o1", 400),
    ],
)
def test_paths_that_name_no_object(server: Server, path: str, status: int) -> None:
    got = server.call("GET", path)
    assert got.status == status, got.body


def test_names_of_all_kinds(server: Server) -> None:
    for name, encoded in (
        ("a b/ü+%.txt", "a%20b/%C3%BC%2B%25.txt"),
        ("a//b", "a//b"),
        ("q?x=1#f", "q%3Fx=1%23f"),
        ("~tilde", "~tilde"),
    ):
        assert server.call("PUT", f"/v1/objects/b/{encoded}", name.encode()).status == 200
        assert server.store.head(BUCKET, name).size == len(name.encode())
        assert server.call("GET", f"/v1/objects/b/{encoded}").body == name.encode()
        assert server.call("HEAD", f"/v1/objects/b/{encoded}").status == 200


@pytest.mark.parametrize("shard", ["s.tar", "s.tgz", "s.tar.lz4", "s.zip"])
@pytest.mark.parametrize("member", SHARD)
def test_a_member_of_a_shard(server: Server, shard: str, member: str) -> None:
    for spelling in (member, f"/{member}"):
        got = server.call("GET", f"/v1/objects/b/{shard}?archpath={spelling}")
        assert got.status == 200
        assert got.body == SHARD[member]
        assert got.headers["content-length"] == str(len(SHARD[member]))
        assert got.headers["content-type"] == "application/octet-stream"


def test_a_range_of_a_member(server: Server) -> None:
    whole = SHARD["b/2.jpg"]
    for shard in ("s.tar", "s.zip"):
        path = f"/v1/objects/b/{shard}?archpath=b/2.jpg"
        got = server.call("GET", path, headers={"Range": "bytes=-10"})
        assert (got.status, got.body) == (206, whole[-10:])
        assert (
            got.headers["content-range"] == f"bytes {len(whole) - 10}-{len(whole) - 1}/{len(whole)}"
        )


def test_a_member_that_is_not_there(server: Server) -> None:
    got = server.call("GET", "/v1/objects/b/s.tar?archpath=nope")
    assert got.status == 404
    assert "ais://b/s.tar" in got.error["message"]
    assert server.call("GET", "/v1/objects/b/o10240?archpath=x").status == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("archregx=jpg&archmode=suffix", ["a/1.jpg", "b/2.jpg"]),
        ("archregx=a/&archmode=prefix", ["a/1.jpg", "a/1.txt"]),
        ("archregx=a/&archmode=", ["a/1.jpg", "a/1.txt"]),
        ("archregx=1&archmode=substr", ["a/1.jpg", "a/1.txt"]),
        ("archregx=%5Eb/&archmode=regexp", ["b/2.jpg"]),
        ("archregx=a/1&archmode=wdskey", ["a/1.jpg", "a/1.txt"]),
        ("archregx=&archmode=regexp", list(SHARD)),
        ("archregx=*&archmode=regexp", list(SHARD)),
        ("archmode=prefix", list(SHARD)),
    ],
)
def test_members_that_match_come_as_a_tar(server: Server, query: str, names: list[str]) -> None:
    got = server.call("GET", f"/v1/objects/b/s.zip?{query}")
    assert got.status == 200
    assert got.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(got.body)) as tar:
        found = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    assert found == {name: SHARD[name] for name in names}


def test_rules_of_selections(server: Server) -> None:
    whole = server.call("GET", "/v1/objects/b/s.tar").body
    # Without a mode the pattern does not count.
    assert server.call("GET", "/v1/objects/b/s.tar?archregx=jpg").body == whole
    for query, status in (
        ("archregx=nope&archmode=prefix", 404),
        ("archregx=a&archmode=nope", 400),
        ("archregx=a&archmode=prefix&archpath=a/1.jpg", 400),
        ("archregx=%5B&archmode=regexp", 400),
        ("archpath=a/1.jpg&archmime=nope", 400),
    ):
        assert server.call("GET", f"/v1/objects/b/s.tar?{query}").status == status, query


def test_archmime_says_what_the_name_does_not(server: Server) -> None:
    data = server.store.read(BUCKET, "s.zip", GetOptions())
    server.store.put(BUCKET, "nameless", data, PutOptions())
    got = server.call("GET", "/v1/objects/b/nameless?archpath=a/1.txt&archmime=application/zip")
    assert got.body == b"one"
    assert server.call("GET", "/v1/objects/b/nameless?archpath=a/1.txt").body == b"one"


def test_damage_is_told_before_the_first_byte_where_it_is_looked_for(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for name in ("small", "large"):
            server.store.put(BUCKET, name, pattern(1000 if name == "small" else MIB), PutOptions())
            assert server.call("GET", f"/v1/objects/b/{name}?validate-checksum=true").status == 200
        for piece in Path(server.store.core.home, "mp", "pieces").glob("*/*"):
            data = bytearray(piece.read_bytes())
            data[100] ^= 1
            piece.write_bytes(data)
        for name in ("small", "large"):
            path = f"/v1/objects/b/{name}"
            assert server.call("GET", path).status == 200
            got = server.call("GET", f"{path}?validate-checksum=true")
            assert got.status == 500
            assert got.error["code"] == "ErrCorruption"
        server.store.set_bucket_props(BUCKET, {"checksum.validate_warm_get": "true"})
        for name in ("small", "large"):
            assert server.call("GET", f"/v1/objects/b/{name}").status == 500
            server.store.delete(BUCKET, name, None)


def test_a_lost_piece_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for name in ("small", "large"):
            server.store.put(BUCKET, name, pattern(1000 if name == "small" else MIB), PutOptions())
        for piece in Path(server.store.core.home, "mp", "pieces").glob("*/*"):
            piece.unlink()
        for name in ("small", "large"):
            got = server.call("GET", f"/v1/objects/b/{name}")
            assert (got.status, got.error["code"]) == (500, "ErrCorruption")
            server.store.delete(BUCKET, name, None)
