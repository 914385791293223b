"""The checksum that the user says a file has."""

import os

from aiscli.actions.transfers.hashing import hash_file
from aiscore.errors import ChecksumMismatchError, InvalidArgumentError
from aiscore.model.checksum import Checksum, ChecksumType

__all__ = ["read_expected"]


def read_expected(kind: str, value: str, path: str) -> Checksum:
    """Read a checksum given for the file at `path`.

    Raises:
        ChecksumMismatchError: `value` cannot be a checksum of this kind, so it is not that of the
            file either; the message has the one that is.
        InvalidArgumentError: the same, and there is no file to tell what it should have been.
    """
    try:
        return Checksum.parse(kind, value)
    except InvalidArgumentError:
        if not os.path.isfile(path):
            raise
        found = hash_file(path, ChecksumType(kind))
        raise ChecksumMismatchError(
            f"BAD DATA CHECKSUM: {kind}({value} != {found.value})"
        ) from None
