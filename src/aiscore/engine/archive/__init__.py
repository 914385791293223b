"""Shards: detect, index, read, write and append to tar, tgz, tar.lz4 and zip, over any `Source`."""

from aiscore.engine.archive.append import NewMember, append_stream, tar_append_point
from aiscore.engine.archive.encode import Piece
from aiscore.engine.archive.formats import detect_format
from aiscore.engine.archive.index import Member, MemberIndex
from aiscore.engine.archive.names import NAME_BYTES_MAX, check_member_name
from aiscore.engine.archive.reader import (
    MemberReader,
    build_index,
    index_and_read,
    iter_members,
    member_range,
    open_member,
    read_members,
)
from aiscore.engine.archive.selection import matcher, select, wds_key
from aiscore.engine.archive.source import BLOCK_SIZE, BytesSource, FileSource, Source
from aiscore.engine.archive.tarwriter import TAR_EOF, padding, tar_header
from aiscore.engine.archive.writer import ArchiveWriter, open_writer

__all__ = [
    "BLOCK_SIZE",
    "NAME_BYTES_MAX",
    "TAR_EOF",
    "ArchiveWriter",
    "BytesSource",
    "FileSource",
    "Member",
    "MemberIndex",
    "MemberReader",
    "NewMember",
    "Piece",
    "Source",
    "append_stream",
    "build_index",
    "check_member_name",
    "detect_format",
    "index_and_read",
    "iter_members",
    "matcher",
    "member_range",
    "open_member",
    "open_writer",
    "padding",
    "read_members",
    "select",
    "tar_append_point",
    "tar_header",
    "wds_key",
]
