"""`ais alias`."""

from typing import Annotated

import typer

from aiscli.actions.settings.alias import (
    SetAliasRequest,
    run_remove_alias,
    run_reset_aliases,
    run_set_alias,
    run_show_aliases,
)
from aiscli.context import CliContext

__all__ = ["alias_reset", "alias_rm", "alias_set", "alias_show"]

AliasArgument = Annotated[str, typer.Argument(metavar="ALIAS", help="The first word.")]


def alias_show(ctx: typer.Context) -> int:
    """Show all aliases.

    Examples:
      ais alias show
    """
    return run_show_aliases(CliContext.of(ctx))


def alias_set(
    ctx: typer.Context,
    alias: AliasArgument,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command; quoted, with options.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Hide the command of the same name.")
    ] = False,
) -> int:
    """Make an alias of a command.

    The alias has the options and the help of its command. Options in it need quotes, or come after
    "--". The name of a command is refused (exit 8) without --force.

    $1 to $9 in the command stand for the words behind the alias, $@ for all of them; words that no
    placeholder takes go to the end. Put it in single quotes, or the shell fills them in.

    Examples:
      ais alias set lsl "ls --props all"
      ais alias set shard 'cat ais://shards/train-$1.tar'
      ais alias set disks storage mountpath show
    """
    request = SetAliasRequest(name=alias, words=tuple(command), force=force)
    return run_set_alias(CliContext.of(ctx), request)


def alias_rm(ctx: typer.Context, alias: AliasArgument) -> int:
    """Remove an alias.

    Built-in ones too; the command itself stays.

    Examples:
      ais alias rm lsl
    """
    return run_remove_alias(CliContext.of(ctx), alias)


def alias_reset(ctx: typer.Context) -> int:
    """Go back to the built-in aliases.

    Examples:
      ais alias reset
    """
    return run_reset_aliases(CliContext.of(ctx))
