"""Lhotse cuts: one JSON object a line, plain or compressed, as entries of a GetBatch.

A cut is a stretch of a recording. What is fetched is the recording as it is stored; with a sample
rate, only the samples of the cut, which takes a file of uncompressed samples behind a header of known
size.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from io import BufferedReader
from typing import IO, cast

from aiscli.uri import parse_object
from aiscore.errors import InvalidArgumentError
from aiscore.model.archive import split_archpath
from aiscore.model.batch import BatchEntry
from aiscore.model.bucket import BucketRef
from aiscore.model.names import check_object_name

__all__ = ["Samples", "read_cuts"]

LINE_LENGTH_MAX = 16 << 20
"""Bytes of one cut; upstream's limit."""
_GZIP, _LZ4 = b"\x1f\x8b", b"\x04\x22\x4d\x18"
_WAV_HEADER = 44
_COMPRESSED = (".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".sph")
RATE_MIN, RATE_MAX = 1_000, 384_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """How time becomes bytes.

    Attributes:
        rate: samples a second, of each channel.
        width: bytes of one sample of one channel.
        header_size: bytes before the first sample; None is 44 for .wav and 0 for anything else.
    """

    rate: int
    width: int = 2
    header_size: int | None = None

    def __post_init__(self) -> None:
        if not RATE_MIN <= self.rate <= RATE_MAX:
            raise InvalidArgumentError(
                f"--sample-rate {self.rate} is outside of {RATE_MIN} to {RATE_MAX}"
            )
        if not 1 <= self.width <= 8:
            raise InvalidArgumentError(f"--sample-width {self.width} is outside of 1 to 8 bytes")
        if self.header_size is not None and self.header_size < 0:
            raise InvalidArgumentError("--header-size must not be negative")

    def count(self, seconds: Decimal) -> int:
        """Whole samples in so many seconds, rounded as Lhotse does."""
        return int((seconds * self.rate).to_integral_value(rounding=ROUND_HALF_UP))


def read_cuts(
    path: str, *, bucket: BucketRef | None = None, samples: Samples | None = None
) -> Iterator[list[BatchEntry]]:
    """The entries of each cut, in order: one, or for a mixed cut one for each recording in it.

    Args:
        path: JSON lines; gzip and lz4 are told by the first bytes.
        bucket: of sources without a scheme; None reads these as BUCKET/OBJECT.
        samples: fetch only the samples of the cut.

    Raises:
        InvalidArgumentError: a line is no cut; the message has its number.
        OSError: the file cannot be read.
    """
    number = 0
    with open(os.path.expanduser(path), "rb") as raw, _decompressed(raw) as file:
        while line := _line(file, path, number + 1):
            number += 1
            if line.isspace():
                continue
            where = f"{path}:{number}"
            yield list(_entries(_parse(line, where), where, bucket, samples))


def _decompressed(file: BufferedReader) -> IO[bytes]:
    magic = file.peek(4)[:4]
    if magic.startswith(_GZIP):
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if magic == _LZ4:
        import lz4.frame

        return cast("IO[bytes]", lz4.frame.LZ4FrameFile(file))
    return file


def _line(file: IO[bytes], path: str, number: int) -> bytes:
    try:
        line = file.readline(LINE_LENGTH_MAX + 1)
    except (EOFError, RuntimeError, ValueError) as error:
        raise InvalidArgumentError(f"{path}: damaged after line {number - 1}: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise InvalidArgumentError(f"{path}: damaged after line {number - 1}: {error}") from None
    if len(line) > LINE_LENGTH_MAX:
        raise InvalidArgumentError(f"{path}:{number}: longer than {LINE_LENGTH_MAX} bytes")
    return line


def _parse(line: bytes, where: str) -> dict[str, object]:
    try:
        # Decimal: 0.1 s at 16 kHz is 1600 samples, whatever binary fractions make of it.
        loaded: object = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{where}: not a cut: {error}") from None
    if not isinstance(loaded, dict):
        raise InvalidArgumentError(f"{where}: not a cut: expected a JSON object")
    return loaded


def _entries(
    cut: dict[str, object], where: str, bucket: BucketRef | None, samples: Samples | None
) -> Iterator[BatchEntry]:
    tracks = cut.get("tracks")
    if not isinstance(tracks, list):
        yield _entry(cut, where, bucket, samples)
        return
    for track in tracks:
        inner = track.get("cut") if isinstance(track, dict) else None
        if not isinstance(inner, dict):
            raise InvalidArgumentError(f"{where}: a track has no cut")
        if inner.get("type") != "PaddingCut":  # silence: nothing is stored
            yield _entry(inner, where, bucket, samples)


def _entry(
    cut: dict[str, object], where: str, bucket: BucketRef | None, samples: Samples | None
) -> BatchEntry:
    source = _source(cut)
    if source is None:
        raise InvalidArgumentError(
            f"{where}: cut {_shown(cut.get('id'))} has no audio source",
            hint="expected recording.sources[0].source, recording.path, or audio_source",
        )
    own, name = _locate(source, where, bucket)
    split = split_archpath(name)
    name, archpath = split or (name, None)
    start, length = (0, 0) if samples is None else _range(cut, archpath or name, where, samples)
    return BatchEntry(check_object_name(name), own, archpath, None, start, length)


def _source(cut: dict[str, object]) -> str | None:
    recording = cut.get("recording")
    found: object = None
    if isinstance(recording, dict):
        sources = recording.get("sources")
        if isinstance(sources, list) and sources and isinstance(sources[0], dict):
            found = sources[0].get("source")
        found = found or recording.get("path")
    found = found or cut.get("audio_source")
    return found if isinstance(found, str) and found else None


def _locate(source: str, where: str, bucket: BucketRef | None) -> tuple[BucketRef, str]:
    if "://" not in source:
        if source.startswith("/"):
            raise InvalidArgumentError(
                f'{where}: "{source}" is a local file, not an object',
                hint="put the recordings into a bucket, and their URIs into the manifest",
            )
        if bucket is not None:
            return bucket, source
    try:
        uri = parse_object(source)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{where}: {error.message}", hint=error.hint) from None
    return uri.bucket, uri.name


def _range(cut: dict[str, object], name: str, where: str, samples: Samples) -> tuple[int, int]:
    """First byte and bytes of the samples of a cut."""
    if name.lower().endswith(_COMPRESSED):
        raise InvalidArgumentError(
            f'{where}: the samples of "{name}" are compressed: no byte range holds a cut of them',
            hint="leave out --sample-rate to fetch whole recordings",
        )
    header = samples.header_size
    if header is None:
        header = _WAV_HEADER if name.lower().endswith((".wav", ".wave")) else 0
    frame = samples.width * _channels(cut)
    start = samples.count(_seconds(cut, "start", where))
    count = samples.count(_seconds(cut, "duration", where))
    if count < 1:
        raise InvalidArgumentError(f"{where}: cut {_shown(cut.get('id'))} has no samples")
    return header + start * frame, count * frame


def _channels(cut: dict[str, object]) -> int:
    """Channels of the recording: they are interleaved."""
    recording = cut.get("recording")
    if isinstance(recording, dict):
        sources = recording.get("sources")
        if isinstance(sources, list) and sources and isinstance(sources[0], dict):
            channels = sources[0].get("channels")
            if isinstance(channels, list) and channels:
                return len(channels)
    return 1


def _seconds(cut: dict[str, object], key: str, where: str) -> Decimal:
    value = cut.get(key, 0)
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number or not (number := Decimal(cast("Decimal", value))).is_finite() or number < 0:
        raise InvalidArgumentError(f'{where}: "{key}" is not a number of seconds')
    return number


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else "without id"
