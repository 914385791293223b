from aiscore.errors import ConnectError, ObjectNotFoundError, TransportTimeoutError
from aisloader.stats.board import Board, BoardLayout, Head
from aisloader.stats.failure import FailureKind, ShortBatchError, classify
from aisloader.stats.histogram import BUCKET_COUNT
from aisloader.stats.recorder import Recorder, SlotHead
from aisloader.stats.series import Metric, Series, Totals

LAYOUT = BoardLayout(
    3,
    {
        Series.PUT: (Metric.SERVICE, Metric.FAILED),
        Series.GBT: (Metric.SERVICE, Metric.FIRST, Metric.FAILED, Metric.GAP),
    },
    has_lateness=True,
)


def board() -> tuple[Board, memoryview]:
    buffer = memoryview(bytearray(LAYOUT.size))
    return Board(LAYOUT, buffer), buffer


def test_what_all_workers_count_adds_up() -> None:
    reader, buffer = board()
    for worker in range(3):
        recorder = Recorder(LAYOUT, buffer, worker, Series.PUT)
        for number in range(worker + 1):
            recorder.started()
            recorder.done(1000 * (number + 1), 10)
    totals = reader.totals()[Series.PUT]
    assert (totals.count, totals.size, totals.started) == (6, 60, 6)
    assert totals.service.count == 6
    assert (totals.service.min_ns, totals.service.max_ns) == (1000, 3000)
    assert reader.totals()[Series.GBT].has_happened is False


def test_workers_do_not_write_into_each_others_slots() -> None:
    _, buffer = board()
    words = buffer.cast("q")
    recorder = Recorder(LAYOUT, buffer, 1, Series.GBT)
    for metric in Metric:
        recorder.duration(metric, 10**15)
        recorder.duration(metric, 1)
    for kind in FailureKind:
        recorder.failed(kind, 5)
    recorder.entries(64, 2)
    recorder.unverified()
    recorder.retried(3)
    head = SlotHead(LAYOUT, buffer, 1)
    head.own(5)
    head.waited(5, 10**15)
    first, second = LAYOUT.slot_at(1), LAYOUT.slot_at(2)
    assert not any(words[:first])
    assert not any(words[second:])
    assert any(words[first:second])
    at, put = first + LAYOUT.series_at(Series.GBT), first + LAYOUT.series_at(Series.PUT)
    assert not any(words[put:at])


def test_failures_are_apart_from_successes() -> None:
    reader, buffer = board()
    recorder = Recorder(LAYOUT, buffer, 0, Series.GBT)
    recorder.done(100, 5)
    recorder.failed(FailureKind.TIMEOUT, 10**9)
    recorder.failed(FailureKind.TIMEOUT, 10**9)
    recorder.unsent(7)
    totals = reader.totals()[Series.GBT]
    assert totals.failures == {FailureKind.TIMEOUT: 2, FailureKind.UNSENT: 7}
    assert (totals.count, totals.errors, totals.service.max_ns) == (1, 9, 100)
    assert totals.of(Metric.FAILED).count == 2


def test_an_interval_is_the_difference_of_two_readings() -> None:
    reader, buffer = board()
    recorder = Recorder(LAYOUT, buffer, 0, Series.GBT)
    recorder.done(100, 5)
    recorder.failed(FailureKind.BATCH, 5)
    before = reader.totals()[Series.GBT]
    recorder.done(10**6, 6)
    recorder.entries(64, 1)
    between = reader.totals()[Series.GBT].since(before)
    assert (between.count, between.size, between.entries, between.missing) == (1, 6, 64, 1)
    assert between.failures == {}
    assert 10**6 * (1 - 1 / 128) <= between.service.min_ns <= between.service.max_ns == 10**6
    assert reader.totals()[Series.GBT].since(reader.totals()[Series.GBT]).has_happened is False


def test_lateness_and_the_loaders_own_time_are_counted() -> None:
    reader, buffer = board()
    head = SlotHead(LAYOUT, buffer, 2)
    head.waited(1000, 50)
    head.own(30)
    head.own(30)
    head.picks(9)
    head.ended(77)
    heads = reader.heads()
    assert heads[2, Head.OWN_NS] == 60
    assert heads[2, Head.PICKS] == 9
    assert (heads[2, Head.ENDED], heads[2, Head.ENDED_NS]) == (1, 77)
    assert reader.lateness().count == 1
    assert reader.lateness().max_ns == 50


def test_totals_survive_json_and_merging() -> None:
    reader, buffer = board()
    recorder = Recorder(LAYOUT, buffer, 0, Series.GBT)
    recorder.done(100, 5)
    recorder.failed(FailureKind.BATCH, 5)
    totals = reader.totals()[Series.GBT]
    again = Totals.from_json(totals.to_json())
    assert again.to_json() == totals.to_json()
    both = totals.merged(again)
    assert (both.count, both.errors, both.service.count) == (2, 2, 2)


def test_memory_does_not_depend_on_what_is_counted() -> None:
    assert LAYOUT.size < 3 * 8 * 8 * (BUCKET_COUNT + 100) + 1000


def test_kinds_of_failures() -> None:
    assert classify(TransportTimeoutError("")) is FailureKind.TIMEOUT
    assert classify(ConnectError("")) is FailureKind.CONNECT
    assert classify(ObjectNotFoundError("")) is FailureKind.NOT_FOUND
    assert classify(ShortBatchError("")) is FailureKind.BATCH
    assert classify(ValueError()) is FailureKind.OTHER
