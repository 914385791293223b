"""A run from its parameters to its exit code: set up, start, report, stop, clean up."""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, is_dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from aiscore.errors import InvalidArgumentError
from aiscore.model.units import SECOND, format_duration
from aisloader.available import check_target
from aisloader.crew import Crew
from aisloader.loop import FAILURES_IN_A_ROW_MAX, GAVE_UP
from aisloader.operations import needed_series
from aisloader.params.describe import runtime_configuration
from aisloader.plan import Plan
from aisloader.reach import gateways_of, open_store
from aisloader.reporter import Reporter
from aisloader.startup import check_start, environment, parameter_lines, start_ns
from aisloader.stats.board import BoardLayout, Control, Head
from aisloader.stats.guarded import GuardedSink
from aisloader.stats.outage import OutageSink
from aisloader.stats.report import JsonSink, TextSink, complain, say
from aisloader.stats.sample import Final, RunInfo, Sink
from aisloader.stats.series import Metric, Series
from aisloader.stats.verdict import Figures, judge
from aisloader.target import clean_up, found_line, prepare_bucket, read_names
from aisloader.transform import transforming

if TYPE_CHECKING:
    from aiscore.transport.base import Transport
    from aisloader.params import Params
    from aisloader.stats.live import LiveSink

__all__ = ["EXIT_FAILURES", "EXIT_INTERRUPTED", "layout_of", "run"]

EXIT_FAILURES = 1
"""Operations failed, more than `-max-errors` allows, the run broke down, or a report could not be written."""
EXIT_INTERRUPTED = 130
COVERAGE_NAMES_MAX = 1 << 30
"""More names are not audited: it takes a byte for each."""
PATIENCE_S = 10.0
"""After the end of the time: operations under way for longer are mentioned."""


def run(params: "Params") -> int:
    """Run; the exit code.

    Raises:
        AisError: the run could not start, or the clean-up failed.
    """
    check_target(params)
    with ExitStack() as stack:
        out = _report_file(params, stack)
        # With JSON on stdout everything else goes to stderr, so that stdout can be piped to a program.
        chat = sys.stderr if params.stats.json else sys.stdout
        if not params.misc.quiet:
            say("\n".join(parameter_lines(params)), chat)
        if params.misc.dry_run:
            config = runtime_configuration(params, "-", params.cluster.shown)
            say(f"Runtime configuration:\n{json.dumps(config, indent=4)}", chat)
            return 0
        check_start(params)
        return _Run(params, stack, out, chat).run()


class _Run:
    """One run under way."""

    def __init__(self, params: "Params", stack: ExitStack, out: TextIO, chat: TextIO) -> None:
        self._params = params
        self._stack = stack
        self._out = out
        self._chat = chat
        self._signals = 0
        self._crew: Crew | None = None
        self._is_tracing = params.misc.trace_http
        self._plan: Plan | None = None
        self._live: LiveSink | None = None
        self._reports: list[GuardedSink] = []
        self._has_begun = self._is_ending = False

    def run(self) -> int:
        """All of it."""
        params = self._params
        self._stack.enter_context(self._handling_signals())
        transport = self._stack.enter_context(open_store(params))
        begun = time.monotonic()
        code = 0
        unsaid: OSError | None = None
        if not params.is_no_op:
            try:
                code = self._measure(transport)
            except OSError as exc:
                if not self._has_begun:
                    raise
                unsaid = exc  # stdout is full, or its reader has gone: what was loaded is removed all the same
            self._is_ending = False  # from here on Ctrl-C is what it always is
        if params.misc.cleanup:
            self._signals = 0
            clean_up(transport, params, complain)
        if unsaid is not None:
            raise unsaid
        self._say(
            f"\nActual run duration: {format_duration(round((time.monotonic() - begun) * 1e9))}"
        )
        return code

    def _measure(self, transport: "Transport") -> int:
        params = self._params
        if params.bucket.is_generated:
            self._say(f"New bucket name {params.bucket.ref.name!r}")
        state = prepare_bucket(transport, params)
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="aisloader-"))
        names = read_names(transport, params, state, os.path.join(directory, "read"), complain)
        if names is not None:
            self._say(found_line(state))
        plan = self._plan = Plan(params, names)
        sinks = self._sinks()
        gateways = gateways_of(params) if params.cluster.randomproxy else ()
        if params.etl.is_enabled:
            self._stack.enter_context(transforming(transport.endpoint, params, self._say, complain))
        with Crew(params, names, layout_of(params), gateways) as crew:
            try:
                return self._load(crew, sinks, plan, transport.endpoint)
            finally:
                self._crew, self._is_ending = None, True

    def _load(self, crew: Crew, sinks: list[Sink], plan: Plan, endpoint: str) -> int:
        params = self._params
        self._crew = crew
        self._tell_crew_to_trace()
        if not crew.start(self._complaint, lambda: self._signals > 0):
            complain("stopped before the start")
            return EXIT_INTERRUPTED
        due_ns = start_ns(params)
        if not crew.wait(due_ns, lambda: self._signals > 0):
            complain("stopped before the start")
            return EXIT_INTERRUPTED
        reporter = Reporter(sinks, crew.board, params.stats.interval_ns, params.workload.warmup_ns)
        config = runtime_configuration(params, plan.getter_label, endpoint)
        if params.stats.json:
            self._say(f"Runtime configuration:\n{json.dumps(config, indent=4)}")
        reporter.start(
            RunInfo(
                config=config,
                params=_plain(params),
                environment=environment(endpoint),
                has_rate=bool(params.workload.rate),
                started=time.time(),
            )
        )
        self._has_begun = True
        begun_ns = crew.go(due_ns)
        reporter.begin(begun_ns)
        if due_ns and begun_ns > due_ns:
            complain(f"a late start, {(begun_ns - due_ns) / SECOND:.3f} s after -start-at")
        self._watch(crew, reporter)
        final = self._final(crew, reporter)
        reporter.finish(final)
        if params.stats.output:
            self._say(f"Stats written to {params.stats.output}")
        return self._exit_code(crew, final)

    def _watch(self, crew: Crew, reporter: Reporter) -> None:
        """Until all workers have ended, or a second signal."""
        limit = self._params.deadline_ns
        mentioned = False
        while crew.is_running:
            crew.attend(reporter.time_to_next_s())
            reporter.tick()
            if self._signals > 1:
                complain("stopped at once: operations under way are not counted")
                return
            over_ns = 0 if limit is None else reporter.elapsed_ns() - limit
            if over_ns > PATIENCE_S * SECOND and not mentioned:
                mentioned = True
                complain(
                    "the time is up: waiting for operations under way (Ctrl-C twice ends them)"
                )

    def _final(self, crew: Crew, reporter: Reporter) -> Final:
        heads = crew.board.heads()
        ended = heads[:, Head.ENDED_NS]
        run = reporter.measured(int(ended.max()) if ended.all() else 0)
        started = int(crew.board.control[Control.START_NS])
        now = time.perf_counter_ns()
        active = sum((int(at) or now) - started for at in ended)
        totals = run.totals.values()
        main = max(totals, key=lambda one: one.count, default=None)
        cpu = [int(value) for value in heads[:, Head.CPU_NS] if value]
        figures = Figures(
            own_ns=int(heads[:, Head.OWN_NS].sum()),
            active_ns=active,
            waited_ns=int(heads[:, Head.WAITED_NS].sum()),
            operations=run.count + run.errors,
            cpu_ns=cpu,
            elapsed_ns=reporter.elapsed_ns(),
            is_embedded=self._params.cluster.is_embedded,
            lateness=crew.board.lateness(),
            service_p50_ns=main.service.percentile(50) if main else 0,
            workers=self._params.workload.numworkers,
        )
        return Final(
            run=run,
            verdict=judge(figures),
            ended_by=self._ended_by(crew),
            coverage=self._coverage(heads[:, Head.PICKS].tolist()) if ended.all() else {},
        )

    def _coverage(self, picks: list[int]) -> Mapping[str, Any]:
        """The audit of the epochs, when there were any; says how to go on when they are not done."""
        from aisloader.namegetter import coverage

        plan, epochs = self._plan, self._params.workload.epochs
        if plan is None or not epochs or plan.count > COVERAGE_NAMES_MAX:
            return {}
        if flags := plan.resume_flags(picks):
            complain(f"to go on where this run ended, repeat it with {flags}")
        found = coverage(self._params, plan.count, picks)
        if found is None:
            return {}
        return {
            "names": found.names,
            "epochs": epochs,
            "picks": found.picks,
            "missing": found.missing,
            "duplicates": found.duplicates,
            "text": str(found),
        }

    def _ended_by(self, crew: Crew) -> str:
        if self._signals:
            return "signal"
        if crew.died:
            return "a worker process died"
        if crew.board.control[Control.STOP] == GAVE_UP:
            return "failures"
        limit = self._params.deadline_ns
        started = int(crew.board.control[Control.START_NS])
        if limit is not None and time.perf_counter_ns() >= started + limit:
            return "duration"
        return "limit"

    def _exit_code(self, crew: Crew, final: Final) -> int:
        run = final.run
        if crew.died:
            complain(f"{crew.died} worker process(es) died: the results are incomplete")
            return EXIT_FAILURES
        if final.ended_by == "failures":
            complain(f"gave up: a worker failed {FAILURES_IN_A_ROW_MAX} times in a row")
            return EXIT_FAILURES
        if not self._params.misc.allows(run.errors, run.count + run.errors):
            complain(
                f"{run.errors:,} of {run.count + run.errors:,} operations failed "
                f"(-max-errors={self._params.misc.max_errors})"
            )
            return EXIT_FAILURES
        if self._signals and not self._params.misc.stoppable:
            return EXIT_INTERRUPTED
        # What could not be written was said when it happened.
        return EXIT_FAILURES if any(report.is_lost for report in self._reports) else 0

    # reports

    def _sinks(self) -> list[Sink]:
        stats = self._params.stats
        report = JsonSink(self._out) if stats.json else TextSink(self._out)
        sinks: list[Sink] = [self._guarded(report, stats.output or "to stdout")]
        if stats.csv:
            from aisloader.stats.csvsink import CsvSink

            sinks.append(self._guarded(CsvSink(_create(stats.csv, "-csv")), stats.csv))
        if stats.result:
            from aisloader.stats.result import ResultSink

            result = ResultSink(stats.result, self._params.workload.warmup_ns)
            sinks.append(self._guarded(result, stats.result))
        if stats.statsd and (statsd := self._statsd()) is not None:
            sinks.append(statsd)
            self._stack.callback(statsd.close)
        sinks.append(OutageSink(self._tell, self._outlook()))
        if stats.live and sys.stderr.isatty():
            from aisloader.stats.live import LiveSink

            self._live = LiveSink(sys.stderr)
            self._stack.callback(self._live.close)
            # The first, because it clears the place where others print.
            return [self._live, *sinks]
        return sinks

    def _guarded(self, sink: Sink, name: str) -> Sink:
        """A sink that writes to a file."""
        guarded = GuardedSink(sink, name, self._tell)
        self._reports.append(guarded)
        self._stack.callback(guarded.close)
        return guarded

    def _statsd(self) -> Sink | None:
        import socket

        from aisloader.stats.statsd import StatsdSink

        stats = self._params.stats
        prefix = f"aisloader.{socket.gethostname()}-{self._params.loader.number:x}"
        try:
            sink = StatsdSink(stats.statsdip, stats.statsdport, prefix, probe=stats.statsdprobe)
        except OSError as exc:
            complain(f"no StatsD: {stats.statsdip}:{stats.statsdport}: {exc.strerror}")
            return None
        return sink

    def _outlook(self) -> str:
        if self._params.deadline_ns is not None:
            return "trying on until the time is up, Ctrl-C ends the run"
        return (
            f"trying on, until a worker has failed {FAILURES_IN_A_ROW_MAX} times in a row; "
            "Ctrl-C ends the run"
        )

    def _tell(self, text: str) -> None:
        """A line to stderr while the view may stand there."""
        if self._live is not None:
            self._live.wipe()
        complain(text)

    def _complaint(self, message: tuple[Any, ...]) -> None:
        if message[0] == "failure":
            self._tell(f"{message[1]} failed ({message[2]}): {message[3]}")
        elif message[0] == "broken":
            self._tell(f"a worker process broke down: {message[1]}")
        elif message[0] == "died":
            self._tell(
                f"worker process {message[1]} died, and its {message[2]} worker(s) with it: "
                "the run goes on without them, and will have failed"
            )

    def _say(self, text: str) -> None:
        say(text, self._chat)

    # signals

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        handlers = {
            signal.SIGINT: self._stop,
            signal.SIGTERM: self._stop,
            signal.SIGHUP: self._switch_trace,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """First: begin nothing more. Second: end now. Outside of the measuring: as usual."""
        self._signals += 1
        if self._crew is not None:
            self._crew.stop()
        elif not self._is_ending:
            raise KeyboardInterrupt

    def _switch_trace(self, _number: int, _frame: FrameType | None) -> None:
        if self._params.cluster.is_embedded:
            complain("HTTP tracing needs HTTP: the embedded engine is asked without any")
            return
        self._is_tracing = not self._is_tracing
        self._tell_crew_to_trace()
        complain(f"HTTP tracing {'enabled' if self._is_tracing else 'disabled'}")

    def _tell_crew_to_trace(self) -> None:
        if self._crew is not None:
            self._crew.board.control[Control.TRACE] = int(self._is_tracing)


def layout_of(params: "Params") -> BoardLayout:
    """What is measured of each operation that these parameters can give rise to."""
    common = [Metric.SERVICE, Metric.FAILED]
    if params.workload.rate:
        common.append(Metric.RESPONSE)
    embedded = params.cluster.is_embedded
    metrics: dict[Series, tuple[Metric, ...]] = {}
    for series in needed_series(params):
        own = list(common)
        # The engine's short way of reading has no first byte: what is left of GETs would tell of large objects only.
        if series is Series.GBT or (series in {Series.GET, Series.MPD} and not embedded):
            own.append(Metric.FIRST)
        if series is Series.GBT:
            own.append(Metric.GAP)
        metrics[series] = tuple(sorted(own))
    return BoardLayout(params.workload.numworkers, metrics, has_lateness=bool(params.workload.rate))


def _report_file(params: "Params", stack: ExitStack) -> TextIO:
    del stack
    return _create(params.stats.output, "-stats-output") if params.stats.output else sys.stdout


def _create(path: str, flag: str) -> TextIO:
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as exc:
        raise InvalidArgumentError(f'cannot write {flag} "{path}": {exc.strerror}') from exc


def _plain(params: "Params") -> Mapping[str, Any]:
    """Parameters as JSON, without the specification of a transformation: its variables may be secrets."""
    params = replace(params, etl=replace(params.etl, document=""))
    return {
        name: asdict(section)
        for name in params.__slots__
        if is_dataclass(section := getattr(params, name)) and not isinstance(section, type)
    }
