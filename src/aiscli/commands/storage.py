"""`ais storage`: and `ais scrub`."""

from typing import Annotated

import typer

from aiscli.actions.storage import (
    MountpathAction,
    MountpathRequest,
    ValidateRequest,
    run_mountpath,
    run_show_mountpaths,
    run_validate,
)
from aiscli.commands.options import PrefixOption, YesOption
from aiscli.context import CliContext
from aiscli.uri import parse_target

__all__ = [
    "mountpath_attach",
    "mountpath_detach",
    "mountpath_disable",
    "mountpath_enable",
    "mountpath_show",
    "validate",
]

PathsArgument = Annotated[
    list[str], typer.Argument(metavar="[NODE=]PATH", help="Absolute path of the directory.")
]


def validate(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="BUCKET[/PREFIX]", help="Default: the whole store.")
    ] = None,
    prefix: PrefixOption = None,
) -> int:
    """Read everything that is stored and report what is damaged.

    Every byte is read and compared with its checksum; without a bucket the index and the disks are
    compared, too. Exit 11 when something is wrong.

    Examples:
      ais scrub
      ais storage validate ais://images --prefix train/ -o json
    """
    request = ValidateRequest(
        target=None if target is None else parse_target(target), prefix=prefix or ""
    )
    return run_validate(CliContext.of(ctx), request)


def mountpath_show(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Argument(metavar="TARGET", hidden=True)] = None,
) -> int:
    """Show mountpaths.

    Examples:
      ais storage mountpath show
    """
    return run_show_mountpaths(CliContext.of(ctx))


def mountpath_attach(
    ctx: typer.Context,
    paths: PathsArgument,
    label: Annotated[str | None, typer.Option("--label", hidden=True)] = None,
) -> int:
    """Begin to use a directory.

    It must exist, be empty, and not nest with another mountpath.

    Examples:
      ais storage mountpath attach /mnt/disk2
    """
    context = CliContext.of(ctx)
    action = MountpathAction(context.transport.add_mountpath, "attached")
    return run_mountpath(context, MountpathRequest(paths=tuple(paths)), action)


def mountpath_detach(ctx: typer.Context, paths: PathsArgument, yes: YesOption = False) -> int:
    """Empty a mountpath and forget it.

    What lies on it is moved to the others first.

    Examples:
      ais storage mountpath detach /mnt/disk2 --yes
    """
    context = CliContext.of(ctx)
    action = MountpathAction(
        context.transport.remove_mountpath,
        "detached",
        'Move everything off "{path}" and detach it?',
    )
    return run_mountpath(context, MountpathRequest(paths=tuple(paths), assume_yes=yes), action)


def mountpath_enable(ctx: typer.Context, paths: PathsArgument) -> int:
    """Use a disabled mountpath again.

    Examples:
      ais storage mountpath enable /mnt/disk2
    """
    context = CliContext.of(ctx)
    action = MountpathAction(context.transport.enable_mountpath, "enabled")
    return run_mountpath(context, MountpathRequest(paths=tuple(paths)), action)


def mountpath_disable(ctx: typer.Context, paths: PathsArgument, yes: YesOption = False) -> int:
    """Neither read nor write a mountpath.

    What lies on it cannot be read until it is enabled again.

    Examples:
      ais storage mountpath disable /mnt/disk2 --yes
    """
    context = CliContext.of(ctx)
    action = MountpathAction(
        context.transport.disable_mountpath,
        "disabled",
        'Disable "{path}"? What lies on it cannot be read until it is enabled.',
    )
    return run_mountpath(context, MountpathRequest(paths=tuple(paths), assume_yes=yes), action)
