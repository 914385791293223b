import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiscore.errors import InvalidArgumentError
from aiscore.model.features import (
    BUCKET_FEATURES,
    FEATURE_NAMES,
    FEATURES_ALL,
    Feature,
    check_features,
    feature_names,
    format_features,
    parse_features,
)


def _constant(name: str) -> str:
    """`S3-ListObjectVersions` -> `S3LISTOBJECTVERSIONS`: spelling without word breaks."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def test_constants_follow_the_order_of_the_names() -> None:
    values = {_constant(name): bit for name, bit in vars(Feature).items() if name.isupper()}
    assert values == {_constant(name): 1 << bit for bit, name in enumerate(FEATURE_NAMES.names)}
    assert FEATURES_ALL == (1 << 24) - 1


def test_bucket_features_are_a_subset_with_known_names() -> None:
    assert feature_names(BUCKET_FEATURES) == [
        "Skip-Loading-VersionChecksum-MD",
        "Fsync-PUT",
        "S3-Presigned-Request",
        "Disable-Cold-GET",
        "Streaming-Cold-GET",
        "S3-Use-Path-Style",
        "S3-ListObjectVersions",
        "Resume-Interrupted-MPU",
    ]


def test_parse_and_format() -> None:
    assert parse_features("Fsync-PUT,LZ4-Block-1MB") == 48
    assert parse_features("fsync-put") == Feature.FSYNC_PUT
    assert parse_features("0x30") == parse_features("48") == 48
    assert parse_features("none") == 0
    assert format_features(48) == "Fsync-PUT,LZ4-Block-1MB"
    assert format_features(0) == "none"


def test_cold_get_flags_exclude_each_other() -> None:
    check_features(Feature.DISABLE_COLD_GET | Feature.FSYNC_PUT)
    with pytest.raises(InvalidArgumentError, match='"Disable-Cold-GET" and "Streaming-Cold-GET"'):
        check_features(Feature.DISABLE_COLD_GET | Feature.STREAMING_COLD_GET)


@given(st.integers(0, FEATURES_ALL))
def test_masks_round_trip(mask: int) -> None:
    assert parse_features(format_features(mask)) == mask
