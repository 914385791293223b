"""The parameters of a run: twelve sections, each a frozen dataclass that checks itself.

`parse` makes them from a command line and the environment; every value is resolved (defaults that depend on other
flags, URIs, the seed), so a `Params` repeats a run exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aisloader.params.arch import ArchParams
from aisloader.params.bucket import BucketParams
from aisloader.params.cluster import ClusterParams
from aisloader.params.etl import EtlParams
from aisloader.params.loader import LoaderParams
from aisloader.params.misc import MiscParams
from aisloader.params.multipart import MultipartParams
from aisloader.params.naming import NamingParams
from aisloader.params.read import ReadParams
from aisloader.params.size_cksum import SizeCksumParams
from aisloader.params.stats import StatsParams
from aisloader.params.workload import WorkloadParams

__all__ = [
    "ArchParams",
    "BucketParams",
    "ClusterParams",
    "EtlParams",
    "LoaderParams",
    "MiscParams",
    "MultipartParams",
    "NamingParams",
    "Params",
    "ReadParams",
    "SizeCksumParams",
    "StatsParams",
    "WorkloadParams",
    "parse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """All parameters of a run. Picklable; the defaults are those of the command line.

    Attributes:
        given: names of the flags that the command line set, without dashes.
        notes: what the person should know about the command line, one line each, for stderr.
    """

    cluster: ClusterParams = field(default_factory=ClusterParams)
    bucket: BucketParams = field(default_factory=BucketParams)
    workload: WorkloadParams = field(default_factory=WorkloadParams)
    size_cksum: SizeCksumParams = field(default_factory=SizeCksumParams)
    arch: ArchParams = field(default_factory=ArchParams)
    naming: NamingParams = field(default_factory=NamingParams)
    read: ReadParams = field(default_factory=ReadParams)
    multipart: MultipartParams = field(default_factory=MultipartParams)
    etl: EtlParams = field(default_factory=EtlParams)
    loader: LoaderParams = field(default_factory=LoaderParams)
    stats: StatsParams = field(default_factory=StatsParams)
    misc: MiscParams = field(default_factory=MiscParams)
    given: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def is_no_op(self) -> bool:
        """True when the run ends at once and only cleans up: `-duration=0` without any other limit."""
        return (
            self.workload.duration_ns == 0
            and not self.workload.has_limit
            and not self.misc.stoppable
        )

    @property
    def deadline_ns(self) -> int | None:
        """Nanoseconds from the start to the end of the run; None when time does not end it."""
        return self.workload.duration_ns or None

    def validate(self) -> None:
        """Check every section, then what they say about each other.

        Raises:
            InvalidArgumentError: the first rule that is broken.
        """
        from aisloader.params.rules import check_rules

        for section in (
            self.cluster,
            self.bucket,
            self.workload,
            self.size_cksum,
            self.arch,
            self.naming,
            self.read,
            self.multipart,
            self.etl,
            self.loader,
            self.stats,
            self.misc,
        ):
            section.validate()
        check_rules(self)


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Params:
    """Read a command line (without the program's name), resolve it and check it.

    Raises:
        InvalidArgumentError: an unknown flag, a malformed value, or a rule that is broken.
    """
    from aisloader.params.parser import parse_params

    return parse_params(argv, environ)
