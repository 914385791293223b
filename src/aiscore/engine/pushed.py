"""A body on its way in, pushed block by block: what the writers of an object and of a part have in common."""

from typing import Generic, Self, TypeVar

from aiscore.engine.lanes import Update
from aiscore.engine.write import ContentWriter
from aiscore.errors import InvalidArgumentError

__all__ = ["PushedBody"]

R = TypeVar("R")


class PushedBody(Generic[R]):
    """Takes a body and commits it whole, or leaves nothing. A context manager, which aborts what was not committed.

    Spent after a commit, after `abort`, and after any error of `write` or of the commit. A subclass gives `_record`,
    which makes the finished content visible.
    """

    def __init__(
        self, what: str, content: ContentWriter, announced: int | None, *, sync: bool
    ) -> None:
        """`what` names it in errors; `announced` is the size that the body must have, None when any will do."""
        self.what = what
        self._content = content
        self._announced = announced
        self._sync = sync
        self._is_open = True

    @property
    def is_durable(self) -> bool:
        """True when the commit waits for the disk."""
        return self._sync

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._content.size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take one block; it may be changed when this returns, unless it is `bytes`.

        Raises:
            InvalidArgumentError: the body is longer than announced, or than it may be; or the writer is spent.
            CapacityExceededError: no space.
            StorageError: the disk refused.
        """
        self._check_open()
        try:
            self._check_size(self._content.size + len(data))
            self._content.write(data)
        except BaseException:
            self.abort()
            raise

    def watch(self, update: Update, *, is_slow: bool) -> None:
        """Feed the body to `update` as well, for a digest that is somebody else's; before the first block.

        A slow one runs in another thread: what it gives is complete after `drain`.
        """
        self._content.watch(update, is_slow=is_slow)

    @property
    def is_behind(self) -> bool:
        """True when the next `write` may have to wait for hashing, and an event loop should let `catch_up` do so."""
        return self._content.is_behind

    def catch_up(self) -> None:
        """Until hashing is not far behind writing."""
        self._content.catch_up()

    def drain(self) -> None:
        """Until all that was written has been hashed."""
        self._content.drain()

    def abort(self) -> None:
        """Remove what was written; safe to repeat, and after the commit."""
        if self._is_open:
            self._is_open = False
            self._content.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()

    def _settle(self) -> R:
        """The commit: the size is checked, and what `_record` gives is the result; on an error nothing stays."""
        self._check_open()
        try:
            announced = self._announced
            if announced is not None and self._content.size != announced:
                raise InvalidArgumentError(
                    f"the body of {self.what} has {self._content.size} bytes, {announced} were announced"
                )
            result = self._record()
        except BaseException:
            self.abort()
            raise
        self._is_open = False
        return result

    def _record(self) -> R:
        raise NotImplementedError

    def _check_size(self, size: int) -> None:
        if self._announced is not None and size > self._announced:
            raise InvalidArgumentError(
                f"the body of {self.what} is longer than the {self._announced} bytes that were announced"
            )

    def _check_open(self) -> None:
        if not self._is_open:
            raise InvalidArgumentError(f"the writer of {self.what} is spent")
