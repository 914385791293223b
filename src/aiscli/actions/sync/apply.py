"""The steps of a sync, carried out: copies first, deletions last."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aiscli.actions.between.ferry import Ferry
from aiscli.actions.between.pick import End
from aiscli.actions.sync.plan import MARK, Step
from aiscli.actions.sync.tree import MTIME_KEY
from aiscli.actions.transfers.localfile import confine
from aiscli.actions.transfers.parallel import Pace
from aiscli.actions.transfers.report import reason_of
from aiscore.errors import AisError, InvalidArgumentError, ObjectNotFoundError
from aiscore.model.byterange import ByteRange
from aiscore.model.checksum import ChecksumType
from aiscore.model.objects import GetOptions, Precondition

if TYPE_CHECKING:
    from aiscli.actions.between.stores import Stores
    from aiscore.model.bucket import BucketRef
    from aiscore.transport.base import ObjectReader, Transport

__all__ = ["Attempt", "BucketSide", "DirectorySide", "Route", "make_route"]

_RACY_NS = 2_000_000_000
"""A file that was written less than this ago may be written again within the same tick of its clock
(FAT has the coarsest, two seconds): its time is not recorded, and its content is compared next time."""


@dataclass(frozen=True, slots=True)
class BucketSide:
    """A prefix of a bucket: "" or what ends with a slash."""

    bucket: BucketRef
    prefix: str

    def label(self, name: str) -> str:
        """The URI of a name below the prefix."""
        return self.bucket.object_cname(self.prefix + name)


@dataclass(frozen=True, slots=True)
class DirectorySide:
    """A directory of this machine."""

    root: str

    def label(self, name: str) -> str:
        """The path of a name below the directory."""
        return os.path.join(self.root, name)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a step; an `Outcome`."""

    step: Step
    action: str
    source: str
    destination: str
    status: str
    error: AisError | OSError | None = None

    @property
    def size(self) -> int:
        """Bytes that were copied."""
        return 0 if self.action == "delete" else self.step.size

    @property
    def is_skipped(self) -> bool:
        """True when only a time was recorded."""
        return self.step.kind == MARK

    @property
    def label(self) -> str:
        """What stderr calls it."""
        return self.source or self.destination

    def record(self) -> dict[str, object]:
        """Its line of the machine formats."""
        return {
            "action": self.action,
            "source": self.source,
            "destination": self.destination,
            "size": self.step.size,
            "reason": self.step.reason,
            "status": self.status,
            "error": None if self.error is None else reason_of(self.error),
        }


class Route(Protocol):
    """From one side to the other. Every method raises `AisError` or `OSError` and changes nothing then."""

    def copy(self, step: Step) -> None:
        """Bring a name to the target."""
        ...

    def mark(self, step: Step) -> None:
        """Record that both sides have the same content."""
        ...

    def delete(self, step: Step) -> None:
        """Remove a name from the target, if it still is what the plan saw."""
        ...


def make_route(
    stores: Stores,
    source: BucketSide | DirectorySide,
    target: BucketSide | DirectorySide,
    pace: Pace,
) -> Route:
    """The way between two sides, of which one at least is a bucket."""
    if isinstance(target, DirectorySide):
        assert isinstance(source, BucketSide)
        return _Down(stores.source, source, target, pace)
    if isinstance(source, DirectorySide):
        return _Up(stores.target, source, target, pace)
    return _Across(stores, source, target, pace)


class _ToBucket:
    """What the two ways into a bucket share."""

    def __init__(self, transport: Transport, target: BucketSide) -> None:
        self._transport = transport
        self._target = target

    def delete(self, step: Step) -> None:
        """Remove an object that has not been replaced since."""
        name = self._target.prefix + step.name
        unchanged = Precondition(if_etag=step.etag) if step.etag else None
        with contextlib.suppress(ObjectNotFoundError):
            self._transport.delete(self._target.bucket, name, unchanged)


class _Up(_ToBucket):
    """A directory to a bucket."""

    def __init__(
        self, transport: Transport, source: DirectorySide, target: BucketSide, pace: Pace
    ) -> None:
        super().__init__(transport, target)
        self._source = source
        self._pace = pace
        kind = ChecksumType(transport.head_bucket(target.bucket).checksum.type)
        self._has_checksums = kind is not ChecksumType.NONE

    def copy(self, step: Step) -> None:
        """Send a file."""
        from aiscli.actions.transfers.upload import Upload, upload

        path = self._source.label(step.name)
        # Of the file as it is now: it may have changed since the plan, which is no harm.
        mtime_ns = os.stat(path).st_mtime_ns
        custom = {MTIME_KEY: str(mtime_ns)} if self._is_settled(mtime_ns) else {}
        how = Upload(custom=custom, on_block=self._pace.check, mtime_ns=mtime_ns)
        name = self._target.prefix + step.name
        upload(self._transport, self._target.bucket, name, path, how)

    def mark(self, step: Step) -> None:
        """Record the time of the file with the object."""
        if not self._is_settled(step.mtime_ns):
            return
        bucket, name = self._target.bucket, self._target.prefix + step.name
        if self._transport.head(bucket, name).etag == step.etag:
            self._transport.set_custom(bucket, name, {MTIME_KEY: str(step.mtime_ns)})

    def _is_settled(self, mtime_ns: int) -> bool:
        return not self._has_checksums or time.time_ns() - mtime_ns > _RACY_NS


class _Across(_ToBucket):
    """A bucket to a bucket, within a store or of another."""

    def __init__(self, stores: Stores, source: BucketSide, target: BucketSide, pace: Pace) -> None:
        super().__init__(stores.target, target)
        self._source = source
        ends = (End(stores.source, source.bucket), End(stores.target, target.bucket))
        self._ferry = Ferry(*ends, pace.check)

    def copy(self, step: Step) -> None:
        """Copy an object."""
        self._ferry.copy(self._source.prefix + step.name, self._target.prefix + step.name)

    def mark(self, step: Step) -> None:
        """Nothing: checksums tell."""


class _Down:
    """A bucket to a directory."""

    def __init__(
        self, transport: Transport, source: BucketSide, target: DirectorySide, pace: Pace
    ) -> None:
        self._transport = transport
        self._source = source
        self._root = target.root
        self._pace = pace
        self._checked = ""

    def copy(self, step: Step) -> None:
        """Fetch an object."""
        from aiscli.actions.transfers.download import Saving, save

        path = self._path(step.name)
        self._make_parents(step.name)
        bucket, name = self._source.bucket, self._source.prefix + step.name

        def reopen(offset: int) -> ObjectReader:
            rest = ByteRange(offset=offset) if offset else None
            return self._transport.open(bucket, name, GetOptions(byte_range=rest))

        with self._transport.open(bucket, name) as reader:
            recorded = reader.props.custom.get(MTIME_KEY, "")
            mtime_ns = int(recorded) if recorded.isdigit() else reader.props.mtime_ns
            saving = Saving(
                cname=bucket.object_cname(name),
                reopen=reopen,
                mtime_ns=mtime_ns or step.mtime_ns,
                on_block=lambda count: self._pace.check(),
                follow=False,
            )
            save(reader, path, saving)

    def mark(self, step: Step) -> None:
        """Give the file the time of the object."""
        path = self._path(step.name)
        if os.stat(path).st_size == step.size:
            os.utime(path, ns=(step.mtime_ns, step.mtime_ns))

    def delete(self, step: Step) -> None:
        """Remove a file that has not changed since, and directories that become empty by that."""
        path = self._path(step.name)
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            if (found.st_size, found.st_mtime_ns) != (step.size, step.mtime_ns):
                raise InvalidArgumentError(f'"{path}" has changed since it was looked at: kept')
            os.unlink(path)
        parent = os.path.dirname(step.name)
        while parent:
            try:
                os.rmdir(self._path(parent))
            except OSError:
                return
            parent = os.path.dirname(parent)

    def _path(self, name: str) -> str:
        path = confine(self._root, name)
        if path is None:
            raise InvalidArgumentError(f'"{name}" is no file name below "{self._root}"')
        return path

    def _make_parents(self, name: str) -> None:
        """Make the directories on the way, and pass through no symbolic link: it could lead out."""
        directory = name.rpartition("/")[0]
        if directory == self._checked and directory:
            return
        os.makedirs(self._root, exist_ok=True)
        path = self._root
        for part in directory.split("/") if directory else ():
            path = os.path.join(path, part)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                raise InvalidArgumentError(
                    f'"{path}" is a symbolic link: not followed, files would be written elsewhere'
                )
            if not stat.S_ISDIR(mode):
                raise InvalidArgumentError(
                    f'"{path}" is a file, "{name}" needs a directory there',
                    hint="remove or rename the file",
                )
        self._checked = directory
