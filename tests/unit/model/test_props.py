import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.access import Access
from aiscore.model.checksum import ChecksumType
from aiscore.model.config import ClusterConfig
from aiscore.model.features import BUCKET_FEATURES, Feature
from aiscore.model.policies import (
    ChecksumPolicy,
    ChunksPolicy,
    EcPolicy,
    LruPolicy,
    MirrorPolicy,
    VersioningPolicy,
    parse_rate_verbs,
)
from aiscore.model.props import (
    AwsProps,
    BackendBucket,
    BackendNamespace,
    BucketProps,
    ExtraProps,
    change_props,
    default_props,
    parse_changes,
    validate_props,
)
from aiscore.model.sections import flatten, from_wire, to_wire
from aiscore.model.units import GIB, HOUR, INT64_MAX, KIB, MIB, TIB, UINT64_MAX

AIS = default_props("ais", ClusterConfig())
CLOUD = default_props("aws", ClusterConfig())


def change(*args: str, to: BucketProps = AIS, force: bool = False) -> BucketProps:
    return change_props(to, parse_changes(args).values, force=force)


def test_wire_form_of_a_new_bucket() -> None:
    props = replace(AIS, bid=UINT64_MAX, created=1_700_000_000_123_456_789)
    assert to_wire(props) == {
        "backend_bck": {"name": "", "provider": "", "namespace": {"uuid": "", "name": ""}},
        "write_policy": {"data": "immediate", "md": "immediate"},
        "provider": "ais",
        "Renamed": "",
        "checksum": {
            "type": "xxhash2",
            "validate_cold_get": False,
            "validate_warm_get": False,
            "validate_obj_move": False,
            "enable_read_range": False,
        },
        "extra": {"aws": {}},
        "rate_limit": {
            "backend": {"interval": "1m", "max_tokens": 1000, "enabled": False, "num_retries": 3},
            "frontend": {"interval": "1m", "max_tokens": 1000, "enabled": False, "burst_size": 375},
        },
        "ec": {
            "objsize_limit": 262144,
            "compression": "never",
            "bundle_multiplier": 2,
            "burst_buffer": 0,
            "data_slices": 1,
            "parity_slices": 1,
            "enabled": False,
            "disk_only": False,
        },
        "chunks": {
            "objsize_limit": "0B",
            "max_monolithic_size": "1TiB",
            "chunk_size": "1GiB",
            "checkpoint_every": 0,
            "flags": 0,
        },
        "mirror": {"copies": 2, "burst_buffer": 128, "enabled": False},
        "lru": {
            "dont_evict_time": "2h0m",
            "capacity_upd_time": "10m",
            "batch_size": 32768,
            "enabled": False,
        },
        "access": "18446744073709551615",
        "features": "0",
        "bid": "18446744073709551615",
        "created": "1700000000123456789",
        "versioning": {"enabled": True, "validate_warm_get": False, "synchronize": False},
    }


def test_what_show_prints() -> None:
    shown = flatten(AIS)
    assert shown["lru.dont_evict_time"] == "2h0m"
    assert shown["lru.enabled"] == "false"
    assert shown["checksum.type"] == "xxhash2"
    assert shown["features"] == "none"
    assert shown["created"] == "-"
    assert shown["access"].startswith("GET,HEAD-OBJECT,PUT,")
    assert not {"bid", "Renamed", "extra.aws.profile"} & set(shown)


def test_defaults_come_from_the_cluster() -> None:
    config = ClusterConfig(
        checksum=ChecksumPolicy(type=ChecksumType.MD5),
        chunks=ChunksPolicy(chunk_size=MIB),
        features=Feature.FSYNC_PUT | Feature.LZ4_BLOCK_1MB,
    )
    props = default_props("aws", config)
    assert props.checksum.type is ChecksumType.MD5
    assert props.chunks.chunk_size == MIB
    assert props.features == Feature.FSYNC_PUT
    assert props.access == Access.ALL
    validate_props(props)


def test_lru_is_off_where_eviction_would_lose_data() -> None:
    assert not AIS.lru.enabled
    assert CLOUD.lru.enabled
    assert default_props("ais", ClusterConfig(), is_remote=True).lru.enabled
    with pytest.raises(InvalidArgumentError, match="only copy"):
        change("lru.enabled=true")
    front = change("backend_bck=s3://b", "lru.enabled=true")
    assert front.lru.enabled
    assert not change("backend_bck=none", to=front).lru.enabled


props_strategy = st.builds(
    BucketProps,
    checksum=st.builds(
        ChecksumPolicy, type=st.sampled_from(ChecksumType), validate_warm_get=st.booleans()
    ),
    chunks=st.builds(
        ChunksPolicy,
        objsize_limit=st.integers(0, GIB),
        max_monolithic_size=st.integers(GIB, TIB),
        chunk_size=st.integers(KIB, 5 * GIB),
        checkpoint_every=st.integers(0, 1024),
    ),
    extra=st.builds(
        ExtraProps,
        aws=st.builds(AwsProps, multipart_size=st.sampled_from([-1, 0, 5 * MIB, 5 * GIB])),
    ),
    ec=st.builds(EcPolicy, objsize_limit=st.integers(-1, INT64_MAX)),
    lru=st.builds(LruPolicy, dont_evict_time_ns=st.integers(HOUR, INT64_MAX)),
    mirror=st.builds(MirrorPolicy, copies=st.integers(2, 32)),
    access=st.integers(0, UINT64_MAX),
    features=st.integers(0, (1 << 24) - 1).map(
        lambda mask: mask & BUCKET_FEATURES & ~Feature.DISABLE_COLD_GET
    ),
    bid=st.integers(0, UINT64_MAX),
    created=st.integers(0, INT64_MAX),
)


@given(props_strategy)
def test_stored_properties_round_trip(props: BucketProps) -> None:
    props.validate()
    assert from_wire(BucketProps, json.loads(json.dumps(to_wire(props)))) == props


@pytest.mark.parametrize(
    ("args", "message"),
    [
        # Checked although auto-chunking is off.
        (["chunks.chunk_size=1"], r"chunks.chunk_size=1B \(expected range \[1KiB, 5GiB\]\)"),
        (["chunks.chunk_size=6GiB"], "chunks.chunk_size=6GiB"),
        (["chunks.checkpoint_every=1025"], r"range \[0, 1024\]"),
        (["chunks.max_monolithic_size=1MiB"], r"range \[1GiB, 1TiB\]"),
        (["chunks.objsize_limit=2TiB"], "at most chunks.max_monolithic_size=1TiB"),
        (["chunks.objsize_limit=-1"], "chunks.objsize_limit=-1B"),
        (["mirror.copies=33"], r"mirror.copies=33 \(expected range \[2, 32\]\)"),
        (["mirror.copies=1", "mirror.enabled=true"], r"range \[2, 32\]"),
        (["versioning.enabled=false", "versioning.validate_warm_get=true"], "requires versioning"),
        (["features=LZ4-Block-1MB"], 'feature "LZ4-Block-1MB" belongs to the cluster'),
        (["features=0x1000000"], "mask of known bits"),
        (["features=Disable-Cold-GET,Streaming-Cold-GET"], "mutually exclusive"),
        (["lru.dont_evict_time=1m"], "lru.dont_evict_time=1m"),
        (["lru.batch_size=5"], r"range \[1024, 524288\]"),
        (["checksum.type=sha1"], "checksum.type: invalid value .* xxhash2"),
        (["write_policy.data=delayed"], "write_policy.data=delayed .*immediate"),
        (["rate_limit.frontend.burst_size=501"], "at most 500, 50%"),
        (["rate_limit.backend.per_op_max_tokens=get:x"], "VERB:NUMBER"),
        (["rate_limit.backend.interval=2h"], r"range \[1s, 1h0m\]"),
        (["rate_limit.backend.num_retries=11"], r"range \[1, 10\]"),
        (["ec.data_slices=33"], r"range \[1, 32\]"),
        (["ec.enabled=true"], r"D = 1, P = 1\) requires at least 3 targets \(have 1\)"),
        (["ec.enabled=true", "ec.objsize_limit=-1"], "at least 2 targets"),
        (["extra.aws.multipart_size=1MiB"], r"range \[5MiB, 5GiB\] or -1B or 0B"),
        (["provider=ais"], 'property "provider" is readonly'),
        (["created=1"], 'property "created" is readonly'),
        (["bid=1"], 'property "bid" is readonly'),
        (["unknown.field=true"], 'unknown property "unknown.field"'),
        (["backend_bck=ais://b"], "must be remote"),
        (["backend_bck=:"], "invalid 'backend_bck=:'"),
        (["backend_bck.name=b"], 'backend bucket "b": provider is empty'),
        (["backend_bck.name=b", "backend_bck.provider=ais"], "must be remote"),
        (["backend_bck.name=b", "backend_bck.provider=x"], 'invalid backend provider "x"'),
    ],
)
def test_refused_changes(args: list[str], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        change(*args)


def test_several_forms_of_the_same_change() -> None:
    expected = replace(AIS, mirror=MirrorPolicy(copies=3, enabled=True))
    for args in (
        ["mirror.enabled=true", "mirror.copies=3"],
        ["mirror.enabled", "true", "MIRROR.copies", "3"],
        ['{"mirror": {"enabled": true, "copies": 3}}'],
        {"mirror": {"enabled": True, "copies": "3"}},
    ):
        assert change_props(AIS, parse_changes(args).values) == expected
    assert change_props(AIS, {"mirror": {"enabled": True, "copies": 3}}) == expected


def test_force_accepts_erasure_coding_without_targets() -> None:
    parsed = parse_changes({"ec": {"enabled": True}, "force": True})
    assert parsed.force
    assert parsed.values == {"ec.enabled": "true"}
    coded = change_props(AIS, parsed.values, force=parsed.force)
    assert coded.ec.enabled
    assert change_props(AIS, {"ec.enabled": "true"}, target_count=3).ec.enabled
    with pytest.raises(InvalidArgumentError, match="only disabled"):
        change("ec.parity_slices=2", to=coded, force=True)
    assert not change("ec.enabled=false", "ec.parity_slices=2", to=coded).ec.enabled


def test_backend_bucket_is_attached_and_detached_by_uri() -> None:
    front = change("backend_bck=s3://data")
    assert front.backend_bck == BackendBucket(name="data", provider="aws")
    remote = change("backend_bck=ais://@uuid#ns/b")
    assert remote.backend_bck.namespace == BackendNamespace(uuid="uuid", name="ns")
    for gone in ("none", ""):
        assert change(f"backend_bck={gone}", to=front) == AIS
    by_parts = change('{"backend_bck": {"name": "data", "provider": "s3"}}')
    assert by_parts == front
    with pytest.raises(InvalidArgumentError, match="only ais:// buckets"):
        change("backend_bck=s3://b", to=CLOUD)


def test_one_copy_means_no_mirror() -> None:
    mirrored = change("mirror.enabled=true", "mirror.copies=4")
    assert change("mirror.copies=1", to=mirrored).mirror == MirrorPolicy(copies=4)
    assert change("mirror.copies=1") == AIS


def test_access_is_set_by_name_number_and_reset() -> None:
    assert change("access=GET,PUT").access == 5
    assert change("access=ro").access == Access.RO
    assert change("access=0x342").access == 0x342
    assert change("access=none").access == 0
    assert change('{"access": "771", "features": "16"}').features == Feature.FSYNC_PUT


def test_versioning_of_a_cloud_bucket_is_not_ours_to_change() -> None:
    with pytest.raises(InvalidArgumentError, match="Cloud bucket"):
        change("versioning.enabled=false", to=CLOUD)
    assert change("versioning.enabled=false").versioning == VersioningPolicy(enabled=False)


def test_rate_verbs() -> None:
    assert parse_rate_verbs("GET:5000  put:3500") == {"get": 5000, "put": 3500}
    assert parse_rate_verbs("") == {}
    for text in ("get", "get:0", "head:1", "get:1 GET:2", "get:9999999999", "get:1,put:2"):
        with pytest.raises(InvalidArgumentError, match="VERB:NUMBER"):
            parse_rate_verbs(text)
