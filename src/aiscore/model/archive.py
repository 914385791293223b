"""Archive formats, selection modes, and the name rules of shards: pure values.

A shard is an object that is an archive. Its format follows from the object name, from a MIME string
that a caller gives, or from its first bytes (the engine looks at those).
"""

import re
from enum import StrEnum
from typing import Self

from aiscore.errors import InvalidArgumentError

__all__ = ["MIME_LENGTH_MAX", "ArchiveFormat", "ArchiveMode", "split_archpath"]

MIME_LENGTH_MAX = 256
"""Longest MIME string or extension that is looked at; real ones have under 50 characters."""

_EXTENSIONS = {
    ".tar": ".tar",
    ".tgz": ".tgz",
    ".tar.gz": ".tgz",
    ".tar.lz4": ".tar.lz4",
    ".zip": ".zip",
}
_SUFFIXES = tuple(_EXTENSIONS)
_CONTENT_TYPES = {
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".tar.lz4": "application/x-lz4",
    ".zip": "application/zip",
}
_WORD = re.compile(r"[a-z0-9]+")


class ArchiveFormat(StrEnum):
    """How a shard packs its members; the value is the canonical extension."""

    TAR = ".tar"
    TGZ = ".tgz"
    TAR_LZ4 = ".tar.lz4"
    ZIP = ".zip"

    @property
    def content_type(self) -> str:
        """The MIME type that an archive of this format is served with."""
        return _CONTENT_TYPES[self.value]

    @classmethod
    def parse(cls, mime: str) -> Self:
        """Read a format from an extension, with or without its dot, or from a MIME string.

        A MIME string counts when one of its words names a format: `application/x-tar`,
        `application/gzip`.

        Args:
            mime: at most `MIME_LENGTH_MAX` characters, in any case.

        Raises:
            InvalidArgumentError: no word of it names a supported format.
        """
        words = set(_WORD.findall(mime.lower())) if len(mime) <= MIME_LENGTH_MAX else set()
        if "lz4" in words:
            return cls(".tar.lz4")
        if words & {"tgz", "gzip", "gz"} or {"compressed", "tar"} <= words:
            return cls(".tgz")
        if "zip" in words:
            return cls(".zip")
        if words & {"tar", "gtar", "ustar"}:
            return cls(".tar")
        raise InvalidArgumentError(
            f'unknown archive format "{mime[:MIME_LENGTH_MAX]}", '
            f"expected one of {', '.join(_SUFFIXES)}"
        )

    @classmethod
    def of_name(cls, object_name: str) -> Self | None:
        """Return the format that the extension of an object name stands for, or None."""
        for suffix, value in _EXTENSIONS.items():
            if object_name.endswith(suffix):
                return cls(value)
        return None


class ArchiveMode(StrEnum):
    """How a pattern selects members by name."""

    REGEXP = "regexp"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    SUBSTR = "substr"
    WDSKEY = "wdskey"


def split_archpath(name: str) -> tuple[str, str] | None:
    """Split `a/shard.tar/inner/x.jpg` into the object name of the shard and the name of its member.

    The shard ends at the first path element with an archive extension, and something must follow
    it.

    Returns:
        (`a/shard.tar`, `inner/x.jpg`), or None when the name has no such element.
    """
    slash = name.find("/")
    while slash >= 0:
        member = name[slash + 1 :].lstrip("/")
        if member and name.endswith(_SUFFIXES, 0, slash):
            return name[:slash], member
        slash = name.find("/", slash + 1)
    return None
