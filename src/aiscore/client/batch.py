"""GetBatch for Python: a list of entries, and what came of them.

Building a batch runs in the training loop, so entries are named tuples and nothing else happens to
them here: names are checked where the batch is planned. `MossReq` is made when somebody asks for
it, `MossOut` once a result.
"""

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar, overload

from aiscore.client.errors import EmptyBatchError, UsageError
from aiscore.client.moss import MossIn, MossOut, MossReq
from aiscore.client.object import Object
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.batch import BatchEntry, BatchRequest, BatchResult
from aiscore.model.bucket import BucketRef
from aiscore.model.stream import ByteReader

if TYPE_CHECKING:
    from aiscore.client.bucket import Bucket
    from aiscore.client.client import Client
    from aiscore.transport.base import ArchiveStream, BatchStream

__all__ = ["ArchiveReader", "Batch", "BatchResults"]

Content = TypeVar("Content")

# A named tuple made by its own class runs a Python function; this does not, and halves the time.
_new_entry: Callable[[tuple[object, ...]], BatchEntry] = partial(tuple.__new__, BatchEntry)


class BatchResults(Generic[Content]):
    """Results of one batch in request order: iterate once over (`MossOut`, content).

    Leaving early needs `close` or `with` only to free the store's files at once.
    """

    def __init__(self, stream: "BatchStream", pairs: Iterable[tuple[BatchResult, Content]]) -> None:
        self._stream = stream
        self._results = _describe(stream, pairs)

    def __iter__(self) -> Iterator[tuple[MossOut, Content]]:
        return self._results  # the generator itself: no Python frame of ours a step

    def __next__(self) -> tuple[MossOut, Content]:
        return next(self._results)

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        self._results.close()
        self._stream.close()  # a generator that never started has no frame to close it from

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ArchiveReader(io.RawIOBase):
    """The archive of one batch as a raw, read-only file; good for `tarfile.open(mode="r|")`."""

    def __init__(self, stream: "ArchiveStream") -> None:
        super().__init__()
        self._stream = stream
        self._blocks = iter(stream)
        self._block = memoryview(b"")

    @property
    def results(self) -> list[MossOut]:
        """What came of the entries so far; of all of them once the file was read to its end."""
        return [MossOut.from_result(result) for result in self._stream.results]

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill as much of `buffer` as one step gives; 0 at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._block = block
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def close(self) -> None:
        """Release what the batch holds; safe to repeat."""
        if not self.closed:
            self._block = memoryview(b"")
            self._stream.close()
        super().close()


class Batch:
    """Many objects, members of shards or ranges of either, fetched in one request and in order.

    Iterating over the batch is `get()`: it executes the request and, like it, empties the batch.

    Args:
        client: the store.
        objects: the first entries: a name, an object, or several of them.
        bucket: of entries that are given as names.
        output_format: format of the archive that `get(raw=True)` gives.
        cont_on_err: go on when an entry cannot be read.
        only_obj_name: member names of the archive without the bucket.
        streaming_get: hand out entries while others are still read.

    Raises:
        UsageError: the format is unknown, or a name has no bucket.
    """

    def __init__(
        self,
        client: "Client",
        objects: Object | str | Iterable[Object | str] | None = None,
        bucket: "Bucket | None" = None,
        output_format: str = ".tar",
        cont_on_err: bool = True,
        only_obj_name: bool = False,
        streaming_get: bool = True,
    ) -> None:
        try:
            self._format = ArchiveFormat.parse(output_format)
        except InvalidArgumentError as exc:
            raise UsageError(exc.message, hint=exc.hint) from exc
        self._client = client
        self._bucket = bucket
        self._cont_on_err = cont_on_err
        self._only_obj_name = only_obj_name
        self._streaming = streaming_get
        self._entries: list[BatchEntry] = []
        if isinstance(objects, str | Object):
            self.add(objects)
        elif objects is not None:
            self.add_many(objects)

    @property
    def bucket(self) -> "Bucket | None":
        """Bucket of entries that are given as names."""
        return self._bucket

    @property
    def request(self) -> MossReq:
        """The batch as a message; made anew each time, changing it does not change the batch."""
        return MossReq.model_validate(
            {
                "in": self.requests_list,
                "mime": self._format.value,
                "coer": self._cont_on_err,
                "onob": self._only_obj_name,
                "strm": self._streaming,
            }
        )

    @property
    def requests_list(self) -> list[MossIn]:
        """The entries as messages; made anew each time."""
        ref = self._bucket.ref if self._bucket else None
        return [MossIn.from_entry(entry, ref) for entry in self._entries]

    def add(
        self,
        obj: Object | str,
        opaque: bytes | None = None,
        archpath: str | None = None,
        start: int | None = None,
        length: int | None = None,
    ) -> Self:
        """Add one entry; returns the batch.

        Args:
            obj: an object, or the name of one in the batch's bucket.
            opaque: bytes of your own, given back with the result.
            archpath: member of the shard `obj`.
            start: first byte of the object or member.
            length: bytes from `start`; -1 is up to the end. A range that leaves the content is an
                error of the entry.

        Raises:
            UsageError: a name without bucket, or no valid range.
        """
        name, ref = self._identify(obj)
        if start or length:
            _check_range(start or 0, length or 0)
        self._entries.append(
            BatchEntry(name, ref, archpath or None, opaque, start or 0, length or 0)
        )
        return self

    def add_many(
        self,
        objects: Object | str | Iterable[Object | str],
        *,
        archpaths: Iterable[str | None] | None = None,
        opaques: Iterable[bytes | None] | None = None,
        starts: Iterable[int] | None = None,
        lengths: Iterable[int] | None = None,
    ) -> Self:
        """Add entries, at a small part of the cost of `add` for each; returns the batch.

        Args:
            objects: names or objects; a single one stands for as many entries as the other
                arguments have.
            archpaths: a member for each; None is the object itself.
            opaques: bytes of your own for each.
            starts: first byte of each.
            lengths: bytes of each, as in `add`.

        Raises:
            UsageError: as `add`, or the arguments differ in length; nothing was added then.
        """
        members = None if archpaths is None else list(archpaths)
        tags = None if opaques is None else list(opaques)
        firsts = None if starts is None else list(starts)
        counts = None if lengths is None else list(lengths)
        given = {len(column) for column in (members, tags, firsts, counts) if column is not None}
        if isinstance(objects, str | Object):
            items: Sequence[Object | str] = [objects] * max(given, default=1)
        else:
            items = objects if isinstance(objects, list | tuple) else list(objects)
        if given - {len(items)}:
            raise UsageError(f"expected {len(items)} values, one an object, in each argument")
        names, refs = self._identify_all(items)
        if firsts or counts:
            for start, length in zip(firsts or repeat(0), counts or repeat(0), strict=False):
                _check_range(start, length)
        rows = zip(
            names,
            refs,
            members or repeat(None),
            tags or repeat(None),
            firsts or repeat(0),
            counts or repeat(0),
            strict=False,  # some of them have no end
        )
        self._entries += map(_new_entry, rows)
        return self

    def clear(self) -> Self:
        """Remove all entries; returns the batch."""
        self._entries = []
        return self

    @overload
    def get(
        self,
        raw: Literal[False] = False,
        decode_as_stream: Literal[False] = False,
        clear_batch: bool = True,
    ) -> BatchResults[bytes]: ...

    @overload
    def get(
        self,
        raw: Literal[False] = False,
        *,
        decode_as_stream: Literal[True],
        clear_batch: bool = True,
    ) -> BatchResults[ByteReader]: ...

    @overload
    def get(
        self, raw: Literal[True], decode_as_stream: bool = False, clear_batch: bool = True
    ) -> ArchiveReader: ...

    def get(
        self, raw: bool = False, decode_as_stream: bool = False, clear_batch: bool = True
    ) -> "BatchResults[bytes] | BatchResults[ByteReader] | ArchiveReader":
        """Execute the request.

        Args:
            raw: give the archive as a file; close it.
            decode_as_stream: give a reader instead of bytes with each result, valid until the next
                one.
            clear_batch: remove the entries once the request was taken.

        Returns:
            Results in request order. An entry that could not be read has `err_msg` and no content,
            where the batch goes on after errors; an empty object has no `err_msg`.

        Raises:
            EmptyBatchError: nothing was added.
            BucketNotFoundError: a bucket does not exist; here or at the first result.
            BatchAbortedError: too many entries could not be read; while iterating.
            AisError: an entry could not be read, and the batch does not go on after errors; while
                iterating.
        """
        if not self._entries:
            raise EmptyBatchError("no objects in the batch", hint="add some: batch.add(NAME)")
        request = BatchRequest(
            entries=self._entries if clear_batch else self._entries.copy(),
            bucket=self._bucket.ref if self._bucket else None,
            output_format=self._format,
            cont_on_err=self._cont_on_err,
            only_obj_name=self._only_obj_name,
            streaming=self._streaming,
        )
        transport = self._client.transport
        results: BatchResults[bytes] | BatchResults[ByteReader] | ArchiveReader
        if raw:
            results = ArchiveReader(transport.get_batch_archive(request))
        else:
            stream = transport.get_batch(request)
            results = (
                BatchResults(stream, stream.streams())
                if decode_as_stream
                else BatchResults(stream, stream)
            )
        if clear_batch:
            self.clear()  # a new list: the request keeps the old one
        return results

    def __iter__(self) -> Iterator[tuple[MossOut, bytes]]:
        return iter(self.get())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Batch(objects={len(self._entries)}, format={self._format.value!r})"

    def _identify(self, obj: Object | str) -> tuple[str, BucketRef | None]:
        """Name and bucket of an entry; None is the request's bucket."""
        if isinstance(obj, Object):
            return obj.name, obj.bucket_ref
        if not isinstance(obj, str):
            raise UsageError(f"expected an object or its name, found {type(obj).__name__}")
        if self._bucket is None:
            raise UsageError(
                f'no bucket for "{obj}": pass bucket=client.bucket(NAME) to client.batch(), '
                "or add bucket.object(NAME)"
            )
        return obj, None

    def _identify_all(
        self, items: Sequence[Object | str]
    ) -> tuple[Sequence[str], Iterable[BucketRef | None]]:
        if self._bucket is not None and set(map(type, items)) <= {str}:
            return items, repeat(None)  # type: ignore[return-value]  # they are all str
        pairs = [self._identify(item) for item in items]
        return [name for name, _ in pairs], [ref for _, ref in pairs]


def _describe(
    stream: "BatchStream", pairs: Iterable[tuple[BatchResult, Content]]
) -> Generator[tuple[MossOut, Content], None, None]:
    describe = MossOut.from_result
    with stream:
        for result, content in pairs:
            yield describe(result), content


def _check_range(start: int, length: int) -> None:
    """The rules of the wire; whether the range lies in the content is seen when it is read."""
    if start < 0:
        raise UsageError(f"invalid range start {start}: expected 0 or more")
    if length < -1:
        raise UsageError(
            f"invalid range length {length}: expected 1 or more, or -1 for up to the end"
        )
    if start and not length:
        raise UsageError(f"a range from {start} needs a length", hint="-1 is up to the end")
