"""Chunked request bodies, decoded in place: the pieces are views of what was received.

httptools would copy every piece and could not stop at the end of the body, where the next pipelined request begins.
Strict where request smuggling lives: sizes are hexadecimal digits alone, every line ends with CRLF.
"""

import re
from enum import IntEnum

from aiscore.server.faults import HttpFault

__all__ = ["ChunkedDecoder"]

SIZE_LINE_MAX = 256
"""Bytes of a chunk-size line, extensions included: nobody needs them, and nothing may hide there."""
TRAILER_BYTES_MAX = 8 << 10
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e]*)?\r\n")


class _State(IntEnum):
    SIZE = 0
    DATA = 1
    DATA_END = 2
    TRAILER = 3
    DONE = 4


class ChunkedDecoder:
    """Decodes one body, fed piece by piece."""

    __slots__ = ("_left", "_line", "_state", "_trailer_bytes")

    def __init__(self) -> None:
        self._state = _State.SIZE
        self._left = 0
        self._line = bytearray()
        self._trailer_bytes = 0

    @property
    def is_complete(self) -> bool:
        """True when the body has ended; nothing more is taken."""
        return self._state is _State.DONE

    def take(self, data: memoryview) -> tuple[int, memoryview | None]:
        """Take from the front of `data`.

        Returns:
            How many bytes were taken, more than 0 unless complete; and the piece of the body among them, if any.

        Raises:
            HttpFault: this is not a chunked body.
        """
        if self._state is _State.DATA:
            piece = data[: self._left]
            self._left -= len(piece)
            if not self._left:
                self._state = _State.DATA_END
            return len(piece), piece
        if self._state is _State.DONE:
            return 0, None
        return self._take_line(data), None

    def _take_line(self, data: memoryview) -> int:
        limit = TRAILER_BYTES_MAX if self._state is _State.TRAILER else SIZE_LINE_MAX
        room = bytes(data[: limit + 1 - len(self._line)])
        end = room.find(b"\n") + 1
        taken = end or len(room)
        self._line += room[:taken]
        if len(self._line) > limit:
            raise HttpFault(400, "malformed chunked body: line too long")
        if self._state is _State.DATA_END and self._line[:1] != b"\r":
            raise HttpFault(400, "malformed chunked body: chunk longer than its size")
        if end:
            line = bytes(self._line)
            self._line.clear()
            self._end_line(line)
        return taken

    def _end_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise HttpFault(400, "malformed chunked body: line end without carriage return")
        if self._state is _State.SIZE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise HttpFault(400, "malformed chunked body: invalid chunk size")
            self._left = int(match[1], 16)
            self._state = _State.DATA if self._left else _State.TRAILER
        elif self._state is _State.DATA_END:
            if line != b"\r\n":
                raise HttpFault(400, "malformed chunked body: chunk longer than its size")
            self._state = _State.SIZE
        else:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > TRAILER_BYTES_MAX:
                raise HttpFault(431, "trailer of the chunked body is too long")
            if line == b"\r\n":
                self._state = _State.DONE
