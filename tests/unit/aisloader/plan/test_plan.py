"""Decisions: each from a stream of its own, repeatable, with the shares that were asked for."""

import math
import pickle
from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aisloader.names import FileNames, NamesWriter, TemplateNames
from aisloader.params import Params, parse
from aisloader.plan import OWN_NAMES_MAX, Op, OpKind, Plan, WorkerPlan

SAMPLES = 20_000


def read(text: str, seed: int = 1) -> Params:
    return parse(["-bucket=b", f"-seed={seed}", *text.split()], {})


def names(count: int) -> TemplateNames:
    return TemplateNames("o-%06d", count)


def ops(text: str, count: int = SAMPLES, *, worker: int = 0, seed: int = 1) -> list[Op]:
    made = Plan(read(text, seed), names(1000)).worker(worker)
    return take(made, count)


def take(worker: WorkerPlan, count: int) -> list[Op]:
    found = []
    for _ in range(count):
        op = worker.next()
        if op is None:
            break
        found.append(op)
        if op.kind.writes_new:
            worker.added(op)
    return found


def close(hits: int, share: float, total: int) -> bool:
    """Within 4 standard deviations of a binomial: 1 in 16,000 by chance, and the seeds are fixed."""
    return abs(hits - share * total) <= 4 * math.sqrt(total * share * (1 - share))


@pytest.mark.parametrize("pctput", [0, 1, 10, 30, 50, 99, 100])
def test_the_share_of_puts_is_the_one_asked_for(pctput: int) -> None:
    puts = sum(op.kind.writes_new for op in ops(f"-pctput={pctput}"))
    assert close(puts, pctput / 100, SAMPLES)


@pytest.mark.parametrize(
    ("pctput", "share"), [(100, 30), (50, 30), (30, 50), (10, 90), (5, 5), (50, 100)]
)
@pytest.mark.parametrize(
    ("flags", "kind"),
    [("-multipart-chunks=4 -pctmultipart", OpKind.MULTIPART), ("-arch.pct", OpKind.SHARD)],
)
def test_the_share_of_special_puts_does_not_depend_on_the_share_of_puts(
    pctput: int, share: int, flags: str, kind: OpKind
) -> None:
    kinds = Counter(op.kind for op in ops(f"-pctput={pctput} {flags}={share}"))
    puts = kinds[OpKind.PUT] + kinds[kind]
    assert close(puts, pctput / 100, SAMPLES)
    assert close(kinds[kind], share / 100, puts)


@pytest.mark.parametrize(("pctput", "share"), [(10, 10), (10, 20), (50, 40), (0, 30), (90, 50)])
def test_the_share_of_updates_does_not_depend_on_the_share_of_puts(pctput: int, share: int) -> None:
    kinds = Counter(op.kind for op in ops(f"-pctput={pctput} -pctupdate={share}"))
    reads = kinds[OpKind.GET] + kinds[OpKind.UPDATE]
    assert close(kinds[OpKind.UPDATE], share / 100, reads)


def test_streams_are_a_share_of_reads() -> None:
    kinds = Counter(op.kind for op in ops("-pctmpdstream=25"))
    assert close(kinds[OpKind.STREAM], 0.25, SAMPLES)


@pytest.mark.parametrize("pctput", [5, 30, 100])
def test_sizes_are_uniform_whatever_the_share_of_puts(pctput: int) -> None:
    """A span of 100 beside percentages: a draw shared by both would leave most sizes out."""
    made = [op.size for op in ops(f"-pctput={pctput} -minsize=1000 -maxsize=1099", 60_000)]
    sizes = [size for size in made if size >= 0]
    cells = Counter((size - 1000) // 4 for size in sizes)
    expected = len(sizes) / 25
    assert set(sizes) <= set(range(1000, 1100))
    assert len(set(sizes)) == 100
    # Chi-square with 24 degrees of freedom: 62 is p = 3e-5.
    assert sum((cells[cell] - expected) ** 2 / expected for cell in range(25)) < 62


def test_both_ends_of_the_sizes_occur() -> None:
    assert {op.size for op in ops("-pctput=100 -minsize=0 -maxsize=2", 200)} == {0, 1, 2}


def test_kinds_and_sizes_are_independent() -> None:
    made = ops("-pctput=100 -multipart-chunks=4 -pctmultipart=50 -minsize=0 -maxsize=9999")
    low = Counter(op.kind for op in made if op.size < 5000)
    assert close(low[OpKind.MULTIPART], 0.5, sum(low.values()))


def test_neighbouring_decisions_are_independent() -> None:
    made = [op.kind.writes_new for op in ops("-pctput=50")]
    both = sum(first and second for first, second in pairwise(made))
    assert close(both, 0.25, SAMPLES - 1)


@pytest.mark.parametrize(
    "text",
    [
        "-pctput=100",
        "-pctput=30 -pctupdate=20",
        "",
        "-get-batchsize=32",
        "-pctput=20 -get-batchsize=32",
        "-pctput=50 -arch.pct=50 -num-subdirs=7 -subdir=a",
    ],
)
def test_a_run_repeats_exactly(text: str) -> None:
    assert ops(text, 3000) == ops(text, 3000)
    assert ops(text, 3000) != ops(text, 3000, seed=2)
    assert ops(text, 3000) != ops(text, 3000, worker=1)
    assert ops(text, 3000) != ops(f"{text} -loaderid=5", 3000)


def test_one_percentage_changes_no_other_decision() -> None:
    few, many = ops("-pctput=100"), ops("-pctput=100 -multipart-chunks=4 -pctmultipart=50")
    assert [op.size for op in few] == [op.size for op in many]
    assert [op.name for op in few] == [op.name for op in many]
    assert [op.key for op in few] == [op.key for op in many]


@settings(max_examples=40)
@given(
    text=st.sampled_from(
        [
            "-pctput=100 -arch.pct=30",
            "-epochs=5",
            "",
            "-get-batchsize=9 -epochs=5",
            "-pctput=40 -pctupdate=10",
            "-pctput=40 -epochs=2",
            "-name-getter=random",
        ]
    ),
    at=st.integers(0, 2500),
    worker=st.integers(0, 9),
)
def test_a_worker_goes_on_from_any_operation(text: str, at: int, worker: int) -> None:
    plan = Plan(read(text), names(1000))
    whole = take(plan.worker(worker), at + 200)
    assert take(plan.worker(worker, start=at), 200) == whole[at : at + 200]


def test_numbers_of_operations_count_up() -> None:
    assert [op.seq for op in ops("-pctput=50", 3000)] == list(range(3000))


def test_keys_are_all_different() -> None:
    keys = {op.key for worker in range(4) for op in ops("-pctput=100", 5000, worker=worker)}
    assert len(keys) == 20_000


# names


def test_workers_make_different_names() -> None:
    plan = Plan(read("-pctput=100"))
    made = [op.name for worker in range(10) for op in take(plan.worker(worker), 2000)]
    assert len(set(made)) == 20_000
    assert all(len(name) == 32 and name.isascii() and name.isalpha() for name in made)


def test_letters_of_random_names_are_uniform() -> None:
    letters = Counter("".join(op.name for op in ops("-pctput=100")))
    expected = SAMPLES * 32 / 52
    assert len(letters) == 52
    # Chi-square with 51 degrees of freedom: 105 is p = 1e-5.
    assert sum((hits - expected) ** 2 / expected for hits in letters.values()) < 105


def test_two_loaders_make_different_names() -> None:
    first, second = (
        {op.name for op in take(Plan(read(f"-pctput=100 {text}")).worker(0), 1000)}
        for text in ("-loaderid=0", "-loaderid=1")
    )
    assert not first & second


def test_numbered_names_are_the_originals() -> None:
    plan = Plan(read("-pctput=100 -numworkers=2 -loadernum=17 -loaderid=5"))
    made = [take(plan.worker(worker), 3) for worker in (0, 1)]
    assert [op.name for op in made[0]] == ["5", "205", "405"]
    assert [op.name for op in made[1]] == ["105", "305", "505"]


def test_numbered_names_of_loaders_never_meet() -> None:
    made = [
        op.name
        for loader in range(17)
        for worker in range(3)
        for op in take(
            Plan(read(f"-pctput=100 -numworkers=3 -loadernum=17 -loaderid={loader}")).worker(
                worker
            ),
            300,
        )
    ]
    assert len(set(made)) == len(made)


def test_names_without_id_are_the_plain_counter() -> None:
    plan = Plan(read("-pctput=100 -numworkers=1 -randomname=false"))
    assert [op.name for op in take(plan.worker(0), 17)] == [f"{n:x}" for n in range(17)]


def test_directories_go_by_the_counter() -> None:
    plan = Plan(read("-pctput=100 -numworkers=1 -randomname=false -num-subdirs=3 -subdir=a/b"))
    assert [op.name for op in take(plan.worker(0), 4)] == [
        "a/b/00001/0",
        "a/b/00002/1",
        "a/b/00000/2",
        "a/b/00001/3",
    ]


@pytest.mark.parametrize(
    ("given_format", "extension"), [("", ".tar"), ("tgz", ".tgz"), (".tar.gz", ".tar.gz")]
)
def test_shards_have_the_formats_extension(given_format: str, extension: str) -> None:
    made = ops(f"-pctput=100 -arch.pct=50 -arch.format={given_format}", 500)
    for op in made:
        assert op.name.endswith(extension) is (op.kind is OpKind.SHARD)


def test_reads_of_a_mixed_run_find_its_own_new_names() -> None:
    made = ops("-pctput=50", 5000)
    written = {op.name: op.seq for op in made if op.kind.writes_new}
    own = [op for op in made if op.kind is OpKind.GET and op.name in written]
    assert len(own) > 1000
    assert all(op.seq > written[op.name] for op in own)


def test_a_failed_put_is_never_read() -> None:
    worker = Plan(read("-pctput=50"), names(10)).worker(0)
    made = [worker.next() for _ in range(5000)]
    assert {op.name for op in made if op and op.kind is OpKind.GET} == {
        f"o-{number:06d}" for number in range(10)
    }


def test_an_empty_bucket_is_written_before_it_is_read() -> None:
    made = take(Plan(read("-pctput=1")).worker(0), 1000)
    assert made[0].kind is OpKind.PUT
    assert sum(op.kind.writes_new for op in made) < 50


def test_what_a_worker_remembers_is_bounded() -> None:
    worker = Plan(read("-pctput=50"), names(10)).worker(0)
    op = next(op for op in iter(worker.next, None) if op.kind.writes_new)
    for _ in range(OWN_NAMES_MAX):
        worker.added(op)
    assert len(worker._own) == OWN_NAMES_MAX // 10
    assert all(worker.next() for _ in range(2000))


# epochs and batches


def test_epochs_end_the_plan_exactly() -> None:
    plan = Plan(read("-epochs=3 -numworkers=7"), names(1000))
    made = [op for worker in range(7) for op in take(plan.worker(worker), 10**6)]
    assert Counter(op.name for op in made) == {f"o-{n:06d}": 3 for n in range(1000)}
    worker = plan.worker(0)
    while worker.next():
        pass
    assert worker.next() is None


def test_epochs_of_batches_count_entries() -> None:
    plan = Plan(read("-epochs=3 -numworkers=7 -get-batchsize=64"), names(1000))
    made = [op for worker in range(7) for op in take(plan.worker(worker), 10**6)]
    entries = Counter(name for op in made for name, _ in op.names)
    assert entries == {f"o-{n:06d}": 3 for n in range(1000)}
    assert sorted(len(op.names) for op in made)[1:] == [64] * (len(made) - 1)


def test_epochs_of_a_mixed_run_are_over_the_names_of_its_start() -> None:
    plan = Plan(read("-epochs=2 -pctput=30 -numworkers=3"), names(500))
    made = [op for worker in range(3) for op in take(plan.worker(worker), 10**6)]
    gets = Counter(op.name for op in made if op.kind is OpKind.GET)
    assert gets == {f"o-{n:06d}": 2 for n in range(500)}


@pytest.mark.parametrize(
    "text",
    ["", "-get-batchsize=64", "-get-batchsize=64 -epoch-batch=short", "-name-getter=feistel"],
)
@pytest.mark.parametrize("done", [1, 37, 10**6])
def test_an_interrupted_run_goes_on(text: str, done: int) -> None:
    flags = f"-epochs=3 -numworkers=4 {text}"
    plan = Plan(read(flags), names(1000))
    workers = [plan.worker(number) for number in range(4)]
    before = [take(worker, done + number) for number, worker in enumerate(workers)]
    picks = [worker.picks for worker in workers]
    more = plan.resume_flags(picks)
    if all(picks) and sum(picks) == 3000:
        assert more == ""
        return
    resumed = Plan(parse(["-bucket=b", *flags.split(), *more.split()], {}), names(1000))
    after = [take(resumed.worker(number), 10**6) for number in range(4)]
    whole = [take(plan.worker(number), 10**6) for number in range(4)]
    assert [a + b for a, b in zip(before, after, strict=True)] == whole


def test_a_run_that_writes_has_nothing_to_go_on_with() -> None:
    plan = Plan(read("-pctput=10 -epochs=3"), names(1000))
    assert plan.resume_flags([5] * 10) == ""


# sizes and ranges of reads


@pytest.fixture
def listed(tmp_path: object) -> FileNames:
    writer = NamesWriter(f"{tmp_path}/n")
    for number in range(100):
        writer.add(f"o{number}", size=number * 1000)
    return writer.close()


def test_reads_know_the_listed_size(listed: FileNames) -> None:
    worker = Plan(read(""), listed).worker(0)
    for op in islice(iter(worker.next, None), 500):
        assert op.size == int(op.name[1:]) * 1000


def test_a_fixed_range_is_the_same_for_every_object(listed: FileNames) -> None:
    worker = Plan(read("-readoff=10 -readlen=20"), listed).worker(0)
    assert {(op.offset, op.length) for op in islice(iter(worker.next, None), 500)} == {(10, 20)}


def test_drawn_ranges_lie_inside_and_are_aligned(listed: FileNames) -> None:
    worker = Plan(read("-readrandom -readlen=5000 -readalign=512"), listed).worker(0)
    offsets = Counter[int]()
    for op in islice(iter(worker.next, None), 5000):
        assert op.offset % 512 == 0
        assert op.offset + op.length <= op.size
        assert op.length == min(5000, op.size)
        if op.size > 90_000:
            offsets[op.offset // 10_000] += 1
    assert len(offsets) >= 9


def test_drawn_ranges_need_sizes() -> None:
    with pytest.raises(InvalidArgumentError, match="needs the sizes"):
        Plan(read("-readrandom -readlen=1"), names(10))


def test_members_of_shards_are_read_by_their_path(tmp_path: object) -> None:
    writer = NamesWriter(f"{tmp_path}/n")
    writer.add("s.tar", "a/b.jpg", 7)
    writer.add("plain", "", 8)
    worker = Plan(read("-arch.list"), writer.close()).worker(0)
    found = {(op.name, op.archpath) for op in islice(iter(worker.next, None), 20)}
    assert found == {("s.tar", "a/b.jpg"), ("plain", "")}


# too few names


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("", 0, "has no objects"),
        ("-subdir=x", 0, 'with prefix "x" has no objects'),
        ("-epochs=1", 1, "needs 2 or more"),
        ("-epochs=1 -pctput=1", 1, "needs 2 or more"),
        ("-get-batchsize=11", 10, "more than the 10 names"),
        ("-get-batchsize=11 -pctput=50", 10, "more than the 10 names"),
    ],
)
def test_too_few_names(text: str, count: int, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Plan(read(text), names(count) if count else None)


def test_one_name_can_be_read() -> None:
    made = take(Plan(read(""), names(1)).worker(0), 5)
    assert [op.name for op in made] == ["o-000000"] * 5


def test_a_plan_travels_between_processes(listed: FileNames) -> None:
    plan = Plan(read("-pctput=20"), listed)
    again = pickle.loads(pickle.dumps(plan))
    assert take(again.worker(3), 500) == take(plan.worker(3), 500)
