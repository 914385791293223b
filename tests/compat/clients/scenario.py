"""What readers do with the published Python client, in one process: `scenario.py URL DIRECTORY NAME [CA]`.

It runs in the environment of a release (`environments`), where nothing of this repository can be imported. Every step
is a function; its name is printed when it has passed, and the first one that fails ends the run with its traceback.
NAME begins the names of the buckets.
"""

import io
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aistore.sdk import Client  # type: ignore[import-untyped]
from aistore.sdk.archive_config import ArchiveConfig, ArchiveMode  # type: ignore[import-untyped]
from aistore.sdk.errors import AISError, ErrBckAlreadyExists, ErrBckNotFound, ErrObjNotFound  # type: ignore[import-untyped]
from aistore.sdk.list_object_flag import ListObjectFlag  # type: ignore[import-untyped]

RELEASE = tuple(int(part) for part in version("aistore").split(".")[:2])
WAIT_S = 30
Sdk = Any
"""An object of the client: it has no types, and differs by release."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that nobody has by accident."""
    return random.Random(f"{size} {seed}").randbytes(size)


def check(found: object, expected: object) -> None:
    """Compare; bytes are not printed whole."""
    if found != expected:
        raise AssertionError(f"found {found!r:.300}, expected {expected!r:.300}")


@contextmanager
def raises(kind: type[Exception], text: str = "") -> Iterator[None]:
    """The block must end with exactly this class, saying `text`."""
    try:
        yield
    except Exception as exc:
        if type(exc) is not kind or text not in str(exc):
            raise
    else:
        raise AssertionError(f"no {kind.__name__}")


class Scenario:
    """The steps, in order; they build on one another."""

    def __init__(self, url: str, directory: Path, name: str, ca: str) -> None:
        options: dict[str, Any] = {"ca_cert": ca} if ca else {}
        self.client: Sdk = Client(url, **options)
        self.url = url
        self.directory = directory
        self.name = name
        self.bucket = self.client.bucket(name)
        self.objects = {f"obj/{n:03d}": content(n * 97, n) for n in range(25)}

    def steps(self) -> list[Callable[[], None]]:
        """All of them."""
        return [getattr(self, name) for name in vars(Scenario) if name.startswith("step_")]

    # helpers

    def put(self, name: str, data: bytes) -> None:
        """PUT, by what this release calls it."""
        self.bucket.object(name).get_writer().put_content(data)

    def read(self, name: str, bucket: Sdk = None, **options: object) -> bytes:
        """GET whole."""
        data: Any = (bucket or self.bucket).object(name).get_reader(**options).read_all()
        if isinstance(data, bytes):
            return data
        with data:  # shared memory of parallel readers
            return bytes(data.tobytes())

    def names(self, bucket: Sdk, **options: object) -> list[str]:
        """A listing."""
        return [entry.name for entry in bucket.list_all_objects(**options)]

    def wait(self, job_id: str, *, idles: bool = False) -> None:
        """Wait for a job; up to 1.25 the caller must know which jobs become idle instead of ending."""
        job = self.client.job(job_id)
        if idles and RELEASE < (1, 26):
            job.wait_for_idle(timeout=WAIT_S)
            return
        result = job.wait(timeout=WAIT_S)
        if RELEASE >= (1, 18):
            assert result.success, result

    # the cluster

    def step_cluster(self) -> None:
        cluster = self.client.cluster()
        smap = cluster.get_info()
        assert cluster.is_ready()
        check(len(smap.tmap), 1)
        check(cluster.get_primary_url(), self.url)
        check(cluster.get_uuid(), smap.uuid)
        check(int(smap.version) > 0, True)
        (target,) = smap.tmap
        performance = cluster.get_performance()
        check(list(performance), [target])
        assert isinstance(cluster.list_jobs_status(), list)
        assert isinstance(cluster.list_running_jobs(), list)

    # buckets

    def step_create_buckets(self) -> None:
        self.bucket.create()
        with raises(ErrBckAlreadyExists, f"ais://{self.name}"):
            self.bucket.create()
        self.bucket.create(exist_ok=True)
        found = [one.name for one in self.client.cluster().list_buckets()]
        assert self.name in found, found
        props = self.bucket.head()["Ais-Bucket-Props"]
        assert '"checksum":{"type":"xxhash2"' in props, props

    def step_missing_buckets(self) -> None:
        gone = self.client.bucket(f"{self.name}-gone")
        with raises(AISError, "404"):
            gone.head()
        with raises(ErrBckNotFound):
            gone.delete()
        gone.delete(missing_ok=True)
        with raises(ErrBckNotFound):
            gone.object("o").get_reader().read_all()
        with raises(ErrBckNotFound):
            gone.list_all_objects()

    # objects

    def step_objects(self) -> None:
        for name, data in self.objects.items():
            self.put(name, data)
        for name, data in self.objects.items():
            check(self.read(name), data)
        for size in (0, 1, 1 << 20, (5 << 20) + 3):
            data = content(size)
            self.put(f"sizes/{size}", data)
            check(self.read(f"sizes/{size}"), data)
            check(b"".join(self.bucket.object(f"sizes/{size}").get_reader(chunk_size=99_991)), data)
        odd = "names/a b%20+&?#ü.txt"
        self.put(odd, b"odd")
        check(self.read(odd), b"odd")

    def step_files(self) -> None:
        path = self.directory / "file"
        data = content(2_500_000)
        path.write_bytes(data)
        self.bucket.object("files/one").get_writer().put_file(path)
        check(self.read("files/one"), data)
        folder = self.directory / "folder"
        (folder / "sub").mkdir(parents=True)
        for number in range(3):
            (folder / "sub" / f"{number}.txt").write_bytes(content(number, 7))
        self.bucket.put_files(str(folder), recursive=True, prepend="files/many/")
        for number in range(3):
            check(self.read(f"files/many/sub/{number}.txt"), content(number, 7))

    def step_ranges(self) -> None:
        data = self.objects["obj/024"]
        for text, part in (
            ("bytes=0-0", data[:1]),
            ("bytes=5-99", data[5:100]),
            ("bytes=100-", data[100:]),
            ("bytes=-7", data[-7:]),
        ):
            check(self.read("obj/024", byte_range=text), part)
        with raises(AISError, "416"):
            self.read("obj/024", byte_range="bytes=99999-")

    def step_direct(self) -> None:
        check(self.read("obj/024", direct=True), self.objects["obj/024"])
        with raises(ErrObjNotFound):
            self.read("none", direct=True)

    def step_parallel(self) -> None:
        if RELEASE >= (1, 19):
            size = (5 << 20) + 3
            check(self.read(f"sizes/{size}", num_workers=2), content(size))

    def step_file_reader(self) -> None:
        size = (5 << 20) + 3
        data = content(size)
        with self.bucket.object(f"sizes/{size}").get_reader().as_file() as file:
            check(file.read(1000), data[:1000])
            check(file.read(), data[1000:])

    def step_file_writer(self) -> None:
        blocks = [content(70_000, n) for n in range(4)]
        with self.bucket.object("written").get_writer().as_file(mode="w") as file:
            for block in blocks:
                file.write(block)
        check(self.read("written"), b"".join(blocks))
        with self.bucket.object("written").get_writer().as_file(mode="a") as file:
            file.write(b"more")
        check(self.read("written"), b"".join(blocks) + b"more")

    def step_append(self) -> None:
        writer = self.bucket.object("appended").get_writer()
        handle = ""
        for part in (b"abc", b"", content(1 << 20)):
            handle = writer.append_content(part, handle=handle)
            assert handle
        writer.append_content(b"", handle=handle, flush=True)
        check(self.read("appended"), b"abc" + content(1 << 20))

    def step_properties(self) -> None:
        remote = self.bucket.object("obj/010")
        writer = remote.get_writer()
        writer.set_custom_props({"source": "scan 7", "kind": "a=b,c"})
        writer.set_custom_props({"kind": "x"})
        props = remote.props
        check(props.custom_metadata, {"source": "scan 7", "kind": "x"})
        writer.set_custom_props({"only": "this"}, replace_existing=True)
        attributes = remote.get_reader().attributes
        check(attributes.custom_metadata, {"only": "this"})
        check(int(attributes.size), 970)
        check((attributes.checksum_type, len(attributes.checksum_value)), ("xxhash2", 16))
        check((props.name, props.bucket_name, int(props.size)), ("obj/010", self.name, 970))
        check((props.mirror_copies, len(props.mirror_paths), props.present), (1, 1, True))
        assert props.location.startswith("t["), props.location
        if (1, 20) <= RELEASE < (2, 0):
            check(int(remote.head_v2(props="size,checksum").size), 970)

    def step_missing_objects(self) -> None:
        gone = self.bucket.object("gone")
        with raises(ErrObjNotFound, f"ais://{self.name}/gone"):
            gone.get_reader().read_all()
        with raises(ErrObjNotFound):
            gone.delete()
        with raises(AISError, "404"):
            gone.head()

    def step_copy_objects(self) -> None:
        other = self.client.bucket(f"{self.name}-b")
        other.create()
        self.bucket.object("obj/003").copy(other.object("copied/003"))
        check(self.read("copied/003", other), self.objects["obj/003"])
        other.object("copied/003").delete()
        with raises(ErrObjNotFound):
            self.read("copied/003", other)

    def step_promote(self) -> None:
        folder = self.directory / "promoted"
        folder.mkdir()
        (folder / "p.bin").write_bytes(content(5000, 3))
        job_id = self.bucket.object("promoted").promote(str(folder))
        if job_id:
            self.wait(job_id)
        check(self.read("promoted/p.bin"), content(5000, 3))

    # listings

    def step_listings(self) -> None:
        expected = sorted(self.objects)
        check(self.names(self.bucket, prefix="obj/"), expected)
        check(self.names(self.bucket, prefix="obj/", page_size=7), expected)
        iterated = self.bucket.list_objects_iter(prefix="obj/", page_size=4)
        check([entry.name for entry in iterated], expected)
        page = self.bucket.list_objects(prefix="obj/", page_size=10)
        check(
            ([entry.name for entry in page.entries], page.continuation_token),
            (expected[:10], "obj/009"),
        )
        page = self.bucket.list_objects(
            prefix="obj/", page_size=20, continuation_token=page.continuation_token, uuid=page.uuid
        )
        check([entry.name for entry in page.entries], expected[10:])
        empty = self.bucket.list_objects(prefix="none/")
        check((list(empty.entries), empty.continuation_token), ([], ""))
        check(list(self.bucket.list_objects_iter(prefix="none/")), [])

    def step_listed_properties(self) -> None:
        wanted = "name,size,checksum,atime,version,cached,status,copies,location,custom"
        (entry,) = self.bucket.list_objects(prefix="obj/010", props=wanted).entries
        check((entry.name, int(entry.size), len(entry.checksum)), ("obj/010", 970, 16))
        assert entry.is_cached()
        assert entry.is_ok()
        flat = self.bucket.list_objects(flags=[ListObjectFlag.NAME_ONLY], prefix="obj/010")
        check([entry.name for entry in flat.entries], ["obj/010"])

    def step_summaries(self) -> None:
        total = sum(map(len, self.objects.values()))
        summary = self.bucket.summary(prefix="obj/")
        check(summary["ObjCount"]["obj_count_present"], "25")
        check(summary["TotalSize"]["size_all_present_objs"], str(total))
        check(summary["ObjSize"]["obj_max_size"], 24 * 97)
        props, info = self.bucket.info(prefix="obj/")
        assert props.startswith("{"), props
        check((info["name"], info["is_present"]), (self.name, True))
        check(info["ObjCount"]["obj_count_present"], "25")

    # archives and jobs

    def step_archive(self) -> None:
        group = self.bucket.objects(obj_names=["obj/001", "obj/002"])
        for name in ("arch.tar", "arch.tgz", "arch.zip", "arch.tar.lz4"):
            for job_id in group.archive(name):
                self.wait(job_id, idles=True)
            members = [entry.name for entry in self.bucket.list_archive(name)]
            check(members, [f"{name}/obj/001", f"{name}/obj/002"])
            config = ArchiveConfig(archpath="obj/002")
            check(self.read(name, archive_config=config), self.objects["obj/002"])
        config = ArchiveConfig(regex="obj/00", mode=ArchiveMode.PREFIX)
        selected = self.read("arch.zip", archive_config=config)
        with tarfile.open(fileobj=io.BytesIO(selected)) as archive:
            check(archive.getnames(), ["obj/001", "obj/002"])

    def step_groups(self) -> None:
        other = self.client.bucket(f"{self.name}-b")
        for job_id in self.bucket.objects(obj_template="obj/{010..014}").copy(other, prepend="g/"):
            self.wait(job_id, idles=True)
        check(self.names(other), [f"g/obj/{n:03d}" for n in range(10, 15)])
        check(self.read("g/obj/012", other), self.objects["obj/012"])
        self.wait(other.objects(obj_template="g/obj/{010..013}").delete())
        check(self.names(other), ["g/obj/014"])

    def step_bucket_jobs(self) -> None:
        other = self.client.bucket(f"{self.name}-c")
        self.wait(self.bucket.copy(other, prefix_filter="obj/"))
        check(self.names(other), sorted(self.objects))
        self.wait(other.rename(f"{self.name}-d"))
        renamed = self.client.bucket(f"{self.name}-d")
        check(self.read("obj/024", renamed), self.objects["obj/024"])
        with raises(ErrBckNotFound):
            self.names(self.client.bucket(f"{self.name}-c"))
        renamed.delete()

    def step_jobs(self) -> None:
        job_id = self.bucket.copy(self.client.bucket(f"{self.name}-c"), prefix_filter="obj/00")
        job = self.client.job(job_id)
        self.wait(job_id)
        status = job.status()
        check((status.uuid, status.err, status.aborted), (job_id, "", False))
        assert status.end_time > 0
        snaps = job.get_details().list_snapshots()
        check([snap.id for snap in snaps], [job_id])
        check(job.get_total_time().total_seconds() < WAIT_S, True)
        with raises(AISError, "404"):
            self.client.job("nosuch-job0").status()
        assert self.client.job(job_kind="copy-bucket").get_details().list_snapshots()

    # batches

    def step_batches(self) -> None:
        for output_format in (".tar", ".tgz", ".zip"):
            for is_streaming in (True, False):
                self.one_batch(output_format, is_streaming)

    def one_batch(self, output_format: str, is_streaming: bool) -> None:
        batch = self.client.batch(
            [*self.objects, "gone"],
            bucket=self.bucket,
            output_format=output_format,
            streaming_get=is_streaming,
        )
        batch.add(self.bucket.object("arch.tar"), archpath="obj/002", opaque=b"\xff\x00tag")
        found = list(batch.get())
        check([info.obj_name for info, _ in found], [*self.objects, "gone", "arch.tar"])
        check([bytes(data) for _, data in found[:-2]], list(self.objects.values()))
        missing, member = found[-2:]
        check(bytes(missing[1]), b"")
        check(bytes(member[1]), self.objects["obj/002"])
        if not is_streaming or RELEASE >= (2, 0):  # before, clients do not decode their own text
            check(member[0].opaque, b"\xff\x00tag")
        if not is_streaming:
            assert "does not exist" in missing[0].err_msg, missing
            check([info.size for info, _ in found[:25]], [len(d) for d in self.objects.values()])
            check([info.err_msg for info, _ in found[:25]], [None] * 25)

    def step_raw_batch(self) -> None:
        batch = self.client.batch(["obj/001"], bucket=self.bucket, output_format=".zip")
        response = batch.get(raw=True)
        with zipfile.ZipFile(io.BytesIO(response.read())) as archive:
            check(archive.namelist(), [f"{self.name}/obj/001"])
            check(archive.read(archive.namelist()[0]), self.objects["obj/001"])
        response.close()

    def step_strict_batch(self) -> None:
        batch = self.client.batch(
            ["gone"], bucket=self.bucket, cont_on_err=False, streaming_get=False
        )
        with raises(ErrObjNotFound):
            list(batch.get())

    # the end

    def step_refusals(self) -> None:
        with raises(AISError, "501"):
            self.client.job(job_kind="ec-encode").start()
        with raises(AISError, "501"):
            self.client.cluster().list_etls()

    def step_destroy(self) -> None:
        for suffix in ("", "-b", "-c"):
            self.client.bucket(f"{self.name}{suffix}").delete()
        left = [one.name for one in self.client.cluster().list_buckets()]
        assert not [name for name in left if name.startswith(self.name)], left


def main() -> None:
    """Run them all."""
    url, directory, name, *ca = sys.argv[1:]
    scenario = Scenario(url, Path(directory), name, ca[0] if ca else "")
    for step in scenario.steps():
        step()
        sys.stdout.write(step.__name__.removeprefix("step_") + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
