"""Sections of the configuration that belong to the cluster or a node and not to buckets.

Names, defaults and bounds are AIStore's (release 4.1) unless a docstring says "ours". Sizes are
bytes, durations nanoseconds. A zero that AIStore replaces with a default is replaced here too.
"""

from aiscore.errors import InvalidArgumentError
from aiscore.model.fields import duration, flag, integer, size, text
from aiscore.model.fieldspec import refused
from aiscore.model.load import parse_load
from aiscore.model.policies import BATCH_SIZE_DEFAULT, BATCH_SIZE_MAX, BATCH_SIZE_MIN
from aiscore.model.sections import Section, section, settings
from aiscore.model.units import (
    GIB,
    HOUR,
    KIB,
    MIB,
    MILLISECOND,
    MINUTE,
    SECOND,
    TIB,
    format_duration,
    format_size_exact,
)

__all__ = [
    "ClientConfig",
    "DiskConfig",
    "FshcConfig",
    "GetBatchConfig",
    "HttpConfig",
    "KeepaliveConfig",
    "KeepaliveTracker",
    "L4Config",
    "LogConfig",
    "MemsysConfig",
    "NetConfig",
    "PeriodicConfig",
    "SpaceConfig",
    "StoreConfig",
    "TimeoutConfig",
    "TransportConfig",
]

KEEPALIVE_WINDOW_MAX = 2 * MINUTE
"""Longest time, in nanoseconds, after which a silent node counts as gone."""
IOSTAT_SMOOTH_FACTOR_MAX = 10
IDLE_CONNS_PER_HOST_MAX = 128
BUFFER_STEP = 4 * KIB


@settings
class SpaceConfig(Section):
    """Watermarks of used capacity, in percent of the fullest disk, and what cleanup leaves alone.

    Above `cleanupwm` leftovers are removed, above `highwm` objects are evicted down to `lowwm`,
    above `out_of_space` writes fail.
    """

    cleanupwm: int = integer(65, minimum=1, maximum=100)
    lowwm: int = integer(75, minimum=1, maximum=100)
    highwm: int = integer(90, minimum=1, maximum=100)
    out_of_space: int = integer(95, minimum=1, maximum=100)
    batch_size: int = integer(
        BATCH_SIZE_DEFAULT,
        minimum=BATCH_SIZE_MIN,
        maximum=BATCH_SIZE_MAX,
        zero_means=BATCH_SIZE_DEFAULT,
    )
    dont_cleanup_time_ns: int = duration(2 * HOUR, minimum=HOUR, zero_means=2 * HOUR)

    def check_rules(self, path: str) -> None:
        """The watermarks rise."""
        if not self.cleanupwm <= self.lowwm <= self.highwm <= self.out_of_space:
            raise InvalidArgumentError(
                f"invalid {path}: cleanupwm={self.cleanupwm} lowwm={self.lowwm} "
                f"highwm={self.highwm} out_of_space={self.out_of_space} "
                "(expected 0 < cleanupwm <= lowwm <= highwm <= out_of_space <= 100)"
            )


@settings
class TimeoutConfig(Section):
    """How long nodes wait for each other; a negative `ec_streams_time` waits for ever."""

    cplane_operation_ns: int = duration(2 * SECOND, minimum=10 * MILLISECOND)
    max_keepalive_ns: int = duration(4 * SECOND)
    max_host_busy_ns: int = duration(20 * SECOND, minimum=10 * SECOND)
    startup_time_ns: int = duration(MINUTE, minimum=30 * SECOND)
    join_startup_time_ns: int = duration(3 * MINUTE)
    send_file_time_ns: int = duration(5 * MINUTE, minimum=MINUTE)
    ec_streams_time_ns: int = duration(10 * MINUTE, minimum=None, zero_means=10 * MINUTE)
    object_md_ns: int = duration(
        2 * HOUR, minimum=20 * MINUTE, maximum=16 * HOUR, zero_means=2 * HOUR
    )
    cold_get_conflict_ns: int = duration(5 * SECOND, minimum=SECOND, zero_means=5 * SECOND)

    def check_rules(self, path: str) -> None:
        """Longer waits are longer than the shorter ones that they contain."""
        _at_least(
            path,
            "max_keepalive",
            self.max_keepalive_ns,
            2 * self.cplane_operation_ns,
            "2*cplane_operation",
        )
        if self.join_startup_time_ns:
            _at_least(
                path,
                "join_startup_time",
                self.join_startup_time_ns,
                2 * self.startup_time_ns,
                "2*startup_time",
            )
        if self.ec_streams_time_ns > 0:
            _at_least(
                path,
                "ec_streams_time",
                self.ec_streams_time_ns,
                5 * MINUTE,
                "the minimum, or negative: never",
            )
        if self.cold_get_conflict_ns > self.max_host_busy_ns:
            raise refused(
                f"{path}.cold_get_conflict",
                format_duration(self.cold_get_conflict_ns),
                f"at most {path}.max_host_busy={format_duration(self.max_host_busy_ns)}",
            )


@settings
class ClientConfig(Section):
    """Timeouts of requests between nodes and to backends; 0 means none."""

    client_timeout_ns: int = duration(10 * SECOND, minimum=SECOND, maximum=30 * MINUTE, also=(0,))
    client_long_timeout_ns: int = duration(
        10 * MINUTE, minimum=SECOND, maximum=30 * MINUTE, also=(0,)
    )
    list_timeout_ns: int = duration(MINUTE, minimum=SECOND, maximum=30 * MINUTE, also=(0,))

    def check_rules(self, path: str) -> None:
        """The long timeout is not the shorter one."""
        if self.client_long_timeout_ns:
            _at_least(
                path,
                "client_long_timeout",
                self.client_long_timeout_ns,
                self.client_timeout_ns,
                "client_timeout",
            )


@settings
class PeriodicConfig(Section):
    """Intervals of housekeeping; `stats_time` is the store's pulse."""

    stats_time_ns: int = duration(10 * SECOND, minimum=SECOND, maximum=MINUTE)
    retry_sync_time_ns: int = duration(2 * SECOND, minimum=10 * MILLISECOND, maximum=10 * SECOND)
    notif_time_ns: int = duration(30 * SECOND, minimum=SECOND, maximum=MINUTE)


@settings
class DiskConfig(Section):
    """Watermarks of disk utilisation, in percent, and the windows it is measured over."""

    disk_util_low_wm: int = integer(20, minimum=1, maximum=100)
    disk_util_high_wm: int = integer(80, minimum=1, maximum=100)
    disk_util_max_wm: int = integer(95, minimum=1, maximum=100)
    iostat_time_long_ns: int = duration(2 * SECOND, minimum=2 * SECOND, maximum=MINUTE)
    iostat_time_short_ns: int = duration(100 * MILLISECOND, minimum=MILLISECOND, maximum=MINUTE)
    iostat_time_smooth_ns: int = duration(8 * SECOND)

    @property
    def smooth_window_ns(self) -> int:
        """The window to smooth over, 0 for none: a zero setting derives it from the long window."""
        if self.iostat_time_smooth_ns:
            return (
                self.iostat_time_smooth_ns
                if self.iostat_time_smooth_ns >= self.iostat_time_long_ns
                else 0
            )
        long_ns = self.iostat_time_long_ns
        if long_ns >= 30 * SECOND:
            return long_ns
        factor = 2 if long_ns > 10 * SECOND else 3 if long_ns > 5 * SECOND else 4
        return factor * long_ns

    def check_rules(self, path: str) -> None:
        """The watermarks rise strictly; the windows fit into each other."""
        if not self.disk_util_low_wm < self.disk_util_high_wm < self.disk_util_max_wm:
            raise InvalidArgumentError(
                f"invalid {path}: disk_util_low_wm={self.disk_util_low_wm} "
                f"disk_util_high_wm={self.disk_util_high_wm} "
                f"disk_util_max_wm={self.disk_util_max_wm} (expected 0 < low < high < max <= 100)"
            )
        _at_least(
            path,
            "iostat_time_long",
            self.iostat_time_long_ns,
            self.iostat_time_short_ns,
            "iostat_time_short",
        )
        limit = IOSTAT_SMOOTH_FACTOR_MAX * self.iostat_time_long_ns
        if self.iostat_time_smooth_ns > limit:
            raise refused(
                f"{path}.iostat_time_smooth",
                format_duration(self.iostat_time_smooth_ns),
                f"at most {IOSTAT_SMOOTH_FACTOR_MAX}*iostat_time_long={format_duration(limit)}",
            )


@settings
class FshcConfig(Section):
    """The disk health check: how much it reads and writes, and how many errors start it."""

    test_files: int = integer(4, minimum=4)
    error_limit: int = integer(2, minimum=2)
    io_err_limit: int = integer(10, minimum=10, zero_means=10)
    io_err_time_ns: int = duration(
        10 * SECOND, minimum=10 * SECOND, maximum=MINUTE, zero_means=10 * SECOND
    )
    enabled: bool = flag(True)


@settings
class MemsysConfig(Section):
    """Memory that stays free, and the size of buffers."""

    min_free: int = size(2 * GIB, minimum=100 * MIB, also=(0,))
    default_buf: int = size(32 * KIB, maximum=128 * KIB)
    to_gc: int = size(4 * GIB, maximum=TIB)
    hk_time_ns: int = duration(3 * MINUTE, maximum=HOUR)
    min_pct_total: int = integer(0, maximum=95)
    min_pct_free: int = integer(0, maximum=95)

    def check_rules(self, path: str) -> None:
        """Buffers are whole pages."""
        if self.default_buf % BUFFER_STEP:
            raise refused(
                f"{path}.default_buf", format_size_exact(self.default_buf), "a multiple of 4KiB"
            )


@settings
class LogConfig(Section):
    """What is logged and how long logs are kept; levels run from 1 (errors only) to 5.

    Upstream packs module names into the higher bits of `level`; here they have no meaning and are
    refused.
    """

    level: int = integer(3, minimum=1, maximum=5, quoted=True)
    max_size: int = size(10 * MIB, minimum=KIB, maximum=GIB)
    max_total: int = size(256 * MIB, minimum=MIB, maximum=10 * GIB)
    flush_time_ns: int = duration(MINUTE, maximum=HOUR)
    stats_time_ns: int = duration(MINUTE, maximum=10 * MINUTE)
    to_stderr: bool = flag(False)

    def check_rules(self, path: str) -> None:
        """At least two full files fit into the total."""
        if self.max_total < 2 * self.max_size:
            raise refused(
                f"{path}.max_total",
                format_size_exact(self.max_total),
                f"at least 2*{path}.max_size={format_size_exact(2 * self.max_size)}",
            )


@settings
class TransportConfig(Section):
    """Streams of objects between nodes; zero `max_header` and `burst_buffer` are defaults."""

    max_header: int = integer(4096, minimum=512, maximum=128 * KIB, zero_means=4096)
    burst_buffer: int = integer(512, minimum=32, maximum=4096, zero_means=256)
    idle_teardown_ns: int = duration(4 * SECOND, minimum=SECOND)
    quiescent_ns: int = duration(10 * SECOND, minimum=8 * SECOND)
    lz4_block: int = size(256 * KIB, choices=(64 * KIB, 256 * KIB, MIB, 4 * MIB))
    lz4_frame_checksum: bool = flag(False)


@settings
class L4Config(Section):
    """Sockets."""

    proto: str = text("tcp", choices=("tcp",))
    sndrcv_buf_size: int = integer(128 * KIB, maximum=GIB)


@settings
class HttpConfig(Section):
    """HTTP server and connections between nodes; `client_auth_tls` is Go's `tls.ClientAuthType`."""

    server_crt: str = text("server.crt")
    server_key: str = text("server.key")
    domain_tls: str = text(choices=("",))
    client_ca_tls: str = text()
    idle_conn_time_ns: int = duration(6 * SECOND, maximum=30 * SECOND)
    idle_conns_per_host: int = integer(32)
    idle_conns: int = integer(256, maximum=4096)
    client_auth_tls: int = integer(0, maximum=4)
    write_buffer_size: int = integer(0, maximum=GIB)
    read_buffer_size: int = integer(0, maximum=GIB)
    use_https: bool = flag(False)
    skip_verify: bool = flag(False)
    chunked_transfer: bool = flag(True)

    def check_rules(self, path: str) -> None:
        """Connections to one host are part of all connections."""
        limit = min(self.idle_conns, IDLE_CONNS_PER_HOST_MAX)
        if self.idle_conns_per_host > limit:
            raise refused(
                f"{path}.idle_conns_per_host", str(self.idle_conns_per_host), f"range [0, {limit}]"
            )


@settings
class NetConfig(Section):
    """Network; a change takes effect at the next start."""

    l4: L4Config = section(L4Config)
    http: HttpConfig = section(HttpConfig)


@settings
class KeepaliveTracker(Section):
    """How often one kind of node reports; it counts as gone after `factor` intervals of silence."""

    name: str = text("heartbeat", choices=("heartbeat",), readonly=True)
    interval_ns: int = duration(10 * SECOND, minimum=SECOND, maximum=MINUTE)
    factor: int = integer(3, minimum=1, maximum=255)

    def check_rules(self, path: str) -> None:
        """A node is not missed for too long."""
        window_ns = self.interval_ns * self.factor
        if window_ns > KEEPALIVE_WINDOW_MAX:
            raise InvalidArgumentError(
                f"invalid {path}: interval*factor={format_duration(window_ns)} (expected at most "
                f"{format_duration(KEEPALIVE_WINDOW_MAX)})"
            )


@settings
class KeepaliveConfig(Section):
    """Heartbeats, and how often a missed one is retried."""

    proxy: KeepaliveTracker = section(KeepaliveTracker)
    target: KeepaliveTracker = section(KeepaliveTracker)
    num_retries: int = integer(3, minimum=1, maximum=10, zero_means=3)
    retry_factor: int = integer(4, minimum=1, maximum=10)


@settings
class GetBatchConfig(Section):
    """Reading many objects in one request.

    `max_wait` bounds the wait for one entry. `warmup_workers` read ahead; -1 switches them off.
    `max_soft_errs` is how many entries of a request may be missing: an explicit 0 means none (ours;
    upstream turns it into 6), so only a configuration that does not name the field gets the
    default.
    """

    max_wait_ns: int = duration(30 * SECOND, minimum=SECOND, maximum=MINUTE, zero_means=30 * SECOND)
    warmup_workers: int = integer(2, minimum=1, maximum=10, zero_means=2, also=(-1,))
    max_soft_errs: int = integer(6)

    @property
    def warmup_worker_count(self) -> int:
        """Workers to start; 0 when they are switched off."""
        return max(self.warmup_workers, 0)


@settings
class StoreConfig(Section):
    """Ours.

    `durable` syncs every commit, in every bucket, before it is answered. `load` is `auto`, `off` (nothing is slowed
    down or refused), or grades in place of measured ones: one for all, or `memory:high,disk:critical`.
    """

    durable: bool = flag(False)
    load: str = text("auto")

    def check_rules(self, path: str) -> None:
        """The grades exist."""
        parse_load(self.load)


def _at_least(path: str, name: str, value_ns: int, limit_ns: int, what: str) -> None:
    if value_ns < limit_ns:
        expected = f"at least {format_duration(limit_ns)}: {what}"
        raise refused(f"{path}.{name}", format_duration(value_ns), expected)
