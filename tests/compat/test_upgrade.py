"""Homes that earlier releases wrote, opened by this one; and homes that must be refused.

`data/format-N.tar.gz` was written once, by the release that introduced format N (`make_home.py`), and is never made
anew: what it holds is what users have.
"""

import hashlib
import json
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiscore.engine.archive import MemberIndex
from aiscore.engine.layout import FORMAT_VERSION
from aiscore.errors import CorruptionError, FormatVersionError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.multipart import PartRef
from aiscore.model.objects import GetOptions
from aiscore.transport import Transport, open_transport

DATA = Path(__file__).with_name("data")
VERSIONS = range(1, FORMAT_VERSION + 1)
ARCHIVE_SIZE_MAX = 100_000


class Written:
    """A home as an earlier release left it, unpacked into a directory."""

    def __init__(self, version: int, root: Path) -> None:
        self.expected: dict[str, Any] = json.loads((DATA / f"format-{version}.json").read_text())
        self.root = root
        self.home = root / "home"
        with tarfile.open(DATA / f"format-{version}.tar.gz") as tar:
            tar.extractall(root, filter="data")
        # As docs/format.md tells users who move a home and its disks; and the APPEND handle is from a minute ago.
        with closing(sqlite3.connect(self.home / "index.db")) as connection:
            old = self.expected["written_at"]
            connection.execute("UPDATE mountpaths SET path = replace(path, ?, ?)", (old, str(root)))
            connection.execute("UPDATE appends SET used_ns = ?", (time.time_ns() - 60 * 10**9,))
            connection.execute("UPDATE uploads SET used_ns = ?", (time.time_ns() - 60 * 10**9,))
            connection.commit()
        self.as_left = self.pieces()
        with open_transport(str(self.home)) as transport:
            transport.enable_mountpath(str(root / "disk"))

    def pieces(self) -> set[str]:
        """Names of the files under all mountpaths."""
        return {path.name for path in self.root.glob("*/pieces/*/*")} | {
            path.name for path in self.root.glob("home/mp/pieces/*/*")
        }


@pytest.fixture(params=VERSIONS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    return Written(request.param, tmp_path)


@pytest.fixture
def transport(written: Written) -> Iterator[Transport]:
    with open_transport(str(written.home)) as opened:
        yield opened


def bucket_of(record: dict[str, Any]) -> BucketRef:
    return BucketRef.parse(record["bucket"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_archive_is_small(version: int) -> None:
    assert (DATA / f"format-{version}.tar.gz").stat().st_size < ARCHIVE_SIZE_MAX


def test_every_object_reads_back(written: Written, transport: Transport) -> None:
    for record in written.expected["objects"]:
        bucket, name = bucket_of(record), record["name"]
        data = transport.read(bucket, name, GetOptions(verify_checksum=True))
        assert hashlib.sha256(data).hexdigest() == record["sha256"], name
        props = transport.head(bucket, name)
        found = {
            "size": props.size,
            "checksum": str(props.checksum),
            "version": props.version,
            "custom": dict(props.custom),
            "etag": props.etag,
            "mtime_ns": props.mtime_ns,
            "pieces": props.chunk_count,
            "copies": props.copies,
        }
        assert found == {key: record[key] for key in found}, name


def test_listings_are_complete(written: Written, transport: Transport) -> None:
    buckets = transport.list_buckets()
    found = [
        (bucket.cname, entry.name)
        for bucket in buckets
        for entry in transport.list_page(bucket).entries
    ]
    expected = [(record["bucket"], record["name"]) for record in written.expected["objects"]]
    assert sorted(found) == sorted(expected)


def test_properties_and_configuration_are_kept(transport: Transport) -> None:
    assert transport.head_bucket(BucketRef("durable")).checksum.type == "sha256"
    assert not transport.head_bucket(BucketRef("shards")).versioning.enabled
    assert transport.config().versioning.enabled


@pytest.mark.parametrize("keep_indexes", [True, False])
def test_members_of_shards_read_back(written: Written, keep_indexes: bool) -> None:
    with closing(sqlite3.connect(written.home / "index.db")) as connection:
        if keep_indexes:
            stored = connection.execute("SELECT members FROM shard_indexes").fetchall()
            assert len(stored) == len(written.expected["shards"])
            for (members,) in stored:
                MemberIndex.from_bytes(members)
        else:
            connection.execute("DELETE FROM shard_indexes")
            connection.commit()
    bucket = BucketRef("shards")
    with open_transport(str(written.home)) as transport:
        for shard, members in written.expected["shards"].items():
            listed = [member.name for member in transport.list_members(bucket, shard)]
            assert listed == list(members)
            for name, digest in members.items():
                data = transport.read(bucket, shard, GetOptions(archpath=name))
                assert hashlib.sha256(data).hexdigest() == digest, (shard, name)


def test_a_batch_reads_members_of_all_shards(written: Written, transport: Transport) -> None:
    wanted = [
        (shard, name, digest)
        for shard, members in written.expected["shards"].items()
        for name, digest in members.items()
    ]
    entries = [BatchEntry(shard, None, name) for shard, name, _ in wanted]
    with transport.get_batch(BatchRequest(entries=entries, bucket=BucketRef("shards"))) as stream:
        digests = [hashlib.sha256(data).hexdigest() for _, data in stream]
    assert digests == [digest for _, _, digest in wanted]


def test_an_upload_goes_on(written: Written, transport: Transport) -> None:
    record = written.expected["upload"]
    bucket, name, upload = bucket_of(record), record["name"], record["id"]
    parts = transport.list_parts(bucket, name, upload)
    refs = [PartRef(number=part.number, etag=part.etag, checksum=part.checksum) for part in parts]
    assert len(refs) == 3
    transport.complete_upload(bucket, name, upload, refs)
    data = transport.read(bucket, name, GetOptions(verify_checksum=True))
    assert hashlib.sha256(data).hexdigest() == record["sha256"]


def test_an_append_goes_on(written: Written, transport: Transport) -> None:
    record = written.expected["append"]
    bucket, name = bucket_of(record), record["name"]
    handle = transport.append(bucket, name, b" third", record["handle"])
    transport.flush_append(bucket, name, handle)
    assert transport.read(bucket, name) == b"first second third"


def test_what_a_killed_process_left_is_removed(written: Written) -> None:
    before = written.as_left
    with open_transport(str(written.home)) as transport:
        report = transport.validate()
    assert report.faults == ()
    assert report.objects == len(written.expected["objects"])
    # A piece that was never committed, one of a deleted object, one of a destroyed bucket.
    assert len(before - written.pieces()) == 3
    assert not written.pieces() - before
    with closing(sqlite3.connect(written.home / "index.db")) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM doomed_buckets").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pieces WHERE state = 1").fetchone() == (0,)


def test_it_can_be_written_to(written: Written, transport: Transport) -> None:
    plain = BucketRef("plain")
    transport.put(plain, "pieces", b"in place of several pieces")
    transport.put(plain, "new", b"new")
    transport.delete(plain, "custom")
    assert transport.read(plain, "pieces") == b"in place of several pieces"
    assert transport.head(plain, "third-version").version == "3"
    transport.put(plain, "third-version", b"fourth")
    assert transport.head(plain, "third-version").version == "4"
    assert transport.read(BucketRef.parse("ais://#team/scoped"), "linked") == b"with metadata"
    assert transport.validate().faults == ()


def test_it_becomes_what_a_new_home_is(written: Written, tmp_path: Path) -> None:
    """Also: the tables of a format never change without a new version."""
    new = tmp_path / "new"
    for home in (written.home, new):
        open_transport(str(home)).close()
    assert identity(written.home) == identity(new)


def identity(home: Path) -> list[object]:
    with closing(sqlite3.connect(home / "index.db")) as connection:
        return [
            connection.execute("PRAGMA application_id").fetchone(),
            connection.execute("PRAGMA user_version").fetchone(),
            sorted(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")),
        ]


# what is refused


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    open_transport(str(tmp_path)).close()
    index = tmp_path / "index.db"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = index.read_bytes()
    with pytest.raises(FormatVersionError) as caught:
        open_transport(str(tmp_path))
    assert "format 99" in caught.value.message
    assert f"up to {FORMAT_VERSION}" in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert index.read_bytes() == before


@pytest.mark.parametrize("application_id", [0, 0x0F055112])
@pytest.mark.parametrize("user_version", [0, 1])
def test_a_database_of_another_program_is_refused(
    tmp_path: Path, application_id: int, user_version: int
) -> None:
    index = tmp_path / "index.db"
    with closing(sqlite3.connect(index)) as connection:
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute(f"PRAGMA user_version = {user_version}")
        connection.execute("CREATE TABLE theirs (value TEXT)")
        connection.execute("INSERT INTO theirs VALUES ('precious')")
        connection.commit()
    before = index.read_bytes()
    with pytest.raises(FormatVersionError, match="another program"):
        open_transport(str(tmp_path))
    assert index.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "index.db"
    index.write_bytes(b"these are not the bytes you are looking for\n" * 100)
    before = index.read_bytes()
    with pytest.raises(CorruptionError):
        open_transport(str(tmp_path))
    assert index.read_bytes() == before
