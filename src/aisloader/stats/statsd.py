"""Statistics as StatsD packets over UDP: upstream's names, durations in fractional milliseconds."""

import socket
import time
from collections.abc import Iterator

from aiscore.model.units import MILLISECOND
from aisloader.stats.sample import Final, RunInfo, Sample, Span
from aisloader.stats.series import Series, Totals

__all__ = ["StatsdSink", "packets", "phases"]

PROBES = 10
PROBE_GAP_S = 0.1


class StatsdSink:
    """Sends each interval, the last and partial one too, and sets gauges back at the end.

    Args:
        host: of the server.
        port: UDP port.
        prefix: first component of every name: `aisloader.HOST-ID`.
        probe: send test packets first.

    Raises:
        OSError: the host's name does not resolve.
    """

    def __init__(self, host: str, port: int, prefix: str, *, probe: bool = False) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[
            0
        ]
        self._socket = socket.socket(family, kind, protocol)
        self._address = address
        self._prefix = prefix
        self._series: tuple[Series, ...] = ()
        if probe:
            for number in range(1, PROBES + 1):
                self._send(f"{prefix}.probe.counter:{number}|c")
                time.sleep(PROBE_GAP_S)

    def start(self, info: RunInfo) -> None:
        """Nothing to say yet."""

    def second(self, sample: Sample) -> None:
        """Only intervals are sent."""

    def interval(self, sample: Sample) -> None:
        """A few packets for each operation."""
        self._series = tuple(sample.interval.totals)
        for packet in packets(self._prefix, sample.interval, sample.run):
            self._send(packet)
        for packet in phases(self._prefix, sample.interval):
            self._send(packet)

    def finish(self, final: Final) -> None:
        """Gauges would keep their last value otherwise."""
        for series in self._series:
            name = f"{self._prefix}.{series.statsd}"
            self._send(f"{name}.throughput:0|g\n{name}.pending:0|g")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, packet: str) -> None:
        try:
            self._socket.sendto(packet.encode(), self._address)
        except OSError:
            return  # nobody listens there now: the load goes on, and the report with it


def packets(prefix: str, interval: Span, run: Span) -> Iterator[str]:
    """The packets of one interval."""
    for series, totals in interval.totals.items():
        name = f"{prefix}.{series.statsd}"
        yield f"{name}.count:{totals.count}|c"
        if totals.errors:
            yield f"{name}.errors:{totals.errors}|c"
        if totals.count:
            rate = f"|@{1 / totals.count:f}" if totals.count > 1 else ""
            now = run.totals[series]
            pending = max(now.started - now.count - now.errors, 0)
            yield f"{name}.pending:{pending}|g{rate}"
            yield "\n".join(f"{name}.{timer}|ms{rate}" for timer in _timers(totals))
            yield f"{name}.throughput:{interval.throughput(series)}|g{rate}"


def phases(prefix: str, interval: Span) -> Iterator[str]:
    """Mean time of each phase of the requests of an interval that were traced."""
    for series, totals in interval.totals.items():
        lines = [
            f"{prefix}.{series.statsd}.latency.{name}:{_ms(total_ns // count)}|ms"
            + (f"|@{1 / count:f}" if count > 1 else "")
            for name, (count, total_ns) in totals.phases.items()
        ]
        if lines:
            yield "\n".join(lines)


def _timers(totals: Totals) -> Iterator[str]:
    service = totals.service
    yield f"latency:{_ms(service.mean_ns)}"
    yield f"minlatency:{_ms(service.min_ns)}"
    yield f"maxlatency:{_ms(service.max_ns)}"
    for percent, value in zip(
        ("50", "90", "99", "999"), service.percentiles((50, 90, 99, 99.9)), strict=True
    ):
        yield f"latency.p{percent}:{_ms(value)}"


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / MILLISECOND:.3f}"
