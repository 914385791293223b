"""`ais config`: of the store, and of the command itself."""

from typing import Annotated

import typer

from aiscli.actions.cli_config import (
    ContextRequest,
    ShowCliRequest,
    run_list_contexts,
    run_remove_context,
    run_reset_cli,
    run_set_cli,
    run_set_context,
    run_show_cli,
    run_use_context,
)
from aiscli.actions.config import ConfigRequest, run_config
from aiscli.context import CliContext
from aiscore.errors import InvalidArgumentError

__all__ = [
    "cli_reset",
    "cli_set",
    "cli_show",
    "cluster",
    "context_ls",
    "context_rm",
    "context_set",
    "context_use",
    "reset",
]

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the context.")]


def cluster(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="SECTION|KEY=VALUE", help="What to show, or to change."),
    ] = None,
) -> int:
    """Show the cluster configuration, or change it.

    All changes are applied, or none. New buckets take their properties from here.

    JSON has the configuration tree with AIStore's names; a change prints changed {property: {value,
    was}}.

    Examples:
      ais config cluster checksum
      ais config cluster checksum.type=md5
    """
    return run_config(CliContext.of(ctx), ConfigRequest(words=tuple(words or ())))


def cli_show(
    ctx: typer.Context,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Settings whose names start with it.")
    ] = "",
    origin: Annotated[
        bool, typer.Option("--origin", help="Show where each value comes from.")
    ] = False,
    path: Annotated[bool, typer.Option("--path", help="Print the place of the file only.")] = False,
) -> int:
    """Show the settings of this command.

    They are those of AIStore's file, ~/.config/ais/cli/cli.json (AIS_CLI_CONFIG_DIR names another
    directory). A flag wins over the environment, that over the file, that over the default.

    The store is the first of these that is set: --endpoint or --context; AIS_ENDPOINT, AIS_CONTEXT,
    AIS_HOME; the current context; cluster.url. AIStore writes http://127.0.0.1:8080 into
    cluster.url on its own. That value does not count: without another one, the store is the
    embedded one.

    Certificates, timeouts, auth.url, default_provider, verbose and no_more are kept for AIStore's
    ais; this release does not use them.

    Fields (-o json): a list of property, value, origin (with --origin); with --path: path.

    Examples:
      ais config cli show
      ais config cli show endpoint --origin
    """
    request = ShowCliRequest(prefix=prefix, origin=origin, path=path)
    return run_show_cli(CliContext.of(ctx), request)


def cli_set(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="What to change.")],
) -> int:
    """Change settings of this command.

    All changes are made, or none. The file is made when it is first needed.

    Fields (-o json): changed {key: {value, was}}.

    Examples:
      ais config cli set cluster.url=http://ais.example.com:8080
      ais config cli set no_color=true
    """
    return run_set_cli(CliContext.of(ctx), tuple(words))


def cli_reset(ctx: typer.Context) -> int:
    """Reset the settings of this command to the defaults.

    Contexts and aliases are among them. The file is not deleted but renamed to cli.json.bak.

    Fields (-o json): path, saved.

    Examples:
      ais config cli reset
    """
    return run_reset_cli(CliContext.of(ctx))


def reset(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="[cli]", help="What to reset.")] = "cli",
) -> int:
    """Reset the settings of this command to the defaults.

    Works with a file that cannot be read, too. The file is not deleted but renamed to cli.json.bak;
    the configuration of the store is not touched.

    Fields (-o json): path, saved.

    Examples:
      ais config reset
    """
    if what != "cli":
        raise InvalidArgumentError(
            f'cannot reset "{what}"', hint="only the settings of this command: ais config reset cli"
        )
    return run_reset_cli(CliContext.of(ctx))


def context_ls(ctx: typer.Context) -> int:
    """List the named stores.

    Fields (-o json): a list of name, endpoint, current.

    Examples:
      ais config context ls
    """
    return run_list_contexts(CliContext.of(ctx))


def context_set(
    ctx: typer.Context,
    name: NameArgument,
    store: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="URL, file:///PATH or an absolute path.")
    ],
) -> int:
    """Give a store a name, or a name another store.

    Fields (-o json): name, endpoint, was.

    Examples:
      ais config context set scratch file:///mnt/scratch/ais
      ais ls --context scratch
    """
    return run_set_context(CliContext.of(ctx), ContextRequest(name=name, endpoint=store))


def context_use(ctx: typer.Context, name: NameArgument) -> int:
    """Use a named store from now on.

    Flags and environment (AIS_ENDPOINT, AIS_CONTEXT, AIS_HOME) still win.

    Fields (-o json): name, endpoint.

    Examples:
      ais config context use scratch
    """
    return run_use_context(CliContext.of(ctx), ContextRequest(name=name))


def context_rm(ctx: typer.Context, name: NameArgument) -> int:
    """Forget the name of a store; the store stays as it is.

    Fields (-o json): name, was_current.

    Examples:
      ais config context rm scratch
    """
    return run_remove_context(CliContext.of(ctx), ContextRequest(name=name))
