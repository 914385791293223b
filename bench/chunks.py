"""Chunked objects against monolithic ones, multipart upload against one stream, rechunk against `cp`.

PUT and GET move the same bytes into and out of a bucket that chunks them and one that does not, on one mountpath and on
two (of one disk here: what is seen is the cost of chunks, not the speed of a second disk). They take turns in one
comparison, because how fast a file is read depends by a fifth on the memory that was free when it was written. The
multipart upload sends parts from threads, and its time includes the completion, which reads everything once more.
Rechunk is measured in both directions, with the checksum that it verifies and the new ones of the chunks; `cp` copies a
file of the same size. A mirrored PUT writes everything twice before it is acknowledged. Jobs are listed with 10,000
ended ones in the table. Where dirty pages are written back meanwhile, figures are those of the disk: take a smaller
`--size-mib`, or `--dir /dev/shm`.

    python bench/chunks.py [--rounds 15] [--size-mib 1024] [--chunk-mib 64] [--parts 8]
"""

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BucketRef, PartRef, PutOptions, RechunkOptions, XactionFilter
from aiscore.transport import Transport, open_transport
from harness import Contender, arguments, compare, finish, goal, machine, peak_mib, ratio, table

MIB = 1 << 20
WHOLE, CHUNKED, MIRRORED = BucketRef("whole"), BucketRef("chunked"), BucketRef("mirrored")
ENDED_NS = time.time_ns()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--size-mib", type=int, default=1024, help="of the object (%(default)s)")
    parser.add_argument("--chunk-mib", type=int, default=64, help="of a chunk (%(default)s)")
    parser.add_argument("--parts", type=int, default=8, help="sent in parallel (%(default)s)")
    options = parser.parse_args()
    size, chunk = options.size_mib * MIB, options.chunk_mib * MIB
    goals = []
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = {**machine(directory), "size_mib": options.size_mib, "chunk_mib": options.chunk_mib}
        for mountpaths in (1, 2):
            home = f"{directory}/home-{mountpaths}"
            with open_transport(f"file://{home}") as transport:
                prepare(transport, f"{directory}/second-{mountpaths}", mountpaths, chunk)
                goals += put_and_get(transport, size, mountpaths, options.rounds)
                if mountpaths == 2:
                    goals += mirror(transport, size, options.rounds)
                if mountpaths == 1:
                    goals += jobs(transport, home, options.rounds)
                    goals += multipart(transport, size, options.parts, options.rounds)
                    goals += rechunk(transport, directory, size, chunk, options.rounds)
            # Bodies are streamed: it does not grow with --size-mib.
            print(f"  peak memory so far: {peak_mib()} MiB")
            shutil.rmtree(home)
    finish("chunks", facts, goals, save=options.save)


def prepare(transport: Transport, second: str, mountpaths: int, chunk: int) -> None:
    if mountpaths == 2:
        Path(second).mkdir()
        transport.add_mountpath(second)
    transport.create_bucket(WHOLE)
    changes = {"chunks.objsize_limit": f"{chunk}", "chunks.chunk_size": f"{chunk}"}
    transport.create_bucket(CHUNKED, changes)


def put_and_get(
    transport: Transport, size: int, mountpaths: int, rounds: int
) -> list[dict[str, object]]:
    where = f"{mountpaths} mountpath{'s' * (mountpaths > 1)}"
    block = random.Random(1).randbytes(MIB)
    buffer = memoryview(bytearray(MIB))

    def put(bucket: BucketRef) -> Callable[[], object]:
        return lambda: transport.put(bucket, "o", [block] * (size // MIB), PutOptions(size=size))

    def get(bucket: BucketRef) -> Callable[[], object]:
        def run() -> None:
            with transport.open(bucket, "o") as reader:
                while reader.readinto(buffer):
                    pass

        return run

    goals = []
    contenders = [
        Contender(f"{verb} {kind}", make(bucket))
        for verb, make in (("PUT", put), ("GET", get))
        for kind, bucket in (("chunked", CHUNKED), ("whole", WHOLE))
    ]
    for bucket in (CHUNKED, WHOLE):
        put(bucket)()
    compare(contenders, rounds=rounds, swaps=True)
    table(where, contenders, unit="ms")
    for verb, at in (("PUT", 0), ("GET", 2)):
        chunked, whole = contenders[at : at + 2]
        text = f"{verb} chunked, bandwidth over whole, {where}"
        goals.append(goal(text, ratio(whole, chunked), 0.95, at_most=False))
    return goals


def mirror(transport: Transport, size: int, rounds: int) -> list[dict[str, object]]:
    block = random.Random(4).randbytes(MIB)
    transport.create_bucket(MIRRORED, {"mirror.enabled": "true"})

    def put(bucket: BucketRef) -> Callable[[], object]:
        return lambda: transport.put(bucket, "o", [block] * (size // MIB), PutOptions(size=size))

    pair = [Contender("PUT mirrored", put(MIRRORED)), Contender("PUT whole", put(WHOLE))]
    compare(pair, rounds=rounds, warmup=1)
    table("two copies", pair, unit="ms")
    text = "PUT with two copies, bandwidth over one"
    return [goal(text, ratio(pair[1], pair[0]), 0.4, at_most=False)]


def jobs(transport: Transport, home: str, rounds: int) -> list[dict[str, object]]:
    """What a busy server has after an hour."""
    with closing(sqlite3.connect(f"{home}/index.db")) as index:
        index.executemany(
            "INSERT INTO xactions VALUES "
            "(?, 'copy-bck', 'finished', 'ais://whole', '', 1, ?, ?, ?, 0, 1, 10, '', '', '', '{}')",
            [(f"job{n:08}x", ENDED_NS + n, ENDED_NS + n, ENDED_NS + n) for n in range(10_000)],
        )
        index.commit()
    running = XactionFilter(only_running=True)
    three = [
        Contender("all 10,000", transport.list_xactions),
        Contender("those that run", lambda: transport.list_xactions(running)),
        Contender("one by its id", lambda: transport.find_xaction("job00000005x")),
    ]
    compare(three, rounds=rounds, warmup=1)
    table("list jobs", three, unit="ms")
    assert len(transport.list_xactions()) == 10_000
    transport.forget_xactions(XactionFilter())
    text = "one job by its id, time over a list of all"
    return [goal(text, ratio(three[2], three[0]), 0.01, at_most=True)]


def multipart(transport: Transport, size: int, parts: int, rounds: int) -> list[dict[str, object]]:
    block = random.Random(2).randbytes(MIB)
    count = size // parts // MIB

    def blocks(number: int) -> Iterator[bytes]:
        return iter([block] * number)

    def upload() -> None:
        upload_id = transport.create_upload(WHOLE, "m")
        with ThreadPoolExecutor(parts) as pool:
            sent = pool.map(
                lambda n: transport.put_part(WHOLE, "m", upload_id, n, blocks(count)),
                range(1, parts + 1),
            )
            refs = [PartRef(number=part.number, etag=part.etag) for part in sent]
        transport.complete_upload(WHOLE, "m", upload_id, refs)

    def stream() -> None:
        transport.put(WHOLE, "s", blocks(count * parts), PutOptions(size=count * parts * MIB))

    pair = [Contender(f"multipart, {parts} in parallel", upload), Contender("one stream", stream)]
    compare(pair, rounds=rounds, warmup=1)
    table("multipart upload", pair, unit="ms")
    transport.delete(WHOLE, "m")
    transport.delete(WHOLE, "s")
    return [
        goal("multipart, bandwidth over one stream", ratio(pair[1], pair[0]), 0.5, at_most=False)
    ]


def rechunk(
    transport: Transport, directory: str, size: int, chunk: int, rounds: int
) -> list[dict[str, object]]:
    plain = Path(directory) / "plain"
    with plain.open("wb") as file:
        block = random.Random(3).randbytes(MIB)
        for _ in range(size // MIB):
            file.write(block)

    def copy() -> None:
        target = plain.with_name("copied")
        target.unlink(missing_ok=True)
        subprocess.run(["cp", "--reflink=never", str(plain), str(target)], check=True)

    def work(limit: int) -> Callable[[], object]:
        options = RechunkOptions(objsize_limit=limit, chunk_size=chunk)

        def run() -> None:
            assert transport.rechunk_bucket(WHOLE, options).skipped == 0

        return run

    three = [
        Contender("into chunks", work(chunk)),
        Contender("back to one piece", work(0)),
        Contender("cp", copy),
    ]
    compare(three, rounds=rounds, warmup=1)
    table("rechunk", three, unit="ms")
    plain.unlink()
    plain.with_name("copied").unlink()
    return [
        goal("rechunk, bandwidth over cp", ratio(three[2], three[0]), 0.7, at_most=False),
        goal("and back, bandwidth over cp", ratio(three[2], three[1]), 0.7, at_most=False),
    ]


if __name__ == "__main__":
    main()
