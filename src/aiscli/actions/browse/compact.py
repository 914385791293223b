"""Bucket properties in a line of words for each section, as `show bucket --compact` has them."""

from collections.abc import Mapping

from aiscore.model.policies import EC_ALWAYS_REPLICATE, ChecksumPolicy, ChunksPolicy, EcPolicy
from aiscore.model.props import BucketProps
from aiscore.model.units import format_size

__all__ = ["compact_props"]

_OFF = "Disabled"
_CHECKPOINTS = {0: "never", 1: "every chunk"}


def compact_props(props: BucketProps, flat: Mapping[str, str]) -> dict[str, str]:
    """A line for each section.

    Args:
        props: the properties.
        flat: the same by dotted name, as text; for what is one value anyway.
    """
    lines = {
        "access": flat["access"],
        "checksum": _checksum(props.checksum),
        "chunks": _chunks(props.chunks),
        "created": flat["created"],
        "ec": _ec(props.ec),
        "lru": _lru(props, flat),
        "mirror": f"{props.mirror.copies} copies" if props.mirror.enabled else _OFF,
        "present": "yes",
        "provider": props.provider,
        "versioning": _versioning(props),
    }
    if props.backend_bck.is_set:
        lines["backend_bck"] = f"{props.backend_bck.provider}://{props.backend_bck.name}"
    if props.features:
        lines["features"] = flat["features"]
    return dict(sorted(lines.items()))


def _checksum(policy: ChecksumPolicy) -> str:
    if policy.type.value == "none":
        return _OFF
    checks = {
        "ColdGET": policy.validate_cold_get,
        "WarmGET": policy.validate_warm_get,
        "ObjectMove": policy.validate_obj_move,
        "ReadRange": policy.enable_read_range,
    }
    validated = ",".join(name for name, is_on in checks.items() if is_on)
    return f"Type: {policy.type.value} | Validate: {validated or 'Nothing'}"


def _chunks(policy: ChunksPolicy) -> str:
    if not policy.is_auto:
        return "auto-chunking disabled"
    every = policy.checkpoint_every
    checkpoint = _CHECKPOINTS.get(every, f"every {every} chunks")
    return (
        f"chunk-size: {format_size(policy.chunk_size)}; checkpoint: {checkpoint}; "
        f"objsize-limit: {format_size(policy.objsize_limit)}"
    )


def _ec(policy: EcPolicy) -> str:
    if not policy.enabled:
        return _OFF
    if policy.objsize_limit == EC_ALWAYS_REPLICATE:
        return f"no EC - always producing {policy.parity_slices + 1} total replicas"
    limit = format_size(policy.objsize_limit)
    return f"{policy.data_slices}:{policy.parity_slices} (objsize limit {limit})"


def _lru(props: BucketProps, flat: Mapping[str, str]) -> str:
    if not props.lru.enabled:
        return _OFF
    return ", ".join(
        f"{leaf}={flat[f'lru.{leaf}']}"
        for leaf in ("dont_evict_time", "capacity_upd_time", "batch_size")
    )


def _versioning(props: BucketProps) -> str:
    if not props.versioning.enabled:
        return _OFF
    return f"Enabled | Validate on WarmGET: {'yes' if props.versioning.validate_warm_get else 'no'}"
