"""Xactions ("jobs" in the command line): work with an id, a kind and a state that outlives the request that started it.

The kinds and their properties are upstream's table (`xact/api_table.go`); the wire spells kinds, people read display
names, both are accepted on input.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef

__all__ = [
    "IDLE_AFTER_S",
    "KINDS",
    "KindInfo",
    "XactionFilter",
    "XactionKind",
    "XactionSnap",
    "XactionState",
    "is_xaction_id",
]

IDLE_AFTER_S = 4.0
"""An on-demand job without work for this long is idle; upstream's lower bound."""
ID_LENGTH_MIN, ID_LENGTH_MAX = 9, 32


class XactionKind(StrEnum):
    """What a job does; the values are the wire's. Some are known only so that clients may ask for them."""

    ARCHIVE = "archive"
    BLOB_DOWNLOAD = "blob-download"
    CLEANUP = "cleanup-store"
    COPY_BUCKET = "copy-bck"
    COPY_OBJECTS = "copy-listrange"
    CREATE_INVENTORY = "create-inventory"
    DELETE_OBJECTS = "delete-listrange"
    DOWNLOAD = "download"
    DSORT = "dsort"
    EC_ENCODE = "ec-encode"
    EC_GET = "ec-get"
    EC_PUT = "ec-put"
    EC_RESPOND = "ec-resp"
    ELECTION = "election"
    ETL_BUCKET = "etl-bck"
    ETL_INLINE = "etl-inline"
    ETL_OBJECTS = "etl-listrange"
    EVICT_BUCKET = "evict-remote-bck"
    EVICT_OBJECTS = "evict-listrange"
    GET_BATCH = "get-batch"
    LIST = "list"
    LRU = "lru"
    MIRROR = "make-n-copies"
    PREFETCH_OBJECTS = "prefetch-listrange"
    PROMOTE = "promote"
    PUT_COPIES = "put-copies"
    REBALANCE = "rebalance"
    RECHUNK = "rechunk"
    RENAME_BUCKET = "move-bck"
    RESILVER = "resilver"
    SHARD_INDEX = "index-shard"
    SHARD_SUMMARY = "summary-shard"
    SUMMARY = "summary-bck"
    WARM_UP = "load-lom-cache"

    @classmethod
    def parse(cls, text: str) -> "XactionKind":
        """Read a kind or a display name.

        Raises:
            InvalidArgumentError: neither.
        """
        found = _BY_NAME.get(text)
        if found is None:
            raise InvalidArgumentError(
                f'invalid job kind "{text}"',
                hint=f"use one of: {', '.join(sorted({info.display for info in KINDS.values()}))}",
            )
        return found


@dataclass(frozen=True, slots=True)
class KindInfo:
    """Properties of a kind.

    Attributes:
        display: name for people.
        is_startable: `start` may begin it.
        is_on_demand: it waits idle for more work.
        is_brief: it is forgotten soon after its end.
        is_metadata_only: it moves no content, and is slowed down only when the load is critical.
        yields_to_resilver: it is refused while pieces are being moved between disks. What only reads, or renames a
            bucket (a row of the index here), disturbs nobody and is let in, other than upstream has it.
        idle_end_s: without work for so long an on-demand one ends; upstream's numbers.
    """

    display: str
    is_startable: bool = False
    is_on_demand: bool = False
    is_brief: bool = False
    is_metadata_only: bool = False
    yields_to_resilver: bool = False
    idle_end_s: float = 60.0


KINDS: Mapping[XactionKind, KindInfo] = MappingProxyType(
    {
        XactionKind.ARCHIVE: KindInfo("archive"),
        XactionKind.BLOB_DOWNLOAD: KindInfo("blob-download", is_startable=True),
        XactionKind.CLEANUP: KindInfo("cleanup", is_startable=True, is_metadata_only=True),
        XactionKind.COPY_BUCKET: KindInfo("copy-bucket", yields_to_resilver=True),
        XactionKind.COPY_OBJECTS: KindInfo("copy-objects"),
        XactionKind.CREATE_INVENTORY: KindInfo("create-inventory"),
        XactionKind.DELETE_OBJECTS: KindInfo("delete-objects", is_metadata_only=True),
        XactionKind.DOWNLOAD: KindInfo("download"),
        XactionKind.DSORT: KindInfo("dsort"),
        XactionKind.EC_ENCODE: KindInfo("ec-bucket", is_startable=True),
        XactionKind.EC_GET: KindInfo("ec-get"),
        XactionKind.EC_PUT: KindInfo("ec-put"),
        XactionKind.EC_RESPOND: KindInfo("ec-resp"),
        XactionKind.ELECTION: KindInfo("elect-primary"),
        XactionKind.ETL_BUCKET: KindInfo("etl-bucket"),
        XactionKind.ETL_INLINE: KindInfo("etl-inline"),
        XactionKind.ETL_OBJECTS: KindInfo("etl-objects"),
        XactionKind.EVICT_BUCKET: KindInfo("evict-remote-bucket", is_metadata_only=True),
        XactionKind.EVICT_OBJECTS: KindInfo("evict-objects", is_metadata_only=True),
        XactionKind.GET_BATCH: KindInfo("get-batch", is_on_demand=True),
        XactionKind.LIST: KindInfo(
            "list", is_on_demand=True, is_brief=True, is_metadata_only=True, idle_end_s=20.0
        ),
        XactionKind.LRU: KindInfo("lru-eviction", is_startable=True, is_metadata_only=True),
        XactionKind.MIRROR: KindInfo("mirror", is_startable=True),
        XactionKind.PREFETCH_OBJECTS: KindInfo("prefetch-objects", is_startable=True),
        XactionKind.PROMOTE: KindInfo("promote-files"),
        XactionKind.PUT_COPIES: KindInfo("put-copies"),
        XactionKind.REBALANCE: KindInfo("rebalance", is_startable=True),
        XactionKind.RECHUNK: KindInfo("rechunk", is_startable=True, yields_to_resilver=True),
        XactionKind.RENAME_BUCKET: KindInfo("rename-bucket", is_metadata_only=True),
        XactionKind.RESILVER: KindInfo("resilver", is_startable=True),
        XactionKind.SHARD_INDEX: KindInfo("shard-index"),
        XactionKind.SHARD_SUMMARY: KindInfo("shard-summary"),
        XactionKind.SUMMARY: KindInfo("summary", is_metadata_only=True),
        XactionKind.WARM_UP: KindInfo("warm-up-metadata", is_startable=True, is_metadata_only=True),
    }
)
_BY_NAME = {kind.value: kind for kind in KINDS} | {
    info.display: kind for kind, info in KINDS.items()
}


class XactionState(StrEnum):
    """Where a job is. `FAILED` has ended with an error, `ABORTED` was stopped or lost its process."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class XactionSnap:
    """What is known of one job at one moment.

    Attributes:
        id: `ID_LENGTH_MIN` to `ID_LENGTH_MAX` letters, digits, `-` and `_`.
        kind: what it does.
        state: running, or how it ended.
        is_idle: an on-demand job without work at hand.
        bucket: the bucket it works on; for a copy the source.
        target: destination bucket of a copy, rename or archive.
        started_ns: ns since the epoch.
        ended_ns: the same; 0 while it runs.
        objects: objects done.
        size: bytes done.
        control: what it was asked, for people.
        error: why it failed or was aborted; "" otherwise.
        error_code: class of that error, as `AisError.code`.
        ext: what only this kind has to say.
    """

    id: str
    kind: XactionKind
    state: XactionState = XactionState.RUNNING
    is_idle: bool = False
    bucket: BucketRef | None = None
    target: BucketRef | None = None
    started_ns: int = 0
    ended_ns: int = 0
    objects: int = 0
    size: int = 0
    control: str = ""
    error: str = ""
    error_code: str = ""
    ext: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """True once it will do no more."""
        return self.state is not XactionState.RUNNING

    @property
    def is_aborted(self) -> bool:
        """True when it was stopped or lost its process."""
        return self.state is XactionState.ABORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class XactionFilter:
    """Which jobs; an empty filter is all of them.

    Attributes:
        id: this one.
        kind: of this kind.
        bucket: that work on this bucket, or into it.
        only_running: that have not ended.
    """

    id: str = ""
    kind: XactionKind | None = None
    bucket: BucketRef | None = None
    only_running: bool = False


def is_xaction_id(text: str) -> bool:
    """True for what can be the id of a job."""
    return (
        ID_LENGTH_MIN <= len(text) <= ID_LENGTH_MAX
        and text.isascii()
        and text.replace("-", "a").replace("_", "a").isalnum()
        and text[0] not in "-_"
        and text[-1] not in "-_"
    )
