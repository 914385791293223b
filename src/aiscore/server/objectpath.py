"""What a path below `/v1/objects` names."""

from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.server.http import Request
from aiscore.wire.buckets import bucket_of
from aiscore.wire.names import Path

__all__ = ["bucket_and_rest", "object_of"]

_ROOT = f"{Path.OBJECTS}/"


def object_of(request: Request) -> tuple[BucketRef, str]:
    """Bucket and object name of a request.

    Raises:
        InvalidArgumentError: one of them is missing or invalid.
    """
    path = request.path
    if path.startswith(_ROOT):
        start = len(_ROOT)
        middle = path.find("/", start)
        # No slash too many, as nearly always.
        if start < middle < len(path) - 1 and path[middle + 1] != "/":
            return bucket_of(path[start:middle], request.query), path[middle + 1 :]
    bucket, name = bucket_and_rest(request)
    if not name:
        raise InvalidArgumentError(
            f"missing object name in the URL path {request.raw_path[:200]}",
            hint=f"expected {Path.OBJECTS}/BUCKET/OBJECT",
        )
    return bucket, name


def bucket_and_rest(request: Request, root: str = _ROOT) -> tuple[BucketRef, str]:
    """The bucket, and what follows it, which may be nothing.

    Slashes before either are ignored, as AIStore has it; those inside of an object's name are part of it.
    """
    path = request.path
    rest = path[len(root) :] if path.startswith(root) else _below(path, root)
    name, _, rest = rest.lstrip("/").partition("/")
    if not name:
        raise InvalidArgumentError(
            f"missing bucket name in the URL path {request.raw_path[:200]}",
            hint=f"expected {root}BUCKET",
        )
    return bucket_of(name, request.query), rest.lstrip("/")


def _below(path: str, root: str) -> str:
    """What is left of a path with doubled slashes in its first words."""
    for word in root.strip("/").split("/"):
        path = path.lstrip("/").removeprefix(word)
    return path
