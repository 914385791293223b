"""Reading one object over the network: a connection that breaks is replaced, and the content goes on where it stopped.

What makes that safe: the server is asked for the rest of the very content that was begun (`If-Match`), and its answer
must name the same range, size and validators. An object that was replaced meanwhile is an error, never a mixture.
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Self

from aiscore.errors import (
    AisError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ProtocolError,
    RangeNotSatisfiableError,
    TransportError,
    UnsupportedError,
)
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import GetOptions, ObjectProps
from aiscore.model.stream import BLOCK_SIZE
from aiscore.transport.answer import MalformedAnswerError, Response
from aiscore.transport.base import DEFAULT_GET
from aiscore.transport.digest import Digest, check_digest, digest_of
from aiscore.transport.retry import Attempts
from aiscore.transport.session import Call, Session, query_text
from aiscore.wire.buckets import bucket_query, quote_path
from aiscore.wire.names import H, Path
from aiscore.wire.objects import get_request, props_from_headers
from aiscore.wire.ranges import parse_content_range

__all__ = ["RemoteReader", "Source", "open_remote", "plain_target", "read_remote", "source_of"]


class Source(NamedTuple):
    """What is read, in the terms of requests.

    Attributes:
        session: connections to the store.
        bucket: where the object is.
        name: of the object.
        target: path and query.
        headers: of the first request, the range among them.
        options: what was asked for.
    """

    session: Session
    bucket: BucketRef
    name: str
    target: str
    headers: tuple[tuple[str, str], ...]
    options: GetOptions

    @property
    def cname(self) -> str:
        """Of the object."""
        return self.bucket.object_cname(self.name)

    def request(self, headers: tuple[tuple[str, str], ...], attempts: Attempts | None) -> Response:
        """Ask for the object."""
        return self.session.open(Call("GET", self.target, headers), attempts)


def source_of(session: Session, bucket: BucketRef, name: str, options: GetOptions) -> Source:
    """What `options` ask for; the name has been checked."""
    if options is DEFAULT_GET:
        return Source(session, bucket, name, plain_target(bucket, name), (), options)
    query, headers = get_request(options)
    target = plain_target(bucket, name)
    if query:
        target += query_text(query).replace("?", "&", 1)
    return Source(session, bucket, name, target, tuple(headers), options)


def plain_target(bucket: BucketRef, name: str) -> str:
    """Path of an object, and the query that its bucket needs."""
    before, after = _around(bucket)
    return f"{before}{quote_path(name)}{after}"


@lru_cache(maxsize=1024)
def _around(bucket: BucketRef) -> tuple[str, str]:
    """What stands before and after the names of a bucket's objects."""
    return f"{Path.OBJECTS}/{bucket.name}/", query_text(bucket_query(bucket))


def open_remote(
    session: Session, bucket: BucketRef, name: str, options: GetOptions
) -> "RemoteReader":
    """Open an object, a range, a member or a selection. See `Transport.open`."""
    source = source_of(session, bucket, name, options)
    attempts = session.attempts()
    return RemoteReader(source, _first(source, attempts), attempts)


def read_remote(session: Session, bucket: BucketRef, name: str, options: GetOptions) -> bytes:
    """The whole answer in memory; what is small and comes at once takes the short way."""
    source = source_of(session, bucket, name, options)
    attempts: Attempts | None = None
    while True:
        response = _first(source, attempts)
        size = response.size
        if size is None or size > BLOCK_SIZE or not _is_whole_answer(response, options):
            with RemoteReader(source, response, attempts or session.attempts()) as reader:
                return reader.read()
        try:
            data = response.read_all()
        except TransportError as exc:
            attempts = attempts or session.attempts()
            attempts.wait(exc)
            continue
        if options.verify_checksum or session.options.verify_content:
            _check_bytes(source, response, data)
        return data


class RemoteReader:
    """An open object, range, member or selection (`transport.ObjectReader`)."""

    def __init__(self, source: Source, response: Response, attempts: Attempts) -> None:
        """Take over the first answer."""
        self._source = source
        self._attempts = attempts
        self._response: Response | None = response
        self._is_closed = False
        try:
            self._validators = _validators(response)
            self.props = props_from_headers(source.name, response.headers.get, response.header_all)
            self._start, self.size, self._total = self._place(response)
            self._digest = self._new_digest()
        except BaseException:
            response.close()
            raise
        self._done = 0

    props: ObjectProps
    size: int | None

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """Fill as much of `buffer` as one step gives; 0 at the end.

        Raises:
            TransportError: the connection broke, and what is left could not be asked for.
            PreconditionFailedError: the object was replaced after the connection broke.
            CorruptionError: the whole was read, and does not have its checksum.
        """
        size = self.size
        if self._is_closed or not len(buffer):
            return 0
        if size is not None:
            if self._done >= size:
                return 0
            if len(buffer) > size - self._done:
                buffer = memoryview(buffer)[: size - self._done]
        while True:
            try:
                response = self._response
                if response is None:
                    response = self._response = self._reopen()
                count = response.readinto(buffer)
                if not count and size is not None:
                    raise ProtocolError(f"the content of {self._source.cname} ended early")
                break
            except TransportError as exc:
                self._give_up_or_wait(exc)
        self._advance(buffer, count)
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left for a negative size; b"" at the end."""
        if size < 0:
            return self._read_all()
        if not size:
            return b""
        left = BLOCK_SIZE if self.size is None else self.size - self._done
        buffer = bytearray(min(size, BLOCK_SIZE, max(left, 0)))
        count = self.readinto(buffer)
        return bytes(memoryview(buffer)[:count])

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK_SIZE):
            yield block

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._is_closed = True
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_all(self) -> bytes:
        if self.size is None:
            return b"".join(self)
        # A BytesIO gives its buffer away without a copy. It grows with what comes.
        out, size, done = io.BytesIO(), self.size - self._done, 0
        if self._is_closed:
            return b""
        while done < size:
            step = min(size, max(2 * done, BLOCK_SIZE))
            out.seek(step - 1)
            out.write(b"\0")
            with out.getbuffer() as view:
                while done < step:
                    with view[done:step] as rest:
                        done += self.readinto(rest)
        return out.getvalue()

    def _advance(self, buffer: bytearray | memoryview, count: int) -> None:
        if not count:
            return
        self._done += count
        if self._attempts.failures:
            self._attempts.progressed()
        if self._digest is not None:
            with memoryview(buffer) as view, view[:count] as part:
                self._digest.update(part)
            if self._done == self.size and self.props.checksum is not None:
                check_digest(self.props.checksum, self._digest.hexdigest(), self._source.cname)

    def _new_digest(self) -> Digest | None:
        source = self._source
        wanted = source.options.verify_checksum or source.session.options.verify_content
        checksum = self.props.checksum
        is_whole = self._start == 0 and self.size == self._total == self.props.size
        if not wanted or checksum is None or source.options.archpath is not None or not is_whole:
            return None
        return digest_of(checksum.type)

    def _place(self, response: Response) -> tuple[int, int | None, int | None]:
        """First byte, bytes, and the size of the whole that the answer is part of.

        Raises:
            ProtocolError: it is another part than was asked for.
        """
        wanted = self._source.options.byte_range
        if response.status == 206:
            start, length, total = _content_range(response)
            if wanted is None or (wanted.offset >= 0 and start != wanted.offset):
                raise _wrong_range(self._source, response)
            return start, length, total
        if wanted is None or response.size is None:
            return 0, response.size, response.size
        # The server gives the whole all the same; take the range out of it.
        start, length = wanted.resolve(response.size, self._source.cname)
        _skip(response, start)
        return start, length, response.size

    def _give_up_or_wait(self, error: TransportError) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()
        if not error.retryable or not self._can_resume():
            raise error
        self._attempts.wait(error)

    def _can_resume(self) -> bool:
        if self._done == 0:
            return True
        # A selection is packed anew for each request: there are no positions to go on from.
        return self.size is not None and bool(self._validators)

    def _reopen(self) -> Response:
        """The answer for what is left.

        Raises:
            PreconditionFailedError: it would be of another content, or what is there now is shorter.
        """
        source, size = self._source, self.size
        headers = [h for h in source.headers if h[0].lower() != H.RANGE.lower()]
        etag = self._validators.get(H.ETAG.lower())
        if etag:
            headers.append((H.IF_MATCH, etag))
        start = self._start + self._done
        if size is not None and not (start == 0 and size == self._total) and not self._is_member():
            headers.append((H.RANGE, f"bytes={start}-{self._start + size - 1}"))
        try:
            response = source.request(tuple(headers), self._attempts)
        except (PreconditionFailedError, RangeNotSatisfiableError) as exc:
            raise self._changed() from exc
        except ObjectNotFoundError as exc:
            raise type(exc)(
                f"{exc.message} (removed while it was read, after {self._done} bytes)",
                hint=exc.hint,
            ) from exc
        try:
            self._check_same(response, start)
        except BaseException:
            response.close()
            raise
        return response

    def _is_member(self) -> bool:
        """A member is read from its beginning again: AIStore has no ranges of members."""
        return self._source.options.archpath is not None

    def _check_same(self, response: Response, start: int) -> None:
        if self._done and not _is_same(self._validators, _validators(response)):
            raise self._changed()
        if response.status == 206:
            at, length, total = _content_range(response)
            if (at, length, total) != (start, (self.size or 0) - self._done, self._total):
                raise _wrong_range(self._source, response)
            return
        if response.size != self._total:
            raise self._changed()
        _skip(response, start)

    def _changed(self) -> AisError:
        return PreconditionFailedError(
            f"{self._source.cname} was replaced while it was read, after {self._done} bytes",
            hint="read it again",
        )


def _first(source: Source, attempts: Attempts | None) -> Response:
    """The first answer; a server without ranges of members is asked for the whole member."""
    options = source.options
    try:
        return source.request(source.headers, attempts)
    except (UnsupportedError, RangeNotSatisfiableError) as exc:
        if options.archpath is None or options.byte_range is None:
            raise
        if isinstance(exc, RangeNotSatisfiableError) and "not supported" not in exc.message:
            raise
    whole = tuple(h for h in source.headers if h[0].lower() != H.RANGE.lower())
    return source.request(whole, attempts)


def _is_whole_answer(response: Response, options: GetOptions) -> bool:
    """True when the body is what was asked for, without anything to cut."""
    if options.byte_range is None:
        return True
    return (
        response.status == 206
        and options.byte_range.offset >= 0
        and _content_range(response)[0] == options.byte_range.offset
    )


def _check_bytes(source: Source, response: Response, data: bytes) -> None:
    options = source.options
    if options.byte_range is None and options.archpath is None and options.archregx is None:
        props = props_from_headers(source.name, response.headers.get, response.header_all)
        if props.checksum is not None:
            digest = digest_of(props.checksum.type)
            if digest is not None:
                digest.update(data)
                check_digest(props.checksum, digest.hexdigest(), source.cname)


def _validators(response: Response) -> dict[str, str]:
    """What tells one content of a name from another."""
    names = (H.ETAG, H.CHECKSUM_VALUE, H.VERSION, H.MTIME)
    found = {name.lower(): response.header(name) for name in names}
    return {name: value for name, value in found.items() if value}


def _is_same(before: dict[str, str], now: dict[str, str]) -> bool:
    """Whether two answers are of one content: by the ETag, and without it by all that both of them tell."""
    etag = H.ETAG.lower()
    if etag in before and etag in now:
        return before[etag] == now[etag]
    common = before.keys() & now.keys()
    return bool(common) and all(before[name] == now[name] for name in common)


def _content_range(response: Response) -> tuple[int, int, int | None]:
    try:
        return parse_content_range(response.header(H.CONTENT_RANGE) or "")
    except AisError as exc:
        raise MalformedAnswerError(f"malformed range from {response.url}: {exc.message}") from exc


def _wrong_range(source: Source, response: Response) -> ProtocolError:
    found = response.header(H.CONTENT_RANGE)
    return MalformedAnswerError(
        f"{response.url} gives {found!r} of {source.cname}, another range than asked"
    )


def _skip(response: Response, count: int) -> None:
    """Drop the begin of a body."""
    buffer = bytearray(min(count, BLOCK_SIZE))
    while count:
        step = response.readinto(memoryview(buffer)[: min(count, len(buffer))])
        if not step:
            raise ProtocolError(f"the answer of {response.url} ended early")
        count -= step
