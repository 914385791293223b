"""Random batches out of shards, checked byte by byte.

Packs the standard library of the running Python into tar shards with `ais archive put`, then fetches random files out
of them, 64 at a time and in the order asked for: first with `ais get-batch`, a process for each batch, then with the
Python client. Every file that comes back is compared with the original. The store is a temporary directory.

Exits with 1 if a single byte, name or position is wrong.
"""

import argparse
import json
import os
import random
import stat
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiscore import Client

AIS = Path(sys.executable).with_name("ais")
BUCKET = "demo"
FILES_PER_SHARD = 200
BATCH_SIZE = 64
SEED = 20_261_101
LEFT_OUT = {"__pycache__", "site-packages", "dist-packages"}

Sample = tuple[str, str]
"""A file in the store: shard, and name in the shard."""


@dataclass
class Measured:
    """What one way of fetching did."""

    label: str
    batches: int = 0
    samples: int = 0
    size: int = 0
    seconds: float = 0.0
    mismatches: int = 0


def find_files(root: Path) -> list[str]:
    """Regular files below `root`, as paths relative to it, in order."""
    found = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(set(subdirectories) - LEFT_OUT)
        for name in sorted(names):
            path = Path(directory, name)
            # `ais archive put --list` takes names with a comma between.
            if stat.S_ISREG(path.lstat().st_mode) and "," not in name:
                found.append(str(path.relative_to(root)))
    return found


def ais(*arguments: str) -> str:
    """Run the command line; its standard output."""
    done = subprocess.run([AIS, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def pack(root: Path, files: list[str]) -> tuple[list[Sample], Measured]:
    """Write the files into shards."""
    measured = Measured("ais archive put")
    samples = []
    ais("create", f"ais://{BUCKET}")
    for start in range(0, len(files), FILES_PER_SHARD):
        names = files[start : start + FILES_PER_SHARD]
        shard = f"shard-{measured.batches:03d}.tar"
        begin = time.perf_counter()
        ais("archive", "put", str(root), f"ais://{BUCKET}/{shard}", "--list", ",".join(names))
        measured.seconds += time.perf_counter() - begin
        measured.batches += 1
        samples += [(shard, name) for name in names]
    measured.samples = len(samples)
    measured.size = sum((root / name).stat().st_size for name in files)
    return samples, measured


def draw(samples: list[Sample], count: int) -> Iterator[list[Sample]]:
    """Batches of random samples, the same in every run."""
    generator = random.Random(SEED)
    for _ in range(count):
        yield generator.sample(samples, min(BATCH_SIZE, len(samples)))


def check(root: Path, wanted: list[Sample], found: list[tuple[str, bytes]]) -> int:
    """Count entries that are not, in their place, the file that was asked for."""
    wrong = abs(len(wanted) - len(found))
    for (shard, name), (found_name, content) in zip(wanted, found, strict=False):
        if found_name != f"{BUCKET}/{shard}/{name}" or content != (root / name).read_bytes():
            wrong += 1
    return wrong


def read_tar(path: Path) -> list[tuple[str, bytes]]:
    """Names and contents of an archive, in its order."""
    found = []
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            found.append((member.name, file.read() if file is not None else b""))
    return found


def fetch_with_command(root: Path, samples: list[Sample], count: int, scratch: Path) -> Measured:
    """A process for each batch, its output read with tarfile."""
    measured = Measured("ais get-batch")
    spec, output = scratch / "spec.json", scratch / "batch.tar"
    for wanted in draw(samples, count):
        entries = [{"objname": shard, "archpath": name} for shard, name in wanted]
        spec.write_text(json.dumps({"in": entries}))
        begin = time.perf_counter()
        ais("get-batch", f"ais://{BUCKET}", "--spec", str(spec), "-o", str(output), "--yes")
        measured.seconds += time.perf_counter() - begin
        add(measured, root, wanted, read_tar(output))
    return measured


def fetch_with_client(root: Path, samples: list[Sample], count: int) -> Measured:
    """One process, one open store."""
    measured = Measured("Client.batch")
    with Client() as client:
        bucket = client.bucket(BUCKET)
        for wanted in draw(samples, count):
            begin = time.perf_counter()
            batch = client.batch(bucket=bucket, cont_on_err=False)
            for shard, name in wanted:
                batch.add(shard, archpath=name)
            results = list(batch)
            measured.seconds += time.perf_counter() - begin
            found = [(f"{i.bucket}/{i.obj_name}/{i.archpath}", content) for i, content in results]
            add(measured, root, wanted, found)
    return measured


def add(
    measured: Measured, root: Path, wanted: list[Sample], found: list[tuple[str, bytes]]
) -> None:
    """Check one batch and count it."""
    measured.batches += 1
    measured.samples += len(wanted)
    measured.size += sum(len(content) for _, content in found)
    measured.mismatches += check(root, wanted, found)


def report(rows: list[Measured]) -> None:
    """Print the table."""
    print(
        f"{'':16} {'batches':>8} {'samples':>8} {'MiB':>8} {'seconds':>8} {'samples/s':>10} wrong"
    )
    for row in rows:
        rate = row.samples / row.seconds
        print(
            f"{row.label:16} {row.batches:8,} {row.samples:8,} {row.size / 2**20:8,.1f} "
            f"{row.seconds:8.2f} {rate:10,.0f} {row.mismatches:5}"
        )


def main() -> int:
    """Run the demo in a temporary store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=30, help="batches with the command line")
    parser.add_argument("--files", type=int, default=None, help="use the first N files only")
    options = parser.parse_args()
    root = Path(sysconfig.get_path("stdlib"))
    files = find_files(root)[: options.files]
    with tempfile.TemporaryDirectory(prefix="ais-demo-") as name:
        scratch = Path(name)
        os.environ["AIS_HOME"] = str(scratch / "home")
        os.environ.pop("AIS_ENDPOINT", None)
        samples, packed = pack(root, files)
        print(f"Standard library of Python {sys.version.split()[0]}: {len(files):,} files")
        print(
            f"{packed.batches} shards of up to {FILES_PER_SHARD} files, batches of {BATCH_SIZE}\n"
        )
        rows = [
            packed,
            fetch_with_command(root, samples, options.batches, scratch),
            # Many more: a batch takes less time here than a process takes to start.
            fetch_with_client(root, samples, 20 * options.batches),
        ]
        report(rows)
        print(f"\n{ais('storage', 'validate').strip()}")
    mismatches = sum(row.mismatches for row in rows)
    print(f"Entries that are not the file that was asked for: {mismatches}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
