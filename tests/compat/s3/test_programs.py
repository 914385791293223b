"""Real S3 clients with their present defaults: a round trip each, and 100 MiB in the multipart of each.

Every request is signed, and every signature verified. What they store is read through AIStore's API as well.
"""

import filecmp
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compat.clients.environments import S3_TOOLS, S3FS, ensure
from tests.compat.s3.programs import ACCESS, SECRET, Programs
from tests.integration.server.process import Served, ais_serve

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListOptions
from aiscore.transport import open_transport

MIB = 1 << 20
BIG_SIZE = 100 * MIB + 4321
NAMES = ("plain.txt", "with space.txt", "dir/deep/ünïcode+&.bin", "dir/empty")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    ensure(S3_TOOLS, S3FS)
    directory = tmp_path_factory.mktemp("s3")
    keys = directory / "keys"
    keys.write_text(f"{ACCESS}:{SECRET}\n")
    keys.chmod(0o600)
    with open_transport(f"file://{directory}/home") as transport:
        transport.set_config({"features": "S3-API-via-Root"})
    with ais_serve(directory, "--workers", "2", "--set", f"s3_keys={keys}") as server:
        home = directory / "clients"
        home.mkdir()
        yield Programs(server, home)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is not the same anywhere, over the multipart threshold of every client."""
    path = tmp_path_factory.mktemp("big") / "big file.bin"
    path.write_bytes(os.urandom(BIG_SIZE))
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A few files of small sizes."""
    root = tmp_path / "tree"
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 1000) if not name.endswith("empty") else b"")
    return root


def same_trees(one: Path, other: Path) -> bool:
    def files(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    return files(one) == files(other)


def check_native(server: Served, bucket: str, name: str, path: Path) -> None:
    """AIStore's clients find the same object."""
    answer = server.call("GET", f"/v1/objects/{bucket}/{name}?provider=ais")
    assert answer.status == 200, answer
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_awscli(programs: Programs, big: Path, tree: Path, tmp_path: Path) -> None:
    aws = programs.aws
    aws("s3", "mb", "s3://awscli")
    aws("s3", "cp", "--no-progress", str(big), "s3://awscli/big")
    back = tmp_path / "back"
    aws("s3", "cp", "--no-progress", "s3://awscli/big", str(back))
    assert filecmp.cmp(big, back, shallow=False)
    check_native(programs.server, "awscli", "big", big)
    aws("s3", "cp", "--no-progress", "s3://awscli/big", "s3://awscli/copy")
    check_native(programs.server, "awscli", "copy", big)
    aws("s3", "sync", str(tree), "s3://awscli/tree")
    assert aws("s3", "sync", str(tree), "s3://awscli/tree").strip() == ""
    aws("s3", "sync", "s3://awscli/tree", str(tmp_path / "synced"))
    assert same_trees(tree, tmp_path / "synced")
    listed = aws("s3", "ls", "--recursive", "s3://awscli")
    assert all(f"tree/{name}" in listed for name in NAMES)
    head = aws(
        "s3api", "head-object", "--bucket", "awscli", "--key", "big", "--checksum-mode", "ENABLED"
    )
    assert '"Checksum' in head
    url = aws("s3", "presign", "s3://awscli/tree/plain.txt").strip()
    assert programs.run("curl", "-sSf", url) == (tree / "plain.txt").read_text()
    assert aws("s3", "rm", "--recursive", "s3://awscli")
    aws("s3", "rb", "s3://awscli")
    assert "awscli" not in aws("s3", "ls")


def test_s5cmd(programs: Programs, big: Path, tree: Path, tmp_path: Path) -> None:
    s5cmd = programs.s5cmd
    s5cmd("mb", "s3://s5cmd")
    s5cmd("cp", str(big), "s3://s5cmd/big")
    s5cmd("cp", "s3://s5cmd/big", str(tmp_path / "back"))
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "s5cmd", "big", big)
    s5cmd("cp", f"{tree}/", "s3://s5cmd/tree/")
    s5cmd("cp", "s3://s5cmd/tree/*", f"{tmp_path}/copied/")
    assert same_trees(tree, tmp_path / "copied")
    s5cmd("sync", f"{tree}/", "s3://s5cmd/tree/")
    assert "plain.txt" in s5cmd("ls", "s3://s5cmd/tree/")
    s5cmd("rm", "s3://s5cmd/*")
    s5cmd("rb", "s3://s5cmd")


def test_rclone(programs: Programs, big: Path, tree: Path, tmp_path: Path) -> None:
    rclone = programs.rclone
    rclone("mkdir", "s:rclone")
    rclone("copyto", str(big), "s:rclone/big")
    rclone("copyto", "s:rclone/big", str(tmp_path / "back"))
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "rclone", "big", big)
    rclone("copy", str(tree), "s:rclone/tree")
    rclone("check", str(tree), "s:rclone/tree")
    rclone("check", "--download", str(tree), "s:rclone/tree")
    (tree / "plain.txt").unlink()
    (tree / "new").write_text("new")
    rclone("sync", str(tree), "s:rclone/tree")
    rclone("check", str(tree), "s:rclone/tree")
    (tree / "new").write_text("old")
    rclone("check", str(tree), "s:rclone/tree", code=1)
    rclone("copyto", "s:rclone/big", "s:rclone/copy")
    check_native(programs.server, "rclone", "copy", big)
    rclone("purge", "s:rclone")


def test_s3cmd(programs: Programs, big: Path, tree: Path, tmp_path: Path) -> None:
    s3cmd = programs.s3cmd
    s3cmd("mb", "s3://s3cmd")
    s3cmd("put", str(big), "s3://s3cmd/big")
    s3cmd("get", "s3://s3cmd/big", str(tmp_path / "back"))
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "s3cmd", "big", big)
    s3cmd("sync", f"{tree}/", "s3://s3cmd/tree/")
    s3cmd("sync", "s3://s3cmd/tree/", f"{tmp_path}/synced/")
    assert same_trees(tree, tmp_path / "synced")
    assert str(BIG_SIZE) in s3cmd("info", "s3://s3cmd/big")
    s3cmd("del", "--recursive", "--force", "s3://s3cmd")
    s3cmd("rb", "s3://s3cmd")


def test_restic(programs: Programs, tree: Path, tmp_path: Path) -> None:
    """A repository reads everything back that it wrote, and knows what it should be."""
    restic = programs.restic
    for number in range(30):
        (tree / f"file {number}").write_bytes(os.urandom(number * 9_000))
    (tree / "large").write_bytes(os.urandom(20 * MIB))
    (tree / "link").symlink_to("plain.txt")
    restic("init")
    restic("backup", str(tree))
    (tree / "file 7").unlink()
    (tree / "large").write_bytes((tree / "large").read_bytes() + b"more")
    restic("backup", str(tree))
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")
    restic("restore", "latest", "--target", str(tmp_path / "back"))
    back = tmp_path / "back" / tree.relative_to("/")
    assert same_trees(tree, back)
    assert (back / "link").readlink() == Path("plain.txt")
    # What the disk changes behind everybody's back is found, not restored.
    ref = BucketRef("restic")
    with open_transport(programs.server.url) as transport:
        packs = [
            entry.name
            for entry in transport.list_page(ref, ListOptions(prefix="repo/data/")).entries
        ]
        data = bytearray(transport.read(ref, packs[0]))
        data[len(data) // 2] ^= 1
        transport.put(ref, packs[0], bytes(data))
    assert "error" in restic("check", "--read-data", code=1).lower()


def test_curl(programs: Programs, tree: Path, tmp_path: Path) -> None:
    curl = programs.curl
    curl("-f", "-X", "PUT", path="/curl")
    source = tree / "with space.txt"
    # Older releases do not say themselves that what they upload is not signed.
    unsigned = ("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD")
    curl("-f", *unsigned, "-T", str(source), path="/curl/a%20b")
    curl("-f", "-o", str(tmp_path / "back"), path="/curl/a%20b")
    assert filecmp.cmp(source, tmp_path / "back", shallow=False)
    assert "<Key>a b</Key>" in curl(path="/curl?list-type=2")
    curl("-f", "-X", "DELETE", path="/curl/a%20b")
    assert "NoSuchKey" in curl(path="/curl/a%20b")


MINIO = """
import io
from minio import Minio
from minio.error import S3Error
client = Minio(ADDRESS, access_key=ACCESS, secret_key=SECRET, secure=False, region=REGION)
client.make_bucket("minio")
client.fput_object("minio", "big", sys.argv[1], metadata={"colour": "blue"})
client.fget_object("minio", "big", sys.argv[2])
assert client.stat_object("minio", "big").metadata["x-amz-meta-colour"] == "blue"
client.put_object("minio", "unknown", io.BytesIO(b"x" * 6_000_000), length=-1, part_size=5 << 20)
assert client.get_object("minio", "unknown", offset=10, length=5).read() == b"xxxxx"
assert [o.object_name for o in client.list_objects("minio")] == ["big", "unknown"]
print(client.presigned_get_object("minio", "unknown"))
"""


def test_minio(programs: Programs, big: Path, tmp_path: Path) -> None:
    url = programs.python(S3_TOOLS, MINIO, str(big), str(tmp_path / "back")).strip()
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "minio", "big", big)
    assert programs.run("curl", "-sSf", url) == "x" * 6_000_000


OBSTORE = """
import pathlib
import obstore
from obstore.store import S3Store
store = S3Store("obstore", endpoint=ENDPOINT, access_key_id=ACCESS, secret_access_key=SECRET,
                region=REGION, client_options={"allow_http": True})
obstore.put(store, "big", pathlib.Path(sys.argv[1]))
pathlib.Path(sys.argv[2]).write_bytes(bytes(obstore.get(store, "big").bytes()))
obstore.put(store, "dir/small", b"small")
assert bytes(obstore.get_range(store, "dir/small", start=1, length=3)) == b"mal"
try:
    obstore.put(store, "dir/small", b"again", mode="create")
except Exception as exc:
    assert "AlreadyExists" in type(exc).__name__, exc
else:
    raise AssertionError("overwritten")
assert [o["path"] for o in obstore.list(store, "dir").collect()] == ["dir/small"]
obstore.copy(store, "dir/small", "dir/copy")
obstore.delete(store, ["dir/small", "dir/copy"])
"""


def test_obstore(programs: Programs, big: Path, tmp_path: Path) -> None:
    programs.aws("s3", "mb", "s3://obstore")
    programs.python(S3_TOOLS, OBSTORE, str(big), str(tmp_path / "back"))
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "obstore", "big", big)


S3FS_SCRIPT = """
import s3fs
fs = s3fs.S3FileSystem(key=ACCESS, secret=SECRET, endpoint_url=ENDPOINT)
fs.mkdir("s3fs")
fs.put(sys.argv[1], "s3fs/big")
fs.get("s3fs/big", sys.argv[2])
with fs.open("s3fs/dir/written", "wb") as file:
    file.write(b"x" * 6_000_000)
    file.write(b"y" * 6_000_000)
with fs.open("s3fs/dir/written") as file:
    file.seek(5_999_999)
    assert file.read(2) == b"xy"
assert sorted(fs.ls("s3fs")) == ["s3fs/big", "s3fs/dir"]
assert fs.cat_file("s3fs/dir/written", start=0, end=3) == b"xxx"
fs.copy("s3fs/dir/written", "s3fs/dir/copy")
fs.rm("s3fs/dir", recursive=True)
assert fs.find("s3fs") == ["s3fs/big"]
"""


def test_s3fs(programs: Programs, big: Path, tmp_path: Path) -> None:
    programs.python(S3FS, S3FS_SCRIPT, str(big), str(tmp_path / "back"))
    assert filecmp.cmp(big, tmp_path / "back", shallow=False)
    check_native(programs.server, "s3fs", "big", big)
