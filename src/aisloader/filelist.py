"""Lists of names that people write."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError
from aiscore.model.names import check_object_name
from aisloader.names import NamesWriter

__all__ = ["FileList", "read_file_list"]

_BLOCK = 1 << 20
_PACKED_BLOCK = 16 << 10
"""Small, because a block is unpacked whole, and may be a thousand times larger then."""
_LINE_MAX = 16 << 10
"""Bytes of one line: two names of the longest kind, and room."""


@dataclass(slots=True)
class FileList:
    """What a file list held, by lines.

    Attributes:
        names: names taken.
        skipped: blank lines and comments.
    """

    names: int = 0
    skipped: int = 0


def read_file_list(path: str, writer: NamesWriter) -> FileList:
    """Read names, one a line: `NAME`, or `NAME<TAB>ARCHPATH[<TAB>SIZE]`; blank lines and `#` lines do not count.

    Names keep their blanks. An empty second column with a third one gives the size of an object.

    Args:
        path: of a text file in UTF-8, plain or compressed (`.gz`, `.zst`); "-" is stdin.
        writer: takes the names.

    Raises:
        InvalidArgumentError: a line is malformed (the message has its number), or the file cannot be read.
    """
    counts = FileList()
    shown = path if path.isprintable() else ascii(path)[1:-1]
    try:
        for number, line in enumerate(_lines(_blocks(path)), 1):
            where = f'line {number} of "{shown}"'
            if len(line) > _LINE_MAX:
                raise InvalidArgumentError(f"{where} has more than {_LINE_MAX} bytes")
            text = line.decode().removesuffix("\r")
            if not text.strip() or text.startswith("#"):
                counts.skipped += 1
                continue
            _add_line(text, where, writer)
            counts.names += 1
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise InvalidArgumentError(f'cannot read -filelist "{shown}": {why}') from exc
    return counts


def _add_line(text: str, where: str, writer: NamesWriter) -> None:
    name, *rest = text.split("\t")
    if len(rest) > 2:
        raise InvalidArgumentError(f"{where} has {len(rest) + 1} columns, expected 3 at most")
    archpath = rest[0] if rest else ""
    size_text = rest[1].strip() if len(rest) == 2 else ""
    if size_text and not (size_text.isascii() and size_text.isdecimal()):
        raise InvalidArgumentError(f'{where}: "{size_text[:64]}" is not a size in bytes')
    try:
        check_object_name(name)
        if archpath:
            check_object_name(archpath)
    except InvalidArgumentError as exc:
        raise InvalidArgumentError(f"{where}: {exc.message}") from None
    writer.add(name, archpath, int(size_text) if size_text else -1)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their ends; one that is too long comes as far as it was read."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > _LINE_MAX:
            break
    if rest:
        yield rest


def _blocks(path: str) -> Iterator[bytes]:
    if path.endswith((".zst", ".zstd")):
        yield from _zstd_blocks(path)
    elif path.endswith(".gz"):
        import gzip

        with gzip.open(path, "rb") as packed:
            while block := packed.read(_BLOCK):
                yield block
    else:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as plain:
            while block := plain.read(_BLOCK):
                yield block


def _zstd_blocks(path: str) -> Iterator[bytes]:
    """Any number of frames; unlike the library's own reader, this one tells when the last is cut off."""
    import zstandard

    context = zstandard.ZstdDecompressor()
    frame = None
    try:
        with open(path, "rb") as file:
            while data := file.read(_PACKED_BLOCK):
                while data:
                    frame = frame or context.decompressobj()
                    yield frame.decompress(data)
                    data = frame.unused_data if frame.eof else b""
                    frame = None if frame.eof else frame
    except zstandard.ZstdError as exc:
        raise OSError(str(exc)) from exc
    if frame is not None:
        raise EOFError("the compressed data ends too early")
