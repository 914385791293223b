"""The twelve sections by name, with their classes, their resolvers and their flags."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from aisloader.params import (
    arch,
    bucket,
    cluster,
    etl,
    loader,
    misc,
    multipart,
    naming,
    read,
    size_cksum,
    stats,
    workload,
)
from aisloader.params.option import Option, options_of

__all__ = ["SECTIONS", "Resolver", "Section", "options_by_spelling", "section_options"]

Resolver = Callable[[dict[str, Any], frozenset[str], Mapping[str, str], list[str]], None]


class Section(NamedTuple):
    """One section: the title of its group in the usage, its class, and what resolves its values."""

    title: str
    cls: type
    resolve: Resolver


SECTIONS: Mapping[str, Section] = {
    "cluster": Section("Cluster", cluster.ClusterParams, cluster.resolve),
    "bucket": Section("Bucket", bucket.BucketParams, bucket.resolve),
    "workload": Section("Workload", workload.WorkloadParams, workload.resolve),
    "size_cksum": Section(
        "Object sizes and checksums", size_cksum.SizeCksumParams, size_cksum.resolve
    ),
    "arch": Section("Archives (shards)", arch.ArchParams, arch.resolve),
    "naming": Section("Object names", naming.NamingParams, naming.resolve),
    "read": Section("Reading", read.ReadParams, read.resolve),
    "multipart": Section("Multipart", multipart.MultipartParams, multipart.resolve),
    "etl": Section("ETL", etl.EtlParams, etl.resolve),
    "loader": Section("Several loaders", loader.LoaderParams, loader.resolve),
    "stats": Section("Statistics", stats.StatsParams, stats.resolve),
    "misc": Section("Miscellaneous", misc.MiscParams, misc.resolve),
}


@cache
def section_options(section: str) -> tuple[Option, ...]:
    """The flags of a section, in the order of the usage."""
    return options_of(SECTIONS[section].cls)


@cache
def options_by_spelling() -> Mapping[str, tuple[str, Option]]:
    """Every spelling of every flag -> section and flag."""
    found: dict[str, tuple[str, Option]] = {}
    for section in SECTIONS:
        for each in section_options(section):
            for spelling in each.spellings:
                if spelling in found:
                    raise AssertionError(f"flag -{spelling} is defined twice")
                found[spelling] = (section, each)
    return found
