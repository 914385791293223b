"""What each worker does next: a pure function of the parameters, the names, and how far the worker has come.

Every decision (kind, sub-kind, size, name, offset) draws from a stream of its own, keyed by seed, loader and worker and
counted by the worker's operations, so a change of one percentage changes nothing else. Decisions are drawn in blocks by
numpy; `next` only picks them up. Nothing here does I/O or knows the time.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from aiscore.errors import InvalidArgumentError
from aisloader.namegetter import choose, open_names, open_order
from aisloader.newnames import NewNames
from aisloader.params.workload import encode_picks
from aisloader.payload.sizes import SizeDrawer
from aisloader.streams import Stream

if TYPE_CHECKING:
    from aisloader.names import NameSource
    from aisloader.params import Params

__all__ = ["OWN_NAMES_MAX", "Op", "OpKind", "Plan", "WorkerPlan"]

BLOCK = 1024
"""Operations that are decided at once."""
NAMES_BLOCK = 128
OWN_NAMES_MAX = 1 << 20
"""New names that all workers remember for their own reads, some 100 bytes each; later ones replace the oldest."""
OWN_NAMES_MIN = 1024
"""Of them for each worker, however many workers there are."""

_KIND, _SUBKIND, _UPDATE, _SIZE, _KEY, _OFFSET = range(1, 7)


class OpKind(IntEnum):
    """What one operation is."""

    PUT = 0
    """Write `size` bytes as `name`."""
    MULTIPART = 1
    """The same in `params.multipart.chunks` parts; see `payload.part_bounds`."""
    SHARD = 2
    """Write an archive as `name`; `size` is what its members may hold; see `payload.build_shard`."""
    GET = 3
    """Read `name` (or its member `archpath`), all of it or `length` bytes from `offset`."""
    UPDATE = 4
    """GET, then PUT of the same name and the size that was read."""
    BATCH = 5
    """GetBatch of `names`."""
    STREAM = 6
    """Read `name` by parallel ranges."""

    @property
    def writes_new(self) -> bool:
        """True for what creates a new name: what `-maxputs` and `-totalputsize` count."""
        return self <= OpKind.SHARD


class Op(NamedTuple):
    """One operation.

    Attributes:
        kind: what to do.
        name: object name; "" for a batch.
        size: bytes to write; for reads the size that the listing gave, -1 when unknown.
        offset: first byte of a range read.
        length: bytes of a range read; 0 reads everything.
        archpath: member to read; "" reads the object.
        names: entries of a batch as (object name, archpath), in request order.
        seq: number of the operation within its worker, from 0.
        key: 64 random bits of this operation: seeds its content, so that no two are alike.
    """

    kind: OpKind
    name: str
    size: int
    offset: int
    length: int
    archpath: str
    names: tuple[tuple[str, str], ...]
    seq: int
    key: int


class Plan:
    """The plan of a run. Picklable when `names` is: every worker process has its own copy.

    Args:
        params: what to do.
        names: what there is to read; None for a run that only writes.

    Raises:
        InvalidArgumentError: there are too few names for what is asked.
    """

    def __init__(self, params: "Params", names: "NameSource | None" = None) -> None:
        self.params = params
        self.names = names
        self.count = len(names) if names is not None else 0
        if not params.workload.is_write_only:
            _check_count(params, self.count)
        if params.read.read_random and names is not None and self.count and names.size(0) < 0:
            raise InvalidArgumentError(
                "-readrandom needs the sizes of objects, and the list of names has none",
                hint="add them in the third column, or let the bucket be listed",
            )

    @property
    def getter(self) -> str:
        """The name getter in use, as `-name-getter` spells it."""
        return choose(self.params, self.count)

    @property
    def getter_label(self) -> str:
        """What the run's configuration shows for it."""
        order = open_order(self.params, self.count)
        return "random non-unique" if order is None else order.label

    def resume_flags(self, picks: Sequence[int]) -> str:
        """The flags with which another run goes on after this one; "" when there is nothing to go on with.

        Args:
            picks: made by each worker.
        """
        workload = self.params.workload
        is_done = sum(picks) >= workload.epochs * self.count
        if not workload.epochs or not workload.is_read_only or is_done or not any(picks):
            return ""
        return f"-seed={workload.seed} -resume={encode_picks(picks)}"

    def worker(self, index: int, *, start: int = 0) -> "WorkerPlan":
        """The operations of worker `index` (0..numworkers-1), from its operation `start` on."""
        made = WorkerPlan(self.params, self.names, self.count, index)
        if picks := self.params.workload.resumed_picks:
            made.resume(picks[index])
        if start:
            made.skip(start)
        return made


class WorkerPlan:
    """One worker's operations, in order. Not for several threads at once.

    Attributes:
        seq: operations given out so far.
    """

    def __init__(
        self, params: "Params", names: "NameSource | None", count: int, index: int
    ) -> None:
        workload = params.workload
        key = (workload.seed, params.loader.stream_key, index)
        self._params = params
        self._source = names
        self._count = count
        self._streams = {
            kind: Stream(*key, kind) for kind in (_KIND, _SUBKIND, _UPDATE, _KEY, _OFFSET)
        }
        self._sizes = SizeDrawer(params.size_cksum, *key, _SIZE)
        self._getter = open_names(params, count, index, workload.numworkers)
        self._new_names = NewNames(params, index)
        self._own: list[str] = []
        self._own_added = 0
        self._own_max = max(OWN_NAMES_MIN, OWN_NAMES_MAX // workload.numworkers)
        self._extension = params.arch.extension
        self._read = params.read
        self._keeps_own = workload.pctput > 0 and not workload.is_write_only
        self.seq = 0
        self._serial = 0
        self._block_start = self._block_end = 0
        self._kinds: list[int] = []
        self._block_sizes: list[int] = []
        self._keys: list[int] = []
        self._offsets: list[int] = []
        self._names: list[str] = []
        self._names_start = 0

    @property
    def picks(self) -> int:
        """Names picked for reading so far; `namegetter.coverage` takes it."""
        return self._getter.picks

    def next(self) -> Op | None:
        """The next operation; None when this worker's share of the epochs is done."""
        if self.seq == self._block_end:
            self._decide(self.seq)
        at = self.seq - self._block_start
        kind = self._kinds[at]
        if kind <= OpKind.SHARD:
            op: Op | None = self._put(_KINDS[kind], at)
        elif kind == OpKind.BATCH:
            op = self._batch(at)
        else:
            op = self._get(_KINDS[kind], at)
        self.seq += 1
        return op

    def added(self, op: Op) -> None:
        """Tell that a new name exists: later reads of this worker may pick it.

        Shards are left out where members are read: their members are known to nobody but the listing.
        """
        if not self._keeps_own or self._params.arch.reads_members:
            return
        if len(self._own) < self._own_max:
            self._own.append(op.name)
            self._getter.add()
        else:
            self._own[self._own_added % self._own_max] = op.name
        self._own_added += 1

    def resume(self, picks: int) -> None:
        """Go on as after `picks` picks, in a run that only reads."""
        self.seq = self._getter.seek(picks)
        self._decide(self.seq)

    def skip(self, count: int) -> None:
        """Go on as after `count` more operations, none of which failed."""
        if self._params.workload.is_read_only and not self._read.get_batchsize:
            self.seq += count
            self._getter.seek(self._getter.picks + count)
            self._decide(self.seq)
        elif self._params.workload.is_write_only:
            self.seq += count
            self._serial += count
            self._decide(self.seq)
        else:
            for _ in range(count):
                op = self.next()
                if op is None:
                    return
                if op.kind <= OpKind.SHARD:
                    self.added(op)

    def _put(self, kind: OpKind, at: int) -> Op:
        serial = self._serial
        self._serial = serial + 1
        place = serial - self._names_start
        if not 0 <= place < len(self._names):
            self._names = self._new_names.block(serial, NAMES_BLOCK)
            self._names_start, place = serial, 0
        name = self._names[place]
        if kind is OpKind.SHARD:
            name += self._extension
        return Op(kind, name, self._block_sizes[at], 0, 0, "", (), self.seq, self._keys[at])

    def _get(self, kind: OpKind, at: int) -> Op | None:
        index = self._getter.pick()
        if index < 0:
            return self._put(OpKind.PUT, at) if not self._count and self._keeps_own else None
        name, archpath = self._entry(index)
        size = -1
        if index < self._count and self._source is not None:
            size = self._source.size(index)
        offset, length = self._read.readoff, self._read.readlen
        if self._offsets and size >= 0:
            offset, length = self._place(at, size)
        return Op(kind, name, size, offset, length, archpath, (), self.seq, self._keys[at])

    def _batch(self, at: int) -> Op | None:
        indices = self._getter.batch()
        if not indices:
            return self._put(OpKind.PUT, at) if not self._count and self._keeps_own else None
        entries = tuple([self._entry(index) for index in indices])
        return Op(OpKind.BATCH, "", -1, 0, 0, "", entries, self.seq, self._keys[at])

    def _entry(self, index: int) -> tuple[str, str]:
        if index < self._count and self._source is not None:
            return self._source.entry(index)
        return self._own[index - self._count], ""

    def _place(self, at: int, size: int) -> tuple[int, int]:
        """A range of the wanted length somewhere in an object of `size` bytes, aligned."""
        length = min(self._read.readlen, size)
        slots = (size - length) // self._read.read_align + 1
        return (self._offsets[at] * slots >> 64) * self._read.read_align, length

    def _decide(self, start: int) -> None:
        """Draw the decisions of the operations from `start` on."""
        self._block_start, self._block_end = start, start + BLOCK
        self._kinds = self._draw_kinds(start).tolist()
        self._keys = self._streams[_KEY].bits(start, BLOCK).tolist()
        if self._params.workload.pctput or not self._count:
            self._block_sizes = self._sizes.block(start, BLOCK)
        if self._read.read_random:
            self._offsets = self._streams[_OFFSET].bits(start, BLOCK).tolist()

    def _draw_kinds(self, start: int) -> npt.NDArray[np.int64]:
        params = self._params
        is_put = self._streams[_KIND].below(100, start, BLOCK) < params.workload.pctput
        share = self._streams[_SUBKIND].below(100, start, BLOCK)
        puts = np.full(BLOCK, OpKind.PUT, dtype=np.int64)
        if params.arch.pct:
            puts[share < params.arch.pct] = OpKind.SHARD
        if params.multipart.chunks:
            puts[share < params.multipart.pct] = OpKind.MULTIPART
        if params.read.get_batchsize:
            gets = np.full(BLOCK, OpKind.BATCH, dtype=np.int64)
        else:
            gets = np.full(BLOCK, OpKind.GET, dtype=np.int64)
            is_update = self._streams[_UPDATE].below(100, start, BLOCK) < params.workload.pctupdate
            gets[is_update] = OpKind.UPDATE
            gets[share < params.multipart.stream_pct] = OpKind.STREAM
        return np.where(is_put, puts, gets)


_KINDS = tuple(OpKind)


def _check_count(params: "Params", count: int) -> None:
    """There must be names for what is asked; messages name the bucket."""
    bucket, batch = params.bucket.ref, params.read.get_batchsize
    where = (
        f'{bucket} with prefix "{params.naming.subdir}"' if params.naming.subdir else f"{bucket}"
    )
    if not count and params.workload.is_read_only:
        raise InvalidArgumentError(
            f"nothing to read: {where} has no objects", hint="fill it first: -pctput=100"
        )
    if count < 2 and params.workload.epochs:
        raise InvalidArgumentError(
            f"{where} has {count} object{'' if count == 1 else 's'}, and -epochs needs 2 or more",
            hint="fill it first: -pctput=100",
        )
    if batch > count:
        raise InvalidArgumentError(
            f"-get-batchsize {batch} is more than the {count} names of {where}"
        )
