"""What load-aware throttling costs: cached advice, a sample, and GetBatch and rechunk with it and without.

"As it is" measures whatever the machine is doing: on a busy one jobs and batches may be slowed down, which is the
point, by a bounded part of their time. Without is `store.load=off`, for GetBatch also with the question left out.

    python bench/load.py [--rounds 15]
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aiscore.engine.machine import Machine
from aiscore.engine.store import Store
from aiscore.model.batch import BatchEntry, BatchRequest
from aiscore.model.bucket import BucketRef
from aiscore.model.chunks import RechunkOptions
from aiscore.model.load import LoadUse
from aiscore.model.objects import PutOptions
from harness import Contender, arguments, compare, finish, goal, machine, ratio, table

BUCKET = BucketRef("bench")
BATCH = 64
OBJECT_SIZE = 10 * 1024
CALLS = 10_000
BATCHES = 20
OBJECTS = 200


def main() -> None:
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        store = Store(f"{directory}/home")
        store.create_bucket(BUCKET)
        for number in range(OBJECTS):
            store.put(BUCKET, f"o{number:03d}", bytes(OBJECT_SIZE), PutOptions())
        goals = [*calls(store, options.rounds), *batches(store, options.rounds)]
        goals += rechunks(store, options.rounds)
        store.close()
    finish("load", facts, goals, save=options.save)


def calls(store: Store, rounds: int) -> list[dict[str, object]]:
    load, gate, sampler = store.core.load, store.core.batch_gate, Machine()
    advice, admit = load.advice, gate.admit

    def ask() -> None:
        for _ in range(CALLS):
            advice(LoadUse.BATCH)

    def enter() -> None:
        for _ in range(CALLS):
            admit()

    asked, entered = Contender("advice, cached", ask), Contender("a batch admitted", enter)
    compare([asked, entered], rounds=rounds)
    table("One call", [asked, entered], per=CALLS)
    taken = Contender("a sample, once a second", lambda: sampler.sample([store.core.home], 8))
    compare([taken], rounds=rounds)
    table("Beside it", [taken])
    cpu_us = min(asked.cpu_ns) / CALLS / 1e3
    return [goal("cached advice, us", (cpu_us, cpu_us, cpu_us), 1, at_most=True)]


def batches(store: Store, rounds: int) -> list[dict[str, object]]:
    entries = [BatchEntry(f"o{number:03d}") for number in range(BATCH)]
    request = BatchRequest(entries=entries, bucket=BUCKET)
    gate = store.core.batch_gate
    admit = gate.admit

    def read() -> None:
        for _ in range(BATCHES):
            with store.get_batch(request) as stream:
                for _ in stream:
                    pass

    def unasked() -> None:
        gate.admit = lambda: None  # type: ignore[method-assign]
        read()
        gate.admit = admit  # type: ignore[method-assign]

    with_it, without = Contender("as it is", read), Contender("without the question", unasked)
    compare([with_it, without], rounds=rounds)
    table(f"GetBatch of {BATCH} objects of 10 KiB", [with_it, without], per=BATCHES)
    return [goal("GetBatch, with over without", ratio(with_it, without), 1.05, at_most=True)]


def rechunks(store: Store, rounds: int) -> list[dict[str, object]]:
    sizes = [4096, 2048]

    def rechunk() -> None:
        sizes.reverse()
        store.rechunk_bucket(BUCKET, RechunkOptions(objsize_limit=1, chunk_size=sizes[0]))

    def under(load: str) -> Callable[[], None]:
        def run() -> None:
            store.set_config({"store.load": load})
            rechunk()

        return run

    measured = Contender("as it is", under("auto"))
    off = Contender("store.load=off", under("off"))
    busy = Contender("under critical load of the disk", under("disk:critical"))
    compare([measured, off, busy], rounds=max(rounds // 3, 3), warmup=1)
    table(f"Rechunk of {OBJECTS} objects of 10 KiB", [measured, off, busy], unit="ms")
    # What the machine is doing decides the first: on an idle one it is 1.
    print(f"  as it is over off: {ratio(measured, off)[1]:.2f}")
    return [goal("rechunk, critical over off", ratio(busy, off), 2.2, at_most=True)]


if __name__ == "__main__":
    main()
