"""Promotion: files of the host become objects."""

import os
import stat
from collections.abc import Iterable, Iterator

from aiscore.engine.core import Core
from aiscore.engine.fileio import storage_error
from aiscore.engine.index.objects import select_object
from aiscore.engine.puts import put_object
from aiscore.engine.xaction.job import Announce, unannounced
from aiscore.errors import InvalidArgumentError, NotFoundError
from aiscore.model.access import Access
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name, check_prefix
from aiscore.model.objects import PromoteOptions, PromoteResult, PutOptions
from aiscore.model.xaction import XactionKind

__all__ = ["promote"]


def promote(
    core: Core,
    bucket: BucketRef,
    path: str,
    name: str,
    options: PromoteOptions,
    announce: Announce = unannounced,
) -> PromoteResult:
    """Take a file, or the files of a directory, into the bucket. See `Transport.promote`.

    Symbolic links inside a directory are not followed: promotion must not reach out of what was named.
    """
    row = core.bucket(bucket, Access.PROMOTE)
    if not path.startswith("/"):
        raise InvalidArgumentError(f'cannot promote "{path}": expected an absolute path')
    if any(_is_nested(path, home) for home in _owned(core)):
        raise InvalidArgumentError(f'cannot promote "{path}": it belongs to the store itself')
    sources = _sources(path, name, options)
    skipped = 0
    with core.xactions.start(XactionKind.PROMOTE, bucket, None, path, announce) as job:
        for file_path, object_name in sources:
            check_object_name(object_name)
            exists = select_object(core.connection(), row.id, object_name) is not None
            if exists and not options.overwrite:
                skipped += 1
                continue
            job.step(1, _take(core, bucket, file_path, object_name, options))
        job.ext["skipped"] = skipped
    return PromoteResult(objects=job.objects, size=job.size, skipped=skipped)


def _take(
    core: Core, bucket: BucketRef, path: str, object_name: str, options: PromoteOptions
) -> int:
    try:
        with open(path, "rb", buffering=0) as file:
            length = os.fstat(file.fileno()).st_size
            stored = put_object(core, bucket, object_name, file, PutOptions(size=length))
        if options.delete_source:
            os.unlink(path)
    except OSError as exc:
        raise storage_error(exc, path) from exc
    return stored.size


def _sources(path: str, name: str, options: PromoteOptions) -> Iterable[tuple[str, str]]:
    try:
        mode = os.stat(path).st_mode
    except OSError as exc:
        raise NotFoundError(f'cannot promote "{path}": {exc.strerror}') from exc
    if stat.S_ISREG(mode):
        base = os.path.basename(path)
        return [(path, base if not name else f"{name}{base}" if name.endswith("/") else name)]
    if not stat.S_ISDIR(mode):
        raise InvalidArgumentError(f'cannot promote "{path}": not a regular file or directory')
    prefix = check_prefix(name)
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return _walk(path, prefix, options)


def _walk(path: str, prefix: str, options: PromoteOptions) -> Iterator[tuple[str, str]]:
    for directory, subdirectories, files in os.walk(path):
        subdirectories.sort()
        relative = os.path.relpath(directory, path)
        inside = "" if relative == "." else f"{relative}/"
        for file in sorted(files):
            full = f"{directory}/{file}"
            if stat.S_ISREG(os.lstat(full).st_mode):
                yield full, f"{prefix}{inside}{file}"
        if not options.recursive:
            return


def _owned(core: Core) -> list[str]:
    return [core.home, *(m.path for m in core.mountpaths.all().values())]


def _is_nested(path: str, other: str) -> bool:
    clean = os.path.realpath(path)
    return clean == other or clean.startswith(f"{other}/") or other.startswith(f"{clean}/")
