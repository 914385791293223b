"""Cuts of Lhotse whose audio is loaded as one batch: `cuts.py`, with `AIS_ENDPOINT` in the environment.

It runs in the environment of Lhotse (`environments`), where nothing of this repository can be imported. Half of the
recordings are objects, half are files of a shard; every sample is compared with what was encoded.
"""

import io
import os
import tarfile
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-not-found]
from aistore.sdk import Client  # type: ignore[import-untyped]
from lhotse import CutSet, MonoCut, Recording  # type: ignore[import-not-found]
from lhotse.ais.batch_loader import AISBatchLoader  # type: ignore[import-not-found]
from lhotse.audio import AudioSource  # type: ignore[import-not-found]

RATE = 16_000
COUNT = 40
SHARD = "shards/0.tar"
Audio = np.ndarray[Any, np.dtype[np.float32]]


def main() -> None:
    numbers = np.random.default_rng(7)
    flacs = [encoded(numbers, RATE + 100 * index) for index in range(COUNT)]
    audio = [soundfile.read(io.BytesIO(flac), dtype="float32")[0] for flac in flacs]
    urls = store(flacs)
    order = numbers.permutation(COUNT)
    cuts = CutSet.from_cuts([cut(f"c{index}", urls[index], audio[index]) for index in order])
    loaded = AISBatchLoader()(cuts)
    for index, found in zip(order, loaded, strict=True):
        assert found.recording.sources[0].type == "memory"
        np.testing.assert_array_equal(found.load_audio()[0], audio[index])
    # What is not in a batch is fetched by its URL.
    np.testing.assert_array_equal(recording("one", urls[1], audio[1]).load_audio()[0], audio[1])
    print(f"{COUNT} cuts")  # noqa: T201


def encoded(numbers: np.random.Generator, samples: int) -> bytes:
    flac = io.BytesIO()
    soundfile.write(flac, numbers.standard_normal(samples) * 0.1, RATE, format="FLAC")
    return flac.getvalue()


def store(flacs: list[bytes]) -> list[str]:
    """The URL of each."""
    bucket = Client(os.environ["AIS_ENDPOINT"]).bucket("speech").create()
    urls = []
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for index, flac in enumerate(flacs):
            if index % 2:
                name = f"single/{index}.flac"
                bucket.object(name).get_writer().put_content(flac)
            else:
                member = tarfile.TarInfo(f"audio/{index}.flac")
                member.size = len(flac)
                archive.addfile(member, io.BytesIO(flac))
                name = f"{SHARD}/{member.name}"
            urls.append(f"ais://speech/{name}")
    bucket.object(SHARD).get_writer().put_content(shard.getvalue())
    return urls


def recording(name: str, url: str, audio: Audio) -> Any:  # noqa: ANN401  (Lhotse has no types here)
    source = AudioSource(type="url", channels=[0], source=url)
    return Recording(name, [source], RATE, num_samples=len(audio), duration=len(audio) / RATE)


def cut(name: str, url: str, audio: Audio) -> Any:  # noqa: ANN401
    found = recording(name, url, audio)
    return MonoCut(id=name, start=0, duration=found.duration, channel=0, recording=found)


if __name__ == "__main__":
    main()
