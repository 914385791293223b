"""Frozen values that the layers exchange: what things are called, what they are, and the options of operations."""

# Loaded on first use (PEP 562): importing one module of this package imports this one first, and all of the values
# together cost more than the start of a command that needs two of them.

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiscore.model.archive import ArchiveFormat, ArchiveMode
    from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
    from aiscore.model.bucket import BucketRef, Namespace, ObjectUri, Provider
    from aiscore.model.byterange import ByteRange
    from aiscore.model.checksum import Checksum, ChecksumType
    from aiscore.model.chunks import RechunkOptions, RechunkResult
    from aiscore.model.cluster import ClusterInfo, NodeInfo, NodeRole
    from aiscore.model.config import ClusterConfig
    from aiscore.model.multipart import (
        CompleteOptions,
        MultipartUpload,
        PartInfo,
        PartOptions,
        PartRef,
        UploadOptions,
    )
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
    from aiscore.model.storage import (
        Fault,
        FaultKind,
        MountpathInfo,
        MountpathState,
        ValidateReport,
    )
    from aiscore.model.stream import Body, ByteReader
    from aiscore.model.xaction import XactionFilter, XactionKind, XactionSnap, XactionState

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
    "ClusterInfo",
    "CompleteOptions",
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
    "MultipartUpload",
    "Namespace",
    "NodeInfo",
    "NodeRole",
    "ObjectProps",
    "ObjectUri",
    "PartInfo",
    "PartOptions",
    "PartRef",
    "Precondition",
    "PromoteOptions",
    "PromoteResult",
    "Provider",
    "PutOptions",
    "RechunkOptions",
    "RechunkResult",
    "Selection",
    "UploadOptions",
    "ValidateReport",
    "XactionFilter",
    "XactionKind",
    "XactionSnap",
    "XactionState",
]

_HOMES = {
    "ArchiveFormat": "archive",
    "ArchiveMember": "objects",
    "ArchiveMode": "archive",
    "ArchiveOptions": "objects",
    "ArchivePutMode": "objects",
    "BatchEntry": "batch",
    "BatchRequest": "batch",
    "BatchResult": "batch",
    "Body": "stream",
    "BucketProps": "props",
    "BucketRef": "bucket",
    "BucketSummary": "objects",
    "ByteRange": "byterange",
    "ByteReader": "stream",
    "Checksum": "checksum",
    "ChecksumType": "checksum",
    "ClusterConfig": "config",
    "ClusterInfo": "cluster",
    "CompleteOptions": "multipart",
    "CopyOptions": "objects",
    "CopyResult": "objects",
    "DeleteResult": "objects",
    "EntryFlag": "objects",
    "Fault": "storage",
    "FaultKind": "storage",
    "GetOptions": "objects",
    "ListEntry": "objects",
    "ListOptions": "objects",
    "ListPage": "objects",
    "ListProp": "objects",
    "MountpathInfo": "storage",
    "MountpathState": "storage",
    "MultipartUpload": "multipart",
    "Namespace": "bucket",
    "NodeInfo": "cluster",
    "NodeRole": "cluster",
    "ObjectProps": "objects",
    "ObjectUri": "bucket",
    "PartInfo": "multipart",
    "PartOptions": "multipart",
    "PartRef": "multipart",
    "Precondition": "objects",
    "PromoteOptions": "objects",
    "PromoteResult": "objects",
    "Provider": "bucket",
    "PutOptions": "objects",
    "RechunkOptions": "chunks",
    "RechunkResult": "chunks",
    "Selection": "objects",
    "UploadOptions": "multipart",
    "ValidateReport": "storage",
    "XactionFilter": "xaction",
    "XactionKind": "xaction",
    "XactionSnap": "xaction",
    "XactionState": "xaction",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
