"""Properties of a bucket: what they are, what a new bucket starts with, what may change.

The tree has AIStore's names and JSON encodings. A change is applied as a whole or not at all: it is
put on top of the present properties, the result is checked with every rule across sections, and
only then replaces them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiscore.errors import InvalidArgumentError
from aiscore.model.access import ACCESS_NAMES, Access
from aiscore.model.assignments import parse_assignments
from aiscore.model.bitmask import RESET
from aiscore.model.bucket import BucketRef, Provider
from aiscore.model.config import ClusterConfig
from aiscore.model.features import (
    BUCKET_FEATURES,
    FEATURE_NAMES,
    FEATURES_ALL,
    check_features,
    feature_names,
)
from aiscore.model.fields import bitmask, integer, size, text, timestamp
from aiscore.model.names import check_bucket_name, check_namespace_part
from aiscore.model.policies import (
    ChecksumPolicy,
    ChunksPolicy,
    EcPolicy,
    LruPolicy,
    MirrorPolicy,
    RateLimitPolicy,
    VersioningPolicy,
    WritePolicySection,
)
from aiscore.model.sections import (
    Section,
    apply_changes,
    section,
    settings,
)
from aiscore.model.units import GIB, MIB, UINT64_MAX, parse_bool

__all__ = [
    "AwsProps",
    "BackendBucket",
    "BackendNamespace",
    "BucketProps",
    "ExtraProps",
    "PropsChanges",
    "change_props",
    "default_props",
    "parse_changes",
    "validate_props",
]

_CLOUDS = frozenset({Provider.AWS, Provider.GCP, Provider.AZURE, Provider.OCI})
_BACKEND = "backend_bck"


@settings
class BackendNamespace(Section):
    """Namespace of the bucket behind a front: uuid or alias of a remote cluster, and a name."""

    uuid: str = text()
    name: str = text()

    def check_rules(self, path: str) -> None:
        """Both halves follow the rules of namespaces."""
        check_namespace_part(self.uuid)
        check_namespace_part(self.name)


@settings
class BackendBucket(Section):
    """The remote bucket that an `ais://` bucket stands in front of; empty when there is none."""

    name: str = text()
    provider: str = text()
    namespace: BackendNamespace = section(BackendNamespace)

    @property
    def is_set(self) -> bool:
        """True when there is a bucket behind."""
        return bool(self.name or self.provider)

    def check_rules(self, path: str) -> None:
        """Name and provider come together, and the bucket is remote."""
        if not self.is_set:
            return
        if not self.provider or not self.name:
            missing, given = ("provider", self.name) if self.name else ("name", self.provider)
            raise InvalidArgumentError(f'backend bucket "{given}": {missing} is empty')
        check_bucket_name(self.name)
        if Provider.parse(self.provider) is Provider.AIS and not self.namespace.uuid:
            raise InvalidArgumentError(f'backend bucket "ais://{self.name}" must be remote')


@settings
class AwsProps(Section):
    """How to reach an S3 bucket.

    `max_pagesize` 0 leaves the page size to the backend. `multipart_size` (bytes) is the size from
    which uploads are split: -1 never, 0 the default of 128 MiB.
    """

    cloud_region: str = text(omit_empty=True)
    endpoint: str = text(omit_empty=True)
    profile: str = text(omit_empty=True)
    max_pagesize: int = integer(0, omit_empty=True)
    multipart_size: int = size(0, minimum=5 * MIB, maximum=5 * GIB, also=(-1, 0), omit_empty=True)


@settings
class ExtraProps(Section):
    """Settings of one kind of backend."""

    aws: AwsProps = section(AwsProps)


@settings
class BucketProps(Section):
    """Everything a bucket can be set to, and what the store keeps about it.

    `bid` identifies one life of the bucket: a bucket that was removed and made again has another.
    `created` is in nanoseconds since the epoch. Both, the provider and the historical `Renamed` are
    the store's own.
    """

    backend_bck: BackendBucket = section(BackendBucket)
    write_policy: WritePolicySection = section(WritePolicySection)
    provider: str = text("ais", readonly=True)
    renamed: str = text(name="Renamed", readonly=True, hidden=True)
    checksum: ChecksumPolicy = section(ChecksumPolicy)
    extra: ExtraProps = section(ExtraProps)
    rate_limit: RateLimitPolicy = section(RateLimitPolicy)
    ec: EcPolicy = section(EcPolicy)
    chunks: ChunksPolicy = section(ChunksPolicy)
    mirror: MirrorPolicy = section(MirrorPolicy)
    lru: LruPolicy = section(LruPolicy)
    access: int = bitmask(Access.ALL, ACCESS_NAMES)
    features: int = bitmask(0, FEATURE_NAMES, maximum=FEATURES_ALL)
    bid: int = integer(0, maximum=UINT64_MAX, quoted=True, readonly=True, hidden=True)
    created: int = timestamp()
    versioning: VersioningPolicy = section(VersioningPolicy)

    def check_rules(self, path: str) -> None:
        """Rules between sections that hold whatever the store looks like."""
        if self.backend_bck.is_set and self.provider != Provider.AIS:
            raise InvalidArgumentError(
                f'invalid provider "{self.provider}": only ais:// buckets can have a backend bucket'
            )
        check_features(self.features)
        if foreign := self.features & ~BUCKET_FEATURES:
            raise InvalidArgumentError(
                f'feature "{feature_names(foreign)[0]}" belongs to the cluster, not to a bucket',
                hint=f"a bucket may have: {', '.join(feature_names(BUCKET_FEATURES))}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PropsChanges:
    """What somebody wants to change.

    Attributes:
        values: dotted name to new value as text.
        force: accept an erasure coding layout that the present targets cannot hold.
    """

    values: Mapping[str, str]
    force: bool = False


def default_props(
    provider: str, config: ClusterConfig, *, is_remote: bool | None = None
) -> BucketProps:
    """Properties of a new bucket: the cluster's policies as they are now.

    Args:
        provider: canonical provider of the bucket.
        config: where the policies come from; cluster-wide feature flags are not inherited.
        is_remote: another system owns the content; derived from the provider when None. Without a
            remote copy eviction would lose data, so `lru.enabled` starts as false then.
    """
    remote = provider != Provider.AIS if is_remote is None else is_remote
    return BucketProps(
        provider=provider,
        write_policy=config.write_policy,
        checksum=config.checksum,
        rate_limit=config.rate_limit,
        ec=config.ec,
        chunks=config.chunks,
        mirror=config.mirror,
        lru=config.lru if remote else replace(config.lru, enabled=False),
        features=config.features & BUCKET_FEATURES,
        versioning=config.versioning,
    )


def parse_changes(args: Sequence[str] | Mapping[str, object]) -> PropsChanges:
    """Read changes: `KEY=VALUE` words, `KEY VALUE` pairs, one word of JSON, or a JSON object.

    `backend_bck` takes a bucket URI, or `none` to detach; `force` is taken out of the values.

    Raises:
        InvalidArgumentError: not one of these forms, a key given twice, or a backend bucket that is
            no URI.
    """
    values = parse_assignments(BucketProps, args, extra=(_BACKEND, "force"))
    force = parse_bool(values.pop("force", "false"))
    if _BACKEND in values:
        values |= _backend_values(values.pop(_BACKEND))
    provider = values.get(f"{_BACKEND}.provider")
    if provider:
        values[f"{_BACKEND}.provider"] = Provider.parse(provider).value
    return PropsChanges(values=values, force=force)


def change_props(
    current: BucketProps,
    changes: Mapping[str, object],
    *,
    target_count: int = 1,
    is_remote: bool | None = None,
    force: bool = False,
) -> BucketProps:
    """The properties after a change, checked as a whole.

    Two things follow on their own, as upstream: `mirror.copies=1` switches mirroring off, and a
    bucket that loses its backend also loses `lru.enabled`.

    Args:
        current: the present properties; they stay as they are.
        changes: dotted name to new value, or anything else that `parse_changes` takes as an object.
        target_count: how many targets the cluster has.
        is_remote: see `default_props`.
        force: see `PropsChanges`.

    Raises:
        InvalidArgumentError: an unknown or read-only name, a bad value, or a rule that is broken.
    """
    parsed = parse_changes(changes)
    force = force or parsed.force
    values = dict(parsed.values)
    mirror = _disable_mirror(current, values)
    changed = apply_changes(replace(current, mirror=mirror), values)
    detached = current.backend_bck.is_set and not changed.backend_bck.is_set
    if detached and changed.lru.enabled and "lru.enabled" not in values:
        changed = replace(changed, lru=replace(changed.lru, enabled=False))
    _check_transition(current, changed, force=force)
    validate_props(changed, target_count=target_count, is_remote=is_remote, force=force)
    return changed


def validate_props(
    props: BucketProps,
    *,
    target_count: int = 1,
    is_remote: bool | None = None,
    force: bool = False,
) -> None:
    """Check properties against their own rules and against the cluster they are for.

    Args:
        props: the whole tree.
        target_count: how many targets can hold slices and replicas.
        is_remote: see `default_props`; a backend bucket also counts.
        force: accept erasure coding that has too few targets.

    Raises:
        InvalidArgumentError: the first fault found.
    """
    props.validate()
    remote = props.provider != Provider.AIS if is_remote is None else is_remote
    if props.lru.enabled and not remote and not props.backend_bck.is_set:
        raise InvalidArgumentError(
            "lru.enabled=true is not possible for an ais:// bucket: eviction would remove the only "
            "copy",
            hint="attach a remote bucket first: backend_bck=PROVIDER://BUCKET",
        )
    ec = props.ec
    if ec.enabled and ec.target_count_min > target_count and not force:
        raise InvalidArgumentError(
            f"not enough targets: EC configuration (D = {ec.data_slices}, P = {ec.parity_slices}) "
            f"requires at least {ec.target_count_min} targets (have {target_count})",
            hint="mirror.enabled=true keeps copies on several disks; force sets EC anyway",
        )


def _backend_values(value: str) -> dict[str, str]:
    """The leaves that `backend_bck=URI` stands for."""
    name, provider, uuid, scope = "", "", "", ""
    if value and value.lower() != RESET:
        try:
            bucket = BucketRef.parse(value)
        except InvalidArgumentError as exc:
            raise InvalidArgumentError(
                f"invalid '{_BACKEND}={value}': expecting \"{value}\" to be a valid bucket name",
                hint=exc.hint,
            ) from exc
        if not bucket.is_remote:
            raise InvalidArgumentError(f'Backend bucket "{value}" must be remote')
        name, provider = bucket.name, bucket.provider.value
        uuid, scope = bucket.namespace.uuid, bucket.namespace.name
    return {
        f"{_BACKEND}.name": name,
        f"{_BACKEND}.provider": provider,
        f"{_BACKEND}.namespace.uuid": uuid,
        f"{_BACKEND}.namespace.name": scope,
    }


def _disable_mirror(current: BucketProps, values: dict[str, str]) -> MirrorPolicy:
    """Take `mirror.copies=1` out of the changes: it means no mirroring; the number stays valid."""
    if values.get("mirror.copies", "").strip() != "1" or "mirror.enabled" in values:
        return current.mirror
    del values["mirror.copies"]
    return replace(current.mirror, enabled=False)


def _check_transition(current: BucketProps, changed: BucketProps, *, force: bool) -> None:
    """Rules about the step from one state to the next."""
    old, new = current.ec, changed.ec
    if old.enabled and new.enabled:
        same_slices = (old.data_slices, old.parity_slices) == (new.data_slices, new.parity_slices)
        if not same_slices or (old.objsize_limit != new.objsize_limit and not force):
            raise InvalidArgumentError(
                "once enabled, EC configuration can be only disabled but cannot change",
                hint="set ec.enabled=false first",
            )
    if current.provider in _CLOUDS and current.versioning.enabled != changed.versioning.enabled:
        state = "enabled" if current.versioning.enabled else "disabled"
        raise InvalidArgumentError(
            f"cannot modify versioning of a Cloud bucket ({state})",
            hint="change it where the bucket lives",
        )
