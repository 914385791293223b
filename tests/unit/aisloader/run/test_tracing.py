from aiscore.transport.tracing import RequestTimes
from aisloader.stats.board import CONTROL_WORDS, Board, BoardLayout, Control
from aisloader.stats.recorder import Recorder
from aisloader.stats.series import PHASES, Metric, Series
from aisloader.tracing import NOT_HAPPENED, PhaseTracer, phases_of


def request(begun: int, *steps: int, status: int = 200) -> RequestTimes:
    """Times of a request that began at `begun`, and took so long for each step."""
    times = RequestTimes()
    times.begun_ns = begun
    times.connected_ns, times.head_ns, times.sent_ns, times.answered_ns = (
        begun + sum(steps[:count]) for count in range(1, 5)
    )
    times.status = status
    return times


def test_the_request_that_is_redirected_is_the_gateways() -> None:
    redirected = request(100, 1, 2, 3, 4, status=307)
    found = dict(zip(PHASES, phases_of([redirected, request(115, 5, 6, 7, 8)], 150), strict=True))
    assert found == {
        "proxyconn": 1, "proxyheader": 2, "proxyrequest": 3, "proxyresponse": 4, "proxy": 14,
        "targetconn": 5, "targetheader": 6, "targetrequest": 7, "targetresponse": 8, "target": 21,
        "posthttp": 9,
    }  # fmt: skip


def test_a_store_that_answers_itself_is_a_target() -> None:
    found = phases_of([request(100, 1, 2, 3, 4)], 120)
    assert found == (*[NOT_HAPPENED] * 5, 1, 2, 3, 4, 9, 10)
    # So is one that was asked twice, because it refused the first time.
    refused = request(50, 1, 2, 3, 4, status=503)
    assert phases_of([refused, request(100, 1, 2, 3, 4)], 120) == found


def test_nothing_is_followed_until_it_is_asked_for() -> None:
    control = memoryview(bytearray(8 * CONTROL_WORDS)).cast("q")
    tracer = PhaseTracer(control)
    tracer.start()
    assert tracer.begin() is None
    assert tracer.end(5) is None
    control[Control.TRACE] = 1
    assert tracer.begin() is None  # of an operation that began before
    tracer.start()
    times = tracer.begin()
    assert times is not None
    tracer.add(times)
    assert tracer.end(times.begun_ns) is not None
    assert tracer.begin() is None


def test_phases_add_up_in_the_shared_memory() -> None:
    layout = BoardLayout(2, {Series.GET: (Metric.SERVICE,)})
    buffer = memoryview(bytearray(layout.size))
    for worker in range(2):
        recorder = Recorder(layout, buffer, worker, Series.GET)
        recorder.phases([NOT_HAPPENED] * 5 + [0, 2, 3, 4, 5, 6])
        recorder.done(5, 7)
    totals = Board(layout, buffer).totals()[Series.GET]
    assert totals.phases == {
        "targetconn": (2, 0), "targetheader": (2, 4), "targetrequest": (2, 6),
        "targetresponse": (2, 8), "target": (2, 10), "posthttp": (2, 12),
    }  # fmt: skip
    assert totals.errors == 0
