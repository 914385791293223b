"""One bucket: its life, its listing, and the way to its objects."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiscore.client.attributes import ObjectAttributes
from aiscore.client.errors import UsageError
from aiscore.client.group import ObjectGroup
from aiscore.client.listing import BucketEntry, BucketList, parse_props
from aiscore.client.object import Object
from aiscore.errors import BucketAlreadyExistsError, BucketNotFoundError
from aiscore.model.bucket import GLOBAL_NAMESPACE, BucketRef, Namespace, Provider
from aiscore.model.chunks import RechunkOptions, RechunkResult
from aiscore.model.objects import (
    BucketSummary,
    CopyOptions,
    CopyResult,
    EntryFlag,
    ListEntry,
    ListOptions,
)
from aiscore.model.props import BucketProps

if TYPE_CHECKING:
    from aiscore.client.client import Client

__all__ = ["Bucket", "parse_provider"]

log = logging.getLogger(__name__)


class Bucket:
    """Names one bucket; says nothing about whether it exists. Cheap to make, picklable."""

    __slots__ = ("_client", "_ref")

    def __init__(
        self,
        client: "Client",
        name: str,
        provider: Provider | str = Provider.AIS,
        namespace: Namespace | str | None = None,
    ) -> None:
        if namespace is None:
            namespace = GLOBAL_NAMESPACE
        elif isinstance(namespace, str):
            namespace = Namespace.parse(namespace)
        self._client = client
        self._ref = BucketRef(name, parse_provider(provider), namespace)

    @classmethod
    def of(cls, client: "Client", ref: BucketRef) -> Self:
        """The bucket of this identity."""
        return cls(client, ref.name, ref.provider, ref.namespace)

    @property
    def client(self) -> "Client":
        """The store it is in."""
        return self._client

    @property
    def ref(self) -> BucketRef:
        """Identity, as the transport takes it."""
        return self._ref

    @property
    def name(self) -> str:
        """Bucket name."""
        return self._ref.name

    @property
    def provider(self) -> Provider:
        """Whose storage it is."""
        return self._ref.provider

    @property
    def namespace(self) -> Namespace | None:
        """Scope of the name; None is the global one."""
        return None if self._ref.namespace.is_global else self._ref.namespace

    # life

    def create(self, exist_ok: bool = False) -> Self:
        """Create the bucket; returns it.

        Args:
            exist_ok: be content when it exists.
        """
        try:
            self._client.transport.create_bucket(self._ref)
        except BucketAlreadyExistsError:
            if not exist_ok:
                raise
        return self

    def delete(self, missing_ok: bool = False) -> None:
        """Destroy the bucket and all it holds.

        Args:
            missing_ok: be content when it does not exist.
        """
        try:
            self._client.transport.destroy_bucket(self._ref)
        except BucketNotFoundError:
            if not missing_ok:
                raise

    def head(self) -> BucketProps:
        """Properties of the bucket."""
        return self._client.transport.head_bucket(self._ref)

    @property
    def props(self) -> BucketProps:
        """Properties as of now: asks the store each time."""
        return self.head()

    def summary(self, prefix: str = "") -> BucketSummary:
        """Count objects and bytes."""
        return self._client.transport.summarize_bucket(self._ref, prefix)

    def info(self, prefix: str = "") -> tuple[BucketProps, BucketSummary]:
        """Properties and counts."""
        return self.head(), self.summary(prefix)

    def rename(self, to_bck_name: str) -> None:
        """Give the bucket another name; done, and this object has the new one, when it returns."""
        target = BucketRef(to_bck_name, self._ref.provider, self._ref.namespace)
        self._client.transport.rename_bucket(self._ref, target)
        self._ref = target

    def copy(
        self,
        to_bck: "Bucket",
        prefix_filter: str = "",
        prepend: str = "",
        *,
        dry_run: bool = False,
        sync: bool = False,
    ) -> CopyResult:
        """Copy objects to another bucket, which is created when it is missing.

        Args:
            to_bck: destination.
            prefix_filter: only names that start with it.
            prepend: put before each destination name.
            dry_run: count, change nothing.
            sync: also delete destination names that this bucket does not have.
        """
        options = CopyOptions(
            prefix=prefix_filter, prepend=prepend, dry_run=dry_run, synchronize=sync
        )
        return self._client.transport.copy_bucket(self._ref, to_bck.ref, options)

    def rechunk(
        self,
        chunk_size: int | None = None,
        objsize_limit: int | None = None,
        prefix: str = "",
        *,
        dry_run: bool = False,
        bandwidth: int = 0,
    ) -> RechunkResult:
        """Lay objects out in chunks, or in one piece; done when it returns.

        Args:
            chunk_size: bytes of a chunk; None takes the bucket's `chunks.chunk_size`.
            objsize_limit: bytes from which objects are chunked, 0 to make them whole; None takes the bucket's.
            prefix: only names that start with it.
            dry_run: count, change nothing.
            bandwidth: bytes a second that are rewritten at most; 0 is no limit.
        """
        options = RechunkOptions(
            objsize_limit=objsize_limit,
            chunk_size=chunk_size,
            prefix=prefix,
            dry_run=dry_run,
            bandwidth=bandwidth,
        )
        return self._client.transport.rechunk_bucket(self._ref, options)

    def mirror(self, copies: int) -> None:
        """Keep every object on so many disks, those there are and those to come; 1 ends mirroring."""
        self._client.transport.mirror_bucket(self._ref, copies)

    # listing

    def list_objects(
        self,
        prefix: str = "",
        props: str = "",
        page_size: int = 0,
        *,
        continuation_token: str = "",
        start_after: str = "",
        delimiter: str = "",
        archive: bool = False,
    ) -> BucketList:
        """One page of a listing, in byte order of names.

        Args:
            prefix: only names that start with it.
            props: comma-separated properties to fill; empty is `name,size`.
            page_size: names in the page; 0 is as many as it holds.
            continuation_token: that of the page before.
            start_after: only names greater than it.
            delimiter: `/` folds what lies deeper into one directory entry.
            archive: list the members of shards after each shard.
        """
        options = ListOptions(
            prefix=prefix,
            delimiter=delimiter,
            start_after=start_after,
            token=continuation_token,
            page_size=page_size,
            props=parse_props(props),
            archive=archive,
        )
        page = self._client.transport.list_page(self._ref, options)
        return BucketList([BucketEntry(self, entry) for entry in page.entries], page.token)

    def list_objects_iter(
        self, prefix: str = "", props: str = "", page_size: int = 0
    ) -> Iterator[BucketEntry]:
        """Every entry of a listing; a page at a time is in memory."""
        token = ""
        while True:
            page = self.list_objects(prefix, props, page_size, continuation_token=token)
            yield from page.entries
            token = page.continuation_token
            if not token:
                return

    def list_all_objects(
        self, prefix: str = "", props: str = "", page_size: int = 0
    ) -> list[BucketEntry]:
        """Every entry of a listing in one list."""
        return list(self.list_objects_iter(prefix, props, page_size))

    def list_all_objects_iter(self, prefix: str = "", props: str = "name,size") -> Iterator[Object]:
        """Every object of a listing, with the listed properties cached."""
        for entry in self.list_objects_iter(prefix, props):
            yield entry.object

    def list_archive(
        self, archive_obj_name: str, include_archive_obj: bool = False
    ) -> list[BucketEntry]:
        """Files of a shard in archive order, as `SHARD/MEMBER`.

        Args:
            archive_obj_name: object name of the shard.
            include_archive_obj: begin with an entry of the shard itself.

        Raises:
            ObjectNotFoundError: there is no such object.
            ArchiveError: it is not an archive.
        """
        transport = self._client.transport
        entries = []
        if include_archive_obj:
            size = transport.head(self._ref, archive_obj_name).size
            flags = EntryFlag.ARCHIVE | EntryFlag.CACHED
            entries.append(ListEntry(name=archive_obj_name, size=size, flags=flags))
        entries += [
            ListEntry(
                name=f"{archive_obj_name}/{member.name}",
                size=member.size,
                flags=EntryFlag.IN_ARCHIVE | EntryFlag.CACHED,
            )
            for member in transport.list_members(self._ref, archive_obj_name)
        ]
        return [BucketEntry(self, entry) for entry in entries]

    # objects

    def object(self, obj_name: str, props: ObjectAttributes | None = None) -> Object:
        """Name an object; asks the store nothing.

        Args:
            obj_name: object name.
            props: its properties, where they are known already.
        """
        return Object(self._client, self._ref, obj_name, props)

    def objects(
        self, obj_names: Iterable[str] | None = None, obj_template: str | None = None
    ) -> ObjectGroup:
        """Name several objects; asks the store nothing.

        Args:
            obj_names: their names.
            obj_template: what they look like, e.g. `shard-{000..099}.tar`. One of the two.
        """
        return ObjectGroup(self, obj_names, obj_template)

    def put_files(
        self,
        path: str | os.PathLike[str],
        prefix_filter: str = "",
        pattern: str = "*",
        basename: bool = False,
        prepend: str | None = None,
        recursive: bool = False,
        dry_run: bool = False,
        verbose: bool = True,
    ) -> list[str]:
        """Store the files of a directory, in the order of their names.

        Args:
            path: the directory.
            prefix_filter: only files whose name (without directory) starts with it.
            pattern: only files whose name matches this shell pattern.
            basename: object names are the files' names; otherwise their paths below `path`.
            prepend: put before each object name.
            recursive: descend into subdirectories.
            dry_run: do nothing but tell the object names.
            verbose: log each file, at INFO.

        Returns:
            Names of the objects.

        Raises:
            UsageError: `path` is not a directory.
        """
        root = Path(path)
        if not root.is_dir():
            raise UsageError(f'"{root}" is not a directory')
        names = []
        for file in sorted(root.rglob(pattern) if recursive else root.glob(pattern)):
            if not file.name.startswith(prefix_filter) or not file.is_file():
                continue
            name = f"{prepend or ''}{file.name if basename else file.relative_to(root).as_posix()}"
            if not dry_run:
                self.object(name).get_writer().put_file(file)
            if verbose:
                log.info(
                    "%s: file=%s object=%s",
                    "would store" if dry_run else "stored",
                    file,
                    self._ref.object_cname(name),
                )
            names.append(name)
        return names

    def __repr__(self) -> str:
        return f"Bucket({self._ref.cname!r})"


def parse_provider(provider: Provider | str) -> Provider:
    """Read a provider as a client method takes it."""
    return provider if isinstance(provider, Provider) else Provider.parse(provider)
