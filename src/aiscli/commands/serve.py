"""`ais serve`."""

import os
from typing import Annotated

import typer

from aiscli.actions.serve import ServeRequest, run_serve
from aiscli.context import CliContext

__all__ = ["serve"]


def serve(
    ctx: typer.Context,
    home: Annotated[
        str | None, typer.Option("--home", metavar="DIR", help="Directory of the store.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address; 127.0.0.1 at first.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="TCP port, 51080; 0: a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes that share the port.")
    ] = None,
    cert: Annotated[
        str | None, typer.Option("--cert", metavar="FILE", help="PEM certificate; turns TLS on.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="PEM key of the certificate.")
    ] = None,
    access_log: Annotated[
        str | None,
        typer.Option("--access-log", metavar="FILE", help="A line a request; - is stderr."),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be repeated."),
    ] = None,
    log_level: Annotated[
        str,
        typer.Option("--log-level", metavar="LEVEL", help="error, warning, info, or debug."),
    ] = "warning",
) -> int:
    """Serve the store over AIStore's REST API.

    Runs until Ctrl-C or SIGTERM: then it finishes what is in flight and exits with 0. SIGHUP loads
    the certificate again and reopens the access log. Settings come from flags, AIS_SERVE_NAME
    variables, and the file of --config, in this order.

    In machine formats one record is printed, as soon as it answers.

    Examples:
      ais serve
      ais serve --home /data/store --host 0.0.0.0 --cert server.crt --key server.key
      ais serve --port 0 -o json
    """
    flags: dict[str, str | int | None] = {
        # "" stays what it is, and is refused: the working directory is not meant.
        "home": os.path.abspath(os.path.expanduser(home)) if home else home,
        "host": host,
        "port": port,
        "workers": workers,
        "cert": cert,
        "key": key,
        "access_log": access_log,
    }
    return run_serve(
        CliContext.of(ctx),
        ServeRequest(
            flags={name: value for name, value in flags.items() if value is not None},
            assignments=tuple(assignments or ()),
            config=config or "",
            log_level=log_level.lower(),
        ),
    )
