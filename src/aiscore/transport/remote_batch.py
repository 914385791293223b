"""GetBatch over the network: one ordered archive, gone on with after a broken connection.

The answer is a tar in request order, so the number of members received says what is missing: after a break the
request is sent again with the entries that were not delivered whole. What was counted as soft error goes along, so
that a batch does not get a new budget by breaking. An entry that was handed out in part is compared, by a running
checksum, with what the second answer begins with: it goes on only if the content is still the same.

A server that fails in the middle of a streaming answer can only cut it. The request for the rest then fails at its
first entry, before any content, and so with its proper error.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from aiscore.errors import (
    AisError,
    RangeNotSatisfiableError,
    TransportError,
)
from aiscore.model.batch import MISSING_PREFIX, BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.transport.answer import MalformedAnswerError, Response
from aiscore.transport.body import BytesPayload
from aiscore.transport.retry import Attempts
from aiscore.transport.session import Call, Session, query_text
from aiscore.transport.tarstream import TarMember, TarStream
from aiscore.wire.batch import (
    boundary_of,
    decode_response,
    encode_request,
    member_name,
    split_multipart,
)
from aiscore.wire.buckets import bucket_query, object_path
from aiscore.wire.names import JSON_TYPE, H, Path, Q

__all__ = [
    "BatchAnswer",
    "BlockSource",
    "Delivery",
    "ask",
    "bucket_of_entry",
    "cut_here",
    "has_ranges",
    "match_member",
]


class BatchAnswer:
    """One answer to one request: results if they come first, and the bytes of the archive."""

    def __init__(self, response: Response, request: BatchRequest) -> None:
        """Read what comes before the archive.

        Raises:
            ProtocolError: the answer is of neither form.
        """
        self._response = response
        self.results: list[BatchResult] | None = None
        self.readinto: Callable[[memoryview], int] = response.readinto
        kind = (response.header(H.CONTENT_TYPE) or "").lower()
        try:
            if kind.startswith("multipart/"):
                boundary = boundary_of(response.header(H.CONTENT_TYPE) or "")
                metadata, blocks = split_multipart(response, boundary)
                _, self.results = decode_response(metadata, request)
                self.readinto = BlockSource(blocks).readinto
            elif not kind.startswith("application/"):
                raise MalformedAnswerError(f"{response.url} answers a batch with {kind!r}")
        except BaseException as exc:
            response.close()
            if isinstance(exc, AisError) and not isinstance(exc, TransportError):
                raise MalformedAnswerError(
                    f"malformed batch from {response.url}: {exc.message}"
                ) from exc
            raise

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._response.close()


def has_ranges(request: BatchRequest) -> bool:
    """True when an entry asks for part of its object or member: AIStore before 5.0 gives the whole instead."""
    return any(entry.start or entry.length for entry in request.entries)


def ask(
    session: Session, request: BatchRequest, attempts: Attempts, soft_errors: int
) -> BatchAnswer:
    """Send a request.

    Raises:
        AisError: the server refuses it, or fails before the first byte.
        TransportError: no answer came.
    """
    bucket = request.bucket
    path, query = Path.MOSS, dict[str, str]()
    if bucket is not None:
        path, query = f"{path}/{bucket.name}", bucket_query(bucket)
    headers = [(H.CONTENT_TYPE, JSON_TYPE)]
    if soft_errors:
        headers.append((H.SOFT_ERRORS, str(soft_errors)))
    payload = BytesPayload(encode_request(request))
    call = Call("GET", path + query_text(query), headers, payload)
    while True:
        response = session.open(call, attempts)
        try:
            return BatchAnswer(response, request)
        except TransportError as exc:
            attempts.wait(exc)


def _look_at(session: Session, request: BatchRequest, entry: BatchEntry) -> None:
    """Raise the error of an entry, if there is one."""
    bucket = bucket_of_entry(request, entry)
    query = bucket_query(bucket)
    if entry.archpath is not None:
        query[Q.ARCHPATH] = entry.archpath
    target = object_path(bucket, entry.name) + query_text(query)
    session.open(Call("HEAD" if entry.archpath is None else "GET", target)).close()


def bucket_of_entry(request: BatchRequest, entry: BatchEntry) -> BucketRef:
    """The bucket that an entry is read from; the server has refused requests without one."""
    bucket = entry.bucket or request.bucket
    if bucket is None:
        raise MalformedAnswerError(f'the batch was answered without a bucket for "{entry.name}"')
    return bucket


def cut_here(entry: BatchEntry, bucket: BucketRef, size: int) -> tuple[int, int]:
    """First byte and count of an entry's range, strictly inside of a member of `size` bytes.

    Raises:
        RangeNotSatisfiableError: it lies outside.
    """
    start, length = entry.start, entry.length
    if (start, length) == (0, 0):
        return 0, size
    if length == -1 and 0 <= start < size:
        return start, size - start
    if start < 0 or length < 1 or start + length > size:
        where = bucket.object_cname(entry.name) + (f"/{entry.archpath}" if entry.archpath else "")
        raise RangeNotSatisfiableError(
            f"not satisfiable range of {where}: start {start}, length {length}, the size is {size}"
        )
    return start, length


class Delivery:
    """The members of a batch in order, over as many answers as it takes."""

    def __init__(
        self, session: Session, request: BatchRequest, *, cuts_ranges: bool = False
    ) -> None:
        """Ask for the batch.

        Args:
            session: connections to the store.
            request: what is asked; its output format must be tar.
            cuts_ranges: ask for whole members and take the ranges out of them here, because the server would
                ignore the ranges.

        Raises:
            AisError: the server refuses it, or fails before the first byte.
        """
        self._session = session
        self._request = request
        self._cuts_ranges = cuts_ranges
        self._attempts = session.attempts()
        self._soft_errors = 0
        self._first = 0  # entry that the present answer begins with
        self._answer: BatchAnswer | None = None
        self._tar: TarStream | None = None
        self.position = 0  # entry that comes next
        self._is_closed = False
        self._ask()

    @property
    def results(self) -> list[BatchResult] | None:
        """Results of the present answer if they came before its content."""
        return None if self._answer is None else self._answer.results

    def next(self) -> tuple[BatchResult, TarMember, int] | None:
        """Result, member, and bytes of it that stand before the entry's content; None after the last entry.

        The content is read from `tar`; call `done` when it is delivered.

        Raises:
            AisError: the batch fails here.
        """
        entries = self._request.entries
        while True:
            if self.position == len(entries):
                self._end()
                return None
            try:
                member = self.tar.next()
                if member is None:
                    raise self._why_it_ended()
                return self._matched(entries[self.position], member)
            except TransportError as exc:
                self.broken(exc)

    def _why_it_ended(self) -> AisError:
        """AIStore ends a streaming batch at what it cannot read, and does not say why: ask for that alone."""
        entries = self._request.entries
        error: AisError = MalformedAnswerError(
            f"the batch from {self._session.endpoint.url} has {self.position} entries, "
            f"{len(entries)} were asked for"
        )
        self._drop()
        try:
            _look_at(self._session, self._request, entries[self.position])
        except AisError as exc:
            error = exc
        return error

    @property
    def tar(self) -> TarStream:
        """The archive; asked for anew after a break."""
        if self._tar is None:
            self._ask()
        assert self._tar is not None
        return self._tar

    def done(self, result: BatchResult) -> None:
        """The entry has been delivered: it will not be asked for again."""
        self.position += 1
        if result.error is not None:
            self._soft_errors += 1
        if self._attempts.failures:
            self._attempts.progressed()

    def broken(self, error: TransportError) -> None:
        """The connection broke: wait, so that the next access asks again.

        Raises:
            TransportError: `error`, when there is to be no next try.
        """
        self._drop()
        if not error.retryable or self._is_closed:
            raise error
        self._attempts.wait(error)

    def progressed(self) -> None:
        """Part of a large entry was delivered."""
        if self._attempts.failures:
            self._attempts.progressed()

    def close(self) -> None:
        """Let the connection go; safe to repeat."""
        self._is_closed = True
        self._drop()

    def _drop(self) -> None:
        answer, self._answer, self._tar = self._answer, None, None
        if answer is not None:
            answer.close()

    def _ask(self) -> None:
        rest = self._request
        if self.position:
            rest = replace(rest, entries=rest.entries[self.position :])
        if self._cuts_ranges:
            whole = [entry._replace(start=0, length=0) for entry in rest.entries]
            rest = replace(rest, entries=whole)
        self._first = self.position
        self._answer = ask(self._session, rest, self._attempts, self._soft_errors)
        self._tar = TarStream(self._answer.readinto, self._session.endpoint.url)

    def _end(self) -> None:
        """All entries are there: a break now costs nothing but the connection.

        Raises:
            ProtocolError: there are more.
        """
        tar = self._tar
        if tar is None:
            return
        try:
            extra = tar.next()
        except TransportError:
            extra = None
        self._drop()
        if extra is not None:
            raise MalformedAnswerError(
                f"the batch from {self._session.endpoint.url} has more than the "
                f"{len(self._request.entries)} entries that were asked for"
            )

    def _matched(self, entry: BatchEntry, member: TarMember) -> tuple[BatchResult, TarMember, int]:
        """The result of an entry, and where its content begins in the member."""
        request, told = self._request, self.results
        result = match_member(request, entry, member, self._session.endpoint.url)
        if result.error is not None:
            if told is not None:
                result = result._replace(
                    error=told[self.position - self._first].error or result.error
                )
            return result, member, 0
        if not self._cuts_ranges:
            return result, member, 0
        try:
            start, size = cut_here(entry, result.bucket, member.size)
        except RangeNotSatisfiableError as exc:
            if not request.cont_on_err:
                raise
            name = MISSING_PREFIX + result.member_name
            return BatchResult(entry, result.bucket, name, 0, exc.message), member, 0
        return result._replace(size=size), member, start


def match_member(
    request: BatchRequest, entry: BatchEntry, member: TarMember, url: str
) -> BatchResult:
    """The result of an entry for the member that stands in its place.

    Raises:
        ProtocolError: the member is another's.
    """
    bucket = bucket_of_entry(request, entry)
    plain = entry
    if entry.archpath is not None and entry.archpath[:1] == "/":
        plain = entry._replace(archpath=entry.archpath.lstrip("/"))
    name = member_name(plain, bucket, only_obj_name=request.only_obj_name)
    found = member.name.decode("utf-8", "surrogateescape")
    if found == name:
        return BatchResult(entry, bucket, name, member.size)
    # AIStore names the placeholder of a missing shard's member after the shard.
    shard = member_name(plain._replace(archpath=None), bucket, only_obj_name=request.only_obj_name)
    if found not in {MISSING_PREFIX + name, MISSING_PREFIX + shard} or member.size:
        raise MalformedAnswerError(
            f"the batch from {url} has {found[:200]!r} in the place of {name!r}"
        )
    return BatchResult(entry, bucket, found, 0, _missing(entry, bucket))


def _missing(entry: BatchEntry, bucket: BucketRef) -> str:
    """What a streaming answer, which has names only, tells of an entry that could not be read."""
    cname = bucket.object_cname(entry.name)
    if entry.archpath is not None:
        return f'"{entry.archpath}" of {cname} does not exist or cannot be read'
    return f"{cname} does not exist or cannot be read"


class BlockSource:
    """Blocks that somebody else makes, read into the reader's memory."""

    def __init__(self, blocks: Iterable[bytes | memoryview]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill as much as one block gives; 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
