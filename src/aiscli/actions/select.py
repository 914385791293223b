"""Which objects a multi-object command touches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from aiscli.uri import is_template
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListEntry, ListOptions, ListProp, Selection
from aiscore.model.template import parse_template

if TYPE_CHECKING:
    from aiscore.transport.base import Transport

__all__ = ["describe", "iter_pages", "iter_selected", "require_objects", "resolve_name"]

_NAME_LENGTH_PREFIX_MAX = 255
"""Longer names are never taken for prefixes."""
_GLOB = frozenset("*?\\")


def iter_pages(
    transport: Transport, bucket: BucketRef, options: ListOptions
) -> Iterator[list[ListEntry]]:
    """Pages of a listing to its end."""
    while True:
        page = transport.list_page(bucket, options)
        yield page.entries
        if not page.token:
            return
        options = replace(options, token=page.token)


def iter_selected(
    transport: Transport, bucket: BucketRef, selection: Selection
) -> Iterator[tuple[str, int | None]]:
    """Names of a selection and their sizes, None where only a lookup tells."""
    if selection.names is not None:
        yield from ((name, None) for name in selection.names)
        return
    template = None
    prefix = selection.prefix or ""
    if selection.template is not None:
        template = parse_template(selection.template)
        if template.count is not None:
            yield from ((name, None) for name in template)
            return
        prefix = template.prefix
    options = ListOptions(prefix=prefix, props=frozenset({ListProp.NAME, ListProp.SIZE}))
    for page in iter_pages(transport, bucket, options):
        for entry in page:
            if not entry.is_directory and (template is None or template.matches(entry.name)):
                yield entry.name, entry.size


def resolve_name(transport: Transport, bucket: BucketRef, name: str) -> Selection | None:
    """What `BUCKET/NAME` means to a multi-object command; None for one object of exactly that name.

    An object of that name always wins. Otherwise a name with template characters is a template, and
    one that ends with a slash, or that begins the names of objects, is a prefix. A name that
    nothing matches counts as an object, for the caller to report missing.

    Raises:
        InvalidArgumentError: wildcards that templates do not have.
    """
    if name.endswith("/"):
        return Selection(prefix=name)
    try:
        transport.head(bucket, name)
    except ObjectNotFoundError:
        pass
    else:
        return None
    if is_template(name):
        if "{" not in name and not _GLOB.isdisjoint(name.removesuffix("*")):
            raise InvalidArgumentError(
                f'wildcards are not supported in "{bucket.object_cname(name)}"',
                hint="use a prefix, or a template such as shard-{000..099}.tar",
            )
        return Selection(template=name)
    if len(name) > _NAME_LENGTH_PREFIX_MAX:
        return None
    page = transport.list_page(bucket, ListOptions(prefix=name, page_size=1))
    return Selection(prefix=name) if page.entries else None


def describe(selection: Selection) -> str:
    """A selection in a message."""
    if selection.names is not None:
        shown = " ".join(selection.names[:4])
        return f"[{shown}{' ...' if len(selection.names) > 4 else ''}]"
    if selection.template is not None:
        return f'"{selection.template}"'
    if selection.prefix is not None:
        return f'prefix "{selection.prefix}"'
    return "all objects"


def require_objects(selection: Selection | None, name: str) -> None:
    """Refuse a selection beside an object name.

    Raises:
        InvalidArgumentError: both are given.
    """
    if selection is not None and name:
        raise InvalidArgumentError(
            f'object name "{name}" cannot be combined with --list, --template, --prefix or --all'
        )
