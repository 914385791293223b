"""Takes off the framing of `aws-chunked`: content in chunks that are signed one by one, or checksums behind it.

    SIZE[;chunk-signature=HEX] CR LF  DATA CR LF      any number of times; SIZE is hexadecimal
    0[;chunk-signature=HEX] CR LF                     the last one
    NAME:VALUE CR LF                                  trailers, when the mode has them
    x-amz-trailer-signature:HEX CR LF                 of the trailers, when chunks are signed
    CR LF                                             the end; nothing may follow

Some clients end the lines of trailers with LF alone; that is how they are signed, and taken here as well.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from aiscore.server.s3.chunksignatures import ChunkSignatures
from aiscore.server.s3.faults import S3Error

__all__ = ["AwsChunkedDecoder"]

LINE_BYTES_MAX: Final = 1024
"""Of a chunk's head; the longest that is of use has 98."""
TRAILER_BYTES_MAX: Final = 8 << 10
_SIZE_DIGITS_MAX = 16
_HEX = frozenset(b"0123456789abcdefABCDEF")
_SIGNATURE: Final = "x-amz-trailer-signature"


class _Expect(Enum):
    HEAD = 1
    DATA = 2
    DATA_END = 3
    TRAILER = 4
    NOTHING = 5


class AwsChunkedDecoder:
    """Decodes one body, block by block."""

    def __init__(self, *, signatures: ChunkSignatures | None, has_trailers: bool) -> None:
        """Begin a body.

        Args:
            signatures: is told where chunks end and how they are signed; None does not look at signatures.
            has_trailers: trailers may follow the last chunk.
        """
        self._signatures = signatures
        self._has_trailers = has_trailers
        self._expect = _Expect.HEAD
        self._line = bytearray()
        self._left = 0
        self._trailer_bytes = 0
        self.trailers: dict[str, str] = {}
        """Names in lower case; complete when `finish` has returned."""

    def take(self, data: memoryview) -> Iterator[memoryview]:
        """Pieces of content in the next block of the body; views of it.

        Raises:
            S3Error: the framing is broken.
        """
        start = 0
        while start < len(data):
            expect = self._expect
            if expect is _Expect.DATA:
                piece = data[start : start + self._left]
                start += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._expect = _Expect.DATA_END
                yield piece
                continue
            if expect is _Expect.NOTHING:
                raise _broken("bytes follow the end")
            start += self._take_line(data[start:])

    def finish(self) -> None:
        """The body has ended.

        Raises:
            S3Error: before its framing did.
        """
        if self._expect is not _Expect.NOTHING:
            raise S3Error(
                "IncompleteBody",
                "The request body terminated unexpectedly: its last chunk is missing",
            )

    # lines

    def _take_line(self, data: memoryview) -> int:
        """Collect a line, and act on it when it is complete; how much of `data` belonged to it."""
        room = LINE_BYTES_MAX - len(self._line) + 1
        front = bytes(data[:room])
        end = front.find(b"\n")
        self._line += front[: end + 1] if end >= 0 else front
        if end < 0:
            if len(self._line) > LINE_BYTES_MAX:
                raise _broken("a line is too long")
            return len(front)
        line = bytes(self._line)
        self._line.clear()
        self._act(line)
        return end + 1

    def _act(self, line: bytes) -> None:
        if self._expect is _Expect.TRAILER:
            self._take_trailer(line)
            return
        if not line.endswith(b"\r\n"):
            raise _broken("a line does not end with CR LF")
        if self._expect is _Expect.HEAD:
            self._take_head(line[:-2])
        else:
            if line != b"\r\n":
                raise _broken("a chunk is longer than its size says")
            self._expect = _Expect.HEAD

    def _take_head(self, line: bytes) -> None:
        size, *extensions = line.split(b";")
        if not 1 <= len(size) <= _SIZE_DIGITS_MAX or not _HEX.issuperset(size):
            raise _broken("the size of a chunk is not hexadecimal")
        self._left = int(size, 16)
        self._expect = _Expect.DATA if self._left else _Expect.TRAILER
        if self._signatures is not None:
            self._signatures.expect(self._left, _signature_in(extensions))

    # trailers

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > TRAILER_BYTES_MAX:
            raise _malformed("they are too long")
        text = line.rstrip(b"\r\n")
        if not text:
            self._end_trailers()
            return
        if not self._has_trailers:
            raise _broken("trailers follow, which were not announced")
        name, separator, value = text.partition(b":")
        try:
            key, content = name.decode("ascii").strip().lower(), value.decode("ascii").strip()
        except UnicodeDecodeError:
            raise _malformed("they are not ASCII") from None
        if not separator or not key or key in self.trailers:
            raise _malformed("expected NAME:VALUE lines, each name once")
        self.trailers[key] = content

    def _end_trailers(self) -> None:
        claimed = self.trailers.pop(_SIGNATURE, "")
        if self._signatures is not None and self._has_trailers:
            self._signatures.end(self.trailers, claimed)
        self._expect = _Expect.NOTHING


def _signature_in(extensions: list[bytes]) -> str:
    """What the head of a chunk says of its signature; "" when it says nothing."""
    found = ""
    for extension in extensions:
        name, _, value = extension.strip().partition(b"=")
        if name == b"chunk-signature":
            found = value.decode("latin-1")
    return found


def _broken(what: str) -> S3Error:
    return S3Error("InvalidRequest", f"The aws-chunked body is malformed: {what}")


def _malformed(what: str) -> S3Error:
    return S3Error(
        "MalformedTrailerError",
        f"The request contained trailing data that was not well-formed: {what}",
    )
