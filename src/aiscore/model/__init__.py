"""Frozen values that the layers exchange: what things are called, what they are, and the options of operations."""

from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef, Namespace, ObjectUri, Provider
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.config import ClusterConfig
from aiscore.model.objects import (
    ArchiveMember,
    ArchiveOptions,
    ArchivePutMode,
    BucketSummary,
    CopyOptions,
    CopyResult,
    DeleteResult,
    EntryFlag,
    GetOptions,
    ListEntry,
    ListOptions,
    ListPage,
    ListProp,
    ObjectProps,
    Precondition,
    PromoteOptions,
    PromoteResult,
    PutOptions,
    Selection,
)
from aiscore.model.props import BucketProps
from aiscore.model.storage import Fault, FaultKind, MountpathInfo, MountpathState, ValidateReport
from aiscore.model.stream import Body, ByteReader

__all__ = [
    "ArchiveFormat",
    "ArchiveMember",
    "ArchiveMode",
    "ArchiveOptions",
    "ArchivePutMode",
    "BatchEntry",
    "BatchRequest",
    "BatchResult",
    "Body",
    "BucketProps",
    "BucketRef",
    "BucketSummary",
    "ByteRange",
    "ByteReader",
    "Checksum",
    "ChecksumType",
    "ClusterConfig",
    "CopyOptions",
    "CopyResult",
    "DeleteResult",
    "EntryFlag",
    "Fault",
    "FaultKind",
    "GetOptions",
    "ListEntry",
    "ListOptions",
    "ListPage",
    "ListProp",
    "MountpathInfo",
    "MountpathState",
    "Namespace",
    "ObjectProps",
    "ObjectUri",
    "Precondition",
    "PromoteOptions",
    "PromoteResult",
    "Provider",
    "PutOptions",
    "Selection",
    "ValidateReport",
]
