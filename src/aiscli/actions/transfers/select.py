"""Which objects a multi-object command touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiscli.actions.transfers.filter import Glob, NameFilter, has_wildcards
from aiscli.uri import is_template
from aiscore.errors import InvalidArgumentError, ObjectNotFoundError
from aiscore.model.bucket import BucketRef, ObjectUri
from aiscore.model.objects import ListEntry, ListOptions, ListProp, Selection
from aiscore.model.template import parse_template

if TYPE_CHECKING:
    from aiscore.transport.base import Transport

__all__ = [
    "Choice",
    "choose",
    "describe",
    "iter_chosen",
    "iter_pages",
    "iter_selected",
    "require_objects",
    "resolve_name",
]

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


@dataclass(frozen=True, slots=True)
class Choice:
    """Objects of a bucket: a selection, and what is left of it.

    Attributes:
        selection: what is listed or looked up.
        label: the choice in a message.
        accepts: None takes all of the selection.
        is_guess: a name that is no object was taken for a prefix.
        is_pattern: wildcards; that nothing matches them is an error.
    """

    selection: Selection
    label: str
    accepts: Callable[[str], bool] | None = None
    is_guess: bool = False
    is_pattern: bool = False


def choose(
    transport: Transport,
    uri: ObjectUri,
    selection: Selection | None,
    names: NameFilter,
    *,
    exact: bool = False,
) -> Choice | None:
    """What a command line means by a bucket or a name in it, flags and patterns; None for one object.

    An object whose name is written wins over every other meaning.

    Raises:
        InvalidArgumentError: a malformed pattern, or patterns beside one object.
    """
    bucket, name = uri.bucket, uri.name
    accepts = names.accepts if names else None
    suffix = " after --include and --exclude" if names else ""
    if selection is not None:
        return Choice(selection, f"{describe(selection)}{suffix}", accepts)
    if not name and names:
        return Choice(Selection(everything=True), f"all objects{suffix}", accepts)
    if exact or not name:
        return None
    found: Selection | None = None
    if "{" not in name and (has_wildcards(name.removesuffix("*")) or name.endswith("**")):
        if not _exists(transport, bucket, name):
            return _matching(Glob.parse(name), accepts, suffix)
    else:
        found = resolve_name(transport, bucket, name)
    if found is None:
        if names:
            raise InvalidArgumentError(
                f'--include and --exclude need many objects, "{uri.cname}" is one',
                hint=f'end a prefix with "/": {uri.cname}/',
            )
        return None
    is_guess = found.prefix is not None and not name.endswith("/")
    return Choice(found, f"{describe(found)}{suffix}", accepts, is_guess=is_guess)


def _matching(glob: Glob, accepts: Callable[[str], bool] | None, suffix: str) -> Choice:
    def matches(name: str) -> bool:
        return glob.matches(name) and (accepts is None or accepts(name))

    label = f'"{glob.text}"{suffix}'
    return Choice(Selection(prefix=glob.prefix), label, matches, is_pattern=True)


def iter_chosen(
    transport: Transport, bucket: BucketRef, choice: Choice
) -> Iterator[tuple[str, int | None]]:
    """Names of a choice and their sizes, None where only a lookup tells.

    Raises:
        ObjectNotFoundError: nothing matches a pattern; raised at the end.
    """
    is_empty = True
    for name, size in iter_selected(transport, bucket, choice.selection):
        if choice.accepts is None or choice.accepts(name):
            is_empty = False
            yield name, size
    if is_empty and choice.is_pattern:
        raise ObjectNotFoundError(
            f"no object of {bucket.cname} matches {choice.label}",
            hint="* stops at a slash, ** does not; see what there is: ais ls " + bucket.cname,
        )


def _exists(transport: Transport, bucket: BucketRef, name: str) -> bool:
    try:
        transport.head(bucket, name)
    except ObjectNotFoundError:
        return False
    return True


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
