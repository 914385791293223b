"""Suite: what happens to objects after they were stored."""

from pathlib import Path

import pytest

from aiscore.errors import (
    AisError,
    BucketNotFoundError,
    ChecksumMismatchError,
    InvalidArgumentError,
    InvalidNameError,
    NotFoundError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import (
    CUSTOM_METADATA_MAX,
    GetOptions,
    PromoteOptions,
    PutOptions,
    Selection,
)
from aiscore.testing.content import BODIES, LARGE, checksum_of, is_checksum_of, pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import BucketFactory, Fixtures
from aiscore.testing.listing import list_names
from aiscore.testing.writing import unchanged
from aiscore.transport.base import Transport

__all__ = ["ManagingTests"]


class ManagingTests(Fixtures):
    """Delete, rename, copy, append, promote, custom metadata."""

    # delete

    def test_delete_removes(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content")
        transport.put(bucket, "o/p", b"content")
        transport.delete(bucket, "o")
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.read(bucket, "o")
        assert list_names(transport, bucket) == ["o/p"]
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.delete(bucket, "o")

    @pytest.mark.parametrize("field", ["etag", "version"])
    def test_delete_under_a_condition(
        self, transport: Transport, bucket: BucketRef, field: str
    ) -> None:
        old, if_old = unchanged(transport.put(bucket, "o", b"first"), field)
        _, if_new = unchanged(transport.put(bucket, "o", b"second"), field)
        with refuses(PreconditionFailedError, bucket.object_cname("o"), old):
            transport.delete(bucket, "o", if_old)
        assert transport.read(bucket, "o") == b"second"
        transport.delete(bucket, "o", if_new)
        assert list_names(transport, bucket) == []

    def test_delete_many_by_name(self, transport: Transport, bucket: BucketRef) -> None:
        for name in ("a", "b", "c", "d"):
            transport.put(bucket, name, b"x")
        names = ("c", "missing-1", "a", "missing-2")
        result = transport.delete_many(bucket, Selection(names=names))
        assert result.deleted == 2
        assert sorted(result.missing) == ["missing-1", "missing-2"]
        assert list_names(transport, bucket) == ["b", "d"]

    def test_delete_many_by_template(self, transport: Transport, bucket: BucketRef) -> None:
        for i in range(12):
            transport.put(bucket, f"shard-{i:03d}.tar", b"x")
        result = transport.delete_many(bucket, Selection(template="shard-{002..014..2}.tar"))
        assert result.deleted == 5
        kept = {0, 1, 3, 5, 7, 9, 11}
        assert list_names(transport, bucket) == [f"shard-{i:03d}.tar" for i in sorted(kept)]

    def test_delete_many_by_prefix(self, transport: Transport, bucket: BucketRef) -> None:
        for name in ("a", "a-", "a/1", "a/2/3", "b"):
            transport.put(bucket, name, b"x")
        assert transport.delete_many(bucket, Selection(prefix="a/")).deleted == 2
        assert list_names(transport, bucket) == ["a", "a-", "b"]
        assert transport.delete_many(bucket, Selection(prefix="a")).deleted == 2
        assert transport.delete_many(bucket, Selection(prefix="zzz")).deleted == 0

    def test_delete_many_everything(self, transport: Transport, bucket: BucketRef) -> None:
        for i in range(250):
            transport.put(bucket, f"o-{i}", b"x")
        assert transport.delete_many(bucket, Selection(everything=True)).deleted == 250
        assert transport.delete_many(bucket, Selection(everything=True)).deleted == 0
        assert list_names(transport, bucket) == []
        assert transport.head_bucket(bucket).provider == "ais"

    # rename and copy

    def test_rename_moves_all_of_the_object(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        before = transport.put(bucket, "o", data, PutOptions(custom={"k": "v"}))
        transport.rename(bucket, "o", "dir/p")
        after = transport.head(bucket, "dir/p")
        assert (after.name, after.size, after.checksum) == ("dir/p", LARGE, before.checksum)
        assert dict(after.custom) == {"k": "v"}
        assert transport.read(bucket, "dir/p", GetOptions(verify_checksum=True)) == data
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.head(bucket, "o")

    def test_rename_replaces(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"mine")
        transport.put(bucket, "p", b"theirs")
        transport.rename(bucket, "o", "p")
        assert transport.read(bucket, "p") == b"mine"
        assert list_names(transport, bucket) == ["p"]

    def test_rename_of_a_missing_object(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "p", b"theirs")
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.rename(bucket, "o", "p")
        assert transport.read(bucket, "p") == b"theirs"

    def test_copy_is_independent(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        other = buckets.create()
        data = pattern(LARGE)
        transport.put(bucket, "o", b"version 1")
        before = transport.put(bucket, "o", data, PutOptions(custom={"k": "v"}))
        for target, name in ((bucket, "p"), (other, "o")):
            copied = transport.copy(bucket, "o", target, name)
            assert (copied.name, copied.size, copied.checksum) == (name, LARGE, before.checksum)
            assert dict(copied.custom) == {"k": "v"}
            assert transport.head(target, name).etag == copied.etag
        assert transport.head(other, "o").version == "1"
        transport.put(bucket, "o", b"changed")
        transport.delete(bucket, "p")
        assert transport.read(other, "o", GetOptions(verify_checksum=True)) == data
        transport.destroy_bucket(bucket)
        assert transport.read(other, "o") == data

    def test_copy_replaces(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"mine")
        old = transport.put(bucket, "p", b"theirs")
        new = transport.copy(bucket, "o", bucket, "p")
        assert new.etag != old.etag
        assert transport.read(bucket, "p") == b"mine"
        assert transport.read(bucket, "o") == b"mine"

    def test_copy_of_and_to_what_is_missing(
        self, transport: Transport, buckets: BucketFactory, bucket: BucketRef
    ) -> None:
        missing = buckets.reserve()
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.copy(bucket, "o", bucket, "p")
        transport.put(bucket, "o", b"content")
        with refuses(BucketNotFoundError, missing.cname):
            transport.copy(bucket, "o", missing, "o")
        assert list_names(transport, bucket) == ["o"]

    # append

    @pytest.mark.parametrize("kind", ["bytes", "file", "generator"])
    def test_append_is_visible_after_the_flush(
        self, transport: Transport, bucket: BucketRef, kind: str
    ) -> None:
        parts = [pattern(size, seed=size) for size in (10, 300_000, 0, 1)]
        handle = ""
        for part in parts:
            handle = transport.append(bucket, "o", BODIES[kind](part), handle)
            assert handle
            with refuses(ObjectNotFoundError):
                transport.head(bucket, "o")
        whole = b"".join(parts)
        props = transport.flush_append(bucket, "o", handle)
        assert (props.size, props.version) == (len(whole), "1")
        assert is_checksum_of(props.checksum, whole)
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == whole

    def test_append_starts_from_the_object(self, transport: Transport, bucket: BucketRef) -> None:
        data = pattern(LARGE)
        transport.put(bucket, "o", data)
        handle = transport.append(bucket, "o", b"more")
        assert transport.read(bucket, "o") == data
        assert transport.flush_append(bucket, "o", handle).version == "2"
        assert transport.read(bucket, "o", GetOptions(verify_checksum=True)) == data + b"more"
        handle = transport.append(bucket, "o", b" and more")
        transport.flush_append(bucket, "o", handle)
        assert transport.read(bucket, "o") == data + b"more and more"

    def test_appends_do_not_mix(self, transport: Transport, bucket: BucketRef) -> None:
        first = transport.append(bucket, "o", b"a")
        second = transport.append(bucket, "p", b"1")
        first = transport.append(bucket, "o", b"b", first)
        second = transport.append(bucket, "p", b"2", second)
        transport.flush_append(bucket, "o", first)
        transport.flush_append(bucket, "p", second)
        assert transport.read(bucket, "o") == b"ab"
        assert transport.read(bucket, "p") == b"12"

    def test_flush_verifies(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"before ")
        handle = transport.append(bucket, "o", b"more")
        wrong = checksum_of(ChecksumType.MD5, b"other")
        with refuses(ChecksumMismatchError, bucket.object_cname("o"), wrong.value):
            transport.flush_append(bucket, "o", handle, wrong)
        assert transport.read(bucket, "o") == b"before "
        handle = transport.append(bucket, "o", b"more")
        right = checksum_of(ChecksumType.MD5, b"before more")
        transport.flush_append(bucket, "o", handle, right)
        assert transport.read(bucket, "o") == b"before more"

    def test_handle_ends_with_the_flush(self, transport: Transport, bucket: BucketRef) -> None:
        handle = transport.append(bucket, "o", b"content")
        transport.flush_append(bucket, "o", handle)
        for used in (handle, "no-such-handle"):
            with refuses(AisError):
                transport.append(bucket, "o", b"again", used)
            with refuses(AisError):
                transport.flush_append(bucket, "o", used)
        assert transport.read(bucket, "o") == b"content"
        assert transport.head(bucket, "o").version == "1"

    # promote

    def test_promote_a_file(self, transport: Transport, bucket: BucketRef, tmp_path: Path) -> None:
        file = tmp_path / "sample.jpg"
        file.write_bytes(pattern(LARGE))
        result = transport.promote(bucket, str(file), "dir/o")
        assert (result.objects, result.size, result.skipped) == (1, LARGE, 0)
        assert transport.read(bucket, "dir/o", GetOptions(verify_checksum=True)) == pattern(LARGE)
        transport.promote(bucket, str(file))
        assert list_names(transport, bucket) == ["dir/o", "sample.jpg"]
        assert file.exists()

    def test_promote_a_directory(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        root = _tree(tmp_path)
        assert transport.promote(bucket, str(root)).objects == 2
        assert list_names(transport, bucket) == ["a", "b"]
        options = PromoteOptions(recursive=True)
        result = transport.promote(bucket, str(root), "dir", options)
        assert (result.objects, result.size) == (4, 16)
        inside = ["dir/a", "dir/b", "dir/sub/c", "dir/sub/sub/d"]
        assert list_names(transport, bucket) == ["a", "b", *inside]
        assert transport.read(bucket, "dir/sub/sub/d") == b"deep"

    def test_promote_keeps_objects_unless_told(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        root = _tree(tmp_path)
        transport.put(bucket, "a", b"mine")
        result = transport.promote(bucket, str(root))
        assert (result.objects, result.skipped) == (1, 1)
        assert transport.read(bucket, "a") == b"mine"
        result = transport.promote(bucket, str(root), "", PromoteOptions(overwrite=True))
        assert (result.objects, result.skipped) == (2, 0)
        assert transport.read(bucket, "a") == b"aaaa"

    def test_promote_removes_what_it_took(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        root = _tree(tmp_path)
        transport.put(bucket, "a", b"mine")
        transport.promote(bucket, str(root), "", PromoteOptions(delete_source=True))
        assert (root / "a").exists()  # it was skipped
        assert not (root / "b").exists()
        assert (root / "sub" / "c").exists()
        assert transport.read(bucket, "b") == b"bbbb"

    def test_promote_refuses_what_is_no_path(
        self, transport: Transport, bucket: BucketRef, tmp_path: Path
    ) -> None:
        missing = str(tmp_path / "missing")
        with refuses(NotFoundError, missing):
            transport.promote(bucket, missing, "o")
        with refuses(InvalidArgumentError, "relative/path"):
            transport.promote(bucket, "relative/path", "o")
        (tmp_path / "file").write_bytes(b"content")
        with refuses(InvalidNameError):
            transport.promote(bucket, str(tmp_path / "file"), "a/../o")
        assert list_names(transport, bucket) == []

    # custom metadata

    def test_set_custom_merges_and_replaces(self, transport: Transport, bucket: BucketRef) -> None:
        before = transport.put(bucket, "o", b"content", PutOptions(custom={"a": "1", "b": "2"}))
        after = transport.set_custom(bucket, "o", {"b": "3", "c": "4"})
        assert dict(after.custom) == {"a": "1", "b": "3", "c": "4"}
        after = transport.set_custom(bucket, "o", {"a": "", "missing": ""})
        assert dict(after.custom) == {"b": "3", "c": "4"}
        after = transport.set_custom(bucket, "o", {"d": "5"}, replace=True)
        assert dict(after.custom) == {"d": "5"}
        assert dict(transport.head(bucket, "o").custom) == {"d": "5"}
        assert (after.version, after.checksum) == (before.version, before.checksum)
        assert transport.read(bucket, "o") == b"content"
        assert dict(transport.set_custom(bucket, "o", {}, replace=True).custom) == {}

    def test_set_custom_has_the_limit_of_put(self, transport: Transport, bucket: BucketRef) -> None:
        transport.put(bucket, "o", b"content", PutOptions(custom={"a": "1"}))
        half = "v" * (CUSTOM_METADATA_MAX // 2)
        transport.set_custom(bucket, "o", {"b": half})
        for bad in ({"c": half}, {"": "v"}, {"a=b": "v"}, {"k": "two\nlines"}):
            with refuses(InvalidArgumentError):
                transport.set_custom(bucket, "o", bad)
        assert dict(transport.head(bucket, "o").custom) == {"a": "1", "b": half}

    def test_set_custom_of_a_missing_object(self, transport: Transport, bucket: BucketRef) -> None:
        with refuses(ObjectNotFoundError, bucket.object_cname("o")):
            transport.set_custom(bucket, "o", {"k": "v"})


def _tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub" / "sub").mkdir(parents=True)
    (root / "a").write_bytes(b"aaaa")
    (root / "b").write_bytes(b"bbbb")
    (root / "sub" / "c").write_bytes(b"cccc")
    (root / "sub" / "sub" / "d").write_bytes(b"deep")
    return root
