"""Commands that are served before typer is imported.

A fast command is a function of the words after `ais`: it returns the exit code, or None when the
line needs the full parser. It builds the same request value and calls the same `run_*` as the typer
command, so both behave alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiscli.context import CliContext

__all__ = ["run_fast"]


def run_fast(args: Sequence[str], context: CliContext) -> int | None:
    """Run `args` if it is a line that a fast command takes as it is."""
    # `bucket ls` and the like first: settings that AIStore's CLI wrote make `ls` an alias of it.
    for count in (2, 1):
        command = _FAST.get(" ".join(args[:count])) if len(args) >= count else None
        if command is not None:
            return command(args[count:], context)
    return None


def _version(args: Sequence[str], context: CliContext) -> int | None:
    if args or context.settings.output_format.value:
        return None
    from aiscli.version import version_line

    context.output.plain(version_line())
    return 0


def _get(args: Sequence[str], context: CliContext) -> int | None:
    uris = _take(args, context)
    if uris is None or len(uris) != 2 or uris[0] == "-" or uris[1] != "-":
        return None
    from aiscli.actions.transfers.get import GetRequest, run_get
    from aiscli.uri import parse_target

    return run_get(context, GetRequest(source=parse_target(uris[0]), destination="-"))


def _put(args: Sequence[str], context: CliContext) -> int | None:
    uris = _take(args, context)
    if uris is None or len(uris) != 2 or uris[0] != "-" or uris[1] == "-":
        return None
    from aiscli.actions.transfers.put import PutRequest, run_put
    from aiscli.actions.transfers.sources import SourceRequest
    from aiscli.uri import parse_target

    request = PutRequest(source=SourceRequest(path="-"), target=parse_target(uris[1]))
    return run_put(context, request)


def _cat(args: Sequence[str], context: CliContext) -> int | None:
    uris = _take(args, context)
    if uris is None or len(uris) != 1 or uris[0] == "-":
        return None
    from aiscli.actions.transfers.get import CatRequest, run_cat
    from aiscli.uri import parse_object

    return run_cat(context, CatRequest(object=parse_object(uris[0])))


def _ls(args: Sequence[str], context: CliContext) -> int | None:
    uris = _take(args, context)
    if uris is None or len(uris) > 1 or "-" in uris:
        return None
    from aiscli.actions.browse.listing import ListBucketsRequest, run_list_buckets
    from aiscli.uri import BucketQuery, parse_query

    query = parse_query(uris[0]) if uris else BucketQuery()
    if query is not None:
        return run_list_buckets(context, ListBucketsRequest(query=query))
    from aiscli.actions.browse.listing import ListRequest, run_list
    from aiscli.uri import parse_target

    uri = parse_target(uris[0])
    return run_list(context, ListRequest(bucket=uri.bucket, name=uri.name))


def _take(args: Sequence[str], context: CliContext) -> list[str] | None:
    """The arguments, `--endpoint` applied; None when there is any other option."""
    arguments: list[str] = []
    endpoint = None
    words = iter(args)
    for word in words:
        if word == "--endpoint":
            endpoint = next(words, None)
            if endpoint is None:
                return None
        elif word.startswith("--endpoint="):
            endpoint = word.partition("=")[2]
        elif word != "-" and word.startswith("-"):
            return None
        else:
            arguments.append(word)
    if len(arguments) > 2:
        return None
    context.configure(endpoint=endpoint)
    return arguments


def _complete(args: Sequence[str], context: CliContext) -> int | None:
    from aiscli.complete import run_complete

    return run_complete(args, context)


_FAST: Mapping[str, Callable[[Sequence[str], CliContext], int | None]] = {
    "__complete": _complete,
    "bucket ls": _ls,
    "cat": _cat,
    "get": _get,
    "ls": _ls,
    "object cat": _cat,
    "object get": _get,
    "object put": _put,
    "put": _put,
    "version": _version,
    "--version": _version,
    "-v": _version,
}
