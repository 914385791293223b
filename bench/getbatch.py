"""GetBatch of 64 members of 10 KiB out of 1,000-member tars, against what a user could do instead.

Peers: Python's `tarfile` opened for every member; a `TarFile` kept open with its members loaded, asked by name as its
documentation has it; the same with a dictionary of `TarInfo` made by the caller; a loop of single GETs of this store;
and bare `os.pread` of the same byte ranges from kept-open files: the floor. First touch of a shard is compared with a
bare walk of its headers (one 512-byte pread each, name and size parsed, nothing checked).

    python bench/getbatch.py [--rounds 15] [--shards 10]
"""

import io
import os
import random
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BatchEntry, BatchRequest, BucketRef, GetOptions
from aiscore.transport import open_transport
from harness import Contender, arguments, compare, finish, goal, machine, ratio, table

MEMBERS = 1_000
MEMBER_SIZE = 10 * 1024
BATCH = 64
BATCHES = 60
TOUCHES = 2


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--shards", type=int, default=10, help="shards to pick from (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        goals = run(directory, options.rounds, options.shards)
    finish("getbatch", facts, goals, save=options.save)


def run(directory: str, rounds: int, shards: int) -> list[dict[str, object]]:
    rng = random.Random(1)
    transport = open_transport(f"file://{directory}/home")
    bucket = BucketRef("bench")
    transport.create_bucket(bucket)
    tars, contents = [], {}
    for shard in range(shards):
        names = [f"class-{i % 10}/sample-{shard:03d}-{i:05d}.bin" for i in range(MEMBERS)]
        contents[shard] = {name: rng.randbytes(MEMBER_SIZE) for name in names}
        path = f"{directory}/shard-{shard:03d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in contents[shard].items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        with open(path, "rb") as file:
            transport.put(bucket, os.path.basename(path), file)
        tars.append(path)
    names_of = [list(contents[shard]) for shard in range(shards)]
    batches = [
        [(shard, rng.choice(names_of[shard])) for shard in rng.choices(range(shards), k=BATCH)]
        for _ in range(BATCHES)
    ]
    requests = [
        BatchRequest(
            entries=[BatchEntry(f"shard-{s:03d}.tar", archpath=name) for s, name in picks],
            bucket=bucket,
        )
        for picks in batches
    ]

    kept = [tarfile.open(path) for path in tars]  # noqa: SIM115 - closed below
    members = [{m.name: m for m in tar.getmembers()} for tar in kept]
    fds = [os.open(path, os.O_RDONLY) for path in tars]
    ranges = [[(fds[s], members[s][name].offset_data) for s, name in picks] for picks in batches]
    # Each contender takes the batches in turn, from the first on: the same work for all of them in every round, and
    # not the same 640 KiB again and again, which would stay in the processor's cache as no training set does.
    turn = dict.fromkeys(("opened", "kept", "known", "gets", "pread", "items", "tar"), -1)

    def following(contender: str) -> int:
        turn[contender] = (turn[contender] + 1) % BATCHES
        return turn[contender]

    def each_opened() -> list[bytes]:
        out = []
        for shard, name in batches[following("opened")]:
            with tarfile.open(tars[shard]) as tar:
                file = tar.extractfile(name)
                assert file is not None
                out.append(file.read())
        return out

    def kept_open() -> list[bytes]:
        out = []
        for shard, name in batches[following("kept")]:
            file = kept[shard].extractfile(name)
            assert file is not None
            out.append(file.read())
        return out

    def kept_known() -> list[bytes]:
        out = []
        for shard, name in batches[following("known")]:
            file = kept[shard].extractfile(members[shard][name])
            assert file is not None
            out.append(file.read())
        return out

    def single_gets() -> list[bytes]:
        return [
            transport.read(bucket, f"shard-{s:03d}.tar", GetOptions(archpath=name))
            for s, name in batches[following("gets")]
        ]

    def bare_pread() -> list[bytes]:
        return [os.pread(fd, MEMBER_SIZE, offset) for fd, offset in ranges[following("pread")]]

    def batch_items() -> list[bytes]:
        with transport.get_batch(requests[following("items")]) as stream:
            return [data for _, data in stream]

    def batch_tar() -> int:
        with transport.get_batch_archive(requests[following("tar")]) as archive:
            return sum(len(block) for block in archive)

    expected = [contents[s][name] for s, name in batches[0]]
    for fetch in (each_opened, kept_open, kept_known, single_gets, bare_pread, batch_items):
        assert fetch() == expected, fetch.__name__
    with transport.get_batch_archive(requests[0]) as archive:
        blob = b"".join(bytes(block) for block in archive)
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        assert [tar.extractfile(m).read() for m in tar] == expected  # type: ignore[union-attr]

    slow = Contender("tarfile opened per member", each_opened)
    few = Contender("GetBatch, items (beside it)", batch_items)
    compare([slow, few], rounds=3, warmup=1)
    fast = [
        Contender("TarFile kept open, extractfile(name)", kept_open),
        Contender("TarFile kept open, own dict of TarInfo", kept_known),
        Contender("loop of single GETs (archpath)", single_gets),
        Contender("GetBatch, items", batch_items),
        Contender("GetBatch, tar out", batch_tar),
        Contender("bare os.pread of the ranges", bare_pread),
    ]
    compare(fast, rounds=rounds, inner=10)
    table(f"{BATCH} members of {MEMBER_SIZE} bytes, per member", [slow, *fast], per=BATCH)
    keep, known, loop, items, tar_out, bare = fast
    goals = [
        goal("GetBatch vs tarfile per member, times faster", ratio(slow, few), 200, at_most=False),
        goal("GetBatch vs TarFile kept open, times faster", ratio(keep, items), 5, at_most=False),
        goal("GetBatch vs TarFile + own dict, times faster", ratio(known, items), 1, at_most=False),
        goal("GetBatch vs loop of GETs, times faster", ratio(loop, items), 3, at_most=False),
        goal("GetBatch items, time over bare pread", ratio(items, bare), 3, at_most=True),
        goal("GetBatch tar out, time over bare pread", ratio(tar_out, bare), 3, at_most=True),
    ]
    goals.append(first_touch(directory, tars[0], rounds))
    for tar in kept:
        tar.close()
    transport.close()
    return goals


def first_touch(directory: str, path: str, rounds: int) -> dict[str, object]:
    """The first read of one member of a shard that nobody has read, against a bare walk of its headers."""
    transport = open_transport(f"file://{directory}/touch")
    bucket = BucketRef("bench")
    transport.create_bucket(bucket)
    with open(path, "rb") as file:
        data = file.read()
    with tarfile.open(path) as tar:
        last = tar.getnames()[-1]
    # A shard each time for both: what was read a moment ago has its headers in the processor's cache.
    count = (rounds + 2) * TOUCHES
    for number in range(count):
        transport.put(bucket, f"s-{number}.tar", data)
        Path(f"{directory}/walk-{number}.tar").write_bytes(data)
    stored, plain = iter(range(count)), iter(range(count))

    def touch() -> None:
        for _ in range(TOUCHES):
            name = f"s-{next(stored)}.tar"
            transport.read(bucket, name, GetOptions(archpath=last))

    def walk() -> None:
        for _ in range(TOUCHES):
            fd = os.open(f"{directory}/walk-{next(plain)}.tar", os.O_RDONLY)
            position, found = 0, {}
            while True:
                header = os.pread(fd, 512, position)
                if header[:1] == b"\0":
                    break
                size = int(header[124:135], 8)
                found[header[:100].rstrip(b"\0").decode()] = (position + 512, size)
                position += 512 + (size + 511) // 512 * 512
            offset, size = found[last]
            os.pread(fd, size, offset)
            os.close(fd)

    pair = [Contender("first GET of a member", touch), Contender("bare walk of the headers", walk)]
    compare(pair, rounds=rounds)
    table("first touch of a shard", pair, per=TOUCHES)
    transport.close()
    return goal("first touch, time over a bare header walk", ratio(*pair), 1.5, at_most=True)


if __name__ == "__main__":
    main()
