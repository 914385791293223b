"""Suite: listings. Complete, ordered, paged, while others write."""

import random
import threading
from collections.abc import Iterator

import pytest

from aiscore.errors import InvalidArgumentError, InvalidNameError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import (
    LIST_PAGE_MAX,
    EntryFlag,
    ListEntry,
    ListOptions,
    ListProp,
    PutOptions,
)
from aiscore.testing.archives import FORMATS, build
from aiscore.testing.content import pattern
from aiscore.testing.expect import refuses
from aiscore.testing.fixtures import Fixtures
from aiscore.transport.base import Transport

__all__ = ["ListingTests", "list_all", "list_names"]

NAMES = (
    "A",
    "a",
    "a!",
    "a-b",
    "a.b",
    "a/",
    "a/b",
    "a/b/c",
    "a/b0",
    "a0",
    "b",
    "b/1/2/3",
    "b/1/2/4",
    "b/1/x",
    "é",
    "日本",
    "\ue000",
    "ﬀ",
    "😀",
)
"""In byte order; UTF-16 would sort the last three otherwise, and "a/" only shows where "a/..." goes."""
LIVE = tuple(name for name in NAMES if not name.endswith("/"))


def list_all(
    transport: Transport,
    bucket: BucketRef,
    *,
    prefix: str = "",
    delimiter: str = "",
    start_after: str = "",
    page_size: int = 0,
    props: frozenset[ListProp] = frozenset({ListProp.NAME}),
    archive: bool = False,
    directories: bool = True,
) -> list[ListEntry]:
    """Every entry of a listing, page by page; checks what holds for every page."""
    entries: list[ListEntry] = []
    token = ""
    while True:
        options = ListOptions(
            prefix=prefix,
            delimiter=delimiter,
            start_after=start_after,
            token=token,
            page_size=page_size,
            props=props,
            archive=archive,
            directories=directories,
        )
        page = transport.list_page(bucket, options)
        assert len(page.entries) <= (page_size or LIST_PAGE_MAX)
        assert page.entries or not page.token, "an empty page that is not the last"
        entries += page.entries
        token = page.token
        if not token:
            return entries


def list_names(transport: Transport, bucket: BucketRef) -> list[str]:
    """Names of all objects."""
    return [entry.name for entry in list_all(transport, bucket)]


class ListingTests(Fixtures):
    """Listings."""

    @pytest.fixture
    def named(self, transport: Transport, bucket: BucketRef) -> BucketRef:
        """A bucket with `LIVE`, stored in no order."""
        for name in random.Random(1).sample(LIVE, len(LIVE)):
            transport.put(bucket, name, name.encode())
        return bucket

    def test_names_come_in_byte_order(self, transport: Transport, named: BucketRef) -> None:
        assert list(LIVE) == sorted(LIVE, key=str.encode)
        assert list_names(transport, named) == list(LIVE)

    @pytest.mark.parametrize("page_size", [1, 2, 3, 7, len(LIVE) - 1, len(LIVE), len(LIVE) + 1, 0])
    def test_pages_add_up(self, transport: Transport, named: BucketRef, page_size: int) -> None:
        entries = list_all(transport, named, page_size=page_size)
        assert [entry.name for entry in entries] == list(LIVE)

    @pytest.mark.parametrize("page_size", [1, 2, 0])
    @pytest.mark.parametrize(
        "prefix", ["a", "a/", "a/b", "a/b/", "b/1/", "é", "zzz", "a/b/c", "a/b/cc", "\ue000"]
    )
    def test_prefix(
        self, transport: Transport, named: BucketRef, prefix: str, page_size: int
    ) -> None:
        entries = list_all(transport, named, prefix=prefix, page_size=page_size)
        assert [entry.name for entry in entries] == [n for n in LIVE if n.startswith(prefix)]

    @pytest.mark.parametrize("page_size", [1, 2, 3, 0])
    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "b/", "b/1", "b/1/", "b/1/2/"])
    def test_delimiter_folds(
        self, transport: Transport, named: BucketRef, prefix: str, page_size: int
    ) -> None:
        entries = list_all(transport, named, prefix=prefix, delimiter="/", page_size=page_size)
        expected = _folded(prefix)
        assert [entry.name for entry in entries] == expected
        for entry in entries:
            assert entry.is_directory == entry.name.endswith("/")

    @pytest.mark.parametrize("page_size", [1, 3, 0])
    def test_directories_can_be_left_out(
        self, transport: Transport, named: BucketRef, page_size: int
    ) -> None:
        entries = list_all(transport, named, delimiter="/", directories=False, page_size=page_size)
        assert [entry.name for entry in entries] == [n for n in LIVE if "/" not in n]

    @pytest.mark.parametrize("page_size", [1, 4, 0])
    @pytest.mark.parametrize("start_after", ["A", "a/", "a/b", "a/bb", "b", "zzz", "😀"])
    def test_start_after_is_exclusive(
        self, transport: Transport, named: BucketRef, start_after: str, page_size: int
    ) -> None:
        entries = list_all(transport, named, start_after=start_after, page_size=page_size)
        bound = start_after.encode()
        assert [entry.name for entry in entries] == [n for n in LIVE if n.encode() > bound]

    def test_start_after_and_prefix(self, transport: Transport, named: BucketRef) -> None:
        entries = list_all(transport, named, prefix="b/", start_after="b/1/2/3", page_size=1)
        assert [entry.name for entry in entries] == ["b/1/2/4", "b/1/x"]
        assert list_all(transport, named, prefix="a/", start_after="b") == []
        entries = list_all(transport, named, prefix="b/", start_after="a")
        assert len(entries) == 3

    def test_token_outlives_the_name_it_came_from(
        self, transport: Transport, named: BucketRef
    ) -> None:
        options = ListOptions(page_size=5)
        page = transport.list_page(named, options)
        transport.delete(named, page.entries[-1].name)
        transport.delete(named, LIVE[5])
        rest = transport.list_page(named, ListOptions(token=page.token))
        assert [entry.name for entry in rest.entries] == list(LIVE[6:])

    def test_empty_bucket_is_one_empty_page(self, transport: Transport, bucket: BucketRef) -> None:
        page = transport.list_page(bucket)
        assert (page.entries, page.token) == ([], "")
        page = transport.list_page(bucket, ListOptions(delimiter="/", page_size=1))
        assert (page.entries, page.token) == ([], "")

    def test_bad_options_are_refused(self, transport: Transport, bucket: BucketRef) -> None:
        with refuses(InvalidArgumentError):
            transport.list_page(bucket, ListOptions(delimiter="-"))
        with refuses(InvalidArgumentError):
            transport.list_page(bucket, ListOptions(page_size=LIST_PAGE_MAX + 1))
        with refuses(InvalidNameError):
            transport.list_page(bucket, ListOptions(prefix="a/../"))

    # properties

    def test_size_comes_unasked_and_the_rest_on_demand(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "o", b"content", PutOptions(custom={"k": "v"}))
        (entry,) = transport.list_page(bucket).entries
        assert (entry.name, entry.size) == ("o", 7)
        assert (entry.checksum, entry.version, entry.custom) == (None, "", None)

    def test_every_property_is_that_of_head(self, transport: Transport, bucket: BucketRef) -> None:
        for i in range(3):
            transport.put(bucket, f"o-{i}", pattern(i * 100), PutOptions(custom={"i": str(i)}))
        entries = list_all(transport, bucket, props=frozenset(ListProp), page_size=2)
        assert len(entries) == 3
        for entry in entries:
            head = transport.head(bucket, entry.name)
            assert entry.custom is not None
            assert dict(entry.custom) == dict(head.custom)
            for field in ("size", "checksum", "version", "location", "copies", "etag", "mtime_ns"):
                assert getattr(entry, field) == getattr(head, field), field
            assert EntryFlag.CACHED in entry.flags
            assert not entry.is_directory
            assert not entry.in_archive

    def test_overwritten_object_is_listed_once_and_as_it_is(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        for size in (1, 2, 3):
            transport.put(bucket, "o", pattern(size))
        props = frozenset({ListProp.SIZE, ListProp.VERSION})
        (entry,) = list_all(transport, bucket, props=props)
        assert (entry.size, entry.version) == (3, "3")

    # shards

    @pytest.mark.parametrize("page_size", [1, 2, 3, 5, 0])
    def test_members_follow_their_shard(
        self, transport: Transport, bucket: BucketRef, page_size: int
    ) -> None:
        expected = []
        for kind in FORMATS:
            members = [("z.txt", b"zz"), ("dir/a.txt", b"a"), ("empty", b"")]
            shard = f"s{kind}"
            transport.put(bucket, shard, build(kind, members))
            expected += [(shard, None), *((f"{shard}/{n}", len(c)) for n, c in members)]
        transport.put(bucket, "plain.txt", b"plain")
        expected.sort(key=lambda pair: pair[0].partition("/")[0].encode())
        entries = list_all(
            transport,
            bucket,
            archive=True,
            page_size=page_size,
            props=frozenset({ListProp.NAME, ListProp.SIZE}),
        )
        inside = [entry for entry in entries if entry.name != "plain.txt"]
        assert [entry.name for entry in inside] == [name for name, _ in expected]
        for entry, (_, size) in zip(inside, expected, strict=True):
            assert entry.in_archive == (size is not None)
            if size is None:
                assert EntryFlag.ARCHIVE in entry.flags
            else:
                assert entry.size == size
        (plain,) = (entry for entry in entries if entry.name == "plain.txt")
        assert EntryFlag.ARCHIVE not in plain.flags

    def test_prefix_reaches_into_a_shard(self, transport: Transport, bucket: BucketRef) -> None:
        members = [("cat/1.jpg", b"1"), ("dog/1.jpg", b"2"), ("cat/2.jpg", b"3")]
        transport.put(bucket, "a/s.tar", build(FORMATS[0], members))
        transport.put(bucket, "a/s.tar.idx", b"no shard")
        names = [
            entry.name for entry in list_all(transport, bucket, archive=True, prefix="a/s.tar/cat/")
        ]
        assert names == ["a/s.tar/cat/1.jpg", "a/s.tar/cat/2.jpg"]

    def test_listing_survives_what_only_looks_like_a_shard(
        self, transport: Transport, bucket: BucketRef
    ) -> None:
        transport.put(bucket, "broken.tar", pattern(5000))
        transport.put(bucket, "good.tar", build(FORMATS[0], [("m", b"x")]))
        names = [entry.name for entry in list_all(transport, bucket, archive=True)]
        assert names == ["broken.tar", "good.tar", "good.tar/m"]

    # others write meanwhile

    @pytest.mark.parametrize("page_size", [1, 7, 100])
    def test_stable_names_appear_exactly_once_under_churn(
        self, transport: Transport, bucket: BucketRef, page_size: int
    ) -> None:
        stable = sorted(f"k-{i:04d}" for i in range(0, 300, 3))
        for name in stable:
            transport.put(bucket, name, b"x")
        stop = threading.Event()
        failures: list[BaseException] = []

        def churn() -> None:
            chosen = random.Random(page_size)
            try:
                while not stop.is_set():
                    name = f"k-{chosen.randrange(300):04d}-churn"
                    transport.put(bucket, name, b"y")
                    if chosen.random() < 0.7:
                        transport.delete(bucket, name)
            except BaseException as exc:
                failures.append(exc)

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(3):
                seen = [entry.name for entry in list_all(transport, bucket, page_size=page_size)]
                assert seen == sorted(set(seen), key=str.encode)
                assert [name for name in seen if "churn" not in name] == stable
        finally:
            stop.set()
            thread.join(timeout=60)
        assert not failures


def _folded(prefix: str) -> list[str]:
    def fold() -> Iterator[str]:
        for name in LIVE:
            if name.startswith(prefix):
                head, slash, _ = name[len(prefix) :].partition("/")
                yield f"{prefix}{head}{slash}"

    return sorted(set(fold()), key=str.encode)
