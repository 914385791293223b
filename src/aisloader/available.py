"""What a store can do of what is asked: refused before the run, not a hundred thousand times during it."""

from typing import TYPE_CHECKING

from aiscore.errors import UnsupportedError

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["check_target"]


def check_target(params: "Params") -> None:
    """Check what this kind of store has.

    Raises:
        UnsupportedError: the flag by name.
    """
    if params.read.nbi:
        raise UnsupportedError(
            "-nbi is not supported: inventories of buckets are not part of AIStore 4.1",
            hint="list the bucket, or name its objects with -filelist",
        )
    if not params.cluster.is_embedded:
        return
    if params.etl.is_enabled:
        raise UnsupportedError(
            "-etl needs a cluster: the embedded engine transforms nothing",
            hint="load an AIStore cluster on Kubernetes, with -endpoint",
        )
    if params.cluster.randomproxy:
        raise UnsupportedError(
            "-randomproxy needs a cluster: the embedded engine has no gateways",
            hint="leave -randomproxy out, or load a cluster with -endpoint",
        )
