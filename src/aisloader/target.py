"""The bucket under load: made or checked before the run, listed for reads, removed or emptied after it."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aiscore.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidArgumentError,
    NotFoundError,
)
from aiscore.model.objects import ListOptions, ListProp, Selection
from aiscore.transport.base import Transport
from aisloader.filelist import read_file_list
from aisloader.names import FileNames, NamesWriter, TemplateNames, split_member

if TYPE_CHECKING:
    from aisloader.names import NameSource
    from aisloader.params import Params
    from aisloader.s3 import S3Store

__all__ = [
    "TargetState",
    "changes_of",
    "clean_up",
    "found_line",
    "prepare_bucket",
    "read_names",
]

PROGRESS_AFTER_S = 10.0
"""A listing that takes longer says how far it is."""


@dataclass(slots=True)
class TargetState:
    """What the set-up has done: what may be undone follows from it.

    Attributes:
        created: this run made the bucket.
        plain: objects listed.
        archived: files inside shards listed.
    """

    created: bool = False
    plain: int = 0
    archived: int = 0


def prepare_bucket(transport: Transport, params: "Params") -> TargetState:
    """Create an `ais://` bucket that does not exist, and apply properties; other buckets are taken as they are.

    Raises:
        InvalidArgumentError: there is nothing to read in a bucket that was just created; it is removed again.
    """
    bucket = params.bucket.ref
    state = TargetState()
    if params.cluster.is_s3:
        transport.head_bucket(bucket)
        return state
    if bucket.is_remote and bucket.provider.value != "ais":
        return state
    try:
        transport.head_bucket(bucket)
    except BucketNotFoundError:
        if not params.workload.is_write_only:
            raise InvalidArgumentError(
                f"bucket {bucket} does not exist: there is nothing to read",
                hint=f"fill it first: aisloader -bucket={bucket} -pctput=100 -cleanup=false",
            ) from None
        try:
            transport.create_bucket(bucket)
            state.created = True
        except AlreadyExistsError:
            pass  # another loader of the fleet was faster
    try:
        if changes := changes_of(params.bucket.props):
            transport.set_bucket_props(bucket, changes)
    except BaseException:
        if state.created:
            transport.destroy_bucket(bucket)
        raise
    return state


def changes_of(props: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested JSON as dotted changes: `{"mirror": {"enabled": true}}` -> `{"mirror.enabled": "true"}`."""
    found: dict[str, str] = {}
    for name, value in props.items():
        if isinstance(value, Mapping):
            found |= changes_of(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def read_names(
    transport: Transport,
    params: "Params",
    state: TargetState,
    path: str,
    tell: Callable[[str], None],
) -> "NameSource | None":
    """The names to read; None for a run that needs none.

    Args:
        transport: to list with.
        params: where the names come from.
        state: gets the counts.
        path: of the files that hold them; see `NamesWriter`.
        tell: takes lines on progress.

    Raises:
        InvalidArgumentError: there are none, or too few.
    """
    naming, work = params.naming, params.workload
    if work.is_write_only:
        return None
    source: NameSource
    if naming.name_template:
        source = TemplateNames(naming.name_template, naming.name_count)
        state.plain = len(source)
    else:
        with NamesWriter(path) as writer:
            if naming.filelist:
                state.plain = read_file_list(naming.filelist, writer).names
            else:
                _list_into(transport, params, state, writer, tell)
            source = writer.close()
    try:
        _check_names(len(source), params)
    except InvalidArgumentError:
        if isinstance(source, FileNames):
            source.close()
            source.remove()
        raise
    return source


def _check_names(count: int, params: "Params") -> None:
    bucket, prefix = params.bucket.ref, params.naming.subdir
    where = f"{bucket}/{prefix}" if prefix else str(bucket)
    if not count and params.workload.is_read_only:
        what = "files in shards" if params.arch.reads_members else "objects"
        raise InvalidArgumentError(
            f"{where} has no {what} to read",
            hint=f"fill it first: aisloader -bucket={bucket} -pctput=100 -cleanup=false",
        )
    if params.read.get_batchsize > count:
        raise InvalidArgumentError(
            f"-get-batchsize={params.read.get_batchsize} is more than the {count} names of {where}"
        )


def _list_into(
    transport: Transport,
    params: "Params",
    state: TargetState,
    writer: NamesWriter,
    tell: Callable[[str], None],
) -> None:
    for name, archpath, size in _listed(transport, params, tell):
        writer.add(name, archpath, size)
        if archpath:
            state.archived += 1
        else:
            state.plain += 1


def _listed(
    transport: Transport, params: "Params", tell: Callable[[str], None]
) -> Iterator[tuple[str, str, int]]:
    """Object, file inside it or "", size. Shards whose files are listed are not listed themselves."""
    archive = params.arch.reads_members
    prefix = f"{params.naming.subdir}/" if params.naming.subdir else ""
    token, count, told = "", 0, time.monotonic()
    while True:
        options = ListOptions(
            prefix=prefix,
            token=token,
            archive=archive,
            cached=params.read.cached,
            props=frozenset({ListProp.NAME, ListProp.SIZE}),
        )
        page = transport.list_page(params.bucket.ref, options)
        for entry in page.entries:
            if entry.is_directory and not params.read.list_dirs:
                continue
            if archive and entry.in_archive:
                yield *split_member(entry.name), entry.size
            elif not (archive and _is_archive(entry.flags)):
                yield entry.name, "", entry.size
        count += len(page.entries)
        token = page.token
        if not token:
            return
        if time.monotonic() - told > PROGRESS_AFTER_S:
            told = time.monotonic()
            tell(f"listing {params.bucket.ref}: {count:,} names so far")


def _is_archive(flags: int) -> bool:
    from aiscore.model.objects import EntryFlag

    return bool(flags & EntryFlag.ARCHIVE)


def found_line(state: TargetState) -> str:
    """`Found N existing objects`, or how many of them are files inside shards."""
    plain, archived = state.plain, state.archived
    if not archived:
        return f"Found {plain:,} existing objects"
    if not plain:
        return f"Found {archived:,} archived files"
    percent = 100 * archived // (plain + archived)
    return f"Found {plain:,} plain objects and {archived:,} archived files ({percent}% archived)"


def clean_up(transport: Transport, params: "Params", tell: Callable[[str], None]) -> None:
    """Destroy an `ais://` bucket; delete the objects of a remote one, in groups.

    Raises:
        AisError: what could not be removed, and why.
    """
    if params.cluster.is_s3:
        _empty_s3(cast("S3Store", transport), params, tell)
        return
    bucket = params.bucket.ref
    if not bucket.is_remote:
        tell(f"destroying bucket {bucket}")
        try:
            transport.destroy_bucket(bucket)
        except NotFoundError:
            return
        return
    tell(f"deleting the objects of {bucket}")
    prefix = f"{params.naming.subdir}/" if params.naming.subdir else ""
    while True:
        page = transport.list_page(
            bucket, ListOptions(prefix=prefix, page_size=min(params.read.evict_batchsize, 10_000))
        )
        names = tuple(entry.name for entry in page.entries if not entry.is_directory)
        if not names:
            return
        transport.delete_many(bucket, Selection(names=names))


def _empty_s3(store: "S3Store", params: "Params", tell: Callable[[str], None]) -> None:
    """Delete what is below the prefix, or everything; the bucket stays."""
    prefix = f"{params.naming.subdir}/" if params.naming.subdir else ""
    tell(f"deleting the objects of {params.bucket.ref}/{prefix}")
    size = min(params.read.evict_batchsize, store.DELETE_MAX)
    # From the beginning each time: what is listed is gone then.
    while page := store.list_page(
        params.bucket.ref, ListOptions(prefix=prefix, page_size=size)
    ).entries:
        store.delete_names([entry.name for entry in page])
