"""Feature flags: the bits of `features` in the cluster's configuration and in bucket properties.

The order of the names is the order of the bits on the wire, as of release 4.1; a number with a bit
above them is refused, because nothing here would act on it.
"""

from typing import Final

from aiscore.errors import InvalidArgumentError
from aiscore.model.bitmask import BitNames

__all__ = [
    "BUCKET_FEATURES",
    "FEATURES_ALL",
    "FEATURE_NAMES",
    "Feature",
    "check_features",
    "feature_names",
    "format_features",
    "parse_features",
]


class Feature:
    """One constant per flag; masks are plain integers because some are tested on every request."""

    ENFORCE_INTRA_CLUSTER_ACCESS: Final = 1 << 0
    SKIP_LOADING_VERSION_CHECKSUM_MD: Final = 1 << 1
    DO_NOT_AUTO_DETECT_FILE_SHARE: Final = 1 << 2
    S3_API_VIA_ROOT: Final = 1 << 3
    FSYNC_PUT: Final = 1 << 4
    LZ4_BLOCK_1MB: Final = 1 << 5
    LZ4_FRAME_CHECKSUM: Final = 1 << 6
    DO_NOT_ALLOW_PASSING_FQN_TO_ETL: Final = 1 << 7
    IGNORE_LIMITED_COEXISTENCE_CONFLICTS: Final = 1 << 8
    S3_PRESIGNED_REQUEST: Final = 1 << 9
    DO_NOT_OPTIMIZE_LISTING_VIRTUAL_DIRS: Final = 1 << 10
    DISABLE_COLD_GET: Final = 1 << 11
    STREAMING_COLD_GET: Final = 1 << 12
    S3_REVERSE_PROXY: Final = 1 << 13
    S3_USE_PATH_STYLE: Final = 1 << 14
    DO_NOT_DELETE_WHEN_REBALANCING: Final = 1 << 15
    DO_NOT_SET_CONTROL_PLANE_TOS: Final = 1 << 16
    TRUST_CRYPTO_SAFE_CHECKSUMS: Final = 1 << 17
    S3_LIST_OBJECT_VERSIONS: Final = 1 << 18
    ENABLE_DETAILED_PROM_METRICS: Final = 1 << 19
    SYSTEM_RESERVED: Final = 1 << 20
    RESUME_INTERRUPTED_MPU: Final = 1 << 21
    KEEP_UNKNOWN_FQN: Final = 1 << 22
    LOAD_BALANCE_GET: Final = 1 << 23


FEATURE_NAMES: Final = BitNames(
    "feature",
    (
        "Enforce-IntraCluster-Access",
        "Skip-Loading-VersionChecksum-MD",
        "Do-not-Auto-Detect-FileShare",
        "S3-API-via-Root",
        "Fsync-PUT",
        "LZ4-Block-1MB",
        "LZ4-Frame-Checksum",
        "Do-not-Allow-Passing-FQN-to-ETL",
        "Ignore-LimitedCoexistence-Conflicts",
        "S3-Presigned-Request",
        "Do-not-Optimize-Listing-Virtual-Dirs",
        "Disable-Cold-GET",
        "Streaming-Cold-GET",
        "S3-Reverse-Proxy",
        "S3-Use-Path-Style",
        "Do-not-Delete-When-Rebalancing",
        "Do-not-Set-Control-Plane-ToS",
        "Trust-Crypto-Safe-Checksums",
        "S3-ListObjectVersions",
        "Enable-Detailed-Prom-Metrics",
        "System-Reserved",
        "Resume-Interrupted-MPU",
        "Keep-Unknown-FQN",
        "Load-Balance-GET",
    ),
)

FEATURES_ALL: Final = (1 << len(FEATURE_NAMES.names)) - 1

BUCKET_FEATURES: Final = (
    Feature.SKIP_LOADING_VERSION_CHECKSUM_MD
    | Feature.FSYNC_PUT
    | Feature.S3_PRESIGNED_REQUEST
    | Feature.DISABLE_COLD_GET
    | Feature.STREAMING_COLD_GET
    | Feature.S3_USE_PATH_STYLE
    | Feature.S3_LIST_OBJECT_VERSIONS
    | Feature.RESUME_INTERRUPTED_MPU
)
"""The flags a bucket may set for itself; the others belong to the cluster."""


def parse_features(text: str) -> int:
    """Read flags: names joined by commas, a decimal or `0x` number, or `none`.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    return FEATURE_NAMES.parse(text)


def feature_names(mask: int) -> list[str]:
    """Names of the flags that are set, lowest bit first."""
    return FEATURE_NAMES.names_of(mask)


def format_features(mask: int) -> str:
    """The names joined by commas; `none` when no flag is set."""
    return FEATURE_NAMES.format(mask)


def check_features(mask: int) -> None:
    """Refuse flags that contradict each other.

    Raises:
        InvalidArgumentError: `Disable-Cold-GET` and `Streaming-Cold-GET` are both set.
    """
    both = Feature.DISABLE_COLD_GET | Feature.STREAMING_COLD_GET
    if mask & both == both:
        first, second = feature_names(both)
        raise InvalidArgumentError(
            f'features "{first}" and "{second}" are mutually exclusive', hint="set one of them"
        )
