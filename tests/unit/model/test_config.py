import json

import pytest

from aiscore.errors import InvalidArgumentError
from aiscore.model.config import (
    ClusterConfig,
    NodeConfig,
    check_node_scope,
    needs_restart,
    parse_config_changes,
)
from aiscore.model.config_sections import DiskConfig, GetBatchConfig
from aiscore.model.sections import flatten, from_wire, property_names, replace_path, to_wire
from aiscore.model.units import MINUTE, SECOND


def test_defaults_are_valid_and_round_trip() -> None:
    for config in (ClusterConfig(), NodeConfig()):
        config.validate()
        assert from_wire(type(config), json.loads(json.dumps(to_wire(config)))) == config


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("checksum.type", "xxhash2"),
        ("versioning.enabled", "true"),
        ("lru.enabled", "true"),
        ("lru.dont_evict_time", "2h0m"),
        ("space.cleanupwm", "65"),
        ("space.out_of_space", "95"),
        ("mirror.copies", "2"),
        ("ec.objsize_limit", "262144"),
        ("chunks.chunk_size", "1GiB"),
        ("get_batch.max_wait", "30s"),
        ("get_batch.warmup_workers", "2"),
        ("get_batch.max_soft_errs", "6"),
        ("timeout.max_keepalive", "4s"),
        ("timeout.object_md", "2h0m"),
        ("client.client_long_timeout", "10m"),
        ("periodic.retry_sync_time", "2s"),
        ("disk.iostat_time_short", "100ms"),
        ("fshc.test_files", "4"),
        ("memsys.default_buf", "32KiB"),
        ("log.level", "3"),
        ("log.max_size", "10MiB"),
        ("log.flush_time", "1m"),
        ("transport.lz4_block", "256KiB"),
        ("net.http.idle_conn_time", "6s"),
        ("keepalivetracker.proxy.interval", "10s"),
        ("store.durable", "false"),
        ("features", "none"),
    ],
)
def test_defaults_as_shown(key: str, shown: str) -> None:
    assert flatten(ClusterConfig())[key] == shown


def test_explicit_zero_soft_errors_is_not_the_default() -> None:
    assert GetBatchConfig().max_soft_errs == 6
    zero = replace_path(ClusterConfig(), {"get_batch.max_soft_errs": "0"})
    assert zero.get_batch.max_soft_errs == 0
    stored = to_wire(zero)
    assert from_wire(ClusterConfig, stored).get_batch.max_soft_errs == 0
    assert from_wire(ClusterConfig, {"get_batch": {}}).get_batch.max_soft_errs == 6


def test_zero_is_the_default_elsewhere_in_get_batch() -> None:
    config = GetBatchConfig(max_wait_ns=0, warmup_workers=0)
    assert (config.max_wait_ns, config.warmup_workers) == (30 * SECOND, 2)
    assert GetBatchConfig(warmup_workers=-1).warmup_worker_count == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"get_batch.max_wait": "61s"}, r"get_batch.max_wait=1m1s \(expected range \[1s, 1m\]\)"),
        ({"get_batch.warmup_workers": "11"}, r"range \[1, 10\] or -1"),
        ({"get_batch.max_soft_errs": "-1"}, "get_batch.max_soft_errs=-1"),
        ({"space.lowwm": "60"}, "cleanupwm <= lowwm"),
        ({"space.dont_cleanup_time": "30m"}, "expected >= 1h0m"),
        ({"timeout.max_keepalive": "3s"}, r"at least 4s: 2\*cplane_operation"),
        ({"timeout.cplane_operation": "1ms"}, ">= 10ms"),
        ({"timeout.cold_get_conflict": "21s"}, "at most timeout.max_host_busy=20s"),
        ({"timeout.ec_streams_time": "1m"}, "at least 5m"),
        ({"timeout.join_startup_time": "1m"}, r"2\*startup_time"),
        ({"timeout.object_md": "1m"}, r"range \[20m, 16h0m\]"),
        ({"client.client_timeout": "11m"}, "client_long_timeout"),
        ({"client.list_timeout": "1h"}, r"range \[1s, 30m\] or 0s"),
        ({"periodic.stats_time": "2m"}, r"range \[1s, 1m\]"),
        ({"disk.disk_util_high_wm": "95"}, "low < high < max"),
        ({"disk.iostat_time_smooth": "21s"}, r"10\*iostat_time_long=20s"),
        ({"fshc.test_files": "3"}, "fshc.test_files=3"),
        ({"fshc.io_err_time": "2m"}, r"range \[10s, 1m\]"),
        ({"memsys.default_buf": "5KiB"}, "multiple of 4KiB"),
        ({"memsys.min_free": "1MiB"}, "memsys.min_free=1MiB"),
        ({"log.level": "6"}, r"range \[1, 5\]"),
        ({"log.max_total": "15MiB"}, r"2\*log.max_size=20MiB"),
        ({"transport.lz4_block": "128KiB"}, "one of: 64KiB, 256KiB, 1MiB, 4MiB"),
        ({"transport.quiescent": "1s"}, ">= 8s"),
        ({"net.http.idle_conns_per_host": "129"}, r"range \[0, 128\]"),
        ({"net.http.idle_conn_time": "31s"}, r"range \[0s, 30s\]"),
        ({"net.http.domain_tls": "x"}, 'net.http.domain_tls=x .*""'),
        ({"keepalivetracker.proxy.interval": "3s"}, "at least timeout.max_keepalive=4s"),
        ({"keepalivetracker.target.interval": "41s"}, r"interval\*factor=2m3s"),
        ({"keepalivetracker.proxy.name": "x"}, "readonly"),
        ({"config_version": "1"}, "readonly"),
        ({"features": "Disable-Cold-GET,Streaming-Cold-GET"}, "mutually exclusive"),
    ],
)
def test_bounds_and_cross_rules(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        replace_path(ClusterConfig(), changes)


def test_a_change_that_is_valid_only_as_a_whole_is_accepted() -> None:
    config = replace_path(
        ClusterConfig(), {"timeout.cplane_operation": "3s", "timeout.max_keepalive": "6s"}
    )
    assert config.timeout.max_keepalive_ns == 6 * SECOND
    assert (
        replace_path(ClusterConfig(), {"timeout.ec_streams_time": "-1s"}).timeout.ec_streams_time_ns
        < 0
    )


def test_cluster_features_may_be_any_known_flag() -> None:
    config = replace_path(ClusterConfig(), {"features": "LZ4-Block-1MB,Fsync-PUT"})
    assert to_wire(config)["features"] == "48"


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(InvalidArgumentError, match=r'unknown property "store\.durible"') as info:
        replace_path(ClusterConfig(), {"store.durible": "true"})
    assert info.value.hint == 'did you mean "store.durable"'


def test_node_has_the_cluster_s_sections_and_its_own() -> None:
    assert set(property_names(ClusterConfig)) < set(property_names(NodeConfig))
    wire = to_wire(NodeConfig())
    assert wire["host_net"] == {
        "hostname": "",
        "hostname_intra_control": "",
        "hostname_intra_data": "",
        "port": "8080",
        "port_intra_control": "9080",
        "port_intra_data": "10080",
    }


def test_scope_and_restart() -> None:
    check_node_scope(["log.level", "disk.iostat_time_long"])
    with pytest.raises(InvalidArgumentError, match="get_batch configuration can only be globally"):
        check_node_scope(["log.level", "Get_Batch.max_wait"])
    assert needs_restart(["net.http.use_https"])
    assert not needs_restart(["log.level"])


def test_parse_config_changes() -> None:
    assert parse_config_changes(["log.level=4"]) == {"log.level": "4"}
    assert parse_config_changes(['{"log": {"flush_time": "5s"}}']) == {"log.flush_time": "5s"}


@pytest.mark.parametrize(
    ("long_s", "smooth_s", "window_s"),
    [(2, 8, 8), (2, 0, 8), (6, 0, 18), (20, 0, 40), (40, 0, 40), (2, 1, 0)],
)
def test_smoothing_window(long_s: int, smooth_s: int, window_s: int) -> None:
    config = DiskConfig(
        iostat_time_long_ns=long_s * SECOND, iostat_time_smooth_ns=smooth_s * SECOND
    )
    assert config.smooth_window_ns == window_s * SECOND
    assert config.iostat_time_long_ns <= MINUTE
