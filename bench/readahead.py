"""A cold GetBatch with read-ahead against one without: 64 members of 64 KiB of shards that are not in the page cache.

Before each run the pages of every shard are dropped (`POSIX_FADV_DONTNEED`). On a disk that answers one request as fast
as several the two are equal; what read-ahead hides is waiting.

    python bench/readahead.py [--rounds 15] [--shards 16]
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BatchEntry, BatchRequest, BucketRef
from aiscore.transport import MemberInput, Transport, open_transport
from harness import Contender, arguments, finish, goal, machine, ratio, table

MEMBERS = 400
MEMBER_SIZE = 64 * 1024
BATCH = 64
BATCHES = 40


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--shards", type=int, default=16, help="shards to pick from (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        facts["cache"] = "dropped before each run"
        goals = run(directory, options.rounds, options.shards)
    finish("readahead", facts, goals, save=options.save)


def run(directory: str, rounds: int, shards: int) -> list[dict[str, object]]:
    rng = random.Random(1)
    bucket = BucketRef("bench")
    transport = open_transport(f"file://{directory}/home")
    transport.create_bucket(bucket)
    for shard in range(shards):
        members = (
            MemberInput(f"{n:04d}.bin", MEMBER_SIZE, rng.randbytes(MEMBER_SIZE))
            for n in range(MEMBERS)
        )
        transport.put_members(bucket, f"shard-{shard:03d}.tar", members)
    requests = [
        BatchRequest(
            entries=[
                BatchEntry(
                    f"shard-{rng.randrange(shards):03d}.tar",
                    archpath=f"{rng.randrange(MEMBERS):04d}.bin",
                )
                for _ in range(BATCH)
            ],
            bucket=bucket,
        )
        for _ in range(BATCHES)
    ]
    for request in requests:
        fetch(transport, request)  # indexes are known; payloads are dropped below
    pieces = [path for path in Path(directory).rglob("home/mp/pieces/*/*") if path.is_file()]
    turn = {"on": -1, "off": -1}

    def cold(which: str, workers: str) -> None:
        transport.set_config({"get_batch.warmup_workers": workers})
        for path in pieces:
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
        turn[which] += 1

    contenders = [Timed("read-ahead (2 warm-up workers)"), Timed("no read-ahead (-1)")]

    for _ in range(rounds):
        for contender, which, workers in zip(contenders, ("on", "off"), ("2", "-1"), strict=True):
            cold(which, workers)
            started, used = time.perf_counter_ns(), time.process_time_ns()
            fetch(transport, requests[turn[which] % BATCHES])
            contender.wall_ns.append(time.perf_counter_ns() - started)
            contender.cpu_ns.append(time.process_time_ns() - used)
    table(f"{BATCH} members of {MEMBER_SIZE} bytes, cold, per batch", contenders)
    transport.close()
    on, off = contenders
    return [
        goal("cold batch, time with read-ahead over without", ratio(on, off), 1.0, at_most=True)
    ]


def fetch(transport: Transport, request: BatchRequest) -> None:
    with transport.get_batch(request) as stream:
        assert sum(len(data) for _, data in stream) == BATCH * MEMBER_SIZE


class Timed(Contender):
    """A contender whose preparation must not be timed."""

    def __init__(self, name: str) -> None:
        super().__init__(name, lambda: None)


if __name__ == "__main__":
    main()
