"""Configuration as JSON: every section always, because AIStore's clients use them without asking for their presence.

Sections that nothing here reads have AIStore's defaults; they are answered and cannot be changed.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from aiscore.errors import InvalidArgumentError, ProtocolError
from aiscore.model.config import ClusterConfig, parse_config_changes
from aiscore.model.sections import from_wire, to_wire
from aiscore.model.units import parse_query_bool
from aiscore.wire.names import Q

__all__ = [
    "changes_of_query",
    "changes_of_value",
    "decode_config",
    "encode_config",
    "encode_node_config",
]

_TRANSFER = {"compression": "never", "bundle_multiplier": 2, "burst_buffer": 512}
_FIXED: dict[str, Any] = {
    "backend": {},
    "rebalance": {
        "dest_retry_time": "2m",
        "compression": "never",
        "bundle_multiplier": 2,
        "burst_buffer": 1024,
        "enabled": True,
    },
    "resilver": {"enabled": True},
    # As 4.1 has it, and nothing else: Go clients of that release refuse a field of this section that they do not know.
    "auth": {"enabled": False},
    "downloader": {"timeout": "1h"},
    "distributed_sort": {
        "duplicated_records": "ignore",
        "missing_shards": "ignore",
        "ekm_malformed_line": "abort",
        "ekm_missing_key": "abort",
        "default_max_mem_usage": "80%",
        "call_timeout": "10m",
        "dsorter_mem_threshold": "100GB",
        "compression": "never",
        "bundle_multiplier": 4,
        "burst_buffer": 0,
    },
    "tcb": _TRANSFER,
    "tco": _TRANSFER,
    "arch": _TRANSFER,
    "lso": {
        "bundle_multiplier": 1,
        "burst_buffer": 32,
        "walk_buffer": 128,
        "idle_time": "20s",
        "quiescent": "5s",
    },
    "tracing": {
        "exporter_endpoint": "",
        "exporter_auth": {"token_header": "", "token_file": ""},
        "service_name_prefix": "aistore",
        "attributes": {},
        "sampler_probability": "1.0",
        "enabled": False,
        "skip_verify": False,
    },
}
_LOCAL = {
    "confdir": "",
    "log_dir": "",
    "fspaths": {},
    "test_fspaths": {"root": "", "count": 0, "instance": 0},
    "host_net": {
        "hostname": "",
        "hostname_intra_control": "",
        "hostname_intra_data": "",
        "port": "0",
        "port_intra_control": "0",
        "port_intra_data": "0",
    },
}


def encode_config(config: ClusterConfig, *, primary_url: str = "") -> dict[str, Any]:
    """`cluster_config` as JSON values; secrets are masked.

    Args:
        config: the store's.
        primary_url: of this server, as clients reach it.
    """
    encoded = copy.deepcopy(_FIXED)
    encoded["proxy"] = {
        "primary_url": primary_url,
        "original_url": primary_url,
        "discovery_url": "",
        "non_electable": False,
    }
    _merge(encoded, to_wire(config))
    return encoded


def encode_node_config(
    config: ClusterConfig, local: Mapping[str, object], *, primary_url: str = ""
) -> dict[str, Any]:
    """A node's configuration: the cluster's sections, and beside them the node's own.

    Args:
        config: the store's.
        local: the node's sections, merged over empty ones: `confdir`, `log_dir`, `fspaths`, `host_net`.
        primary_url: of this server, as clients reach it.
    """
    encoded = encode_config(config, primary_url=primary_url)
    _merge(encoded, copy.deepcopy(_LOCAL))
    _merge(encoded, local)
    return encoded


def decode_config(body: bytes | memoryview | str) -> ClusterConfig:
    """Read a cluster's configuration; what is missing has its default, what is unknown is ignored.

    Raises:
        ProtocolError: not a JSON object, or a value of the wrong type.
    """
    try:
        raw: object = json.loads(bytes(body) if isinstance(body, memoryview) else body)
        if not isinstance(raw, dict):
            raise ProtocolError("invalid configuration: expected a JSON object")
        return from_wire(ClusterConfig, raw)
    except (ValueError, RecursionError, InvalidArgumentError) as exc:
        raise ProtocolError(f"invalid configuration: {exc}") from exc


def changes_of_query(query: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Changes in the query of `set-config`, and whether they are transient.

    Raises:
        InvalidArgumentError: no changes.
    """
    changes = {name.lower(): value for name, value in query.items() if name != Q.TRANSIENT}
    if not changes:
        raise InvalidArgumentError("no configuration to set", hint="use KEY=VALUE parameters")
    return changes, parse_query_bool(query.get(Q.TRANSIENT, ""))


def changes_of_value(raw: object) -> dict[str, str]:
    """Changes in the value of a `set-config` message, nested, decoded JSON; nulls change nothing.

    Raises:
        InvalidArgumentError: not an object, nothing in it, or a value that no setting can have.
    """
    if not isinstance(raw, Mapping):
        raise InvalidArgumentError("invalid configuration: expected a JSON object")
    changes = parse_config_changes(_without_nulls(raw))
    if not changes:
        raise InvalidArgumentError("no configuration to set")
    return changes


def _merge(tree: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        below = tree.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            _merge(below, value)
        else:
            tree[key] = value


def _without_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in raw.items()
        if value is not None
    }
