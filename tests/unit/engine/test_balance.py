"""Objects that move to a disk that was added."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiscore.engine.index.copies import copies_of
from aiscore.engine.index.objects import rows_after
from aiscore.engine.layout import piece_path
from aiscore.engine.store import Store
from aiscore.errors import CorruptionError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.model.xaction import XactionKind, XactionSnap
from aiscore.testing.content import pattern

PLAIN, MIRRORED = BucketRef("plain"), BucketRef("mirrored")
CHUNKED = {"chunks.objsize_limit": "8KiB", "chunks.chunk_size": "4KiB"}
VERIFIED = GetOptions(verify_checksum=True)
CONTENTS = {f"o{n}": pattern(n * 2500, n) for n in range(12)}
"""The last ones are chunked."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "home"))
    add_disk(opened, tmp_path / "first")
    opened.create_bucket(PLAIN, CHUNKED)
    opened.create_bucket(MIRRORED, {**CHUNKED, "mirror.enabled": "true"})
    for bucket in (PLAIN, MIRRORED):
        for name, data in CONTENTS.items():
            opened.put(bucket, name, data, PutOptions())
    yield opened
    opened.close()


def add_disk(store: Store, path: Path) -> None:
    path.mkdir()
    store.add_mountpath(str(path))


def places(store: Store, bucket: BucketRef) -> dict[str, list[set[int]]]:
    """For each object the mountpaths of each piece."""
    connection = store.core.connection()
    return {
        row.name: [{place.mountpath_id for place in of} for of in copies_of(connection, row)]
        for row in rows_after(connection, store.core.bucket(bucket, 0).id)
    }


def written_anew(store: Store, bucket: BucketRef) -> dict[str, list[set[int]]]:
    """Where the same objects lie when they are written now."""
    for name, data in CONTENTS.items():
        store.put(bucket, name, data, PutOptions())
    return places(store, bucket)


def resilver(store: Store) -> XactionSnap:
    return store.run_job(XactionKind.RESILVER, None)


def test_objects_lie_as_if_they_were_written_now(store: Store, tmp_path: Path) -> None:
    add_disk(store, tmp_path / "second")
    before = {bucket: places(store, bucket) for bucket in (PLAIN, MIRRORED)}
    etags = {name: store.head(PLAIN, name).etag for name in CONTENTS}
    done = resilver(store)
    after = {bucket: places(store, bucket) for bucket in (PLAIN, MIRRORED)}
    moved = [
        name for bucket in after for name in CONTENTS if after[bucket][name] != before[bucket][name]
    ]
    assert done.objects == len(moved) > 6
    assert {name: store.head(PLAIN, name).etag for name in CONTENTS} == etags
    for bucket in (PLAIN, MIRRORED):
        for name, data in CONTENTS.items():
            assert store.read(bucket, name, VERIFIED) == data
    assert store.validate(None, "").faults == ()
    assert resilver(store).objects == 0
    assert after == {bucket: written_anew(store, bucket) for bucket in (PLAIN, MIRRORED)}


def test_what_is_read_is_left_and_counted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiscore.engine.resilver._PATIENCE_S", 0.1)
    add_disk(store, tmp_path / "second")
    before = places(store, PLAIN)["o11"]
    with store.open(PLAIN, "o11", GetOptions()) as reader:
        assert resilver(store).ext["busy"] == 1
        assert places(store, PLAIN)["o11"] == before
        assert reader.read() == CONTENTS["o11"]
    assert resilver(store).objects == 1
    assert places(store, PLAIN)["o11"] != before


def test_damage_does_not_travel(store: Store, tmp_path: Path) -> None:
    """What is damaged stays where it is, and is named; all others move."""
    add_disk(store, tmp_path / "second")
    names = {mountpath.id: mountpath.path for mountpath in store.core.mountpaths.all().values()}
    (row,) = rows_after(store.core.connection(), store.core.bucket(PLAIN, 0).id, "o11")
    for (piece,) in copies_of(store.core.connection(), row):
        path = Path(piece_path(names[piece.mountpath_id], piece.piece_id))
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    before = places(store, PLAIN)["o11"]
    with pytest.raises(CorruptionError, match=r"1 objects are damaged.*ais://plain/o11"):
        resilver(store)
    assert places(store, PLAIN)["o11"] == before
    assert [fault.name for fault in store.validate(None, "").faults] == ["ais://plain/o11"]
    store.put(PLAIN, "o11", CONTENTS["o11"], PutOptions())
    assert resilver(store).objects == 0


def test_a_disk_that_is_away_keeps_what_it_has(store: Store, tmp_path: Path) -> None:
    add_disk(store, tmp_path / "second")
    first = tmp_path / "first"
    first.rename(tmp_path / "unplugged")
    first.mkdir()
    store.core.mountpaths.look_again()
    away = {m.id for m in store.core.mountpaths.all().values() if m.path == str(first)}
    before = places(store, PLAIN)
    resilver(store)
    after = places(store, PLAIN)
    for name, pieces in before.items():
        if any(piece & away for piece in pieces):
            assert after[name] == pieces or any(piece & away for piece in after[name])
    first.rmdir()
    (tmp_path / "unplugged").rename(first)
    store.core.mountpaths.look_again()
    for name, data in CONTENTS.items():
        assert store.read(PLAIN, name, VERIFIED) == data
    assert store.validate(PLAIN, "").faults == ()
