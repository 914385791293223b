"""`concat`: files behind each other into one object; and `cat` of several objects."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from aiscli.actions.transfers.get import CatRequest, run_cat
from aiscli.actions.transfers.sources import LocalFile, SourceRequest, find_files
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output.progress import progress
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import ObjectUri

__all__ = ["ConcatRequest", "run_cat_all", "run_concat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatRequest:
    """Files to append, and to what.

    Attributes:
        sources: files, directories, or directories with a pattern; in this order, the files of a
            directory by name.
        target: an object; it is created, or what it has stays in front.
        recursive: descend into subdirectories.
        show_progress: on a terminal.
    """

    sources: tuple[str, ...]
    target: ObjectUri
    recursive: bool = False
    show_progress: bool = False


def run_concat(context: CliContext, request: ConcatRequest) -> ExitCode:
    """Append all files; the object changes when the last has arrived, or not at all."""
    files: list[LocalFile] = []
    for source in request.sources:
        found = list(find_files(SourceRequest(path=source, recursive=request.recursive)))
        if not found:
            raise InvalidArgumentError(
                f'no files to concatenate in "{source}"',
                hint=None if request.recursive else "use --recursive for subdirectories",
            )
        files += found
    bucket, name = request.target.bucket, request.target.name
    transport = context.transport
    total = sum(file.size for file in files)
    appended = 0
    handle = ""
    with progress("concat", enabled=request.show_progress, total_size=total) as advance:
        for file in files:
            with open(file.path, "rb", buffering=0) as body:
                handle = transport.append(bucket, name, body, handle)
                size = os.fstat(body.fileno()).st_size
            appended += size
            advance(1, size)
    props = transport.flush_append(bucket, name, handle)
    context.output.item(
        {
            "bucket": bucket.cname,
            "name": name,
            "size": props.size,
            "appended": appended,
            "files": [file.path for file in files],
        },
        "",
        f"Created {request.target.cname} (size {context.output.size(props.size)})",
    )
    return ExitCode.OK


def run_cat_all(context: CliContext, requests: Iterable[CatRequest]) -> ExitCode:
    """Write objects behind each other; the first that cannot be read ends it."""
    for request in requests:
        run_cat(context, request)
    return ExitCode.OK
