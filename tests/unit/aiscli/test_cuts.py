"""Lhotse cuts as entries of a batch."""

import gzip
import json
from pathlib import Path

import lz4.frame
import pytest

from aiscli.actions.batches.cuts import Samples, read_cuts
from aiscore.errors import InvalidArgumentError
from aiscore.model.batch import BatchEntry
from aiscore.model.bucket import BucketRef

B = BucketRef("b")


def cut(source: str, *, channels: int = 1, **more: object) -> dict[str, object]:
    sources = [{"type": "file", "channels": list(range(channels)), "source": source}]
    return {"id": "c", "start": 0, "duration": 1, "recording": {"sources": sources}, **more}


def manifest(tmp_path: Path, *cuts: object) -> str:
    path = tmp_path / "cuts.jsonl"
    path.write_text("".join(f"{json.dumps(item)}\n" for item in cuts))
    return str(path)


def entries(
    path: str, samples: Samples | None = None, bucket: BucketRef | None = None
) -> list[BatchEntry]:
    return [entry for group in read_cuts(path, samples=samples, bucket=bucket) for entry in group]


@pytest.mark.parametrize(
    "item",
    [
        cut("ais://b/x.wav"),
        cut("b/x.wav"),
        {"recording": {"path": "ais://b/x.wav"}},
        {"audio_source": "b/x.wav"},
    ],
)
def test_the_three_layouts(tmp_path: Path, item: dict[str, object]) -> None:
    assert entries(manifest(tmp_path, item)) == [BatchEntry("x.wav", B)]


def test_files_of_shards_other_buckets_and_a_bucket_given(tmp_path: Path) -> None:
    path = manifest(tmp_path, cut("ais://b/s.tar/d/x.flac"), cut("d/x.wav"))
    assert entries(path, bucket=BucketRef("c")) == [
        BatchEntry("s.tar", B, "d/x.flac"),
        BatchEntry("d/x.wav", BucketRef("c")),
    ]


def test_a_mixed_cut_has_its_recordings_in_order(tmp_path: Path) -> None:
    tracks = [
        {"cut": cut("b/1.wav")},
        {"cut": {"type": "PaddingCut", "duration": 1}},
        {"cut": cut("b/2.wav"), "offset": 1.0},
    ]
    mixed = {"type": "MixedCut", "tracks": tracks}
    assert [entry.name for entry in entries(manifest(tmp_path, mixed))] == ["1.wav", "2.wav"]


@pytest.mark.parametrize(
    ("start", "duration", "samples", "expected"),
    [
        (0, 1, Samples(rate=16_000), (44, 32_000)),
        (0.1, 0.2, Samples(rate=16_000), (44 + 3_200, 6_400)),  # 0.1 + 0.2 in binary is not 0.3
        (1.00003125, 0.5, Samples(rate=16_000), (44 + 2 * 16_001, 16_000)),  # half a sample: up
        (2, 1, Samples(rate=8_000, width=4, header_size=0), (64_000, 32_000)),
    ],
)
def test_time_becomes_bytes(
    tmp_path: Path, start: float, duration: float, samples: Samples, expected: tuple[int, int]
) -> None:
    path = manifest(tmp_path, cut("b/x.wav", start=start, duration=duration))
    (entry,) = entries(path, samples)
    assert (entry.start, entry.length) == expected


def test_channels_are_interleaved_and_raw_samples_have_no_header(tmp_path: Path) -> None:
    path = manifest(tmp_path, cut("b/x.pcm", channels=2, start=1))
    (entry,) = entries(path, Samples(rate=1_000))
    assert (entry.start, entry.length) == (4_000, 4_000)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "1: not a cut"),
        ("[]", "1: not a cut"),
        ("{}", "no audio source"),
        (json.dumps(cut("/data/x.wav")), "local file"),
        (json.dumps(cut("x.wav")), "1: "),
        (json.dumps(cut("zz://b/x.wav")), "1: "),
        (json.dumps(cut("b/../x.wav")), "x.wav"),
        ('{"tracks": [{}]}', "a track has no cut"),
        ("[" * 100_000, "not a cut"),
        (b"\xff", "not a cut"),
    ],
)
def test_what_is_no_cut(tmp_path: Path, line: str | bytes, reason: str) -> None:
    path = tmp_path / "cuts"
    path.write_bytes(line if isinstance(line, bytes) else line.encode())
    with pytest.raises(InvalidArgumentError, match=reason):
        entries(str(path))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (cut("b/x.flac"), "compressed"),
        (cut("b/s.tar/x.mp3"), "compressed"),
        (cut("b/x.wav", duration=0), "no samples"),
        (cut("b/x.wav", start=-1), "start"),
        (cut("b/x.wav", start="1"), "start"),
        (cut("b/x.wav", start=float("nan")), "start"),
    ],
)
def test_no_range_can_be_told(tmp_path: Path, item: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        entries(manifest(tmp_path, item), Samples(rate=16_000))


def test_compressed_manifests_are_told_by_content(tmp_path: Path) -> None:
    plain = (json.dumps(cut("b/x.wav")) + "\n\n").encode() * 3
    for content in (plain, gzip.compress(plain), lz4.frame.compress(plain)):
        path = tmp_path / "cuts"
        path.write_bytes(content)
        assert len(entries(str(path))) == 3


@pytest.mark.parametrize("compress", [gzip.compress, lz4.frame.compress])
def test_a_manifest_cut_short_is_an_error(tmp_path: Path, compress: object) -> None:
    assert callable(compress)
    path = tmp_path / "cuts"
    path.write_bytes(compress(json.dumps(cut("b/x.wav")).encode() + b"\n")[:-12])
    with pytest.raises(InvalidArgumentError, match=r"damaged|not a cut"):
        entries(str(path))


@pytest.mark.parametrize(
    "values", [(999, 2, None), (384_001, 2, None), (8_000, 0, None), (8_000, 2, -1)]
)
def test_samples_that_cannot_be(values: tuple[int, int, int | None]) -> None:
    rate, width, header = values
    with pytest.raises(InvalidArgumentError):
        Samples(rate=rate, width=width, header_size=header)
