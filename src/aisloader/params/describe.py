"""Parameters as people and programs read them at the start of a run."""

from typing import TYPE_CHECKING, Any

from aiscore.model.units import format_duration, format_go_duration, format_size_exact
from aisloader.params.option import show_value
from aisloader.params.sections import SECTIONS, section_options

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["command_line", "listing", "runtime_configuration"]

_SECRET = frozenset({"tokenfile"})


def listing(params: "Params") -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Every flag with its value: those at their default, and those that were set."""
    defaults: list[tuple[str, str]] = []
    custom: list[tuple[str, str]] = []
    for section in SECTIONS:
        for each in section_options(section):
            value = getattr(getattr(params, section), each.field)
            row = (each.name, show_value(each.kind, value))
            (custom if each.name in params.given else defaults).append(row)
    return defaults, custom


def command_line(params: "Params") -> list[str]:
    """The flags that repeat this run: what was given, and the seed that was drawn."""
    flags = []
    for section in SECTIONS:
        for each in section_options(section):
            if each.name == "bucket":
                flags.append(f"-bucket={params.bucket.ref}")
            elif each.name != "provider" and each.name in {*params.given, "seed"}:
                value = getattr(getattr(params, section), each.field)
                if value is not None:
                    flags.append(f"-{each.name}={show_value(each.kind, value)}")
    return flags


def runtime_configuration(params: "Params", getter_label: str, endpoint: str) -> dict[str, Any]:
    """The run's configuration with upstream's keys in upstream's order; what is 0 or off is left out.

    Args:
        params: of the run.
        getter_label: of the name getter in use.
        endpoint: what is loaded, as the transport shows it.
    """
    workload, sizes, multipart = params.workload, params.size_cksum, params.multipart
    interval = params.stats.interval_ns
    shown: dict[str, Any] = {
        "proxy": endpoint,
        "bucket": str(params.bucket.ref),
        "duration": format_go_duration(params.deadline_ns) if params.deadline_ns else "-",
        "# workers": workload.numworkers,
        "stats interval": format_duration(interval),
    }
    optional: dict[str, Any] = {
        "% PUT": workload.pctput,
        "% Update Existing": workload.pctupdate,
        "% Multipart PUT": multipart.pct if multipart.chunks else 0,
        "% Multipart Download Stream": multipart.stream_pct,
        "GET(batch): batch size": params.read.get_batchsize,
    }
    if workload.pctput:
        optional |= {
            "minimum object size (bytes)": sizes.minsize,
            "maximum object size (bytes)": sizes.maxsize,
            "PUT upper bound": format_size_exact(workload.totalputsize)
            if workload.totalputsize
            else "",
        }
    optional["archive (shards)"] = _archive(params) if params.arch.reads_members else None
    shown |= {key: value for key, value in optional.items() if value}
    shown["name-getter"] = getter_label
    if workload.pctput:
        shown["reader-type"] = workload.readertype
    shown["seed"] = workload.seed
    shown["cleanup"] = params.misc.cleanup
    return shown


def _archive(params: "Params") -> dict[str, Any]:
    arch = params.arch
    shown: dict[str, Any] = {"% workload": arch.pct, "format": arch.format}
    if arch.prefix:
        shown["prefix"] = arch.prefix
    if params.workload.pctput:
        if arch.num_files:
            shown["files per shard"] = arch.num_files
        shown["minimum file size"] = arch.minsize
        shown["maximum file size"] = arch.maxsize
    return shown
