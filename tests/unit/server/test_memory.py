"""Blocks that threads make and another one frees are used again: counted by the kernel, as page faults."""

import platform
import subprocess
import sys

import pytest

_READS = """
import os, resource, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
from aiscore.server.memory import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
SIZE = 1 << 20
with tempfile.TemporaryFile() as file, ThreadPoolExecutor(4) as pool:
    file.write(bytes(SIZE))
    file.flush()

    def read(count):
        waiting = [pool.submit(os.pread, file.fileno(), SIZE, 0) for _ in range(8)]
        for _ in range(count):
            waiting.append(pool.submit(os.pread, file.fileno(), SIZE, 0))
            waiting.pop(0).result()
        for future in waiting:
            future.result()

    read(50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    read(200)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _READS, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_blocks_is_used_again() -> None:
    assert faults("kept") < faults("left") / 4
