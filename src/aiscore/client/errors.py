"""Mistakes in calling the Python API.

AIStore's SDK answers them with a bare `ValueError`, and programs written for it catch that; the
rest of this package promises that whatever it raises is an `AisError`. These classes are both, so
either `except` works.
"""

from aiscore.errors import InvalidArgumentError

__all__ = ["EmptyBatchError", "UsageError"]


class UsageError(InvalidArgumentError, ValueError):
    """An argument of a client method is wrong; nothing was sent to the store."""


class EmptyBatchError(UsageError):
    """A batch was executed before anything was added to it."""
