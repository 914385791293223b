"""A page of 1,000 names in a bucket of 1,000,000 against one in a bucket of 2,000: a page costs the page.

Pages start at random places. Also printed: a whole listing of the large bucket page by page, and a page of directories.

    python bench/listing.py [--rounds 15] [--names 1000000]
"""

import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.model import BucketRef, ListOptions
from aiscore.transport import Transport, open_transport
from harness import Contender, arguments, compare, finish, goal, machine, ratio, table

PAGE = 1_000
SMALL = 2_000
SEED = "seed"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--names", type=int, default=1_000_000, help="in the large bucket (%(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        goals = run(directory, options.names, options.rounds)
    finish("listing", facts, goals, save=options.save)


def fill(transport: Transport, bucket: BucketRef, count: int) -> None:
    """Names by hard-linked copies would take minutes: rows are written straight into the index, as many pieces."""
    import sqlite3

    transport.create_bucket(bucket)
    transport.put(bucket, SEED, b"x")
    home = transport.endpoint.removeprefix("file://")
    with sqlite3.connect(f"{home}/index.db") as index:
        (bucket_id,) = index.execute(
            "SELECT id FROM buckets WHERE name = ?", (bucket.name,)
        ).fetchone()
        row = index.execute("SELECT * FROM objects WHERE bucket_id = ?", (bucket_id,)).fetchone()
        index.executemany(
            f"INSERT INTO objects VALUES ({', '.join('?' * len(row))})",
            ((row[0], f"class-{i % 100:03d}/sample-{i:08d}.bin", *row[2:]) for i in range(count)),
        )
    index.close()


def run(directory: str, names: int, rounds: int) -> list[dict[str, object]]:
    transport = open_transport(f"file://{directory}/home")
    large, small = BucketRef("large"), BucketRef("small")
    fill(transport, large, names)
    fill(transport, small, SMALL)
    rng = random.Random(1)

    def page(bucket: BucketRef, count: int) -> None:
        start = rng.randrange(count - PAGE)
        after = f"class-{start % 100:03d}/sample-{0:08d}.bin"
        found = transport.list_page(bucket, ListOptions(start_after=after, page_size=PAGE)).entries
        assert len(found) > 10

    def first(bucket: BucketRef) -> None:
        assert len(transport.list_page(bucket, ListOptions(page_size=PAGE)).entries) == PAGE

    def middle(bucket: BucketRef) -> None:
        options = ListOptions(page_size=PAGE, start_after="class-049")
        assert len(transport.list_page(bucket, options).entries) == PAGE

    contenders = [
        Contender(f"first page of {names:,}", lambda: first(large)),
        Contender(f"first page of {SMALL:,}", lambda: first(small)),
        Contender(f"page in the middle of {names:,}", lambda: middle(large)),
        Contender(f"page in the middle of {SMALL:,}", lambda: middle(small)),
    ]
    compare(contenders, rounds=rounds, inner=5)
    table(f"page of {PAGE:,} names", contenders)
    directories = Contender(
        "page of 100 directories, large bucket",
        lambda: transport.list_page(large, ListOptions(delimiter="/")),
    )
    compare([directories], rounds=rounds)
    table("virtual directories", [directories])
    started, token, count = time.perf_counter(), "", 0
    while True:
        found = transport.list_page(large, ListOptions(token=token))
        count += len(found.entries)
        token = found.token
        if not token:
            break
    print(f"\nall {count:,} names, page by page: {time.perf_counter() - started:.1f} s")
    transport.close()
    return [
        goal(
            "first page, large over small", ratio(contenders[0], contenders[1]), 1.5, at_most=True
        ),
        goal(
            "page in the middle, large over small",
            ratio(contenders[2], contenders[3]),
            1.5,
            at_most=True,
        ),
    ]


if __name__ == "__main__":
    main()
