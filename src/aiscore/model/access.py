"""Access permissions: the bits of a bucket's `access` mask and of a token's rights.

A mask is a plain integer, because it is tested on every request: `mask & Access.GET`.
"""

from typing import Final

from aiscore.model.bitmask import BitNames
from aiscore.model.units import UINT64_MAX

__all__ = ["ACCESS_NAMES", "Access", "allows", "format_access", "parse_access"]


class Access:
    """One constant per operation and per group of operations; the wire fixes the values."""

    GET: Final = 1 << 0
    HEAD_OBJECT: Final = 1 << 1
    PUT: Final = 1 << 2
    APPEND: Final = 1 << 3
    DELETE_OBJECT: Final = 1 << 4
    MOVE_OBJECT: Final = 1 << 5
    PROMOTE: Final = 1 << 6
    UPDATE_OBJECT: Final = 1 << 7
    HEAD_BUCKET: Final = 1 << 8
    LIST_OBJECTS: Final = 1 << 9
    PATCH: Final = 1 << 10
    SET_BUCKET_ACL: Final = 1 << 11
    LIST_BUCKETS: Final = 1 << 12
    SHOW_CLUSTER: Final = 1 << 13
    CREATE_BUCKET: Final = 1 << 14
    DESTROY_BUCKET: Final = 1 << 15
    MOVE_BUCKET: Final = 1 << 16
    ADMIN: Final = 1 << 17

    NONE: Final = 0
    RO: Final = 771
    """GET, HEAD-OBJECT, HEAD-BUCKET, LIST-OBJECTS."""
    RW: Final = 771 | 60
    """`RO`, PUT, APPEND, DELETE-OBJECT, MOVE-OBJECT; not PROMOTE: it reads the server's files."""
    CLUSTER_RO: Final = 12288
    """LIST-BUCKETS, SHOW-CLUSTER."""
    CLUSTER_RW: Final = 12288 | 114688
    """`CLUSTER_RO` and CREATE-BUCKET, DESTROY-BUCKET, MOVE-BUCKET."""
    ALL: Final = UINT64_MAX
    """Every permission, also those that a later version adds."""


ACCESS_NAMES: Final = BitNames(
    "access permission",
    (
        "GET",
        "HEAD-OBJECT",
        "PUT",
        "APPEND",
        "DELETE-OBJECT",
        "MOVE-OBJECT",
        "PROMOTE",
        "UPDATE-OBJECT",
        "HEAD-BUCKET",
        "LIST-OBJECTS",
        "PATCH",
        "SET-BUCKET-ACL",
        "LIST-BUCKETS",
        "SHOW-CLUSTER",
        "CREATE-BUCKET",
        "DESTROY-BUCKET",
        "MOVE-BUCKET",
        "ADMIN",
    ),
    {"ro": Access.RO, "rw": Access.RW, "su": Access.ALL},
)


def allows(mask: int, wanted: int) -> bool:
    """True if `mask` has every bit of `wanted`."""
    return mask & wanted == wanted


def parse_access(text: str) -> int:
    """Read permissions: names joined by commas, `ro`, `rw`, `su` or a number; `none`: nothing.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    return ACCESS_NAMES.parse(text)


def format_access(mask: int) -> str:
    """Every permission of the mask by name, as `bucket show` prints it; `none` when empty."""
    return ACCESS_NAMES.format(mask)
