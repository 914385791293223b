"""The Python client over an embedded store."""

import io
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore import Client, Object
from aiscore.client import ArchiveConfig, Bucket, UsageError
from aiscore.errors import (
    ArchiveError,
    BucketAlreadyExistsError,
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    NotFoundError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
    UnsupportedError,
)
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.objects import EntryFlag
from aiscore.model.stream import BLOCK_SIZE
from aiscore.testing.archives import build, unpack
from aiscore.testing.content import LARGE, checksum_of, in_blocks, pattern
from aiscore.testing.expect import refuses

MEMBERS = [("a.jpg", pattern(1000)), ("a.cls", b"7"), ("dir/b.jpg", pattern(LARGE))]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(f"file://{tmp_path}/home") as client:
        yield client
        assert client.transport.validate().faults == ()


@pytest.fixture
def bucket(client: Client) -> Bucket:
    return client.bucket("bucket").create()


def put(bucket: Bucket, name: str, content: bytes = b"content") -> Object:
    obj = bucket.object(name)
    obj.get_writer().put_content(content)
    return obj


def names(bucket: Bucket) -> list[str]:
    return [entry.name for entry in bucket.list_all_objects()]


class TestBuckets:
    def test_create_and_delete(self, client: Client) -> None:
        bucket = client.bucket("b").create()
        with refuses(BucketAlreadyExistsError, "ais://b"):
            bucket.create()
        assert bucket.create(exist_ok=True) is bucket
        bucket.delete()
        with refuses(BucketNotFoundError, "ais://b"):
            bucket.delete()
        bucket.delete(missing_ok=True)

    def test_list_buckets(self, client: Client) -> None:
        for name in ("b", "a"):
            client.bucket(name).create()
        client.bucket("c", namespace="#ns").create()
        for provider in ("ais", None, ""):
            found = client.list_buckets(provider)
            assert [bucket.ref.cname for bucket in found] == ["ais://a", "ais://b", "ais://#ns/c"]
        assert client.cluster().list_buckets()[0].name == "a"
        assert client.cluster().list_buckets("s3") == []

    def test_props_summary_info(self, bucket: Bucket) -> None:
        put(bucket, "a/1", b"12345")
        put(bucket, "b", b"1")
        assert bucket.props == bucket.head()
        assert bucket.props.versioning.enabled
        assert (bucket.summary().object_count, bucket.summary("a/").size) == (2, 5)
        props, summary = bucket.info("b")
        assert (props, summary.size) == (bucket.props, 1)

    def test_rename(self, client: Client, bucket: Bucket) -> None:
        obj = put(bucket, "o")
        bucket.rename("renamed")
        assert bucket.name == "renamed"
        assert names(bucket) == ["o"]
        with refuses(BucketNotFoundError, "ais://bucket"):
            obj.head()
        assert [b.name for b in client.list_buckets()] == ["renamed"]

    def test_copy(self, client: Client, bucket: Bucket) -> None:
        for name in ("a/1", "a/2", "b"):
            put(bucket, name)
        other = client.bucket("other")
        assert bucket.copy(other, dry_run=True).objects == 3
        assert bucket.copy(other, prefix_filter="a/", prepend="x-").objects == 2
        assert names(other) == ["x-a/1", "x-a/2"]
        assert bucket.copy(other, sync=True).deleted == 2
        assert names(other) == names(bucket)

    def test_remote_buckets_are_not_here(self, client: Client) -> None:
        with refuses(UnsupportedError, "s3://b"):
            client.bucket("b", "s3").create()


class TestListing:
    def test_pages(self, bucket: Bucket) -> None:
        for i in range(5):
            put(bucket, f"o-{i}")
        page = bucket.list_objects(page_size=2)
        assert [entry.name for entry in page.entries] == ["o-0", "o-1"]
        page = bucket.list_objects(page_size=10, continuation_token=page.continuation_token)
        assert [entry.name for entry in page.entries] == ["o-2", "o-3", "o-4"]
        assert page.continuation_token == ""
        for page_size in (0, 1, 2, 5):
            listed = bucket.list_objects_iter(page_size=page_size)
            assert [entry.name for entry in listed] == [f"o-{i}" for i in range(5)]
        assert [e.name for e in bucket.list_objects(start_after="o-3").entries] == ["o-4"]
        assert bucket.list_all_objects("o-1")[0].size == 7

    def test_entries_tell_what_was_asked(self, bucket: Bucket) -> None:
        bucket.object("o").get_writer().put_content(b"content")
        bucket.object("o").get_writer().set_custom_props({"k": "v"})
        entry = bucket.list_all_objects(props="name,size,checksum,version,atime,custom")[0]
        head = bucket.object("o").head()
        assert (entry.size, entry.version, entry.copies) == (7, "1", 1)
        assert (entry.checksum, dict(entry.custom)) == (head.checksum_value, {"k": "v"})
        assert entry.is_ok()
        assert entry.is_cached()
        assert entry.atime.endswith(" UTC")
        bare = bucket.list_all_objects(props="name")[0]
        assert (bare.checksum, bare.version, bare.custom, bare.atime) == ("", "", {}, "")
        assert repr(bare).startswith("BucketEntry('o'")

    def test_entries_lead_to_their_objects(self, bucket: Bucket) -> None:
        put(bucket, "a", b"1")
        put(bucket, "b", b"22")
        assert bucket.list_all_objects()[1].object.get_reader().read_all() == b"22"
        objects = list(bucket.list_all_objects_iter(props="name,size,checksum"))
        assert [obj.name for obj in objects] == ["a", "b"]
        cached = objects[1].props_cached
        assert cached is not None
        assert (cached.size, cached.checksum_value) == (2, objects[1].props.checksum_value)

    def test_directories_and_members(self, bucket: Bucket) -> None:
        put(bucket, "dir/s.tar", build(ArchiveFormat.TAR, MEMBERS))
        folded = bucket.list_objects(delimiter="/").entries
        assert [(entry.name, entry.values.is_directory) for entry in folded] == [("dir/", True)]
        inside = bucket.list_objects("dir/", archive=True).entries
        assert [entry.name for entry in inside] == [
            "dir/s.tar",
            *(f"dir/s.tar/{name}" for name, _ in MEMBERS),
        ]

    def test_list_archive(self, bucket: Bucket) -> None:
        put(bucket, "s.tar", build(ArchiveFormat.TAR, MEMBERS))
        put(bucket, "s.tar.bak")  # begins with the name of the shard, and is none of it
        entries = bucket.list_archive("s.tar")
        assert [(e.name, e.size) for e in entries] == [(f"s.tar/{n}", len(c)) for n, c in MEMBERS]
        assert all(EntryFlag.IN_ARCHIVE in entry.flags for entry in entries)
        first, *rest = bucket.list_archive("s.tar", include_archive_obj=True)
        assert (first.name, first.size) == ("s.tar", bucket.object("s.tar").props.size)
        assert EntryFlag.ARCHIVE in first.flags
        assert len(rest) == len(MEMBERS)
        with refuses(ObjectNotFoundError, "ais://bucket/missing.tar"):
            bucket.list_archive("missing.tar")
        with refuses(ArchiveError, "ais://bucket/s.tar.bak"):
            bucket.list_archive("s.tar.bak")


class TestPutFiles:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        root = tmp_path / "tree"
        (root / "sub").mkdir(parents=True)
        for name in ("a.jpg", "b.txt", "sub/c.jpg", "sub/b.jpg"):
            (root / name).write_bytes(name.encode())
        return root

    def test_files_become_objects(self, bucket: Bucket, tree: Path) -> None:
        assert bucket.put_files(tree) == ["a.jpg", "b.txt"]
        assert bucket.put_files(str(tree), recursive=True, pattern="*.jpg", prepend="x/") == [
            "x/a.jpg",
            "x/sub/b.jpg",
            "x/sub/c.jpg",
        ]
        assert bucket.object("x/sub/c.jpg").get_reader().read_all() == b"sub/c.jpg"
        chosen = bucket.put_files(tree, prefix_filter="b", recursive=True, basename=True)
        assert chosen == ["b.txt", "b.jpg"]

    def test_dry_run_tells_and_does_nothing(
        self, bucket: Bucket, tree: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "aiscore"):
            assert bucket.put_files(tree, dry_run=True) == ["a.jpg", "b.txt"]
            assert len(caplog.records) == 2
            assert "would store" in caplog.text
            bucket.put_files(tree, dry_run=True, verbose=False)
            assert len(caplog.records) == 2
        assert names(bucket) == []


class TestObjects:
    def test_write_and_read(self, bucket: Bucket, tmp_path: Path) -> None:
        obj = bucket.object("dir/o")
        data = pattern(LARGE)
        file = tmp_path / "file"
        file.write_bytes(data)
        writer = obj.get_writer()
        for attributes in (
            writer.put_content(data),
            writer.put_content(in_blocks(data)),
            writer.put_content(io.BytesIO(data)),
            writer.put_file(file),
            writer.put_file(str(file)),
        ):
            assert (attributes.name, attributes.size) == ("dir/o", LARGE)
            reader = obj.get_reader()
            assert reader.read_all() == data
            assert reader.attributes.size == LARGE
            assert b"".join(reader) == data
            with reader.raw() as raw:
                assert raw.read(10) + raw.read() == data
            with reader.as_file() as opened:
                assert opened.read(10) + opened.read() == data
        assert obj.props.obj_version == "5"

    def test_attributes(self, bucket: Bucket) -> None:
        obj = put(bucket, "o", b"content")
        obj.get_writer().set_custom_props({"a": "1", "b": "2"})
        obj.get_writer().set_custom_props({"b": "3"})
        for attributes in (obj.head(), obj.props, obj.get_reader().attributes):
            assert (attributes.name, attributes.size) == ("o", 7)
            assert (attributes.bucket_name, attributes.bucket_provider) == ("bucket", "ais")
            checksum = attributes.values.checksum
            assert checksum is not None
            assert checksum == checksum_of(checksum.type, b"content")
            assert (attributes.checksum_type, attributes.checksum_value) == (
                checksum.type.value,
                checksum.value,
            )
            assert (attributes.obj_version, attributes.mirror_copies) == ("1", 1)
            assert dict(attributes.custom_metadata) == {"a": "1", "b": "3"}
            assert attributes.present
            assert int(attributes.access_time) > 10**18
        assert obj.props_cached is not None
        obj.get_writer().set_custom_props({"c": "4"}, replace_existing=True)
        assert dict(obj.props.custom_metadata) == {"c": "4"}

    @pytest.mark.parametrize(
        ("byte_range", "expected"),
        [
            ("bytes=0-3", b"0123"),
            ("bytes=7-", b"789"),
            ("bytes=-2", b"89"),
            ("bytes=5-99", b"56789"),
        ],
    )
    def test_ranges(self, bucket: Bucket, byte_range: str, expected: bytes) -> None:
        obj = put(bucket, "o", b"0123456789")
        reader = obj.get_reader(byte_range=byte_range)
        assert reader.read_all() == b"".join(reader) == expected
        assert reader.attributes.size == 10

    def test_range_past_the_end(self, bucket: Bucket) -> None:
        obj = put(bucket, "o", b"0123456789")
        with refuses(RangeNotSatisfiableError, "ais://bucket/o"):
            obj.get_reader(byte_range="bytes=10-").read_all()

    def test_files_of_a_shard(self, bucket: Bucket) -> None:
        obj = put(bucket, "s.tar", build(ArchiveFormat.TAR, MEMBERS))
        member = obj.get_reader(ArchiveConfig(archpath="a.cls"))
        assert member.read_all() == b"7"
        part = obj.get_reader(ArchiveConfig(archpath="a.jpg"), byte_range="bytes=0-9")
        assert part.read_all() == MEMBERS[0][1][:10]
        config = ArchiveConfig(regex=".jpg", mode=ArchiveMode.SUFFIX)
        matches = obj.get_reader(archive_config=config).read_all()
        assert unpack(ArchiveFormat.TAR, matches) == [MEMBERS[0], MEMBERS[2]]

    @pytest.mark.parametrize("chunk_size", [1000, 65_537, BLOCK_SIZE, 2 * BLOCK_SIZE])
    def test_chunks_have_the_size_asked_for(self, bucket: Bucket, chunk_size: int) -> None:
        data = pattern(2 * BLOCK_SIZE + 100)
        chunks = list(put(bucket, "o", data).get_reader(chunk_size=chunk_size))
        assert b"".join(chunks) == data
        assert all(len(chunk) == chunk_size for chunk in chunks[:-1])

    def test_content_goes_to_a_writer(self, bucket: Bucket, tmp_path: Path) -> None:
        data = pattern(LARGE)
        obj = put(bucket, "o", data)
        with open(tmp_path / "out", "wb") as file:
            obj.get_reader(writer=file)
        assert (tmp_path / "out").read_bytes() == data

    def test_files_behave_like_files(self, bucket: Bucket) -> None:
        lines = b"first\nsecond\nthird"
        obj = put(bucket, "o", lines)
        with obj.get_reader().as_file(buffer_size=4) as opened:
            assert opened.readable()
            assert not opened.writable()
            assert not opened.seekable()
            assert opened.readlines() == [b"first\n", b"second\n", b"third"]
        with obj.get_reader().raw() as raw, io.TextIOWrapper(io.BufferedReader(raw)) as text:
            assert text.read() == lines.decode()
        raw = obj.get_reader().raw()
        raw.close()
        raw.close()
        for use in (raw.read, lambda: raw.readinto(bytearray(3))):
            with pytest.raises(ValueError, match="closed"):
                use()

    def test_delete_and_copy(self, client: Client, bucket: Bucket) -> None:
        obj = put(bucket, "o")
        target = client.bucket("other").create().object("p")
        assert obj.copy(target).name == "p"
        obj.delete()
        with refuses(ObjectNotFoundError, "ais://bucket/o"):
            obj.delete()
        obj.delete(missing_ok=True)
        assert target.get_reader().read_all() == b"content"
        with refuses(ObjectNotFoundError, "ais://bucket/o"):
            obj.get_reader().read_all()

    def test_promote(self, bucket: Bucket, tmp_path: Path) -> None:
        (tmp_path / "dir" / "sub").mkdir(parents=True)
        (tmp_path / "dir" / "sub" / "f").write_bytes(b"content")
        result = bucket.object("x").promote(f"{tmp_path}/dir", recursive=True)
        assert result.objects == 1
        assert names(bucket) == ["x/sub/f"]


class TestAppend:
    def test_append_content(self, bucket: Bucket) -> None:
        writer = bucket.object("o").get_writer()
        handle = writer.append_content(b"a")
        handle = writer.append_content(b"b", handle)
        assert names(bucket) == []
        assert writer.append_content(b"", handle, flush=True) == ""
        assert bucket.object("o").get_reader().read_all() == b"ab"
        assert writer.append_content(b"c", flush=True) == ""
        assert bucket.object("o").get_reader().read_all() == b"abc"

    def test_write_through_a_file(self, bucket: Bucket) -> None:
        obj = bucket.object("o")
        with obj.get_writer().as_file("w") as file:
            for i in range(1000):
                assert file.write(str(i).encode().ljust(10)) == 10
            file.flush()
            assert obj.props.size == 10_000
            file.write(pattern(LARGE))
        assert obj.props.size == 10_000 + LARGE
        with obj.get_writer().as_file() as file:
            file.write(bytearray(b"tail"))
            file.write(memoryview(b"!"))
        content = obj.get_reader().read_all()
        assert content.endswith(pattern(LARGE) + b"tail!")
        with obj.get_writer().as_file("w"):
            pass
        assert obj.props.size == 0

    def test_block_that_raises_drops_what_it_wrote(self, bucket: Bucket) -> None:
        obj = put(bucket, "o", b"before")
        file = obj.get_writer().as_file("a")

        def fail_midway() -> None:
            with file:
                file.write(pattern(LARGE))
                raise RuntimeError("midway")

        with pytest.raises(RuntimeError, match="midway"):
            fail_midway()
        assert file.closed
        assert obj.get_reader().read_all() == b"before"
        with pytest.raises(ValueError, match="closed"):
            file.write(b"more")


class TestMultipart:
    def test_chained_as_in_the_sdk(self, bucket: Bucket) -> None:
        obj = bucket.object("o")
        upload = obj.multipart_upload().create()
        for number in (3, 1, 2):
            upload.add_part(number).put_content(pattern(1000 + number, number))
        assert upload.parts == [3, 1, 2]
        props = upload.complete()
        data = b"".join(pattern(1000 + number, number) for number in (1, 2, 3))
        assert obj.get_reader().read_all() == data
        assert props.size == len(data)
        assert obj.head().size == len(data)

    def test_files_and_parts_sent_again(self, bucket: Bucket, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(pattern(LARGE))
        upload = bucket.object("o").multipart_upload().create()
        part = upload.add_part(1)
        part.put_content(b"wrong")
        assert part.put_file(tmp_path / "file").size == LARGE
        upload.complete()
        assert bucket.object("o").get_reader().read_all() == pattern(LARGE)
        with pytest.raises(UsageError, match="not a file"):
            part.put_file(tmp_path / "absent")

    def test_going_on_with_one_that_was_begun_before(self, bucket: Bucket) -> None:
        begun = bucket.object("o").multipart_upload().create()
        begun.add_part(1).put_content(b"one ")
        begun.add_part(2).put_content(b"two ")
        upload = bucket.object("o").multipart_upload(begun.upload_id)
        assert [part.number for part in upload.list_parts()] == [1, 2]
        upload.add_part(3).put_content(b"three")
        upload.complete()
        assert bucket.object("o").get_reader().read_all() == b"one two three"

    def test_what_another_has_replaced_is_noticed(self, bucket: Bucket) -> None:
        upload = bucket.object("o").multipart_upload().create()
        upload.add_part(1).put_content(b"mine")
        other = bucket.object("o").multipart_upload(upload.upload_id)
        other.add_part(1).put_content(b"theirs")
        with refuses(ChecksumMismatchError, "part 1", "ais://bucket/o"):
            upload.complete()

    def test_abort_and_misuse(self, bucket: Bucket) -> None:
        upload = bucket.object("o").multipart_upload()
        for operation in (lambda: upload.add_part(1), upload.complete, upload.abort):
            with pytest.raises(UsageError, match="not created"):
                operation()
        upload.create()
        with pytest.raises(UsageError, match="positive integer"):
            upload.add_part(0)
        upload.add_part(1)
        with refuses(InvalidArgumentError, "ais://bucket/o"):
            upload.complete()
        upload.abort()
        with refuses(NotFoundError, "ais://bucket/o"):
            upload.abort()

    def test_rechunk(self, bucket: Bucket) -> None:
        put(bucket, "dir/o", pattern(10_000))
        put(bucket, "other", pattern(10_000))
        planned = bucket.rechunk(2048, 4096, "dir/", dry_run=True)
        assert bucket.rechunk(2048, 4096, "dir/", bandwidth=1 << 30) == planned
        assert (planned.objects, planned.chunked) == (1, 1)
        assert bucket.object("dir/o").get_reader().read_all() == pattern(10_000)
        assert bucket.rechunk(objsize_limit=0).restored == 1


class TestGroups:
    def test_delete(self, bucket: Bucket) -> None:
        for i in range(5):
            put(bucket, f"o-{i}")
        result = bucket.objects(["o-0", "missing"]).delete()
        assert (result.deleted, result.missing) == (1, ("missing",))
        assert bucket.objects(obj_template="o-{1..3}").delete().deleted == 3
        assert names(bucket) == ["o-4"]

    def test_names_of_a_prefix_are_those_that_exist(self, bucket: Bucket) -> None:
        for name in ("a/1", "a/2", "b"):
            put(bucket, name)
        assert bucket.objects(obj_template="a/").list_names() == ["a/1", "a/2"]
        listed = bucket.objects(["a/1", "b"]).list_all_objects_iter(prefix="a")
        assert [obj.props_cached.size for obj in listed if obj.props_cached] == [7]
        unasked = bucket.objects(["missing"]).list_all_objects_iter(props=None)
        assert [obj.name for obj in unasked] == ["missing"]

    def test_copy(self, client: Client, bucket: Bucket) -> None:
        other = client.bucket("other").create()
        put(bucket, "a", b"1")
        put(bucket, "b", b"22")
        group = bucket.objects(["a", "missing", "b"])
        with refuses(ObjectNotFoundError, "ais://bucket/missing"):
            group.copy(other)
        result = group.copy(other, prepend="x-", continue_on_error=True)
        assert (result.objects, result.size) == (2, 3)
        assert group.copy(other, prepend="y-", continue_on_error=True, dry_run=True).size == 3
        assert names(other) == ["a", "x-a", "x-b"]

    def test_archive(self, client: Client, bucket: Bucket) -> None:
        other = client.bucket("other").create()
        put(bucket, "a", b"1")
        put(bucket, "b", b"22")
        shard = bucket.objects(["b", "a"]).archive("s.tar")
        assert sorted(unpack(ArchiveFormat.TAR, shard.get_reader().read_all())) == [
            ("a", b"1"),
            ("b", b"22"),
        ]
        shard = bucket.objects(["a", "missing"]).archive(
            "s", mime="zip", to_bck=other, include_source_name=True, continue_on_err=True
        )
        assert shard.get_semantic_url() == "ais://other/s"
        bucket.objects(["b"]).archive("s.tar", allow_append=True)
        packed = unpack(ArchiveFormat.ZIP, shard.get_reader().read_all())
        assert packed == [("bucket/a", b"1")]
        assert len(bucket.list_archive("s.tar")) == 3


class TestBatches:
    @pytest.fixture
    def filled(self, bucket: Bucket) -> Bucket:
        put(bucket, "a", b"aaa")
        put(bucket, "empty", b"")
        put(bucket, "s.tar", build(ArchiveFormat.TAR, MEMBERS))
        return bucket

    @pytest.mark.parametrize("streaming", [True, False])
    def test_results_come_in_order(self, client: Client, filled: Bucket, streaming: bool) -> None:
        batch = client.batch(["a", "missing", "empty"], bucket=filled, streaming_get=streaming)
        batch.add("s.tar", archpath="a.cls", opaque=b"tag")
        batch.add(filled.object("a"), start=1, length=-1)
        results = list(batch.get())
        assert [content for _, content in results] == [b"aaa", b"", b"", b"7", b"aa"]
        infos = [info for info, _ in results]
        assert [info.obj_name for info in infos] == ["a", "missing", "empty", "s.tar", "a"]
        assert [info.size for info in infos] == [3, 0, 0, 1, 2]
        assert [info.err_msg is None for info in infos] == [True, False, True, True, True]
        assert "ais://bucket/missing" in (infos[1].err_msg or "")
        assert (infos[3].archpath, infos[3].opaque) == ("a.cls", b"tag")
        assert {(info.bucket, info.provider) for info in infos} == {("bucket", "ais")}

    def test_batch_empties_itself_unless_told(self, client: Client, filled: Bucket) -> None:
        batch = client.batch("a", bucket=filled)
        assert len(list(batch.get(clear_batch=False))) == 1
        results = batch.get(clear_batch=False)
        batch.add("empty")
        assert len(list(results)) == 1
        assert [info.obj_name for info, _ in batch] == ["a", "empty"]
        assert len(batch) == 0
        assert [content for _, content in batch.add("a")] == [b"aaa"]

    def test_failure_keeps_the_batch(self, client: Client, filled: Bucket) -> None:
        batch = client.batch(["a", "missing"], bucket=filled, cont_on_err=False)
        with refuses(ObjectNotFoundError, "ais://bucket/missing"):
            list(batch.get(clear_batch=False))
        assert len(batch) == 2

    def test_missing_bucket_is_named(self, client: Client, filled: Bucket) -> None:
        batch = client.batch("o", bucket=client.bucket("nope"))
        with refuses(BucketNotFoundError, "ais://nope"):
            list(batch)

    def test_entries_as_streams(self, client: Client, filled: Bucket) -> None:
        batch = client.batch("s.tar", bucket=filled).add("s.tar", archpath="dir/b.jpg")
        with batch.get(decode_as_stream=True) as results:
            sizes = []
            for info, reader in results:
                content = b"".join(reader)
                assert len(content) == info.size
                sizes.append(len(content))
        assert sizes[1] == LARGE

    @pytest.mark.parametrize("streaming", [True, False])
    def test_raw_is_a_file(self, client: Client, filled: Bucket, streaming: bool) -> None:
        batch = client.batch(["a", "missing", "s.tar"], bucket=filled, streaming_get=streaming)
        with batch.get(raw=True) as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
            found = {info.name: info.size for info in tar}
            assert [out.obj_name for out in raw.results] == ["a", "missing", "s.tar"]
        assert found["bucket/a"] == 3
        assert found["__404__/bucket/missing"] == 0
        assert found["bucket/s.tar"] > LARGE

    @pytest.mark.parametrize("kind", ArchiveFormat)
    def test_raw_in_every_format(self, client: Client, filled: Bucket, kind: ArchiveFormat) -> None:
        batch = client.batch(["a", "empty"], bucket=filled, output_format=kind, only_obj_name=True)
        raw = batch.get(raw=True)
        data = raw.read()
        raw.close()
        raw.close()
        assert unpack(kind, data) == [("a", b"aaa"), ("empty", b"")]
        with pytest.raises(ValueError, match="closed"):
            raw.read(1)

    def test_leaving_early(self, client: Client, filled: Bucket) -> None:
        for taken in (0, 1):
            with client.batch(["a", "s.tar"] * 50, bucket=filled).get() as results:
                for _ in range(taken):
                    next(results)
            results.close()
            assert list(results) == []
            for _ in client.batch(["a", "s.tar"] * 50, bucket=filled):
                break

    def test_several_buckets(self, client: Client, filled: Bucket) -> None:
        other = client.bucket("other", namespace="#ns").create()
        put(other, "a", b"other")
        batch = client.batch([filled.object("a"), other.object("a")])
        assert [content for _, content in batch] == [b"aaa", b"other"]

    def test_many_at_once(self, client: Client, bucket: Bucket) -> None:
        members = [(f"{i:04d}", str(i).encode()) for i in range(500)]
        put(bucket, "s.tar", build(ArchiveFormat.TAR, members))
        batch = client.batch(bucket=bucket).add_many("s.tar", archpaths=[n for n, _ in members])
        assert [content for _, content in batch] == [content for _, content in members]
