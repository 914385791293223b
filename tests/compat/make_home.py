"""Writes the home that `test_upgrade.py` opens: `python tests/compat/make_home.py`.

Run by hand, once for each format version, with the release that introduced it. The result is checked in and never
written again: it stands for the homes that users have. Names, times and random numbers are fixed, so that running it
twice with the same release gives the same files.

It writes `data/format-N.tar.gz`, the home and its second mountpath, and `data/format-N.json`, what is in it.
"""

import gzip
import hashlib
import io
import json
import os
import random
import secrets
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, tzinfo
from itertools import count
from pathlib import Path
from typing import Self
from unittest.mock import patch

from aiscore.engine.commit import commit_content
from aiscore.engine.core import Core
from aiscore.engine.index.buckets import delete_bucket, find_bucket
from aiscore.engine.index.objects import delete_object, select_object
from aiscore.engine.layout import FORMAT_VERSION
from aiscore.engine.store import Store
from aiscore.engine.write import ContentWriter
from aiscore.model.bucket import BucketRef, Namespace
from aiscore.model.checksum import ChecksumType
from aiscore.model.chunks import RechunkOptions
from aiscore.model.multipart import PartRef, UploadOptions
from aiscore.model.objects import GetOptions, PutOptions
from aiscore.transport import MemberInput, Transport, open_transport

DATA = Path(__file__).with_name("data")
WRITTEN_AT = "/written/here"
"""What the archive has in place of the directory that it was made in."""
NOW_NS = 1_793_491_200_000_000_000  # 2026-11-01
DISKS = ("home", "disk")

PLAIN = BucketRef("plain")
SHARDS = BucketRef("shards")
DURABLE = BucketRef("durable")
SCOPED = BucketRef("scoped", namespace=Namespace(name="team"))
MIRRORED = BucketRef("mirrored")
DOOMED = BucketRef("doomed")
SHARD_NAMES = ("s.tar", "s.tgz", "s.tar.lz4", "s.zip")


def content(seed: int, size: int) -> bytes:
    """Bytes that compress well and differ from seed to seed."""
    return (b"%d " % seed + bytes(range(256)) * (size // 256 + 1))[:size]


def members(seed: int) -> dict[str, bytes]:
    """Files of one shard."""
    names = ("a.txt", "dir/b.bin", "dir/empty", "ünï/cödé.txt", "d" * 90 + "/" + "n" * 90)
    return {name: content(seed + n, 300 * n) for n, name in enumerate(names)}


class FixedDatetime(datetime):
    """The calendar's side of the fixed clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Always the same moment."""
        return cls.fromtimestamp(NOW_NS // 10**9, tz or UTC)


@contextmanager
def fixed(start: int) -> Iterator[None]:
    """Clock, random names and process id that are the same in every run."""
    ticks = count(NOW_NS + start * 10**12, 1_000_000)
    numbers = random.Random(start)
    with (
        patch.object(time, "time_ns", lambda: next(ticks)),
        patch.object(time, "time", lambda: next(ticks) / 1e9),
        patch.object(secrets, "token_hex", lambda size=32: numbers.randbytes(size).hex()),
        patch.object(os, "getpid", lambda: 4711),
        patch("aiscore.engine.core.datetime", FixedDatetime),
    ):
        yield


def fill(home: Path, transport: Transport) -> str:
    """Put one of everything into the home; the handle of an APPEND that is not flushed yet."""
    disk = home.with_name("disk")
    disk.mkdir()
    transport.add_mountpath(str(disk))
    transport.set_config({"versioning.enabled": "true"})
    transport.create_bucket(PLAIN)
    transport.create_bucket(SHARDS, {"versioning.enabled": "false"})
    transport.create_bucket(DURABLE, {"features": "Fsync-PUT", "checksum.type": "sha256"})
    transport.create_bucket(SCOPED)
    for n in range(20):
        transport.put(PLAIN, f"dir{n % 3}/object-{n:02d}", content(n, n * 137))
    transport.put(PLAIN, "ünï/cödé 文件", b"name outside of ASCII")
    transport.put(PLAIN, "custom", b"with metadata", PutOptions(custom={"k": "v", "ü": "ö"}))
    for n in range(3):
        transport.put(PLAIN, "third-version", content(n, 1_000))
    transport.copy(PLAIN, "custom", SCOPED, "linked")
    for kind in ChecksumType:
        transport.put(DURABLE, f"checksum-{kind}", b"hashed", PutOptions(compute=kind))
    for n, shard in enumerate(SHARD_NAMES):
        files = members(n).items()
        transport.put_members(SHARDS, shard, [MemberInput(k, len(v), v) for k, v in files])
        transport.read(SHARDS, shard, GetOptions(archpath="a.txt"))  # makes its index
    for name in ("uploaded", "uploading"):
        upload = transport.create_upload(PLAIN, name, UploadOptions(custom={"k": name}, md5=True))
        for number in (1, 2, 3):
            transport.put_part(PLAIN, name, upload, number, content(number, 700 * number))
    refs = [PartRef(number=number) for number in (1, 2, 3)]
    done = transport.list_uploads(PLAIN, "uploaded")[0].upload_id
    transport.complete_upload(PLAIN, "uploaded", done, refs)
    transport.set_bucket_props(
        SCOPED, {"chunks.objsize_limit": "4KiB", "chunks.chunk_size": "1KiB"}
    )
    transport.put(SCOPED, "chunked", content(5, 10_000))
    transport.create_bucket(MIRRORED, {"mirror.enabled": "true"})
    transport.put(MIRRORED, "on two disks", content(6, 1_000))
    transport.copy(SCOPED, "chunked", MIRRORED, "chunked")
    transport.rechunk_bucket(MIRRORED, RechunkOptions(objsize_limit=4_096, chunk_size=1_024))
    handle = transport.append(PLAIN, "appended", b"first ")
    return transport.append(PLAIN, "appended", b"second", handle)


def write_pieces(home: Path) -> None:
    """An object of several pieces; through the API it would need more than a GiB."""
    with closing(Store(str(home))) as store:
        core = store.core
        writer = ContentWriter(
            core,
            f"{PLAIN.uname}pieces",
            PLAIN.object_cname("pieces"),
            [ChecksumType.XXHASH2],
            piece_size_max=4_096,
            hash_pieces=True,
        )
        writer.write(content(77, 20_000))
        writer.finish()
        commit_content(
            core,
            find_bucket(core.connection(), PLAIN),
            "pieces",
            writer,
            checksum=writer.hasher.checksum(ChecksumType.XXHASH2),
            custom={},
        )


def die(home: Path) -> None:
    """Leave what a killed process leaves: a piece without row, garbage, a bucket half destroyed."""
    store = Store(str(home))
    core: Core = store.core
    store.create_bucket(DOOMED)
    store.put(DOOMED, "lost", b"gone with its bucket", PutOptions())
    store.put(PLAIN, "deleted", b"deleted, but not unlinked", PutOptions())
    writer = ContentWriter(core, "unfinished", "unfinished", piece_size_max=1 << 20)
    writer.write(b"never committed")
    with core.database.write() as connection:
        delete_bucket(connection, find_bucket(connection, DOOMED).id)
        row = select_object(connection, find_bucket(connection, PLAIN).id, "deleted")
        assert row is not None
        delete_object(connection, row)
    os._exit(0)


def describe(transport: Transport, handle: str) -> dict[str, object]:
    """What a reader must find."""
    found: list[dict[str, object]] = []
    for bucket in (PLAIN, SHARDS, DURABLE, SCOPED, MIRRORED):
        for entry in transport.list_page(bucket).entries:
            props = transport.head(bucket, entry.name)
            data = transport.read(bucket, entry.name)
            found.append(
                {
                    "bucket": bucket.cname,
                    "name": entry.name,
                    "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "checksum": str(props.checksum),
                    "version": props.version,
                    "custom": dict(props.custom),
                    "etag": props.etag,
                    "mtime_ns": props.mtime_ns,
                    "pieces": props.chunk_count,
                    "copies": props.copies,
                }
            )
    return {
        "format": FORMAT_VERSION,
        "written_at": WRITTEN_AT,
        "objects": found,
        "shards": {
            shard: {
                name: hashlib.sha256(data).hexdigest() for name, data in members(number).items()
            }
            for number, shard in enumerate(SHARD_NAMES)
        },
        "append": {"bucket": PLAIN.cname, "name": "appended", "handle": handle},
        "upload": {
            "bucket": PLAIN.cname,
            "name": "uploading",
            "id": transport.list_uploads(PLAIN)[0].upload_id,
            "sha256": hashlib.sha256(b"".join(content(n, 700 * n) for n in (1, 2, 3))).hexdigest(),
        },
    }


def pack(root: Path, target: Path) -> None:
    """Home and disk as an archive without anything of this machine, the reserve left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(root.rglob("*")):
            if path.name == "reserve":
                continue
            info = tar.gettarinfo(str(path), str(path.relative_to(root)))
            if info.islnk():  # a copy within the store: packed as the file it is
                info.type, info.size = tarfile.REGTYPE, path.stat().st_size
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    target.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def main() -> None:
    """Write archive and description."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        home = root / "home"
        with fixed(0), open_transport(str(home)) as transport:
            handle = fill(home, transport)
        with fixed(1):
            write_pieces(home)
        with fixed(2), open_transport(str(home)) as transport:
            description = describe(transport, handle)
        subprocess.run([sys.executable, __file__, str(home)], check=True)
        with closing(sqlite3.connect(home / "index.db")) as connection:
            connection.execute(
                "UPDATE mountpaths SET path = replace(path, ?, ?)", (name, WRITTEN_AT)
            )
            connection.commit()
        DATA.mkdir(exist_ok=True)
        pack(root, DATA / f"format-{FORMAT_VERSION}.tar.gz")
        text = json.dumps(description, indent=1, ensure_ascii=False)
        (DATA / f"format-{FORMAT_VERSION}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with fixed(3):
            die(Path(sys.argv[1]))
    main()
