"""Downloads that end early go on, and only what is whole and right gets the name."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiscli.actions.transfers.download import RESUME_SIZE_MIN, Saving, is_work_file, save
from aiscore.errors import CorruptionError
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.objects import GetOptions
from aiscore.transport import open_transport
from aiscore.transport.base import ObjectReader, Transport

BUCKET = BucketRef.parse("ais://b")
SIZE = RESUME_SIZE_MIN + (3 << 20) + 17


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[Transport]:
    with open_transport(f"file://{tmp_path}/home") as made:
        made.create_bucket(BUCKET)
        yield made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.mkdir()
    return path / "f"


class Download:
    """One attempt; remembers what it asked for and what was there."""

    def __init__(self, transport: Transport, name: str = "o") -> None:
        self.transport, self.name = transport, name
        self.offsets: list[int] = []
        self.resumed: list[int] = []

    def reopen(self, offset: int) -> ObjectReader:
        self.offsets.append(offset)
        part = ByteRange(offset=offset) if offset else None
        return self.transport.open(BUCKET, self.name, GetOptions(byte_range=part))

    def run(self, path: Path, stop_after: int = 1 << 62) -> int:
        seen = 0

        def on_block(count: int) -> None:
            nonlocal seen
            seen += count
            if seen >= stop_after:
                raise KeyboardInterrupt

        with self.transport.open(BUCKET, self.name) as reader:
            saving = Saving(
                cname="ais://b/o",
                reopen=self.reopen,
                on_block=on_block,
                on_resume=self.resumed.append,
            )
            return save(reader, str(path), saving)


def interrupted(transport: Transport, path: Path, after: int = 5 << 20) -> None:
    with pytest.raises(KeyboardInterrupt):
        Download(transport).run(path, after)


def partial(path: Path) -> Path:
    (found,) = path.parent.glob(".ais-*.part")
    return found


def test_an_interrupted_download_goes_on(transport: Transport, out: Path) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    out.write_bytes(b"old")
    interrupted(transport, out)
    assert out.read_bytes() == b"old"
    have = partial(out).stat().st_size
    assert 4 << 20 <= have < SIZE
    again = Download(transport)
    assert again.run(out) == SIZE
    assert again.offsets == again.resumed == [have]
    assert out.read_bytes() == data
    assert os.listdir(out.parent) == ["f"]


def test_the_beginning_of_another_version_is_not_used(transport: Transport, out: Path) -> None:
    transport.put(BUCKET, "o", os.urandom(SIZE))
    interrupted(transport, out)
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    again = Download(transport)
    again.run(out)
    assert again.resumed == []
    assert out.read_bytes() == data
    assert os.listdir(out.parent) == ["f"]


def test_a_damaged_beginning_is_found_and_fetched_again(transport: Transport, out: Path) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    interrupted(transport, out)
    with partial(out).open("r+b") as file:
        file.seek(1000)
        file.write(b"\0" * 8)
    again = Download(transport)
    again.run(out)
    assert again.offsets[-1] == 0
    assert out.read_bytes() == data


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"size": 1}', b"\xff"])
def test_a_beginning_without_a_good_note_is_not_used(
    transport: Transport, out: Path, note: bytes
) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    interrupted(transport, out)
    partial(out).with_suffix(".note").write_bytes(note)
    again = Download(transport)
    again.run(out)
    assert again.resumed == []
    assert out.read_bytes() == data
    assert os.listdir(out.parent) == ["f"]


def test_all_of_it_is_there_already(transport: Transport, out: Path) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    interrupted(transport, out, after=SIZE)
    partial(out).write_bytes(data)
    again = Download(transport)
    again.run(out)
    assert again.offsets == []
    assert out.read_bytes() == data


def test_small_objects_leave_nothing(transport: Transport, out: Path) -> None:
    transport.put(BUCKET, "o", os.urandom(RESUME_SIZE_MIN - 1))
    interrupted(transport, out, after=1 << 20)
    assert os.listdir(out.parent) == []


def test_without_a_checksum_nothing_is_gone_on_from(transport: Transport, out: Path) -> None:
    transport.set_bucket_props(BUCKET, {"checksum.type": "none"})
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    interrupted(transport, out)
    assert os.listdir(out.parent) == []
    Download(transport).run(out)
    assert out.read_bytes() == data


def test_what_arrives_is_verified(transport: Transport, out: Path, tmp_path: Path) -> None:
    transport.put(BUCKET, "o", b"a" * SIZE)
    piece = max((tmp_path / "home").rglob("*"), key=lambda path: path.stat().st_size)
    with piece.open("r+b") as file:
        file.seek(7)
        file.write(b"b")
    with pytest.raises(CorruptionError, match="bad checksum of ais://b/o"):
        Download(transport).run(out)
    assert os.listdir(out.parent) == []


def test_two_downloads_of_one_file_do_not_mix(transport: Transport, out: Path) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    interrupted(transport, out)
    with partial(out).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        size = os.fstat(other.fileno()).st_size
        Download(transport).run(out)
        assert os.fstat(other.fileno()).st_size == size
    assert out.read_bytes() == data


def test_a_directory_is_not_replaced(transport: Transport, out: Path) -> None:
    transport.put(BUCKET, "o", b"x")
    out.mkdir()
    with pytest.raises(IsADirectoryError):
        Download(transport).run(out)
    assert os.listdir(out.parent) == ["f"]


def test_a_link_is_followed_or_replaced(transport: Transport, out: Path) -> None:
    transport.put(BUCKET, "o", b"new")
    target = out.parent / "target"

    def write(*, follow: bool) -> None:
        target.write_bytes(b"old")
        out.unlink(missing_ok=True)
        out.symlink_to(target)
        with transport.open(BUCKET, "o") as reader:
            save(reader, str(out), Saving(cname="o", follow=follow, mtime_ns=10**18))

    write(follow=True)
    assert out.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mtime_ns == 10**18
    write(follow=False)
    assert not out.is_symlink()
    assert target.read_bytes() == b"old"


KILLED = """
import os, signal, sys
from aiscli.actions.transfers.download import Saving, save
from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport
seen = 0
def on_block(count):
    global seen
    seen += count
    if seen > 5 << 20:
        os.kill(os.getpid(), signal.SIGKILL)
with open_transport(sys.argv[1]) as transport:
    with transport.open(BucketRef.parse("ais://b"), "o") as reader:
        save(reader, sys.argv[2], Saving(cname="o", reopen=lambda at: None, on_block=on_block))
"""


@pytest.fixture
def kill(transport: Transport) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, transport.endpoint, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
            timeout=60,
        )
        assert done.returncode == -9

    return run


def test_a_killed_download_goes_on(
    transport: Transport, out: Path, kill: Callable[[Path], None]
) -> None:
    data = os.urandom(SIZE)
    transport.put(BUCKET, "o", data)
    out.write_bytes(b"old")
    kill(out)
    assert out.read_bytes() == b"old"
    note = json.loads(partial(out).with_suffix(".note").read_bytes())
    assert note["size"] == SIZE
    again = Download(transport)
    again.run(out)
    assert again.resumed
    assert out.read_bytes() == data
    assert os.listdir(out.parent) == ["f"]


def test_work_files_are_recognised() -> None:
    assert is_work_file(".ais-0011223344556677.part")
    assert is_work_file(".ais-0011223344556677.note")
    assert not is_work_file("ais.part")
    assert not is_work_file(".ais-x.txt")
