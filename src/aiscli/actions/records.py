"""Model values as records: the stable field names of the machine formats, in one place."""

from datetime import UTC, datetime

from aiscore.model.batch import BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.checksum import Checksum
from aiscore.model.objects import BucketSummary, EntryFlag, ListEntry, ListProp, ObjectProps

__all__ = [
    "batch_record",
    "bucket_record",
    "checksum_record",
    "entry_record",
    "iso_time",
    "object_record",
    "summary_record",
]

Record = dict[str, object]


def iso_time(time_ns: int) -> str | None:
    """UTC in ISO 8601 to the second; None for "never"."""
    if not time_ns:
        return None
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")


def checksum_record(checksum: Checksum | None) -> Record | None:
    """`{"type", "value"}`, or None."""
    return None if checksum is None else {"type": checksum.type.value, "value": checksum.value}


def bucket_record(bucket: BucketRef) -> Record:
    """One bucket: name (as a URI), provider, namespace, present."""
    return {
        "name": bucket.cname,
        "provider": bucket.provider.value,
        "namespace": str(bucket.namespace),
        "present": True,
    }


def object_record(bucket: BucketRef, props: ObjectProps) -> Record:
    """Everything `show object` knows."""
    return {
        "bucket": bucket.cname,
        "name": props.name,
        "size": props.size,
        "checksum": checksum_record(props.checksum),
        "version": props.version,
        "atime": iso_time(props.atime_ns),
        "last_modified": iso_time(props.mtime_ns),
        "etag": props.etag,
        "custom": dict(props.custom),
        "location": props.location,
        "copies": props.copies,
        "chunks": props.chunk_count,
    }


def entry_record(entry: ListEntry, props: frozenset[ListProp]) -> Record:
    """One listed name with the properties that were asked for."""
    record: Record = {"name": entry.name}
    if entry.is_directory:
        record["directory"] = True
        return record
    for prop in _ENTRY_ORDER:
        if prop in props:
            record[prop.value.replace("-", "_")] = _entry_value(entry, prop)
    if EntryFlag.ARCHIVE in entry.flags or entry.in_archive:
        record["archived"] = entry.in_archive
    return record


def summary_record(summary: BucketSummary) -> Record:
    """Counts of one bucket; sizes in bytes."""
    usage = 100 * summary.size_on_disk / summary.disk_total if summary.disk_total else 0.0
    return {
        "name": summary.bucket.cname,
        "objects": summary.object_count,
        "size": summary.size,
        "size_min": summary.size_min,
        "size_avg": summary.size_avg,
        "size_max": summary.size_max,
        "size_on_disk": summary.size_on_disk,
        "usage_percent": round(usage, 2),
    }


def batch_record(result: BatchResult) -> Record:
    """One entry of a batch: what was asked, and what came."""
    return {
        "bucket": result.bucket.cname,
        "name": result.entry.name,
        "archpath": result.entry.archpath,
        "member": result.member_name,
        "size": result.size,
        "status": "ok" if result.error is None else "missing",
        "error": result.error,
    }


_ENTRY_ORDER = (
    ListProp.SIZE,
    ListProp.CHECKSUM,
    ListProp.ATIME,
    ListProp.VERSION,
    ListProp.COPIES,
    ListProp.CUSTOM,
    ListProp.LOCATION,
    ListProp.CACHED,
    ListProp.CHUNKED,
    ListProp.STATUS,
    ListProp.ETAG,
    ListProp.LAST_MODIFIED,
)


def _entry_value(entry: ListEntry, prop: ListProp) -> object:
    match prop:
        case ListProp.SIZE:
            return entry.size
        case ListProp.CHECKSUM:
            return checksum_record(entry.checksum)
        case ListProp.ATIME:
            return iso_time(entry.atime_ns)
        case ListProp.VERSION:
            return entry.version
        case ListProp.COPIES:
            return entry.copies
        case ListProp.CUSTOM:
            return dict(entry.custom or {})
        case ListProp.LOCATION:
            return entry.location
        case ListProp.CACHED:
            return EntryFlag.CACHED in entry.flags
        case ListProp.CHUNKED:
            return EntryFlag.CHUNKED in entry.flags
        case ListProp.STATUS:
            return "ok"
        case ListProp.ETAG:
            return entry.etag
        case ListProp.LAST_MODIFIED:
            return iso_time(entry.mtime_ns)
        case ListProp.NAME:
            return entry.name
