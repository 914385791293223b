"""`ais config`: of the store, and of the command itself."""

from typing import Annotated

import typer

from aiscli.actions.settings.cli_config import (
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
from aiscli.actions.settings.config import ConfigRequest, run_config, run_reset_config
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

    AIS_CRT, AIS_CRT_KEY, AIS_CLIENT_CA and AIS_SKIP_VERIFY_CRT win over cluster.client_crt,
    client_crt_key, client_ca_tls and skip_verify_crt; AIS_CONNECT_TIMEOUT and AIS_READ_TIMEOUT over
    timeout.tcp_timeout and http_timeout; AIS_AUTHN_URL over auth.url, whose default is https with
    AIS_USE_HTTPS=1. They are for stores on the network.

    The token is the first of these that is set: AIS_AUTHN_TOKEN; the file AIS_AUTHN_TOKEN_FILE;
    auth.token beside the settings. It is never shown.

    default_provider is the provider of buckets that are named without one. verbose adds the class
    of an error and its causes; AIS_DEBUG=1 the traceback. Help that is longer than the terminal
    goes through AIS_PAGER, else PAGER, unless no_more is set.

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

    Examples:
      ais config cli set cluster.url=http://ais.example.com:8080
      ais config cli set no_color=true
    """
    return run_set_cli(CliContext.of(ctx), tuple(words))


def cli_reset(ctx: typer.Context) -> int:
    """Reset the settings of this command to the defaults.

    Contexts and aliases are among them. The file is not deleted but renamed to cli.json.bak.

    Examples:
      ais config cli reset
    """
    return run_reset_cli(CliContext.of(ctx))


def reset(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="[cli|cluster]", help="What to reset; this command's settings.")
    ] = "cli",
) -> int:
    """Reset the settings of this command, or of the store, to the defaults.

    Those of this command: a file that cannot be read is no obstacle; it is not deleted but renamed
    to cli.json.bak. Those of the store: buckets keep the properties they have.

    Examples:
      ais config reset
      ais config reset cluster
    """
    if what == "cluster":
        return run_reset_config(CliContext.of(ctx))
    if what != "cli":
        raise InvalidArgumentError(f'cannot reset "{what}"', hint="use one of: cli, cluster")
    return run_reset_cli(CliContext.of(ctx))


def context_ls(ctx: typer.Context) -> int:
    """List the named stores.

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

    Examples:
      ais config context set scratch file:///mnt/scratch/ais
      ais ls --context scratch
    """
    return run_set_context(CliContext.of(ctx), ContextRequest(name=name, endpoint=store))


def context_use(ctx: typer.Context, name: NameArgument) -> int:
    """Use a named store from now on.

    Flags and environment (AIS_ENDPOINT, AIS_CONTEXT, AIS_HOME) still win.

    Examples:
      ais config context use scratch
    """
    return run_use_context(CliContext.of(ctx), ContextRequest(name=name))


def context_rm(ctx: typer.Context, name: NameArgument) -> int:
    """Forget the name of a store; the store stays as it is.

    Examples:
      ais config context rm scratch
    """
    return run_remove_context(CliContext.of(ctx), ContextRequest(name=name))
