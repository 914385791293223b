"""Content, sizes and archives; the archives are read by readers that are not ours."""

import dataclasses
import io
import subprocess
import sys
import tarfile
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aisloader.params import Params, parse
from aisloader.payload import Pool, SizeDrawer, build_shard, fresh_content, part_bounds

KIB = 1024


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool.create(1, 64 * KIB)


def read(text: str) -> Params:
    return parse(["-bucket=b", "-seed=1", *text.split()], {})


# content


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, 64 * KIB, 64 * KIB + 17, 1 << 20])
def test_content_has_the_size_and_repeats_with_the_key(pool: Pool, size: int) -> None:
    content = b"".join(pool.content(size, 77))
    assert len(content) == size
    assert content == b"".join(pool.content(size, 77))
    if size >= 16:
        assert content != b"".join(pool.content(size, 78))


def test_contents_share_no_prefix_and_do_not_compress(pool: Pool) -> None:
    contents = [b"".join(pool.content(4 * KIB, key)) for key in range(500)]
    assert len({content[:16] for content in contents}) == 500
    assert len({content[16:] for content in contents}) > 200
    assert len(zlib.compress(contents[0])) > 4 * KIB


def test_large_content_is_not_copied(pool: Pool) -> None:
    views = pool.content(10 << 20, 5)
    assert sum(len(view) for view in views) == 10 << 20
    assert sum(len(view) for view in views if view.obj is not pool._view.obj) == 16


def test_a_pool_is_filled_by_its_seed_alone() -> None:
    first, second, third = bytearray(3 << 20), bytearray(3 << 20), bytearray(3 << 20)
    Pool.fill(first, 1)
    Pool.fill(second, 1)
    Pool.fill(third, 2)
    assert first == second != third


def test_processes_share_a_pool(pool: Pool) -> None:
    buffer = bytearray(64 * KIB)
    Pool.fill(buffer, 1)
    assert b"".join(Pool(buffer).content(999, 3)) == b"".join(pool.content(999, 3))


def test_fresh_content() -> None:
    content = b"".join(fresh_content(3 << 20, 5))
    assert len(content) == 3 << 20
    assert content == b"".join(fresh_content(3 << 20, 5))
    assert content[: 1 << 20] != content[1 << 20 : 2 << 20]


@given(st.integers(0, 1 << 40), st.integers(1, 10_000))
def test_parts_follow_each_other_and_cover_the_object(size: int, parts: int) -> None:
    bounds = part_bounds(size, parts)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == size
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert len(bounds) == max(1, min(parts, size))
    lengths = [end - start for start, end in bounds]
    assert max(lengths) - min(lengths) <= 1
    assert size == 0 or min(lengths) > 0


# sizes


@pytest.mark.parametrize("kind", ["uniform", "log2", "lognormal"])
def test_sizes_stay_inside_and_repeat(kind: str) -> None:
    params = read(f"-minsize=100 -maxsize=1MiB -size-dist={kind}").size_cksum
    sizes = SizeDrawer(params, 5).block(0, 5000)
    assert min(sizes) >= 100
    assert max(sizes) <= 1 << 20
    assert SizeDrawer(params, 5).block(1000, 100) == sizes[1000:1100]
    assert SizeDrawer(params, 6).block(0, 5000) != sizes


def test_log2_gives_every_octave_alike() -> None:
    params = read("-minsize=1KiB -maxsize=1MiB -size-dist=log2").size_cksum
    sizes = np.array(SizeDrawer(params, 5).block(0, 10_000))
    octaves = np.bincount(np.floor(np.log2(sizes)).astype(int) - 10, minlength=10)[:10]
    assert (np.abs(octaves - 1000) < 130).all()


def test_lognormal_has_its_median_at_the_geometric_mean() -> None:
    params = read("-minsize=1KiB -maxsize=1MiB -size-dist=lognormal").size_cksum
    sizes = SizeDrawer(params, 5).block(0, 10_000)
    assert 0.9 < float(np.median(sizes)) / (32 * KIB) < 1.1


def test_one_size_is_that_size() -> None:
    assert SizeDrawer(read("-minsize=7 -maxsize=7").size_cksum, 5).block(0, 3) == [7, 7, 7]


# shards


def members(data: bytes, extension: str) -> dict[str, bytes]:
    """Names and contents as Python's own readers see them."""
    if extension == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    if extension == ".tar.lz4":
        data, extension = lz4.frame.decompress(data), ".tar"
    mode = "r:" if extension == ".tar" else "r:gz"
    with tarfile.open(fileobj=io.BytesIO(data), mode=mode) as archive:  # type: ignore[call-overload]
        return {info.name: archive.extractfile(info).read() for info in archive}


FORMATS = [".tar", ".tgz", ".tar.gz", ".zip", ".tar.lz4"]


@pytest.mark.parametrize("extension", FORMATS)
def test_shards_are_readable_by_others(pool: Pool, extension: str) -> None:
    arch = read(f"-arch.pct=100 -arch.format={extension} -arch.maxsize=8KiB").arch
    shard = build_shard(arch, 100 * KIB, 9, pool)
    found = members(shard.data, extension)
    assert list(found) == shard.names
    assert [len(content) for content in found.values()] == shard.sizes
    assert len(set(found.values())) == len(found)
    assert shard == build_shard(arch, 100 * KIB, 9, pool)
    assert shard.data != build_shard(arch, 100 * KIB, 10, pool).data


@pytest.mark.parametrize("extension", [".tar", ".tgz"])
def test_tar_reads_them_too(pool: Pool, extension: str, tmp_path: Path) -> None:
    arch = read(f"-arch.pct=100 -arch.format={extension} -arch.num-files=5").arch
    path = tmp_path / f"x{extension}"
    shard = build_shard(arch, 0, 9, pool)
    path.write_bytes(shard.data)
    done = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == shard.names
    assert not done.stderr


def test_a_fixed_number_of_files(pool: Pool) -> None:
    arch = read("-arch.pct=100 -arch.num-files=37 -minsize=0 -maxsize=0").arch
    shard = build_shard(arch, 0, 9, pool)
    assert len(shard.names) == 37
    assert all(KIB <= size <= 1 << 20 for size in shard.sizes)


@pytest.mark.parametrize("size", [1, 1000, 50_000, 1 << 20])
def test_a_bound_on_the_size(pool: Pool, size: int) -> None:
    arch = read("-arch.pct=100 -arch.minsize=1KiB -arch.maxsize=10KiB").arch
    for key in range(20):
        sizes = build_shard(arch, size, key, pool).sizes
        assert sizes
        assert sum(sizes) <= size
        assert size - sum(sizes) < 10 * KIB


@pytest.mark.parametrize(("size", "most"), [(10 * KIB, 10), (5 * KIB, 5), (100 * KIB, 20)])
def test_both_bounds(pool: Pool, size: int, most: int) -> None:
    arch = read("-arch.pct=100 -arch.num-files=20 -arch.minsize=1KiB -arch.maxsize=1KiB").arch
    sizes = build_shard(arch, size, 9, pool).sizes
    assert sizes == [KIB] * most


@pytest.mark.parametrize(
    ("prefix", "first"),
    [
        ("", "obj-000000.txt"),
        ("trunk", "trunkobj-000000.txt"),
        ("trunk/", "trunk/obj-000000.txt"),
        ("a/b/c/trunk-", "a/b/c/trunk-obj-000000.txt"),
        ("d" * 150 + "/", "d" * 150 + "/obj-000000.txt"),
    ],
)
@pytest.mark.parametrize("extension", [".tar", ".zip"])
def test_the_prefix_is_text_before_the_name(
    pool: Pool, prefix: str, first: str, extension: str
) -> None:
    arch = read(f"-arch.pct=100 -arch.num-files=2 -arch.prefix={prefix}").arch
    shard = build_shard(dataclasses.replace(arch, format=extension), 0, 9, pool)
    assert next(iter(members(shard.data, extension))) == first


def test_content_needs_no_heavy_import() -> None:
    program = "import sys, aisloader.payload; print('pydantic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
