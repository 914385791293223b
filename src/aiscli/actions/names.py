"""The nearest existing name, when a bucket or an object of the command line does not exist."""

from collections.abc import Iterator, Sequence

from aiscli.context import CliContext
from aiscli.suggest import nearest_name
from aiscli.uri import parse_target
from aiscore.errors import AisError, BucketNotFoundError, NotFoundError
from aiscore.model.bucket import ObjectUri
from aiscore.model.objects import ListOptions

__all__ = ["near_name"]

_PAGE_NAMES = 1000
"""Names looked at: one page, so that a typing error costs no listing of a large bucket."""


def near_name(error: NotFoundError, args: Sequence[str], context: CliContext) -> str | None:
    """The URI that was meant by the word of the line that `error` is about; None when none is near.

    Never raises: an error is being reported already.
    """
    try:
        for uri in _targets(args):
            if isinstance(error, BucketNotFoundError):
                if uri.bucket.cname in error.message:
                    return _near_bucket(uri, context)
            elif uri.name and uri.cname in error.message:
                return _near_object(uri, context)
    except (AisError, OSError):
        pass
    return None


def _targets(args: Sequence[str]) -> Iterator[ObjectUri]:
    """Words that are a bucket or an object; those with a scheme first."""
    for word in sorted(args, key=lambda word: "://" not in word):
        if not word.startswith("-"):
            try:
                yield parse_target(word)
            except AisError:
                continue


def _near_bucket(uri: ObjectUri, context: CliContext) -> str | None:
    wanted = uri.bucket
    known = {
        bucket.name: bucket
        for bucket in context.transport.list_buckets(wanted.provider, wanted.namespace)
    }
    near = nearest_name(wanted.name, known)
    if near is None:
        return None
    return known[near].object_cname(uri.name) if uri.name else known[near].cname


def _near_object(uri: ObjectUri, context: CliContext) -> str | None:
    directory = uri.name[: uri.name.rfind("/") + 1]
    options = ListOptions(prefix=directory, page_size=_PAGE_NAMES)
    page = context.transport.list_page(uri.bucket, options)
    near = nearest_name(uri.name, (entry.name for entry in page.entries))
    # The shard itself exists when what is missing is a file in it.
    return None if near is None or near == uri.name else uri.bucket.object_cname(near)
