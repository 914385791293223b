"""Summaries of buckets: the question and the answer."""

from typing import Any

import msgspec

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import BucketSummary
from aiscore.wire.buckets import bucket_to_json
from aiscore.wire.messages import decode_json, decode_value

__all__ = ["BsummMsg", "decode_summary", "encode_summary"]


class BsummMsg(msgspec.Struct):
    """A question for the summary of a bucket; with a uuid it asks for the answer."""

    uuid: str = ""
    prefix: str = ""
    cached: bool = False
    present: bool = False
    dont_add_remote: bool = False


def encode_summary(summary: BucketSummary, *, is_present: bool = True) -> dict[str, Any]:
    """AIStore's BsummResult; its three groups are capitalised."""
    used = summary.size_on_disk
    return {
        **bucket_to_json(summary.bucket),
        "ObjCount": {
            "obj_count_present": str(summary.object_count),
            "obj_count_remote": "0",
        },
        "ObjSize": {
            "obj_min_size": summary.size_min,
            "obj_avg_size": summary.size_avg,
            "obj_max_size": summary.size_max,
        },
        "TotalSize": {
            "size_on_disk": str(used),
            "size_all_present_objs": str(summary.size),
            "size_all_remote_objs": "0",
            "total_disks_size": str(summary.disk_total),
        },
        "used_pct": used * 100 // summary.disk_total if summary.disk_total else 0,
        "is_present": is_present,
    }


class _ObjCount(msgspec.Struct):
    obj_count_present: int = 0
    obj_count_remote: int = 0


class _ObjSize(msgspec.Struct):
    obj_min_size: int = 0
    obj_avg_size: int = 0
    obj_max_size: int = 0


class _TotalSize(msgspec.Struct):
    size_on_disk: int = 0
    size_all_present_objs: int = 0
    size_all_remote_objs: int = 0
    total_disks_size: int = 0


class _Summary(
    msgspec.Struct, rename={"count": "ObjCount", "sizes": "ObjSize", "total": "TotalSize"}
):
    count: _ObjCount = msgspec.field(default_factory=_ObjCount)
    sizes: _ObjSize = msgspec.field(default_factory=_ObjSize)
    total: _TotalSize = msgspec.field(default_factory=_TotalSize)


def decode_summary(raw: bytes | memoryview, bucket: BucketRef) -> BucketSummary:
    """The summary of `bucket` out of a BsummResult, or out of a list whose first element is one.

    Raises:
        InvalidArgumentError: neither.
    """
    value = decode_json(raw)
    if isinstance(value, list):
        value = value[0] if value else {}
    found = decode_value(msgspec.json.encode(value), _Summary)
    return BucketSummary(
        bucket=bucket,
        object_count=found.count.obj_count_present + found.count.obj_count_remote,
        size=found.total.size_all_present_objs + found.total.size_all_remote_objs,
        size_min=found.sizes.obj_min_size,
        size_avg=found.sizes.obj_avg_size,
        size_max=found.sizes.obj_max_size,
        size_on_disk=found.total.size_on_disk,
        disk_total=found.total.total_disks_size,
    )
