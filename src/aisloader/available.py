"""What a store can do of what is asked: refused before the run, not a hundred thousand times during it."""

from typing import TYPE_CHECKING

from aiscore.errors import UnsupportedError

if TYPE_CHECKING:
    from aiscore.transport.base import Transport
    from aisloader.params import Params

__all__ = ["check_available", "check_target"]


def check_target(params: "Params") -> None:
    """Check what no transport of this version has.

    Raises:
        UnsupportedError: the flag by name.
    """
    if params.cluster.is_s3:
        raise UnsupportedError(
            "-s3endpoint is not supported by this version",
            hint="load a server of AIStore's API, or the embedded engine, with -endpoint",
        )
    asked = {
        "-etl": params.etl.is_enabled,
        "-latest": params.read.latest,
        "-cached": params.read.cached,
        "-nbi": params.read.nbi,
        "-randomproxy": params.cluster.randomproxy,
    }
    for flag, is_set in asked.items():
        if is_set:
            raise UnsupportedError(
                f"{flag} is not supported by this version", hint=f"leave {flag} out"
            )


def check_available(transport: "Transport", params: "Params") -> None:
    """Check what this store has.

    Raises:
        UnsupportedError: the flag by name.
    """
    if params.multipart.is_enabled and not hasattr(transport, "create_upload"):
        raise UnsupportedError(
            f"{transport.endpoint} cannot be sent multipart uploads by this version",
            hint="leave -multipart-chunks out",
        )
