"""Values that describe objects and buckets, and the options of each operation on them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import NamedTuple

from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat, ArchiveMode
from aiscore.model.bucket import BucketRef
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import Checksum, ChecksumType
from aiscore.model.names import check_object_name, check_prefix

__all__ = [
    "CHECKSUM_KEY",
    "CUSTOM_METADATA_MAX",
    "LIST_PAGE_MAX",
    "ArchiveMember",
    "ArchiveOptions",
    "ArchivePutMode",
    "BucketSummary",
    "CopyOptions",
    "CopyResult",
    "CopyTerms",
    "DeleteResult",
    "EntryFlag",
    "GetOptions",
    "ListEntry",
    "ListOptions",
    "ListPage",
    "ListProp",
    "ObjectProps",
    "Precondition",
    "PromoteOptions",
    "PromoteResult",
    "PutOptions",
    "Selection",
    "check_custom",
]

CHECKSUM_KEY = "S3-Checksum"
"""Custom metadata that holds checksums as S3 has them, `CRC32C:FULL_OBJECT:BASE64` joined by spaces.

It belongs to the content: a write that does not bring its own removes it.
"""
CUSTOM_METADATA_MAX = 2048
"""Bytes of all keys and values of one object's custom metadata; upstream's limit."""
LIST_PAGE_MAX = 10_000
"""Names in one page; upstream's default and maximum for `ais://` buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectProps:
    """What is known of one object without reading it.

    Attributes:
        name: object name.
        size: bytes.
        checksum: of the whole content; None when the bucket's type is `none`.
        version: decimal counter in `ais://` buckets, the backend's version elsewhere; "" when versioning is off.
        atime_ns: last access, ns since the epoch, at a granularity of minutes.
        mtime_ns: when the content was committed, ns since the epoch.
        custom: custom metadata.
        location: where the first piece lies, as `t[NODE]:mp[PATH]`.
        copies: places where every byte of the content lies; 1 when it is not mirrored.
        mirror_paths: mountpaths of all copies of the first piece, if there are several; told by HEAD only.
        chunk_count: pieces the content lies in; 1 for a monolithic object.
        chunk_size_max: bytes of the largest piece.
        etag: strong validator without quotes; changes whenever the content does.
    """

    name: str
    size: int
    checksum: Checksum | None = None
    version: str = ""
    atime_ns: int = 0
    mtime_ns: int = 0
    custom: Mapping[str, str] = field(default_factory=dict)
    location: str = ""
    copies: int = 1
    mirror_paths: tuple[str, ...] = ()
    chunk_count: int = 1
    chunk_size_max: int = 0
    etag: str = ""

    @property
    def is_chunked(self) -> bool:
        """True when the content lies in more than one piece."""
        return self.chunk_count > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """What must hold at the moment a write becomes visible; checked inside the commit.

    Attributes:
        if_absent: no object of that name exists.
        if_etag: the object exists and has this `ObjectProps.etag`.
        if_version: the object exists and has this version.
    """

    if_absent: bool = False
    if_etag: str | None = None
    if_version: str | None = None

    def __post_init__(self) -> None:
        if self.if_absent and (self.if_etag is not None or self.if_version is not None):
            raise InvalidArgumentError("if_absent excludes if_etag and if_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """How to read one object.

    Attributes:
        byte_range: part of the object, or of the member with `archpath`; not combinable with `archregx`.
        archpath: one member of a shard; a leading slash is ignored.
        archregx: pattern that selects members; the result is a TAR of all matches.
        archmode: how `archregx` matches; needed with it.
        archmime: archive format when name and magic do not tell.
        verify_checksum: compare the content with its stored checksum before the first byte is delivered.
        latest: of a remote bucket, ask the backend whether there is a newer version first.
        etl_name: transformation that the store applies to the content; "" none.
    """

    byte_range: ByteRange | None = None
    archpath: str | None = None
    archregx: str | None = None
    archmode: ArchiveMode | None = None
    archmime: ArchiveFormat | None = None
    verify_checksum: bool = False
    latest: bool = False
    etl_name: str = ""

    def __post_init__(self) -> None:
        if self.archpath is not None and self.archregx is not None:
            raise InvalidArgumentError("archpath and archregx are mutually exclusive")
        if self.archregx is not None and self.archmode is None:
            raise InvalidArgumentError(
                "archregx needs archmode", hint=f"add one of: {', '.join(ArchiveMode)}"
            )
        if self.byte_range is not None and self.archregx is not None:
            raise InvalidArgumentError("a byte range cannot be combined with archregx")


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How to store one object.

    Attributes:
        size: bytes that the body must have; None when unknown. A different length fails and stores nothing.
        checksum: of the whole body, verified before the object becomes visible.
        compute: checksum type to store instead of the bucket's.
        custom: custom metadata, `CUSTOM_METADATA_MAX` bytes at most.
        precondition: what must hold at commit.
        skip_same: when the object already has `checksum`, drain the body and change nothing.
        md5: as S3 has it: the MD5 of the content becomes its ETag, beside the checksum.
    """

    size: int | None = None
    checksum: Checksum | None = None
    compute: ChecksumType | None = None
    custom: Mapping[str, str] = field(default_factory=dict)
    precondition: Precondition | None = None
    skip_same: bool = True
    md5: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """How to copy objects between buckets.

    Attributes:
        prefix: only names that start with it.
        prepend: put before each destination name.
        dry_run: count, change nothing.
        synchronize: also delete destination names (under `prepend`) that the source does not have.
        cont_on_err: leave out named objects that do not exist.
    """

    prefix: str = ""
    prepend: str = ""
    dry_run: bool = False
    synchronize: bool = False
    cont_on_err: bool = False

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        check_prefix(self.prepend)
        if self.synchronize and self.prepend:
            raise InvalidArgumentError("synchronize cannot be combined with prepend")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTerms:
    """How to copy one object.

    Attributes:
        custom: metadata of the copy; None takes that of the source. What tells of the content goes along either way.
        precondition: of the target, checked at commit.
        check: sees the properties of what was opened to be copied, and may refuse it by raising.
        derive: sees them and the content, of which it may read as much as it needs, and gives custom metadata that the
            copy has besides.
    """

    custom: Mapping[str, str] | None = None
    precondition: Precondition | None = None
    check: Callable[[ObjectProps], None] | None = None
    derive: Callable[[ObjectProps, Iterable[bytes]], Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteOptions:
    """How to take host files into a bucket.

    Attributes:
        recursive: descend into subdirectories.
        overwrite: replace objects that exist; otherwise they are kept and counted as skipped.
        delete_source: remove each file after its object is committed.
    """

    recursive: bool = False
    overwrite: bool = False
    delete_source: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects of a bucket: a list of names, a template, a prefix, or all of them.

    Exactly one of the four is set; a template is in the grammar of `aiscore.model.template`.
    """

    names: tuple[str, ...] | None = None
    template: str | None = None
    prefix: str | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        chosen = [
            self.names is not None,
            self.template is not None,
            self.prefix is not None,
            self.everything,
        ]
        if sum(chosen) != 1:
            raise InvalidArgumentError("a selection is one of: names, template, prefix, everything")
        for name in self.names or ():
            check_object_name(name)
        if self.prefix is not None:
            check_prefix(self.prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """Outcome of a multi-object delete.

    Attributes:
        deleted: names removed.
        missing: names of the selection's list that did not exist.
    """

    deleted: int
    missing: tuple[str, ...] = ()


class EntryFlag(IntFlag):
    """Bits of a listed entry; the values are the wire's."""

    CACHED = 64
    IN_ARCHIVE = 128
    DIRECTORY = 256
    ARCHIVE = 512
    CHUNKED = 8192


NO_FLAGS = EntryFlag(0)


class ListProp(StrEnum):
    """Properties that a listing can be asked for."""

    NAME = "name"
    SIZE = "size"
    CHECKSUM = "checksum"
    ATIME = "atime"
    VERSION = "version"
    CUSTOM = "custom"
    LOCATION = "location"
    COPIES = "copies"
    CACHED = "cached"
    CHUNKED = "chunked"
    STATUS = "status"
    ETAG = "etag"
    LAST_MODIFIED = "last-modified"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """What to list, and how much of it.

    Attributes:
        prefix: only names that start with it; may reach into a shard when `archive` is set.
        delimiter: "/" folds what lies deeper into one directory entry; "" lists everything. Only "" and "/".
        start_after: exclusive lower bound of names.
        token: `ListPage.token` of the page before.
        page_size: names a page, 1..`LIST_PAGE_MAX`; 0 is the maximum.
        props: properties to fill; names and flags always are.
        archive: list the members of shards after each shard.
        directories: with a delimiter, include directory entries.
        cached: of a remote bucket, only what the store holds.
    """

    prefix: str = ""
    delimiter: str = ""
    start_after: str = ""
    token: str = ""
    page_size: int = 0
    props: frozenset[ListProp] = frozenset({ListProp.NAME, ListProp.SIZE})
    archive: bool = False
    directories: bool = True
    cached: bool = False

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        if self.delimiter not in {"", "/"}:
            raise InvalidArgumentError(f'invalid delimiter "{self.delimiter}": expected "/"')
        if not 0 <= self.page_size <= LIST_PAGE_MAX:
            raise InvalidArgumentError(
                f"invalid page size {self.page_size}: expected 0 to {LIST_PAGE_MAX}"
            )


class ListEntry(NamedTuple):
    """One line of a listing. Fields that were not asked for have their defaults.

    A named tuple, not a dataclass: ten thousand are made for a page.
    """

    name: str
    size: int = 0
    checksum: Checksum | None = None
    version: str = ""
    atime_ns: int = 0
    mtime_ns: int = 0
    custom: Mapping[str, str] | None = None
    location: str = ""
    copies: int = 1
    etag: str = ""
    flags: EntryFlag = NO_FLAGS

    @property
    def is_directory(self) -> bool:
        """True for a virtual directory (its name ends with a slash)."""
        return EntryFlag.DIRECTORY in self.flags

    @property
    def in_archive(self) -> bool:
        """True for a member of a shard; the name is `SHARD/MEMBER`."""
        return EntryFlag.IN_ARCHIVE in self.flags


@dataclass(frozen=True, slots=True)
class ListPage:
    """Entries in byte order of their names, and the token of the next page ("" after the last)."""

    entries: list[ListEntry]
    token: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """One file of a shard: path inside it, and size in bytes uncompressed."""

    name: str
    size: int


class ArchivePutMode(StrEnum):
    """What to do with a shard that exists, or does not, when members are put into it."""

    CREATE = "create"
    """Write a new shard, replacing an object of that name."""
    APPEND = "append"
    """Add to an existing shard; it must exist."""
    APPEND_OR_CREATE = "append-or-create"


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSummary:
    """Counts of one bucket: objects, bytes, and the sizes of the smallest, average and largest object."""

    bucket: BucketRef
    object_count: int
    size: int
    size_min: int = 0
    size_avg: int = 0
    size_max: int = 0
    size_on_disk: int = 0
    disk_total: int = 0


def check_custom(custom: Mapping[str, str]) -> Mapping[str, str]:
    """Return `custom` if it fits.

    Raises:
        InvalidArgumentError: a key is empty or has a `=` or control character, or the total is too long.
    """
    total = 0
    for key, value in custom.items():
        if (
            not key
            or "=" in key
            or not key.isprintable()
            or "\n" in value
            or "\r" in value
            or "\0" in value
        ):
            raise InvalidArgumentError(
                f'invalid custom metadata "{key}": expected printable KEY without "=" and a one-line value'
            )
        total += len(key.encode()) + len(value.encode())
    if total > CUSTOM_METADATA_MAX:
        raise InvalidArgumentError(
            f"custom metadata has {total} bytes, the limit is {CUSTOM_METADATA_MAX}"
        )
    return custom


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyResult:
    """Outcome of a copy: objects and bytes copied, objects removed by `synchronize`, and named objects left out."""

    objects: int
    size: int
    deleted: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteResult:
    """Outcome of a promotion: objects and bytes taken in, and files kept out because the object exists."""

    objects: int
    size: int
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """How to pack objects of a bucket into one shard.

    Attributes:
        output_format: None takes it from the shard's extension.
        append: add to the shard when it exists.
        include_bucket: member names start with the source bucket's name.
        base_name_only: member names are the last path component of the object names.
        cont_on_err: leave out named objects that do not exist.
    """

    output_format: ArchiveFormat | None = None
    append: bool = False
    include_bucket: bool = False
    base_name_only: bool = False
    cont_on_err: bool = False
