"""`bucket lru`: show it, switch it on or off."""

from dataclasses import dataclass

from aiscli.actions.buckets import PropsRequest, SetPropsRequest, run_set_props, run_show_props
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscore.model.bucket import BucketRef

__all__ = ["LruRequest", "run_lru"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LruRequest:
    """A bucket, and whether its objects may be evicted; None shows the properties."""

    bucket: BucketRef
    enable: bool | None = None


def run_lru(context: CliContext, request: LruRequest) -> ExitCode:
    """Print the LRU properties, or change whether LRU is on."""
    if request.enable is None:
        return run_show_props(context, PropsRequest(bucket=request.bucket, prefix="lru"))
    if context.transport.head_bucket(request.bucket).lru.enabled is request.enable:
        state = "enabled" if request.enable else "disabled"
        context.output.item(
            {"bucket": request.bucket.cname, "changed": {}},
            f'Bucket "{request.bucket.cname}": LRU is already {state}, nothing to do',
        )
        return ExitCode.OK
    word = f"lru.enabled={'true' if request.enable else 'false'}"
    return run_set_props(context, SetPropsRequest(bucket=request.bucket, words=(word,)))
