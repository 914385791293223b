"""The answer to one request: its head, and its body by length or in chunks.

Nothing is believed that does not say where it ends: an answer cut in its middle must never look like a whole one.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import httptools

from aiscore.errors import ProtocolError
from aiscore.model.stream import BLOCK_SIZE

if TYPE_CHECKING:
    from aiscore.transport.lean import Connection
    from aiscore.transport.pool import Pool

__all__ = ["HEAD_MAX", "Head", "MalformedAnswerError", "Response", "decode", "plain_length"]

HEAD_MAX = 64 << 10
"""Bytes of one response head, and of the receive buffer; servers send a few hundred."""
HEADERS_MAX = 512
"""Header lines of one response; custom metadata takes one for each key."""
MESSAGE_MAX = 256 << 20
"""Bytes of an answer that is read into memory whole without its reader having asked for so much."""
_CHUNK_LINE_MAX = 256
_TRAILER_MAX = 8 << 10
_LENGTH_DIGITS = 18
_NO_BODY = frozenset({204, 304})
_NO_CONTENT = (b"204", b"205")
_KEPT = b"\r\nconnection: keep-alive\r\n"


class MalformedAnswerError(ProtocolError):
    """The answer is complete and wrong: it would be the same again, so it is not asked for again."""

    retryable = False


class Head:
    """Status line and headers.

    The status and what frames the body are read at once, the headers when somebody asks for them.
    """

    __slots__ = ("_fields", "_url", "in_chunks", "keeps_alive", "length", "raw", "status")

    def __init__(self, raw: bytes, url: str) -> None:
        """Take a head apart; `raw` ends with its empty line.

        Raises:
            MalformedAnswerError: it is no head, or contradicts itself.
        """
        self.raw = raw
        self._url = url
        self._fields: list[tuple[bytes, bytes]] | None = None
        self.in_chunks = False
        self.length: int | None = None
        lower = raw.lower()
        length = plain_length(lower)
        if length >= 0:
            self.status = int(lower[9:12])
            self.length = length
            self.keeps_alive = True
            return
        parsed = _Parsed(raw, url)
        self.status, self.keeps_alive = parsed.status, parsed.keeps_alive
        self._fields = parsed.fields
        self.in_chunks, self.length = _framing(parsed.fields, url)

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """All headers in order.

        Raises:
            MalformedAnswerError: one of them is malformed.
        """
        if self._fields is None:
            self._fields = _Parsed(self.raw, self._url).fields
        return self._fields


def plain_length(lower: bytes | bytearray) -> int:
    """The length that a usual head gives: HTTP/1.1, 2xx, a connection that is kept; -1 for others: they are parsed.

    Args:
        lower: the head in lower case.
    """
    at = lower.find(b"\r\ncontent-length: ")
    end = lower.find(b"\r\n", at + 18)
    digits = lower[at + 18 : end]
    if (
        at < 0
        or not digits.isdigit()
        or len(digits) > _LENGTH_DIGITS
        or lower[end + 2] in b" \t"
        or not lower.startswith(b"http/1.1 2")
        or lower[9:12] in _NO_CONTENT
        or b"transfer-encoding" in lower
        or lower.find(b"content-length", at + 3) >= 0
    ):
        return -1
    connection = lower.find(b"\r\nconnection")
    if connection >= 0 and not (
        lower.startswith(_KEPT, connection) and lower.find(b"\r\nconnection", connection + 2) < 0
    ):
        return -1
    return int(digits)


class _Parsed:
    """What httptools makes of a head."""

    __slots__ = ("_is_complete", "_parser", "fields", "keeps_alive", "status")

    def __init__(self, raw: bytes, url: str) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self._is_complete = self.keeps_alive = False
        parser = httptools.HttpResponseParser(self)
        self._parser: httptools.HttpResponseParser | None = parser
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            raise MalformedAnswerError(f"{url} switches protocols unasked") from None
        except httptools.HttpParserError as exc:
            raise MalformedAnswerError(f"malformed answer from {url}: {exc}") from None
        if not self._is_complete or len(self.fields) > HEADERS_MAX:
            raise MalformedAnswerError(f"malformed answer from {url}: {len(self.fields)} headers")
        self.status: int = parser.get_status_code()
        self._parser = None  # a circle otherwise

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser; the only moment at which it knows whether the connection stays."""
        self._is_complete = True
        self.keeps_alive = self._parser is not None and self._parser.should_keep_alive()


class Response:
    """One answer. A context manager and a reader of its body; belongs to one thread at a time.

    When the body has been read to its end the connection goes back to the pool; when it is closed before, the
    connection is closed with it.
    """

    __slots__ = (
        "_connection",
        "_head",
        "_in_chunks",
        "_is_first_chunk",
        "_keeps_alive",
        "_left",
        "_until_close",
        "pool",
        "size",
        "status",
        "url",
    )

    def __init__(self, connection: "Connection", method: str, head: Head) -> None:
        """Begin to read an answer.

        Raises:
            ProtocolError: its body has no end that could be told from a broken connection.
        """
        self._connection: Connection | None = connection
        self._head = head
        self._keeps_alive = head.keeps_alive and not connection.is_spoiled
        self._is_first_chunk = True
        self._in_chunks = self._until_close = False
        self.pool: Pool | None = None
        self.status = head.status
        self.url = connection.url
        if method == "HEAD" or head.status in _NO_BODY:
            self.size: int | None = 0
        elif head.in_chunks:
            self._in_chunks, self.size = True, None
        elif head.length is not None:
            self.size = head.length
        elif head.status < 300:
            raise MalformedAnswerError(f"the answer of {self.url} has neither a length nor chunks")
        else:
            self.size, self._until_close, self._keeps_alive = None, True, False
        self._left = self.size or 0

    # headers

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        wanted = name.lower().encode()
        size = len(wanted)
        for key, value in self._head.fields:
            if len(key) == size and key.lower() == wanted:
                return decode(value)
        return None

    def header_all(self, name: str) -> list[str]:
        """Every value of a header that may repeat."""
        wanted = name.lower().encode()
        return [decode(value) for key, value in self._head.fields if key.lower() == wanted]

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; the first of each."""
        found: dict[str, str] = {}
        for key, value in self._head.fields:
            found.setdefault(key.decode("latin-1").lower(), decode(value))
        return found

    @property
    def fields(self) -> list[tuple[str, str]]:
        """All headers in order, names in lower case."""
        return [(key.decode("latin-1").lower(), decode(value)) for key, value in self._head.fields]

    # body

    @property
    def is_done(self) -> bool:
        """True when the whole body has been read, or it was closed."""
        return self._connection is None

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end.

        Raises:
            ProtocolError: the connection broke before the end.
            TransportTimeoutError: nothing came in time.
        """
        connection = self._connection
        if connection is None or not len(buffer):
            return 0
        if not self._left and not self._until_close and not self._begin_chunk(connection):
            return 0
        try:
            if self._until_close:
                count = connection.take(buffer)
                if not count:
                    self.close()
                return count
            left = self._left
            count = connection.take(buffer if len(buffer) <= left else memoryview(buffer)[:left])
            if not count:
                raise ProtocolError(f"the answer of {self.url} ended early")
        except BaseException:
            self.close()
            raise
        self._left = left - count
        if not self._left and not self._in_chunks:
            self._finish()
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        if size < 0:
            return self.read_all()
        buffer = bytearray(min(size, BLOCK_SIZE))
        count = self.readinto(buffer)
        return bytes(memoryview(buffer)[:count])

    def read_all(self, limit: int | None = None) -> bytes:
        """All that is left, in memory.

        Raises:
            ProtocolError: it is longer than `limit` (for a body in chunks: `MESSAGE_MAX` unless given).
        """
        connection = self._connection
        if connection is None or (not self._left and self.size == 0):
            self._finish()
            return b""
        if self.size is None:
            return self._read_chunks(MESSAGE_MAX if limit is None else limit)
        size = self._left
        if limit is not None and size > limit:
            self.close()
            raise MalformedAnswerError(
                f"the answer of {self.url} has {size} bytes, the limit is {limit}"
            )
        data = connection.take_bytes(size)
        if data is not None:
            self._left = 0
            self._finish()
            return data
        return self._read_length(size)

    def _read_length(self, size: int) -> bytes:
        # A BytesIO gives its buffer away without a copy when it is exactly full.
        out = io.BytesIO()
        done = 0
        # The buffer grows with what comes: an announced size alone must not take memory.
        while done < size:
            step = min(size, max(2 * done, BLOCK_SIZE))
            out.seek(step - 1)
            out.write(b"\0")
            with out.getbuffer() as view:
                while done < step:
                    count = self.readinto(view[done:step])
                    if not count:
                        raise ProtocolError(f"the answer of {self.url} ended early")
                    done += count
        return out.getvalue()

    def _read_chunks(self, limit: int) -> bytes:
        out = bytearray()
        buffer = bytearray(HEAD_MAX)
        view = memoryview(buffer)
        while count := self.readinto(buffer):
            out += view[:count]
            if len(out) > limit:
                self.close()
                raise MalformedAnswerError(f"the answer of {self.url} is longer than {limit} bytes")
        return bytes(out)

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    # life

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        connection = self._connection
        if connection is None:
            return
        if not self._left and not self._in_chunks and not self._until_close:
            self._finish()
            return
        self._connection = None
        connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._keeps_alive and self.pool is not None:
            self.pool.give_back(connection)
        else:
            connection.close()

    def _begin_chunk(self, connection: "Connection") -> bool:
        """Read up to the content of the next chunk; False at the end of the body."""
        if not self._in_chunks:
            self._finish()
            return False
        try:
            if not self._is_first_chunk and connection.take_line(0):
                raise MalformedAnswerError(f"malformed chunk from {self.url}")
            self._is_first_chunk = False
            self._left = _chunk_size(connection.take_line(_CHUNK_LINE_MAX), self.url)
            if self._left:
                return True
            trailers = 0
            while line := connection.take_line(_TRAILER_MAX):
                trailers += len(line)
                if trailers > _TRAILER_MAX:
                    raise MalformedAnswerError(f"the trailers of {self.url} are too long")
        except BaseException:
            self.close()
            raise
        self._in_chunks = False
        self._finish()
        return False


def decode(value: bytes) -> str:
    """A header value as text: UTF-8, which AIStore sends; other bytes survive as surrogates."""
    return value.decode("utf-8", "surrogateescape")


def _framing(fields: list[tuple[bytes, bytes]], url: str) -> tuple[bool, int | None]:
    """Whether the body is in chunks, and its length otherwise."""
    length: int | None = None
    in_chunks = False
    for key, value in fields:
        size = len(key)
        if size == 14 and key.lower() == b"content-length":
            if not value.isdigit() or len(value) > 19 or length not in {None, int(value)}:
                raise MalformedAnswerError(f"malformed length from {url}: {value[:40]!r}")
            length = int(value)
        elif size == 17 and key.lower() == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise MalformedAnswerError(f"unknown transfer encoding from {url}: {value[:40]!r}")
            in_chunks = True
    if in_chunks and length is not None:
        raise MalformedAnswerError(f"the answer of {url} has both a length and chunks")
    return in_chunks, length


def _chunk_size(line: bytes, url: str) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not 1 <= len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise MalformedAnswerError(f"malformed chunk from {url}: {line[:40]!r}")
    return int(digits, 16)
