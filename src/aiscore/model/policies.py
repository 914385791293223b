"""Sections that the cluster's configuration and every bucket have in common.

The cluster's values are what a new bucket starts with; after that each bucket has its own. Names,
defaults and bounds are AIStore's (release 4.1). Where its check has a hole, the rule here says so.
"""

import re
from enum import StrEnum

from aiscore.errors import InvalidArgumentError
from aiscore.model.checksum import ChecksumType
from aiscore.model.fields import duration, enum, flag, integer, size, text
from aiscore.model.fieldspec import refused
from aiscore.model.sections import Section, section, settings
from aiscore.model.units import GIB, HOUR, KIB, MINUTE, SECOND, TIB, UINT64_MAX, format_size_exact

__all__ = [
    "BATCH_SIZE_DEFAULT",
    "BATCH_SIZE_MAX",
    "BATCH_SIZE_MIN",
    "CHECKPOINT_EVERY_MAX",
    "CHUNK_SIZE_DEFAULT",
    "CHUNK_SIZE_MAX",
    "CHUNK_SIZE_MIN",
    "EC_ALWAYS_REPLICATE",
    "MIRROR_COPIES_MAX",
    "MIRROR_COPIES_MIN",
    "MONOLITHIC_SIZE_MAX",
    "MONOLITHIC_SIZE_MAX_MIN",
    "BackendRate",
    "ChecksumPolicy",
    "ChunksPolicy",
    "Compression",
    "EcPolicy",
    "FrontendRate",
    "LruPolicy",
    "MirrorPolicy",
    "RateLimit",
    "RateLimitPolicy",
    "VersioningPolicy",
    "WritePolicy",
    "WritePolicySection",
    "parse_rate_verbs",
]

CHUNK_SIZE_MIN = KIB
CHUNK_SIZE_DEFAULT = GIB
CHUNK_SIZE_MAX = 5 * GIB
MONOLITHIC_SIZE_MAX_MIN = GIB
"""Smallest value that `chunks.max_monolithic_size` may have."""
MONOLITHIC_SIZE_MAX = TIB
CHECKPOINT_EVERY_MAX = 1024
MIRROR_COPIES_MIN = 2
MIRROR_COPIES_MAX = 32
BATCH_SIZE_MIN = 1024
BATCH_SIZE_DEFAULT = 32 * 1024
BATCH_SIZE_MAX = 512 * 1024
EC_ALWAYS_REPLICATE = -1
"""`ec.objsize_limit` that replicates every object whole instead of slicing it."""

TOKENS_MAX = (1 << 31) - 2
"""Requests per interval; clients keep the number in 31 bits."""
RATE_BURST_PERCENT_MAX = 50

_RATE_VERB = r"(?ai)(get|put|delete):([0-9]{1,10})"


class Compression(StrEnum):
    """When streams between nodes are compressed."""

    NEVER = "never"
    ALWAYS = "always"


class WritePolicy(StrEnum):
    """When object metadata reaches the disk; only `immediate` survives a crash."""

    IMMEDIATE = "immediate"
    DELAYED = "delayed"
    NEVER = "never"


@settings
class ChecksumPolicy(Section):
    """What is checksummed with what, and when a checksum is verified."""

    type: ChecksumType = enum(ChecksumType.XXHASH2, blank=ChecksumType.XXHASH2)
    validate_cold_get: bool = flag(False)
    validate_warm_get: bool = flag(False)
    validate_obj_move: bool = flag(False)
    enable_read_range: bool = flag(False)


@settings
class VersioningPolicy(Section):
    """Version numbers of objects, and whether a read checks the remote version first."""

    enabled: bool = flag(True)
    validate_warm_get: bool = flag(False)
    synchronize: bool = flag(False)

    def check_rules(self, path: str) -> None:
        """Validating a version needs versions."""
        if self.validate_warm_get and not self.enabled:
            raise InvalidArgumentError(
                f"{path}.validate_warm_get requires versioning to be enabled",
                hint=f"set {path}.enabled=true as well",
            )


@settings
class LruPolicy(Section):
    """Eviction of the least recently used objects, never of those used within `dont_evict_time`."""

    dont_evict_time_ns: int = duration(2 * HOUR, minimum=HOUR)
    capacity_upd_time_ns: int = duration(10 * MINUTE, minimum=10 * SECOND)
    batch_size: int = integer(
        BATCH_SIZE_DEFAULT,
        minimum=BATCH_SIZE_MIN,
        maximum=BATCH_SIZE_MAX,
        zero_means=BATCH_SIZE_DEFAULT,
    )
    enabled: bool = flag(True)


@settings
class MirrorPolicy(Section):
    """Copies of each object on other mountpaths of the same node; `copies` counts the original."""

    copies: int = integer(2, minimum=MIRROR_COPIES_MIN, maximum=MIRROR_COPIES_MAX)
    burst_buffer: int = integer(128)
    enabled: bool = flag(False)


@settings
class EcPolicy(Section):
    """Erasure coding: slices of each object on other nodes.

    `objsize_limit` (bytes, a JSON number on the wire) is the size from which objects are sliced
    instead of copied; `EC_ALWAYS_REPLICATE` never slices.
    """

    objsize_limit: int = size(256 * KIB, also=(EC_ALWAYS_REPLICATE,), unquoted=True)
    compression: Compression = enum(Compression.NEVER, blank=Compression.NEVER)
    bundle_multiplier: int = integer(2, maximum=16)
    burst_buffer: int = integer(0, maximum=10_000)
    data_slices: int = integer(1, minimum=1, maximum=32)
    parity_slices: int = integer(1, minimum=1, maximum=32)
    enabled: bool = flag(False)
    disk_only: bool = flag(False)

    @property
    def target_count_min(self) -> int:
        """Targets the layout needs: one per slice plus one for the whole, or one per replica."""
        if self.objsize_limit == EC_ALWAYS_REPLICATE:
            return self.parity_slices + 1
        return self.data_slices + self.parity_slices + 1


@settings
class ChunksPolicy(Section):
    """When and how large objects are stored in chunks.

    `objsize_limit` is the size from which objects are chunked on their own (0: never),
    `max_monolithic_size` the hard limit of one file. Every field is checked even when auto-chunking
    is off, because the hard limit chunks an object all the same; upstream skips `chunk_size` and
    `checkpoint_every` then and can divide by zero.
    """

    objsize_limit: int = size(0)
    max_monolithic_size: int = size(
        MONOLITHIC_SIZE_MAX,
        minimum=MONOLITHIC_SIZE_MAX_MIN,
        maximum=MONOLITHIC_SIZE_MAX,
        zero_means=MONOLITHIC_SIZE_MAX,
    )
    chunk_size: int = size(
        CHUNK_SIZE_DEFAULT,
        minimum=CHUNK_SIZE_MIN,
        maximum=CHUNK_SIZE_MAX,
        zero_means=CHUNK_SIZE_DEFAULT,
    )
    checkpoint_every: int = integer(0, maximum=CHECKPOINT_EVERY_MAX)
    flags: int = integer(0, maximum=UINT64_MAX)

    @property
    def is_auto(self) -> bool:
        """True when objects are chunked on their own from `objsize_limit` up."""
        return self.objsize_limit > 0

    def check_rules(self, path: str) -> None:
        """The soft limit stays within the hard one."""
        if self.objsize_limit > self.max_monolithic_size:
            raise refused(
                f"{path}.objsize_limit",
                format_size_exact(self.objsize_limit),
                f"at most {path}.max_monolithic_size={format_size_exact(self.max_monolithic_size)}",
            )


@settings
class WritePolicySection(Section):
    """When content (`data`) and metadata (`md`) are written; content is always written at once."""

    data: WritePolicy = enum(
        WritePolicy.IMMEDIATE, choices=(WritePolicy.IMMEDIATE,), blank=WritePolicy.IMMEDIATE
    )
    md: WritePolicy = enum(WritePolicy.IMMEDIATE, blank=WritePolicy.IMMEDIATE)


@settings
class RateLimit(Section):
    """What both rate limits have: at most `max_tokens` requests per `interval`.

    `per_op_max_tokens` overrides the number for some verbs, e.g. `get:5000 put:3500`.
    """

    interval_ns: int = duration(MINUTE, minimum=SECOND, maximum=HOUR, zero_means=MINUTE)
    max_tokens: int = integer(1000, minimum=1, maximum=TOKENS_MAX, zero_means=1000)
    enabled: bool = flag(False)
    per_op_max_tokens: str = text(omit_empty=True)

    def check_rules(self, path: str) -> None:
        """Verbs and numbers of `per_op_max_tokens`."""
        parse_rate_verbs(self.per_op_max_tokens, f"{path}.per_op_max_tokens")


@settings
class BackendRate(RateLimit):
    """Shaping of requests to a remote store; "slow down" is retried `num_retries` times."""

    num_retries: int = integer(3, minimum=1, maximum=10, zero_means=3)


@settings
class FrontendRate(RateLimit):
    """Limit on requests of clients, with a burst on top; over it they are refused at once (429)."""

    burst_size: int = integer(375, minimum=1, maximum=TOKENS_MAX, zero_means=375)

    def check_rules(self, path: str) -> None:
        """The burst is at most half of an interval's requests."""
        RateLimit.check_rules(self, path)
        limit = self.max_tokens * RATE_BURST_PERCENT_MAX // 100
        if self.burst_size > limit:
            share = f"{RATE_BURST_PERCENT_MAX}% of {path}.max_tokens={self.max_tokens}"
            raise refused(f"{path}.burst_size", str(self.burst_size), f"at most {limit}, {share}")


@settings
class RateLimitPolicy(Section):
    """Rate limits towards remote stores and towards clients."""

    backend: BackendRate = section(BackendRate)
    frontend: FrontendRate = section(FrontendRate)


def parse_rate_verbs(value: str, key: str = "per_op_max_tokens") -> dict[str, int]:
    """Read `get:5000 put:3500`: requests per interval by lower-case verb.

    Raises:
        InvalidArgumentError: not `VERB:NUMBER` words with the verbs get, put and delete, a verb
            given twice, or a number out of 1 to `TOKENS_MAX`.
    """
    limits: dict[str, int] = {}
    for word in value.split():
        match = re.fullmatch(_RATE_VERB, word)
        verb, count = (match[1].lower(), int(match[2])) if match else ("", 0)
        if not 1 <= count <= TOKENS_MAX or verb in limits:
            raise refused(
                key,
                f'"{value}"',
                'VERB:NUMBER, verbs get, put, delete once, as in "get:5000 put:3500"',
            )
        limits[verb] = count
    return limits
