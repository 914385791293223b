"""Several objects of one bucket: a list of names, or a template."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aiscore.client.errors import UsageError
from aiscore.errors import ObjectNotFoundError
from aiscore.model.archive import ArchiveFormat
from aiscore.model.objects import ArchiveOptions, CopyResult, DeleteResult, Selection
from aiscore.model.template import parse_template

if TYPE_CHECKING:
    from aiscore.client.bucket import Bucket
    from aiscore.client.object import Object
    from aiscore.transport.base import Transport

__all__ = ["ObjectGroup"]


class ObjectGroup:
    """Names several objects; exactly one of `obj_names` and `obj_template` is given."""

    def __init__(
        self, bck: "Bucket", obj_names: Iterable[str] | None = None, obj_template: str | None = None
    ) -> None:
        if (obj_names is None) == (obj_template is None):
            raise UsageError("a group of objects is one of: obj_names, obj_template")
        if isinstance(obj_names, str):
            raise UsageError(f'obj_names is a list of names, not one name: "{obj_names}"')
        self.bck = bck
        names = None if obj_names is None else tuple(obj_names)
        self._selection = Selection(names=names, template=obj_template)

    def list_names(self) -> list[str]:
        """Names of the group: of a range, existing or not; of a prefix, those that exist.

        Raises:
            InvalidArgumentError: the template is malformed or has no end.
        """
        return list(self._names())

    def list_all_objects_iter(
        self, prefix: str = "", props: str | None = "name,size"
    ) -> Iterator["Object"]:
        """The group's objects one by one.

        Args:
            prefix: only names that start with it.
            props: anything but None asks the store for the properties of each object.
        """
        for name in self._names():
            if name.startswith(prefix):
                obj = self.bck.object(name)
                if props is not None:
                    obj.head()
                yield obj

    def delete(self) -> DeleteResult:
        """Remove the objects; names that do not exist are in the result, and are no error."""
        return self._transport.delete_many(self.bck.ref, self._selection)

    def copy(
        self,
        to_bck: "Bucket",
        prepend: str = "",
        *,
        continue_on_error: bool = False,
        dry_run: bool = False,
    ) -> CopyResult:
        """Copy the objects one by one.

        Args:
            to_bck: destination; it must exist.
            prepend: put before each destination name.
            continue_on_error: leave out objects that do not exist.
            dry_run: count, change nothing.
        """
        count = size = 0
        for name in self._names():
            try:
                if dry_run:
                    props = self._transport.head(self.bck.ref, name)
                else:
                    props = self._transport.copy(self.bck.ref, name, to_bck.ref, f"{prepend}{name}")
            except ObjectNotFoundError:
                if not continue_on_error:
                    raise
                continue
            count += 1
            size += props.size
        return CopyResult(objects=count, size=size)

    def archive(
        self,
        archive_name: str,
        mime: str = "",
        to_bck: "Bucket | None" = None,
        include_source_name: bool = False,
        allow_append: bool = False,
        continue_on_err: bool = False,
    ) -> "Object":
        """Pack the objects into one shard; returns the shard.

        Args:
            archive_name: object name of the shard.
            mime: its format; empty is what its extension says.
            to_bck: its bucket; None is the objects' own.
            include_source_name: member names start with the bucket's name.
            allow_append: add to the shard when it exists.
            continue_on_err: leave out objects that do not exist.
        """
        options = ArchiveOptions(
            output_format=ArchiveFormat.parse(mime) if mime else None,
            append=allow_append,
            include_bucket=include_source_name,
            cont_on_err=continue_on_err,
        )
        target = to_bck or self.bck
        self._transport.archive_objects(
            self.bck.ref, self._selection, target.ref, archive_name, options
        )
        return target.object(archive_name)

    def __repr__(self) -> str:
        what = (
            self._selection.template
            if self._selection.names is None
            else f"{len(self._selection.names)} names"
        )
        return f"ObjectGroup({self.bck.ref.cname!r}, {what})"

    @property
    def _transport(self) -> "Transport":
        return self.bck.client.transport

    def _names(self) -> Iterable[str]:
        if self._selection.names is not None:
            return self._selection.names
        template = parse_template(self._selection.template or "")
        if template.is_prefix:
            return (entry.name for entry in self.bck.list_objects_iter(template.prefix, "name"))
        if template.count is None:
            raise UsageError(
                f'template "{template.text}" has no end',
                hint="use a range, as in x-{0001..0100}.tar",
            )
        return template
