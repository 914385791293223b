"""`ais serve` on a disk that is full to the last byte: 507 for what needs space, everything else goes on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fault.serving import Server, serving
from tests.fault.support import (
    BUCKET,
    KIB,
    MIB,
    VERIFIED,
    assert_sound,
    expect_typed,
    members,
    mounted_tmpfs,
    open_store,
    piece_files,
    piece_rows,
    until,
)

from aiscore.errors import CapacityExceededError, NotFoundError
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.objects import ArchivePutMode, ListOptions
from aiscore.testing.content import pattern
from aiscore.transport.base import Transport
from aiscore.transport.remote import RemoteTransport

DISK = 48 * MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "disk"
    with mounted_tmpfs(str(directory), DISK), serving(directory, 2) as served:
        yield served
        served.stop()
        store = open_store(served.home)
        assert_sound(store)
        store.close()
        served.start()


def fill(client: Transport, size: int, prefix: str) -> dict[str, bytes]:
    """Put until the disk is full; what was acknowledged."""
    found: dict[str, bytes] = {}
    while True:
        name, data = f"{prefix}-{len(found)}", pattern(size, len(found))
        try:
            client.put(BUCKET, name, data)
        except CapacityExceededError:
            return found
        found[name] = data


def take_the_rest(directory: Path) -> None:
    """What others store on the same disk."""
    number = 0
    for size in (MIB, 4 * KIB):
        while True:
            number += 1
            fd = os.open(directory / f"filler-{number}", os.O_WRONLY | os.O_CREAT)
            try:
                os.posix_fallocate(fd, 0, size)
            except OSError:
                os.unlink(directory / f"filler-{number}")
                break
            finally:
                os.close(fd)


def test_a_full_disk_over_http(server: Server) -> None:
    with RemoteTransport(server.url) as client:
        kept = fill(client, MIB, "large") | fill(client, 20 * KIB, "small")
        assert len(kept) > 20
        take_the_rest(server.directory)
        for what, work in _writes(client).items():
            refused = expect_typed(work)
            assert isinstance(refused, CapacityExceededError), f"{what}: {refused!r}"
        assert server.put_status("new", pattern(MIB, 9)) == 507
        for name, data in kept.items():
            assert client.read(BUCKET, name, VERIFIED) == data
        request = BatchRequest(entries=[BatchEntry(name) for name in kept], bucket=BUCKET)
        with client.get_batch(request) as batch:
            assert [data for _, data in batch] == list(kept.values())
        listed = client.list_page(BUCKET, ListOptions()).entries
        assert {entry.name for entry in listed} == set(kept)
        for name in list(kept)[::2]:
            client.delete(BUCKET, name)
            del kept[name]
            with pytest.raises(NotFoundError):
                client.head(BUCKET, name)
        client.put(BUCKET, "again", pattern(MIB, 1))
        assert client.read(BUCKET, "again", VERIFIED) == pattern(MIB, 1)
        for name, data in kept.items():
            assert client.read(BUCKET, name, VERIFIED) == data
        assert client.validate().faults == ()
    store = open_store(server.home)
    until(lambda: piece_files(store) <= piece_rows(store), "pieces without a row are gone")
    store.close()


def _writes(client: Transport) -> dict[str, Callable[[], object]]:
    data, large = pattern(64 * KIB, 7), pattern(8 * MIB, 8)
    new = members({"m": large})
    return {
        "a small object": lambda: client.put(BUCKET, "new", data),
        "a large object": lambda: client.put(BUCKET, "new", large),
        "an object of unknown length": lambda: client.put(BUCKET, "new", iter([large[:MIB]] * 3)),
        "one over another": lambda: client.put(BUCKET, "large-0", large),
        "an append": lambda: client.append(BUCKET, "new", large),
        "a shard": lambda: client.put_members(BUCKET, "t.tar", new, ArchivePutMode.CREATE),
    }


def test_a_disk_that_is_full_in_the_middle_of_a_body(server: Server) -> None:
    """The answer comes though the client is still sending, and what was written is gone."""
    with RemoteTransport(server.url) as client:
        client.put(BUCKET, "o", b"old")
        for _ in range(3):
            with pytest.raises(CapacityExceededError):
                client.put(BUCKET, "o", pattern(DISK + MIB, 1))
            assert client.read(BUCKET, "o") == b"old"
        # All of it is free again.
        store = open_store(server.home)
        until(lambda: piece_files(store) <= piece_rows(store), "pieces without a row are gone")
        store.close()
        client.put(BUCKET, "o", pattern(DISK // 2, 2))
        assert client.read(BUCKET, "o", VERIFIED) == pattern(DISK // 2, 2)
