"""Name getters and decision streams: what the load generator itself costs before an operation is sent.

Each getter walks the same number of picks of a list of 100,000 names, the ones without memory also of 100,000,000. The
orders of AIStore's two permutations are measured by themselves as well, by block, as the getters take them: the shuffle
over a whole epoch, so that building it is part of each index. Printed with it: a whole decision (`WorkerPlan.next`) of
six kinds of run, and the memory of a plan over a hundred million names.

    python bench/names.py [--rounds 15] [--names 100000000]
"""

import itertools
import resource
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from aisloader.namegetter import NameGetter, open_names
from aisloader.namegetter.base import BLOCK, Order
from aisloader.namegetter.perm_affine import AffineOrder
from aisloader.namegetter.perm_shuffle import ShuffleOrder
from aisloader.names import FileNames, NamesWriter, TemplateNames
from aisloader.params import Params, parse
from aisloader.plan import Plan, WorkerPlan
from harness import Contender, arguments, compare, finish, goal, machine, ratio, table

PICKS = 100_000
SHORT = 100_000
LONG_SHUFFLE = 10_000_000
AFFINE_INDICES = 5_000_000
OPS = 20_000
RUNS = {
    "GET": "",
    "GET of 100 M names, affine": "-name-getter=affine",
    "GET of 100 M names, feistel": "-name-getter=feistel",
    "PUT": "-pctput=100",
    "PUT and GET": "-pctput=50 -pctupdate=20",
    "GetBatch of 64 (per entry)": "-get-batchsize=64",
}
LIMIT_US = 30.0
"""Of one operation, for the loader itself."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--names", type=int, default=100_000_000, help="in the long list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        facts = machine(directory)
        getters(options.names, options.rounds)
        goals = orders(options.names, options.rounds)
        goals += decisions(directory, options.names, options.rounds)
    finish("names", facts, goals, save=options.save)


def read(text: str) -> Params:
    return parse(["-bucket=b", "-seed=1", *text.split()], {})


def walker(getter: NameGetter) -> Callable[[], None]:
    def walk() -> None:
        pick = getter.pick
        for _ in range(PICKS):
            pick()

    return walk


def getters(long: int, rounds: int) -> None:
    """Picks one by one, as workers make them."""
    contenders = []
    for name in ("random", "unique", "unique-iter", "shuffle", "affine", "feistel"):
        params = read(f"-name-getter={name}")
        contenders.append(Contender(name, walker(open_names(params, SHORT))))
        if name in {"affine", "feistel", "random"}:
            contenders.append(Contender(f"{name}, {long:,}", walker(open_names(params, long))))
    compare(contenders, rounds=rounds)
    table(f"a pick, of {SHORT:,} names", contenders, per=PICKS)


def orders(long: int, rounds: int) -> list[dict[str, object]]:
    """Indices by block: affine over a part of a long list, shuffles over whole epochs; and what they keep."""
    goals = []
    epochs = itertools.count(1)

    def walk(order: Order, count: int, epoch: int) -> None:
        for start in range(0, count, BLOCK):
            order.at(epoch, np.arange(start, min(start + BLOCK, count), dtype=np.int64))

    cases = (
        (AffineOrder(long, 1), f"affine, {long:,}", AFFINE_INDICES, 10.0),
        (ShuffleOrder(SHORT, 1), f"shuffle, {SHORT:,}", SHORT, 35.0),
        (ShuffleOrder(LONG_SHUFFLE, 1), f"shuffle, {LONG_SHUFFLE:,}", LONG_SHUFFLE, 90.0),
    )
    print("\nan index of an order, ns, and the memory that its epoch keeps")
    for order, name, count, limit in cases:
        elapsed = []
        tracemalloc.start()
        walk(order, count, 0)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for _ in range(max(3, rounds // 3)):
            begun = time.perf_counter_ns()
            walk(order, count, next(epochs))
            elapsed.append((time.perf_counter_ns() - begun) / count)
        low, middle, high = min(elapsed), float(np.median(elapsed)), max(elapsed)
        print(f"  {name:42} {low:10.2f} {middle:10.2f} {high:10.2f} {kept / (1 << 20):8.1f} MiB")
        goals.append(goal(f"an index of {name}, ns", (low, middle, high), limit, at_most=True))
    return goals


def write_names(path: str, count: int) -> FileNames:
    writer = NamesWriter(path)
    for number in range(count):
        writer.add(f"class-{number % 100:03d}/sample-{number:08d}.bin", size=number)
    return writer.close()


def stepper(worker: WorkerPlan, count: int) -> Callable[[], None]:
    def step() -> None:
        following = worker.next
        for _ in range(count):
            op = following()
            if op is not None and op.kind.writes_new:
                worker.added(op)

    return step


def decisions(directory: str, long: int, rounds: int) -> list[dict[str, object]]:
    """Whole decisions, names included."""
    listed = write_names(f"{directory}/names", SHORT)
    contenders = []
    empty = Contender("an empty loop", lambda: [None for _ in range(OPS)])
    for name, text in RUNS.items():
        params = read(text)
        is_long = "100 M" in name
        source = TemplateNames("sample-%09d.bin", long) if is_long else listed
        worker = Plan(params, source).worker(0)
        batch = params.read.get_batchsize or 1
        contenders.append(Contender(name, stepper(worker, OPS // batch)))
    compare([empty, *contenders], rounds=rounds)
    table("a decision", contenders, per=OPS)
    goals = []
    for contender in contenders:
        micros = sorted(value / 1e3 / OPS for value in contender.wall_ns)
        measured = (micros[0], float(np.median(micros)), micros[-1])
        goals.append(goal(f"{contender.name}, us", measured, LIMIT_US, at_most=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    goals.append(goal(f"MiB with plans over {long:,} names", (peak, peak, peak), 200, at_most=True))
    affine, feistel = contenders[1], contenders[2]
    goals.append(goal("feistel over affine", ratio(feistel, affine), 3, at_most=True))
    return goals


if __name__ == "__main__":
    main()
