"""Peak memory of put, get, GetBatch and append of a very large object, each in a process of its own.

    python bench/memory.py [--size-gib 10]

The batch asks for the object as a whole, for a range of half of it, and for 1,000 small ranges, in tar and in zip.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import machine

AIM_MIB = 200
STEPS = ("put", "get", "batch-tar", "batch-zip", "batch-streams", "append")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-gib", type=float, default=10.0, help="of the object (%(default)s)")
    parser.add_argument("--dir", default=None, help="where the data goes (a temporary directory)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = int(options.size_gib * (1 << 30))
    if options.step:
        work(options.step, options.home, size)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0
    missed = 0
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        machine(directory)
        print(f"\npeak memory with an object of {options.size_gib:g} GiB, aim < {AIM_MIB} MiB")
        for step in STEPS:
            started = time.perf_counter()
            command = [sys.executable, __file__, "--step", step, "--home", f"{directory}/home"]
            done = subprocess.run(
                [*command, "--size-gib", str(options.size_gib)],
                check=True,
                capture_output=True,
                text=True,
            )
            peak = int(done.stdout)
            missed += peak >= AIM_MIB
            verdict = "ok  " if peak < AIM_MIB else "MISS"
            elapsed = time.perf_counter() - started
            print(f"  {verdict} {step:14} {peak:5} MiB {elapsed:7.1f} s")
    return 1 if missed else 0


def work(step: str, home: str, size: int) -> None:
    from aiscore.model import ArchiveFormat, BatchEntry, BatchRequest, BucketRef
    from aiscore.transport import open_transport

    bucket = BucketRef("large")
    block = os.urandom(1 << 20)
    with open_transport(f"file://{home}") as transport:
        if step == "put":
            transport.create_bucket(bucket)
            transport.put(bucket, "o", (block for _ in range(size >> 20)))
            return
        if step == "get":
            with transport.open(bucket, "o") as reader:
                assert sum(len(piece) for piece in reader) == size
            return
        if step == "append":
            handle = transport.append(bucket, "o", (block for _ in range(64)))
            assert transport.flush_append(bucket, "o", handle).size == size + (64 << 20)
            return
        entries = [BatchEntry("o"), BatchEntry("o", start=1, length=size // 2)]
        entries += [BatchEntry("o", start=i * 999_983, length=10_240) for i in range(1_000)]
        expected = size + size // 2 + 10_240_000
        if step == "batch-streams":
            with transport.get_batch(BatchRequest(entries=entries, bucket=bucket)) as stream:
                total = 0
                for _, payload in stream.streams():
                    total += sum(len(piece) for piece in payload)
            assert total == expected
            return
        output = ArchiveFormat.TAR if step == "batch-tar" else ArchiveFormat.ZIP
        request = BatchRequest(entries=entries, bucket=bucket, output_format=output)
        with transport.get_batch_archive(request) as archive:
            assert sum(len(piece) for piece in archive) > expected


if __name__ == "__main__":
    sys.exit(main())
