"""Every example of every command runs, and what it prints for machines is what the reference declares."""

import gzip
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from aiscli.describe import read_doc
from aiscli.output.fields import RECORDS, Field, Shape, key_of
from aiscli.tree import ROOT, Branch, Leaf, leaves
from aiscore.model.bucket import BucketRef
from aiscore.transport import open_transport
from aiscore.transport.base import Transport

BIN = str(Path(sys.executable).parent)
TIMEOUT_S = 60

COMMANDS = {leaf.target: (path, leaf) for path, leaf in leaves(ROOT) if not leaf.pending}


class Example(NamedTuple):
    """A line of a command's documentation, or one that makes records of another kind."""

    target: str
    line: str
    codes: tuple[int, ...] = (0,)


def documented() -> Iterator[Example]:
    for target in COMMANDS:
        if key_of(target) in ENDLESS:
            continue
        module, _, name = target.partition(":")
        for line in read_doc(getattr(import_module(module), name)).examples:
            yield Example(target, line, CODES.get(line, (0,)))


ENDLESS = {"serve:serve"}
"""Commands that run until they are stopped; their own tests start them."""

CODES: dict[str, tuple[int, ...]] = {
    "ais diff ./data ais://images/train": (11,),
    "ais show log t[ID]": (1,),
    "ais log show t[ID] --severity error": (1,),
}
"""Exit codes of examples that end otherwise than with 0."""

UPLOAD = "ais mpu create ais://a/o -q >upload.id && ais mpu put-part ais://a/o $(cat upload.id) 1 cat.jpg"
"""An upload with a part."""

BEFORE = {
    "ais create ais://images": "ais rmb ais://images --yes",
    "ais create ais://a ais://b --props 'checksum.type=md5'": "ais rmb ais://a ais://b --yes",
    "ais job start mirror ais://images --copies 2": "ais storage mountpath attach /mnt/disk2",
    "ais storage mountpath detach /mnt/disk2 --yes": "ais storage mountpath attach /mnt/disk2",
    "ais storage mountpath disable /mnt/disk2 --yes": "ais storage mountpath attach /mnt/disk2",
    "ais storage mountpath enable /mnt/disk2": (
        "ais storage mountpath attach /mnt/disk2 && ais storage mountpath disable /mnt/disk2 --yes"
    ),
    "ais config context use scratch": "ais config context set scratch /mnt/scratch/ais",
    "ais config context rm scratch": "ais config context set scratch /mnt/scratch/ais",
    "ais config context ls": "ais config context set scratch /mnt/scratch/ais",
    "ais ls --context scratch": "ais config context set scratch /mnt/scratch/ais",
    "ais cp ais://images ais://images --to-context scratch --exclude '*.tmp'": (
        "ais config context set scratch /mnt/scratch/ais"
    ),
    "ais cp ais://images ais://images --from-endpoint file:///data/store --dry-run": (
        "ais create ais://images --endpoint file:///data/store"
    ),
    "ais sync ais://images ais://backup --to-context scratch": (
        "ais config context set scratch /mnt/scratch/ais && ais create ais://backup --context scratch"
    ),
    "ais config cli reset": "ais config cli set no_color=true",
    "ais alias rm lsl": "ais alias set lsl 'ls --name-only'",
    **dict.fromkeys(
        (
            "ais mpu abort ais://a/o $(cat upload.id)",
            "ais mpu complete ais://a/o $(cat upload.id) --all",
            "ais mpu complete ais://a/o $(cat upload.id) 1",
            "ais mpu ls",
            "ais mpu parts ais://a/o $(cat upload.id)",
            "ais mpu put-part ais://a/o $(cat upload.id) 1 cat.jpg",
            "ais mpu put-part ais://a/o --upload-id $(cat upload.id) --part-number 2 0.jpg",
        ),
        UPLOAD,
    ),
}
"""What has to be done before a line, for example because a bucket must not exist."""

FASTER = {"--refresh 10s --count 3": "--refresh 1s --count 1", "--refresh 10s": "--refresh 1s"}
"""Words that only wait."""

MORE = (
    "ais ls --summary",
    "ais ls ais://images --props all",
    "ais ls ais://images --props etag,last-modified,cached",
    "ais ls ais://images --nr",
    "ais ls ais://images --count-only",
    "ais ls ais://images/cat.jpg",
    "ais rmb --all --dry-run",
    "ais cp ais://a ais://b --dry-run",
    "ais cp ais://a ais://b --list one.jpg",
    "ais get ais://images --prefix train/ /dev/null",
    "ais get ais://shards/train-000.tar out --extract",
    "ais put ./data ais://images/train/ --recursive --yes",
    "ais put cat.jpg ais://images --dry-run",
    "ais rm ais://images --prefix old/",
    "ais rm ais://images --list cat.jpg,none || test $? = 5",
    "ais archive put ./data ais://shards/new.tar --dry-run",
    "ais archive bucket ais://images ais://shards/all.tar --dry-run",
    "ais get-batch ais://images a.jpg none --cont-on-err -o batch.tar || test $? = 5",
    "ais get-batch ais://images a.jpg -o batch.tar --output-format jsonl",
    "ais ml get-batch ais://images batch.tar --list a.jpg -o jsonl",
    "ais cp ais://a ais://b >/dev/null && ais show job --all",
    "ais cp ais://a ais://b >/dev/null && ais job rm --all --yes",
    "ais put cat.jpg ais://images --chunk-size 4",
    "ais config cli show --path",
    "ais storage validate",
)
"""Lines besides the examples: other kinds of records of the same commands."""

ELSEWHERE = {"cluster:rebalance_show", "job:stop", "job:wait"}
"""Commands whose records need what no line has, such as a job that still runs; other tests make them."""


# the store that the examples are about


def seed(home: Path, work: Path) -> None:
    """What the examples take for granted."""
    buckets = {
        "images": [
            "cat.jpg",
            "a.jpg",
            "b.jpg",
            "one.jpg",
            "train/1.jpg",
            "train/2.jpg",
            "train/x.tmp",
            "old/3.jpg",
        ],
        "texts": ["readme.md", "hello"],
        "a": ["one.jpg", *(f"shard-{index:02d}.tar" for index in range(10))],
        "b": [],
        "old": ["one.jpg"],
        "logs": ["2020.log", "a.txt", "b.txt"],
        "shards": [],
    }
    with open_transport(f"file://{home}") as transport:
        for bucket, names in buckets.items():
            ref = BucketRef.parse(f"ais://{bucket}")
            transport.create_bucket(ref)
            for name in names:
                transport.put(ref, name, f"content of {name}".encode())
        images = BucketRef.parse("ais://images")
        transport.put(images, "big.bin", bytes(2 << 20))
        backup = BucketRef.parse("ais://backup")
        transport.create_bucket(backup)
        for name in [*buckets["images"], "big.bin"]:
            transport.copy(images, name, backup, name)
        seed_shards(transport)
    (work / "data" / "sub").mkdir(parents=True)
    (work / "parts").mkdir()
    for name in (
        "cat.jpg",
        "0.jpg",
        "data/1.jpg",
        "data/2.jpg",
        "part1.txt",
        "part2.txt",
        "parts/1",
    ):
        base = "train/" if name.startswith("data/") else ""
        (work / name).write_text(f"content of {base}{Path(name).name}")
    spec = {
        "in": [{"objname": "a.jpg", "bucket": "images"}, {"objname": "b.jpg", "bucket": "images"}]
    }
    (work / "batch.json").write_text(json.dumps(spec))
    (work / "names.txt").write_text("1.jpg\n2.jpg\n")
    (work / "large.tar").write_bytes(b"large")
    source = {"type": "url", "channels": [0], "source": "ais://images/a.jpg"}
    cut = {"id": "c", "start": 0, "duration": 1, "recording": {"id": "r", "sources": [source]}}
    for name in ("cuts.jsonl", "c.jsonl"):
        (work / name).write_text(json.dumps(cut))
    (work / "cuts.jsonl.gz").write_bytes(gzip.compress(json.dumps(cut).encode()))


def seed_shards(transport: Transport) -> None:
    bucket = BucketRef.parse("ais://shards")
    names = ["a/0.jpg", "a/0.cls", "0.jpg", "1.jpg"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    shards = [
        "train-000.tar",
        *(f"shard-{index:02d}.tar" for index in range(10)),
        *(f"s-{index}.tar" for index in range(10)),
    ]
    for shard in shards:
        transport.put(bucket, shard, buffer.getvalue())


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("seed")
    (root / "work").mkdir()
    seed(root / "store", root / "work")
    return root


class Runner:
    """Runs each line in a copy of the seeded directory, so that no line sees another's traces."""

    def __init__(self, seeded: Path, root: Path, commands: Path) -> None:
        self._seeded = seeded
        self._root = root
        self._path = os.pathsep.join([str(commands), BIN, os.environ["PATH"]])

    def run(self, example: Example, **env: str) -> subprocess.CompletedProcess[str]:
        number = len(list(self._root.iterdir()))
        place = self._root / f"{number}-{abs(hash((example, tuple(env))))}"
        shutil.copytree(self._seeded, place, symlinks=True)
        for folder in ("data/train", "mnt/scratch", "mnt/disk2", "home/.config/fish/completions"):
            (place / folder).mkdir(parents=True)
        (place / "data/train/x.jpg").write_text("x")
        try:
            return self._bash(example.line, place, env)
        finally:
            shutil.rmtree(place)

    def _bash(
        self, line: str, place: Path, env: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIS_")},
            "PATH": self._path,
            "HOME": str(place / "home"),
            "SHELL": "/bin/bash",
            "AIS_HOME": str(place / "store"),
        }
        if before := BEFORE.get(line):
            self._shell(before, place, environment, is_checked=True)
        for slow, fast in FASTER.items():
            line = line.replace(slow, fast)
        return self._shell(line, place, {**environment, **env})

    def _shell(
        self, line: str, place: Path, env: dict[str, str], *, is_checked: bool = False
    ) -> subprocess.CompletedProcess[str]:
        moved = re.sub(r"(?<![\w.:/])(file://)?/(data|mnt)/", rf"\1{place}/\2/", line)
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", moved],
            cwd=place / "work",
            env=env,
            input="",
            capture_output=True,
            text=True,
            check=is_checked,
            timeout=TIMEOUT_S,
        )


@pytest.fixture
def runner(seeded: Path, tmp_path: Path, quick_ais: str) -> Runner:
    return Runner(seeded, tmp_path, Path(quick_ais).parent)


def in_parallel(check: Callable[[Example], list[str]], examples: Iterable[Example]) -> list[str]:
    """Complaints about all examples; the runs are processes, so threads are enough."""
    with ThreadPoolExecutor(2) as pool:
        return [line for found in pool.map(check, examples) for line in found]


# examples


@pytest.mark.parametrize("target", COMMANDS)
def test_a_command_has_an_example_of_itself(target: str) -> None:
    module, _, name = target.partition(":")
    lines = read_doc(getattr(import_module(module), name)).examples
    names = {path for path, leaf in leaves(ROOT) if leaf.target == target}
    groups = {path.rpartition(" ")[0] for path in names if is_default(path)}
    assert any(
        re.search(rf"\bais {re.escape(name)}\b", line) for line in lines for name in names | groups
    )


def is_default(path: str) -> bool:
    group: Branch | Leaf = ROOT
    *words, last = path.split()
    for word in words:
        assert isinstance(group, Branch)
        group = group.children[word]
    assert isinstance(group, Branch)
    return group.default == last


def test_examples_run(runner: Runner) -> None:
    def check(example: Example) -> list[str]:
        done = runner.run(example)
        if done.returncode in example.codes and "Traceback" not in done.stderr:
            return []
        return [f"{example.line}: {done.returncode} {done.stderr.strip()}"]

    complaints = in_parallel(check, documented())
    assert not complaints, "\n".join(complaints)


# records


def target_of(line: str) -> str | None:
    """The command of a line; None when its output goes elsewhere than to standard output."""
    words = shlex.split(line.rpartition("&&")[2].partition("||")[0])
    if words[0] != "ais" or {"|", ">"} & set(words) or words[-1] == "-":
        return None
    node: Branch | Leaf = ROOT
    for word in words[1:]:
        if isinstance(node, Leaf):
            break
        node = node.children.get(word) or node.children[node.default or ""]
    while isinstance(node, Branch):
        node = node.children[node.default or ""]
    return node.target


def records_of(text: str) -> Iterator[object]:
    """The records of an output in any JSON format; a repeated command prints several."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        yield from value if isinstance(value, list) else [value]
        text = text[end:]


TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
    "time": lambda value: (
        isinstance(value, str)
        and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value) is not None
    ),
    "list of string": lambda value: (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    ),
    "list of object": lambda value: (
        isinstance(value, list) and all(isinstance(item, dict) for item in value)
    ),
}


def wrong_in(record: object, fields: dict[str, Field]) -> Iterator[str]:
    if not isinstance(record, dict):
        yield f"not a record: {record!r}"
        return
    yield from (f"{name} is not declared" for name in record.keys() - fields.keys())
    for name, field in fields.items():
        if name not in record:
            if not field.is_optional:
                yield f"{name} is missing"
        elif not any(TYPES[kind](record[name]) for kind in field.type.split(" or ")):
            yield f"{name} is no {field.type}: {record[name]!r}"


def test_records_are_as_declared(runner: Runner) -> None:
    seen: dict[str, set[str]] = {}

    def check(example: Example) -> list[str]:
        target = target_of(example.line)
        if target is None:
            return []
        declared = RECORDS[key_of(target)]
        if declared.shape is Shape.CONTENT:
            return []
        done = runner.run(example, AIS_OUTPUT="json")
        if done.returncode not in example.codes:
            return [f"{example.line}: {done.returncode} {done.stderr}"]
        try:
            records = list(records_of(done.stdout))
        except ValueError:
            return [f"{example.line}: not JSON: {done.stdout[:200]}"]
        if declared.shape is Shape.TREE:
            return []
        fields = {field.name: field for field in declared.fields}
        seen.setdefault(target, set()).update(
            name for record in records if isinstance(record, dict) for name in record
        )
        return [f"{example.line}: {wrong}" for r in records for wrong in wrong_in(r, fields)]

    lines = [*documented(), *(Example("", line) for line in MORE)]
    complaints = in_parallel(check, lines)
    assert not complaints, "\n".join(complaints)
    stale = {
        f"{key_of(target)} {field.name}"
        for target, names in seen.items()
        for field in RECORDS[key_of(target)].fields
        if field.name not in names and key_of(target) not in ELSEWHERE
    }
    assert not stale, f"in no record; remove them, or add a line to MORE: {sorted(stale)}"


def test_every_command_declares_its_records() -> None:
    missing = sorted({key_of(target) for target in COMMANDS} - RECORDS.keys())
    assert not missing, "add them to src/aiscli/output/fields.py"


def test_no_command_that_is_gone_declares_records() -> None:
    assert RECORDS.keys() <= {key_of(target) for target in COMMANDS}
