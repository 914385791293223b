"""Multipart uploads: an object that comes in parts, each when and from where it likes, and becomes visible as a whole.

The rules that need no disk are here: numbers, the list that completes an upload, and the composite ETag of S3.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiscore.errors import ChecksumMismatchError, InvalidArgumentError
from aiscore.model.checksum import Checksum
from aiscore.model.objects import Precondition, check_custom

__all__ = [
    "CHUNK_COUNT_MAX",
    "PART_NUMBER_MAX",
    "UPLOADS_PAGE_MAX",
    "UPLOAD_ID_LENGTH_MAX",
    "UPLOAD_ID_LENGTH_MIN",
    "CompleteOptions",
    "MultipartUpload",
    "PartInfo",
    "PartOptions",
    "PartRef",
    "UploadOptions",
    "check_part_number",
    "check_upload_id",
    "choose_parts",
    "composite_etag",
]

CHUNK_COUNT_MAX = 9_999
"""Chunks of one object, and so parts of a completed upload; upstream's limit."""
PART_NUMBER_MAX = 10_000
"""Largest part number; S3's limit."""
UPLOAD_ID_LENGTH_MIN, UPLOAD_ID_LENGTH_MAX = 8, 128
UPLOADS_PAGE_MAX = 10_000
"""Uploads, or parts, that one call lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions:
    """How to begin an upload.

    Attributes:
        custom: custom metadata of the object to be, `CUSTOM_METADATA_MAX` bytes at most.
        md5: as S3 has it. The ETag of a part is its MD5 and that of the object the composite of them.
    """

    custom: Mapping[str, str] = field(default_factory=dict)
    md5: bool = False

    def __post_init__(self) -> None:
        check_custom(self.custom)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartUpload:
    """An upload that is neither completed nor aborted.

    Attributes:
        upload_id: opaque; ids of one name are ordered by when they were made.
        name: object name.
        created_ns: when it began, ns since the epoch.
        used_ns: when it began, or its last part arrived.
        part_count: parts that are stored.
        size: bytes of them.
        custom: custom metadata of the object to be.
        md5: as in `UploadOptions`.
    """

    upload_id: str
    name: str
    created_ns: int = 0
    used_ns: int = 0
    part_count: int = 0
    size: int = 0
    custom: Mapping[str, str] = field(default_factory=dict)
    md5: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOptions:
    """How to store one part.

    Attributes:
        size: bytes that the body must have; None when unknown. A different length fails and stores nothing.
        checksum: of the part, verified before it counts.
    """

    size: int | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """A stored part.

    Attributes:
        number: 1 to `PART_NUMBER_MAX`.
        size: bytes, 1 at least.
        checksum: of the part, of the type that the bucket had when the upload began; None for `none`.
        etag: without quotes; its MD5 in an upload with `md5`, else an id of this content of the part.
        mtime_ns: when it was stored, ns since the epoch.
        note: what the front end that stored it wants to know of it again; only the embedded store tells.
    """

    number: int
    size: int
    checksum: Checksum | None = None
    etag: str = ""
    mtime_ns: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRef:
    """A part as the caller knows it, for `complete_upload`; what is not given is not compared."""

    number: int
    etag: str = ""
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteOptions:
    """How to complete an upload.

    Attributes:
        checksum: of the whole content, verified before the object becomes visible.
        precondition: what must hold at commit.
        partial: as S3 has it: the numbers must ascend and may have gaps, and stored parts that are not listed are
            dropped. Otherwise the list, in any order, must name every stored part, and they must be 1 to N.
    """

    checksum: Checksum | None = None
    precondition: Precondition | None = None
    partial: bool = False


def check_part_number(number: int, what: str) -> int:
    """Return `number` if it can be that of a part of `what`.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if not 1 <= number <= PART_NUMBER_MAX:
        raise InvalidArgumentError(
            f"invalid part number {number} of {what}: part number must be a positive integer up to {PART_NUMBER_MAX}"
        )
    return number


def check_upload_id(upload_id: str) -> str:
    """Return `upload_id` if an upload can have it, here or behind a backend.

    Raises:
        InvalidArgumentError: it is too short, too long, or has a character that no id has.
    """
    is_valid = (
        UPLOAD_ID_LENGTH_MIN <= len(upload_id) <= UPLOAD_ID_LENGTH_MAX
        and all("!" <= c <= "~" and c not in "/\\" for c in upload_id)
        and ".." not in upload_id
    )
    if not is_valid:
        raise InvalidArgumentError(
            f"invalid upload id {upload_id[:UPLOAD_ID_LENGTH_MAX]!a}: expected {UPLOAD_ID_LENGTH_MIN} to "
            f"{UPLOAD_ID_LENGTH_MAX} printable ASCII characters without space, slash and backslash"
        )
    return upload_id


def choose_parts(
    listed: Sequence[PartRef], stored: Sequence[PartInfo], what: str, *, partial: bool
) -> list[PartInfo]:
    """The stored parts that a list names, in the order of their numbers.

    Args:
        listed: what the caller completes with.
        stored: what is there, by number.
        what: the upload, for messages.
        partial: as in `CompleteOptions`.

    Raises:
        InvalidArgumentError: the list is empty, too long, names a part twice or one that is not there, is not in order,
            or leaves one out.
        ChecksumMismatchError: an ETag or checksum of the list is not that of the part as stored.
    """
    if not listed:
        raise InvalidArgumentError(f"empty parts list to complete {what}")
    if len(listed) > CHUNK_COUNT_MAX:
        raise InvalidArgumentError(
            f"{len(listed)} parts to complete {what}, the limit is {CHUNK_COUNT_MAX}"
        )
    if partial:
        _check_ascending(listed, what)
    else:
        listed = sorted(listed, key=lambda part: part.number)
        if len(listed) != len(stored):
            raise InvalidArgumentError(
                f"partial completion of {what} is not allowed: requested {len(listed)} parts, have {len(stored)}"
            )
        for position, part in enumerate(listed):
            if part.number != position + 1:
                raise InvalidArgumentError(
                    f"parts of {what} must be exactly 1..{len(listed)}: got {part.number} at position {position}"
                )
    known = {part.number: part for part in stored}
    chosen = []
    for part in listed:
        found = known.get(part.number)
        if found is None:
            raise InvalidArgumentError(f"part {part.number} of {what} does not exist")
        _compare(part, found, what)
        chosen.append(found)
    return chosen


def composite_etag(md5s: Sequence[str]) -> str:
    """S3's ETag of a completed upload: the MD5 of the parts' MD5s, and how many they were."""
    digest = hashlib.md5(b"".join(map(bytes.fromhex, md5s)), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(md5s)}"


def _check_ascending(listed: Sequence[PartRef], what: str) -> None:
    before = 0
    for part in listed:
        if part.number <= before:
            raise InvalidArgumentError(
                f"parts of {what} must be in ascending order: got {part.number} after {before}"
            )
        before = part.number


def _compare(listed: PartRef, stored: PartInfo, what: str) -> None:
    etag = listed.etag.strip('"')
    if etag and etag != stored.etag:
        raise ChecksumMismatchError(
            f"part {stored.number} of {what} has ETag {stored.etag}, expected {etag}"
        )
    wanted = listed.checksum
    if wanted is None or stored.checksum is None:
        return
    if wanted.type is not stored.checksum.type:
        raise InvalidArgumentError(
            f"part {stored.number} of {what} has a checksum of type {stored.checksum.type}, not {wanted.type}"
        )
    if wanted.value != stored.checksum.value:
        raise ChecksumMismatchError(
            f"part {stored.number} of {what} has {stored.checksum.type} {stored.checksum.value}, "
            f"expected {wanted.value}"
        )
