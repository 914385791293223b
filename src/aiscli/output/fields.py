"""The fields of every command's records: the contract of the machine formats.

A command is in `_COMMANDS` by its function, `MODULE:FUNCTION`, with the names of its fields; `?` marks
one that a record may lack. What a name means is in `_MEANINGS`, the same for every command, but for
the few in `_SPECIAL`. Tests run the commands and compare; `--columns`, the help and
`docs/reference/output.md` are made of it.

Fields are added, never renamed or given another type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aiscli.output.records import Column
from aiscore.errors import InvalidArgumentError

__all__ = ["RECORDS", "Field", "Records", "Shape", "columns_of", "key_of"]


class Shape(StrEnum):
    """What a machine format holds."""

    ONE = "one record"
    MANY = "a list of records"
    EITHER = "one record, or a list of records where many things are named"
    TREE = "a tree with AIStore's names"
    CONTENT = "nothing but the content, in every format"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        name: key; the header of CSV.
        type: JSON type, or several with "or"; `time` is a string in ISO 8601, UTC.
        meaning: what it is, with the unit.
        is_optional: a record may lack it.
        is_size: the value is bytes; tables show it in `--units`.
    """

    name: str
    type: str
    meaning: str
    is_optional: bool = False

    @property
    def is_size(self) -> bool:
        """True when the value is bytes."""
        return self.type.startswith("integer") and "bytes" in self.meaning

    @property
    def column(self) -> Column:
        """How a table shows it when the user asks for it by name."""
        if self.type.startswith(("object", "list")):
            return Column(self.name, show=lambda record: _shown(record.get(self.name)))
        return Column(self.name, is_size=self.is_size)


@dataclass(frozen=True, slots=True)
class Records:
    """What a command prints in machine formats.

    Attributes:
        shape: one record, a list, or something else.
        fields: of a record, in order.
    """

    shape: Shape
    fields: tuple[Field, ...] = ()


def key_of(target: str) -> str:
    """The key of a command in `RECORDS`, from the target of its `Leaf`."""
    return target.rpartition(".")[2]


def columns_of(target: str, text: str) -> tuple[Column, ...]:
    """Read `--columns` of a command: names, comma separated, in the order wanted.

    Raises:
        InvalidArgumentError: no name, or one that the command's records do not have.
    """
    chosen = dict.fromkeys(name for part in text.lower().split(",") if (name := part.strip()))
    if not chosen:
        raise InvalidArgumentError("--columns: the list of names is empty")
    records = RECORDS.get(key_of(target))
    if records is None or records.shape is Shape.CONTENT:
        raise InvalidArgumentError("--columns: this command prints no records")
    if records.shape is Shape.TREE:
        return tuple(Column(name) for name in chosen)
    known = {field.name: field for field in records.fields}
    return tuple(_find(name.replace("-", "_"), known).column for name in chosen)


def _find(name: str, known: Mapping[str, Field]) -> Field:
    field = known.get(name)
    if field is not None:
        return field
    from aiscli.suggest import nearest

    near = nearest(name, known)
    meant = f'did you mean "{near}"? ' if near else ""
    raise InvalidArgumentError(
        f'--columns: there is no column "{name}"', hint=f"{meant}Columns are: {', '.join(known)}"
    )


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        if value.keys() == {"type", "value"}:
            return f"{value['type']}[{value['value']}]"
        return ",".join(f"{key}={item}" for key, item in value.items()) or "-"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value) or "-"
    return "-" if value is None else str(value)


_MEANINGS: Mapping[str, tuple[str, str]] = {
    "action": ("string", "what was done"),
    "alias": ("string", "short name of a command"),
    "appended": ("integer", "bytes that were added"),
    "archived": ("boolean", "true for a file of a shard, false for the shard itself"),
    "archpath": ("string or null", "name of the file in the shard; null for a whole object"),
    "atime": ("time or null", "last access"),
    "available": ("integer", "free space, bytes"),
    "bucket": ("string", "URI of the bucket"),
    "cached": ("boolean", "present in the store"),
    "changed": ("object", "what changed: name to {value, was}"),
    "check": ("string", "what was checked"),
    "checksum": ("object or null", "{type, value} of the content"),
    "chunked": ("boolean", "stored in more than one piece"),
    "chunk_size": ("integer", "bytes of a chunk"),
    "chunked_size": ("integer", "bytes of objects that were written in chunks"),
    "chunks": ("integer", "pieces that the content is stored in"),
    "command": ("string", "command line behind `ais`"),
    "copies": ("integer", "how many times it is stored"),
    "count": ("integer", "how many names there are"),
    "created": ("boolean", "false when it was there before"),
    "current": ("boolean", "in use when no flag or variable names another"),
    "custom": ("object", "custom metadata: key to string"),
    "cuts": ("integer", "how many cuts"),
    "deleted": ("integer", "how many were deleted"),
    "depth": ("integer", "level below what was asked for, from 1; 0 is that itself"),
    "destroyed": ("boolean", "false when it was left alone"),
    "detail": ("string", "what was found, in words"),
    "directory": ("string", "where the files are"),
    "done": ("boolean", "always true: a failure has no record"),
    "dry_run": ("boolean", "true when nothing was changed"),
    "end": ("time or null", "when it ended"),
    "endpoint": ("string", "URL of the store"),
    "entries": (
        "list of object",
        "each entry in order: {bucket, name, archpath, member, size, status, error}",
    ),
    "error": ("string or null", "why it failed; null when it did not"),
    "ext": (
        "object",
        "what only this kind of job has to say; `throttled_ns` is how long it slept because of the load",
    ),
    "etag": ("string", "entity tag of the content"),
    "failed": ("list of string", "names of what failed"),
    "faults": ("list of object", "what is damaged: {kind, name, detail}"),
    "file": ("string", "path on this machine; - is standard input or output"),
    "files": ("integer", "how many files"),
    "format": ("string", "archive format: .tar, .tgz, .tar.lz4 or .zip"),
    "help": ("string", "one line about the command"),
    "hint": ("string or null", "what to do about it"),
    "home": ("string", "directory of the store"),
    "id": ("string", "id of the job"),
    "jobs": ("integer", "how many jobs"),
    "kind": ("string", "object, shard, or member (a file of a shard)"),
    "last_modified": ("time or null", "last change of the content"),
    "location": ("string", "where it is stored"),
    "member": ("string", "name in the output archive"),
    "missing": ("integer", "how many entries do not exist"),
    "mode": ("string", "create, append or append-or-put"),
    "mountpaths": ("integer or null", "how many mountpaths"),
    "name": ("string", "name of the object"),
    "namespace": ("string", "namespace; may be empty"),
    "new_name": ("string", "name of the object from now on"),
    "node": ("string", "id of the node"),
    "objects": ("integer", "how many objects"),
    "origin": ("string", "flag, variable or key that the value is from"),
    "objsize_limit": ("integer", "bytes from which objects are chunked; 0 is never"),
    "output": ("string", "file or directory written; - is standard output"),
    "overtaken": ("integer", "how many others wrote or removed meanwhile"),
    "part": ("integer", "number of the part, from 1"),
    "parts": ("integer", "how many parts are stored"),
    "path": ("string", "path on the store's machine"),
    "pid": ("integer", "id of the process"),
    "pieces": ("integer", "stored files that hold content"),
    "prefix": ("string", "only names that begin with it; may be empty"),
    "present": ("boolean", "whether the store has it"),
    "property": ("string", "dotted name"),
    "provider": ("string", "whose storage it is: ais, aws, azure, gcp, oci"),
    "reason": ("string or null", "what differs: size or checksum"),
    "restored": ("integer", "how many were written in one piece"),
    "restored_size": ("integer", "bytes of objects that were written in one piece"),
    "resumed": ("integer", "how many parts an earlier run had sent"),
    "saved": ("string or null", "where the old file is now; null when there was none"),
    "script": ("string", "the completion script"),
    "seconds": ("number", "how long it took"),
    "shard": ("string", "the shard"),
    "shards": ("integer", "how many shards"),
    "shell": ("string", "bash, zsh or fish"),
    "size": ("integer", "bytes"),
    "size_avg": ("integer", "average object, bytes"),
    "size_left": ("integer or null", "bytes on the left; null when it is not there"),
    "size_max": ("integer", "largest object, bytes"),
    "size_min": ("integer", "smallest object, bytes"),
    "size_on_disk": ("integer", "what it takes on disk, bytes"),
    "size_right": ("integer or null", "bytes on the right; null when it is not there"),
    "skipped": ("integer", "how many were left as they are"),
    "source": ("string", "where from"),
    "start": ("time or null", "when it began"),
    "state": ("string", "of the mountpath: available, disabled, ..."),
    "status": ("string", "ok, or what is wrong"),
    "target": ("string", "where to"),
    "total": ("integer", "capacity of the disk, bytes"),
    "type": ("string", "proxy or target"),
    "upload_id": ("string", "id of the multipart upload"),
    "url": ("string", "where it answers"),
    "usage_percent": ("number", "share of the capacity, 0 to 100"),
    "used": ("integer", "bytes of the disk that are used, by anything"),
    "used_percent": ("integer", "share of the disk that is used, 0 to 100"),
    "used_percent_avg": ("integer", "share of the disks that is used, on average, 0 to 100"),
    "used_percent_max": ("integer", "share of the fullest disk that is used, 0 to 100"),
    "used_percent_min": ("integer", "share of the emptiest disk that is used, 0 to 100"),
    "value": ("string", "the value, as it would be set"),
    "version": ("string", "version of the object; may be empty"),
    "was": ("string or null", "the value before; null when there was none"),
    "was_current": ("boolean", "whether it was the one in use"),
    "workers": ("integer", "how many processes or transfers at a time"),
    "would_delete": ("integer", "how many a run without --dry-run would delete"),
}

_JOB_SPECIAL: Mapping[str, tuple[str, str]] = {
    "bucket": ("string or null", "URI of the bucket; null when it is about none"),
    "end": ("time or null", "when it ended; null while it runs"),
    "kind": ("string", "what the job does, as in copy-bucket"),
    "node": ("string or null", "id of the node; null when the store does not say"),
    "objects": ("integer", "objects done"),
    "size": ("integer", "bytes done"),
    "state": ("string", "running, idle, finished, failed or aborted"),
    "target": ("string or null", "URI of the destination bucket; null without one"),
}

_SPECIAL: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "archive:bucket": {"source": ("string", "what was packed")},
    "archive:get": {"name": ("string", "name of the shard, or of the file in it")},
    "archive:ls": {"name": ("string", "name of the object; SHARD/FILE for a file of a shard")},
    "archive:put": {
        "files": ("list of object", "what was written: {file, archpath, size}"),
        "name": ("string", "name of the shard"),
        "skipped": ("list of string", "files that could not be read"),
    },
    "browse:concat": {
        "files": ("list of string", "paths of the files, in order"),
        "size": ("integer", "the object now, bytes"),
    },
    "browse:diff": {
        "name": ("string", "name below what is compared"),
        "status": ("string", "same, different, left-only or right-only"),
    },
    "browse:du": {"name": ("string", "URI of the directory, or of what was asked for")},
    "browse:find": {"name": ("string", "name of the object; SHARD/FILE for a file of a shard")},
    "browse:tree": {
        "directory": ("boolean", "true for a virtual directory"),
        "size": ("integer or null", "bytes; null for a directory"),
    },
    "bucket:ls": {
        "directory": ("boolean", "true for a virtual directory"),
        "name": ("string", "URI of the bucket, or name of the object"),
    },
    "bucket:summary": {"name": ("string", "URI of the bucket")},
    "cluster:capacity": {
        "target": ("string", "id of the node"),
        "mountpaths": ("integer", "how many mountpaths"),
        "status": ("string", "online, or which mountpaths are not in use"),
    },
    "cluster:bmd": {
        "backend": ("string or null", "URI of the bucket behind it; null without one"),
        "copies": ("integer or null", "how many times objects are stored; null without mirroring"),
        "created": ("time", "when it was made"),
        "ec": ("string or null", "slices of erasure coding, data:parity; null without it"),
        "name": ("string", "name of the bucket"),
        "namespace": ("string or null", "namespace; null for the global one"),
    },
    "cluster:counters": {
        "counters": ("object", "name of the counter to its value, those that are not 0"),
        "target": ("string", "id of the node"),
    },
    "cluster:latency": {
        "milliseconds": ("object", "name of the counter to the average time, ms"),
        "target": ("string", "id of the node"),
    },
    "cluster:rebalance_show": _JOB_SPECIAL,
    "cluster:show": {
        "alerts": ("list of string", "what needs attention, by AIStore's names"),
        "available": ("integer or null", "free space, bytes; null for a proxy"),
        "load": ("string or null", "load averages of the machine: over 1, 5 and 15 minutes"),
        "memory_available": ("integer or null", "memory that the machine has left, bytes"),
        "memory_used": ("integer or null", "memory of the node's process, bytes"),
        "pressure": (
            "object or null",
            "load of the machine: dimension to low, moderate, high or critical; null for a proxy of this process",
        ),
        "primary": ("boolean", "true for the proxy that decides"),
        "uptime_seconds": ("number or null", "since the node started"),
        "url": ("string or null", "where clients reach it; null for this process"),
        "used_percent": (
            "integer or null",
            "share of the disks that is used, 0 to 100; null for a proxy",
        ),
        "status": ("string", "online, or what is wrong"),
        "version": ("string", "version of its software"),
    },
    "cluster:smap": {
        "control_url": ("string or null", "where other nodes send commands"),
        "data_url": ("string or null", "where other nodes send objects"),
        "electable": ("boolean", "true for a proxy that may become the primary"),
        "primary": ("boolean", "true for the proxy that decides"),
        "status": ("string", "online, or what is wrong"),
        "url": ("string or null", "where clients reach it; null for this process"),
    },
    "cluster:throughput": {
        "rates": ("object", "name of the counter to bytes a second"),
        "target": ("string", "id of the node"),
    },
    "config:cli_show": {
        "value": ("string or boolean", "the value"),
        "path": ("string", "where the file is, or would be"),
    },
    "config:context_ls": {"name": ("string", "name of the context")},
    "config:context_rm": {"name": ("string", "name of the context")},
    "config:context_set": {"name": ("string", "name of the context")},
    "config:context_use": {"name": ("string", "name of the context")},
    "config:cli_reset": {"path": ("string", "where the file is, or would be")},
    "config:reset": {"path": ("string", "where the file is, or would be")},
    "job:cleanup": _JOB_SPECIAL,
    "job:lru": _JOB_SPECIAL,
    "job:mirror": {
        "changed": ("boolean", "whether it was another number before"),
        "copies": ("integer", "disks that each object lies on"),
    },
    "job:resilver": _JOB_SPECIAL,
    "job:rm": _JOB_SPECIAL,
    "job:shard_index": _JOB_SPECIAL,
    "job:show": _JOB_SPECIAL,
    "job:stop": _JOB_SPECIAL,
    "job:wait": _JOB_SPECIAL,
    "job:warm_up": _JOB_SPECIAL,
    "multipart:ls": {
        "created": ("time", "when it began"),
        "size": ("integer", "bytes of the parts"),
        "used": ("time", "when it began, or its last part arrived"),
    },
    "rechunk:rechunk": {"chunked": ("integer", "how many were written in chunks")},
    "lhotse:lhotse_get_batch": {"output": ("string", "archive written")},
    "object:get": {"status": ("string", "done, unchanged, planned, or failed")},
    "object:put": {"status": ("string", "done, unchanged, planned, or failed")},
    "object:rm": {
        "missing": ("list of string", "names that do not exist"),
        "name": ("string", "name of the object, or the set in words"),
    },
    "copy:cp": {
        "reason": (
            "string or null",
            "between stores: new, size, checksum, unknown, metadata, or missing; null for what is the same",
        ),
        "status": ("string", "between stores: done, unchanged, planned, or failed"),
    },
    "sync:sync": {
        "action": ("string", "copy, delete, or refuse"),
        "destination": ("string", "URI or path of the target"),
        "reason": (
            "string",
            "new, size, checksum, content, mtime, unreadable, or not in source; words if it cannot be copied",
        ),
        "source": ("string", "URI or path of the source; empty for a deletion"),
        "status": ("string", "done, unchanged, planned, or failed"),
    },
    "storage:validate": {
        "bucket": ("string or null", "URI of the bucket; null for the whole store")
    },
    "version:version": {"version": ("string", "version of this program")},
}

_BATCH = (
    "output? format? objects? missing? size seconds? entries? bucket? name? archpath? member? status? "
    "error?"
)
"""The batch as one record; its entries, one record each, in csv and jsonl."""
_JOB = "node id kind bucket target objects size start end state error ext"

_COMMANDS: Mapping[str, tuple[Shape, str]] = {
    "alias:alias_reset": (Shape.MANY, "alias command"),
    "alias:alias_rm": (Shape.ONE, "alias was"),
    "alias:alias_set": (Shape.ONE, "alias command was"),
    "alias:alias_show": (Shape.MANY, "alias command"),
    "archive:bucket": (Shape.ONE, "source shard size? dry_run"),
    "archive:gen_shards": (Shape.ONE, "bucket shards size"),
    "archive:get": (Shape.EITHER, "bucket name file? directory? files? size failed?"),
    "archive:ls": (Shape.MANY, "name size shard? archpath? archived?"),
    "archive:put": (Shape.ONE, "bucket name mode dry_run files size? skipped?"),
    "browse:concat": (Shape.ONE, "bucket name size appended files"),
    "browse:diff": (Shape.MANY, "name status reason size_left size_right"),
    "browse:du": (Shape.MANY, "name size objects depth"),
    "browse:find": (Shape.MANY, "bucket name size last_modified kind"),
    "browse:stat": (Shape.TREE, ""),
    "browse:tree": (Shape.MANY, "name directory size depth"),
    "copy:cp": (
        Shape.EITHER,
        "source target objects? size reason? status? error? deleted? failed? missing? dry_run?",
    ),
    "bucket:create": (Shape.MANY, "bucket created"),
    "bucket:lru": (Shape.TREE, ""),
    "bucket:ls": (
        Shape.MANY,
        (
            "name? size? checksum? atime? version? copies? custom? location? cached? chunked? status? etag? "
            "last_modified? directory? archived? provider? namespace? present? objects? size_min? "
            "size_avg? size_max? size_on_disk? usage_percent? bucket? count? seconds?"
        ),
    ),
    "bucket:mv": (Shape.ONE, "source target done"),
    "bucket:props_reset": (Shape.ONE, "bucket changed"),
    "bucket:props_set": (Shape.ONE, "bucket changed"),
    "bucket:props_show": (Shape.TREE, ""),
    "bucket:rm": (Shape.MANY, "bucket destroyed"),
    "bucket:summary": (
        Shape.MANY,
        "name objects size size_min size_avg size_max size_on_disk usage_percent",
    ),
    "cluster:capacity": (
        Shape.MANY,
        "target mountpaths used_percent_min used_percent_avg used_percent_max used available total status",
    ),
    "cluster:rebalance": (Shape.ONE, "jobs"),
    "cluster:show": (
        Shape.MANY,
        (
            "node type url primary used_percent available mountpaths memory_used memory_available load "
            "uptime_seconds status alerts pressure version"
        ),
    ),
    "cluster:smap": (Shape.MANY, "node type url control_url data_url primary electable status"),
    "cluster:bmd": (Shape.MANY, "provider namespace name backend copies ec created"),
    "cluster:counters": (Shape.MANY, "target counters"),
    "cluster:latency": (Shape.MANY, "target milliseconds"),
    "cluster:log": (Shape.CONTENT, ""),
    "cluster:rebalance_show": (Shape.MANY, _JOB),
    "cluster:throughput": (Shape.MANY, "target rates"),
    "completion:install": (Shape.ONE, "shell file"),
    "completion:show": (Shape.ONE, "shell script"),
    "config:cli_reset": (Shape.ONE, "path saved"),
    "config:cli_set": (Shape.ONE, "changed"),
    "config:cli_show": (Shape.EITHER, "property? value? origin? path?"),
    "config:cluster": (Shape.TREE, ""),
    "config:context_ls": (Shape.MANY, "name endpoint current"),
    "config:context_rm": (Shape.ONE, "name was_current"),
    "config:context_set": (Shape.ONE, "name endpoint was"),
    "config:context_use": (Shape.ONE, "name endpoint"),
    "config:reset": (Shape.ONE, "path? saved? changed?"),
    "doctor:doctor": (Shape.MANY, "check status detail hint"),
    "get_batch:get_batch": (Shape.ONE, _BATCH),
    "get_batch:ml_get_batch": (Shape.ONE, _BATCH),
    "help:help_command": (Shape.CONTENT, ""),
    "job:cleanup": (Shape.MANY, _JOB),
    "job:lru": (Shape.MANY, _JOB),
    "job:mirror": (Shape.ONE, "bucket copies changed"),
    "job:resilver": (Shape.MANY, _JOB),
    "job:rm": (Shape.MANY, _JOB),
    "job:shard_index": (Shape.MANY, _JOB),
    "job:show": (Shape.MANY, _JOB),
    "job:stop": (Shape.MANY, _JOB),
    "job:wait": (Shape.MANY, _JOB),
    "job:warm_up": (Shape.MANY, _JOB),
    "lhotse:lhotse_get_batch": (Shape.MANY, "output cuts objects missing size"),
    "multipart:abort": (Shape.MANY, "bucket name upload_id"),
    "multipart:complete": (Shape.ONE, "bucket name size checksum chunks"),
    "multipart:create": (Shape.ONE, "bucket name upload_id"),
    "multipart:ls": (Shape.MANY, "bucket name upload_id parts size created used"),
    "multipart:parts": (Shape.MANY, "part size checksum etag last_modified"),
    "multipart:put": (
        Shape.ONE,
        "file bucket name size checksum? chunks upload_id? resumed dry_run",
    ),
    "multipart:put_part": (
        Shape.ONE,
        "bucket name upload_id part size checksum etag last_modified",
    ),
    "object:cat": (Shape.CONTENT, ""),
    "object:get": (Shape.EITHER, "bucket name file? size status? error? directory? files? failed?"),
    "object:mv": (Shape.ONE, "bucket name new_name"),
    "object:promote": (Shape.ONE, "source bucket objects size skipped"),
    "object:put": (
        Shape.EITHER,
        "file? bucket name size? checksum? chunks? upload_id? resumed? status? error? dry_run?",
    ),
    "object:rm": (Shape.MANY, "bucket name deleted missing? would_delete?"),
    "object:set_custom": (Shape.ONE, "bucket name custom"),
    "object:show": (
        Shape.ONE,
        "bucket name size checksum version atime last_modified etag custom location copies chunks",
    ),
    "rechunk:rechunk": (
        Shape.ONE,
        (
            "bucket prefix objsize_limit chunk_size objects size chunked chunked_size restored "
            "restored_size skipped overtaken dry_run"
        ),
    ),
    "search:search": (Shape.MANY, "command help"),
    "serve:serve": (Shape.ONE, "url home workers pid"),
    "storage:mountpath_attach": (Shape.MANY, "path action"),
    "storage:mountpath_detach": (Shape.MANY, "path action"),
    "storage:mountpath_disable": (Shape.MANY, "path action"),
    "storage:mountpath_enable": (Shape.MANY, "path action"),
    "storage:mountpath_show": (
        Shape.MANY,
        "path used_percent used available total pieces state",
    ),
    "storage:validate": (Shape.ONE, "bucket prefix objects pieces size faults"),
    "sync:sync": (Shape.MANY, "action source destination size reason status error"),
    "version:version": (Shape.ONE, "version"),
}


def _records(key: str, shape: Shape, names: str) -> Records:
    special = _SPECIAL.get(key, {})
    fields = []
    for word in names.split():
        name = word.removesuffix("?")
        type_name, meaning = special.get(name) or _MEANINGS[name]
        fields.append(Field(name, type_name, meaning, word.endswith("?")))
    return Records(shape, tuple(fields))


RECORDS: Mapping[str, Records] = MappingProxyType(
    {key: _records(key, shape, names) for key, (shape, names) in _COMMANDS.items()}
)
"""Command -> what it prints, by `MODULE:FUNCTION`."""
