"""PUT and GET of 4 KiB, 100 KiB, 16 MiB and 1 GiB against plain files: write + rename, and open + read.

The plain files are written the way a careful program does it with the fewest system calls (`os.open`, `os.write`,
`os.rename`) and without fsync, as the store does by default; `--durable` syncs both. Each write makes a new name:
on ext4 a rename over an existing file costs several times as much, which the store never does (measured as well).
The store also computes and records a checksum, and can be asked for the same without (`--checksum none`).

    python bench/putget.py [--rounds 15] [--durable] [--checksum xxhash2]
"""

import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BucketRef, PutOptions
from aiscore.transport import open_transport
from harness import Contender, arguments, compare, finish, goal, machine, ratio, table

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = (
    (4 * KIB, "4 KiB", 200),
    (100 * KIB, "100 KiB", 50),
    (16 * MIB, "16 MiB", 1),
    (GIB, "1 GiB", 1),
)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--durable", action="store_true", help="sync every write, on both sides")
    parser.add_argument("--checksum", default="xxhash2", help="of the bucket (%(default)s)")
    options = parser.parse_args()
    goals = []
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        for size, label, inner in SIZES:
            rounds = max(3, options.rounds // 3) if size == GIB else options.rounds
            goals += run(directory, size, label, inner, rounds, options.durable, options.checksum)
    finish("putget", facts, goals, save=options.save)


def run(
    directory: str, size: int, label: str, inner: int, rounds: int, durable: bool, checksum: str
) -> list[dict[str, object]]:
    block = random.Random(size).randbytes(min(size, MIB))
    home = f"{directory}/home-{size}"
    plain = f"{directory}/plain-{size}"
    os.mkdir(plain)
    transport = open_transport(f"file://{home}")
    bucket = BucketRef("bench")
    transport.create_bucket(bucket, {"checksum.type": checksum})
    if durable:
        transport.set_config({"store.durable": "true"})
    count = {"store": 0, "plain": 0}

    def number(which: str) -> int:
        # Large files take turns on two names, so that the disk does not fill up; small ones are all new.
        count[which] += 1
        return count[which] % 2 if size >= MIB else count[which]

    def store_put() -> None:
        body = block if size <= MIB else _blocks(block, size)
        transport.put(bucket, f"o-{number('store')}", body, PutOptions(size=size))

    def plain_put() -> None:
        name = f"{plain}/o-{number('plain')}"
        fd = os.open(f"{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for piece in _blocks(block, size):
            os.write(fd, piece)
        if durable:
            os.fsync(fd)
        os.close(fd)
        if size >= MIB and os.path.exists(name):
            os.unlink(name)  # not over an existing name: see above
        os.rename(f"{name}.tmp", name)
        if durable:
            directory_fd = os.open(plain, os.O_RDONLY)
            os.fsync(directory_fd)
            os.close(directory_fd)

    put = [Contender(f"store PUT {label}", store_put), Contender("plain write + rename", plain_put)]
    compare(put, rounds=rounds, inner=inner, warmup=1)
    table(f"PUT {label}", put)

    if size >= MIB:
        # Both sides anew and in turn: how the page cache lays out a file depends on what memory was free at the time.
        for _ in range(2):
            store_put()
            plain_put()
    reads = {"store": 0, "plain": 0}

    def following(which: str) -> str:
        reads[which] += 1
        return f"o-{reads[which] % 2 if size >= MIB else reads[which] % count[which] + 1}"

    buffer = memoryview(bytearray(min(size, MIB)))

    def store_get() -> None:
        if size <= MIB:
            assert len(transport.read(bucket, following("store"))) == size
            return
        with transport.open(bucket, following("store")) as reader:
            while reader.readinto(buffer):
                pass

    def plain_get() -> None:
        fd = os.open(f"{plain}/{following('plain')}", os.O_RDONLY)
        if size <= MIB:
            assert len(os.read(fd, size)) == size
        else:
            while os.readv(fd, [buffer]):
                pass
        os.close(fd)

    def python_get() -> None:
        with open(f"{plain}/{following('plain')}", "rb") as file:
            if size <= MIB:
                assert len(file.read()) == size
            else:
                while file.readinto(buffer):
                    pass

    get = [
        Contender(f"store GET {label}", store_get),
        Contender("plain os.open + os.read", plain_get),
    ]
    if (
        size < MIB
    ):  # of large files a third reader would keep the plain ones in the processor's cache
        get.append(Contender("plain open() + read()", python_get))
    compare(get, rounds=rounds, inner=inner, warmup=1)
    table(f"GET {label}", get)
    transport.close()
    _remove(home, plain)
    if size < MIB:
        return [
            goal(f"PUT {label}, time over plain", ratio(put[0], put[1]), 3, at_most=True),
            goal(f"GET {label}, time over os.read", ratio(get[0], get[1]), 3, at_most=True),
            goal(f"GET {label}, time over open().read()", ratio(get[0], get[2]), 3, at_most=True),
        ]
    return [
        goal(f"PUT {label}, bandwidth over plain", ratio(put[1], put[0]), 0.9, at_most=False),
        goal(f"GET {label}, bandwidth over plain", ratio(get[1], get[0]), 0.9, at_most=False),
    ]


def _blocks(block: bytes, size: int) -> "list[bytes]":
    return [block] * (size // len(block))


def _remove(*directories: str) -> None:
    import shutil

    for directory in directories:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
