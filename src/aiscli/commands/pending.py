"""What answers for the commands of `aiscli.pending`: that they are not available yet."""

from typing import NoReturn

import typer

from aiscli.tree import ROOT, Branch, Leaf
from aiscli.uri import parse_target
from aiscore.errors import AisError, UnsupportedError

__all__ = ["NotAvailableError", "evict", "pending", "prefetch"]


class NotAvailableError(UnsupportedError):
    """The command is known and does not work yet."""

    code = ""


def pending(ctx: typer.Context) -> int:
    """Say that the command is not available yet, and what to do instead."""
    _refuse(ctx.command_path)


def evict(ctx: typer.Context) -> int:
    """Refuse to evict from ais:// buckets, as AIStore does; no others are available yet."""
    for bucket in _ais_buckets(ctx.args):
        raise UnsupportedError(
            "evicting objects from AIS buckets (ie., buckets with no remote backends) is not "
            f"allowed: {bucket}",
            hint="delete objects with 'ais object rm', buckets with 'ais rmb'",
        )
    _refuse(ctx.command_path)


def prefetch(ctx: typer.Context) -> int:
    """Refuse to prefetch from ais:// buckets; no others are available yet."""
    for bucket in _ais_buckets(ctx.args):
        raise UnsupportedError(
            f"cannot prefetch from {bucket}: it has no remote backend, all its objects are here"
        )
    _refuse(ctx.command_path)


def _refuse(path: str) -> NoReturn:
    node: Branch | Leaf = ROOT
    for word in path.split()[1:]:
        assert isinstance(node, Branch)
        node = node.children[word]
    assert isinstance(node, Leaf)
    raise NotAvailableError(f"'{path}' is not available yet", hint=node.instead or None)


def _ais_buckets(words: list[str]) -> list[str]:
    """Buckets of this store among the arguments: the first word, and others with a scheme."""
    found = []
    for index, word in enumerate(words):
        if word.startswith("-"):
            continue
        try:
            bucket = parse_target(word).bucket
        except AisError:
            continue
        if (not index or "://" in word) and not bucket.is_remote:
            found.append(bucket.cname)
    return found
