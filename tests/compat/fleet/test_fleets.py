"""`deploy/aisloader`: several loaders under ansible, Kubernetes and Slurm, with one start and one result.

ansible is the real one, and logs in to two network namespaces. Of Kubernetes and Slurm what is tested here is ours: the
scripts, with processes instead of pods and tasks, and the manifest against the published schema.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.compat.clients.environments import FLEET, ensure, program_of
from tests.compat.fleet.namespaces import can_make_namespaces, hosts
from tests.integration.server.process import ais_serve

from aiscore.model.bucket import BucketRef
from aiscore.model.objects import ListOptions
from aiscore.transport import open_transport
from aisloader.stats.result import Result, read_result
from aisloader.stats.series import Metric, Series

DEPLOY = Path(__file__).parents[3] / "deploy" / "aisloader"
LOADER = str(Path(sys.executable).with_name("aisloader"))
PUTS = 30
FLAGS = [
    *("-bucket=ais://fleet", "-pctput=100", f"-maxputs={PUTS}", "-minsize=1KiB", "-maxsize=1KiB"),
    *("-numworkers=2", "-seed=7", "-cleanup=false"),
]
START_IN_S = 10
DEADLINE_S = 200


@pytest.fixture(scope="module")
def programs() -> None:
    ensure(FLEET)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With the loader in the PATH, and a home of its own."""
    return {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }


def run(command: list[str], environ: dict[str, str], cwd: Path, *, code: int = 0) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environ,
        cwd=cwd,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def check_fleet(paths: list[Path], endpoint: str, said: str) -> None:
    """Two loaders that ran together: nothing of one is the other's, and their sum is exact.

    Args:
        paths: results of both, and the merged one.
        endpoint: of the store.
        said: what both of them printed.
    """
    one, other, merged = (read_result(str(path)) for path in paths)
    with open_transport(endpoint) as transport:
        page = transport.list_page(BucketRef("fleet"), ListOptions())
    # The id is the low digit of a name, and the number of the object is above it.
    owners = [int(entry.name, 16) & 15 for entry in page.entries]
    assert owners.count(0) == owners.count(1) == PUTS == len(owners) / 2
    assert [result.params["loader"]["loaderid"] for result in (one, other)] == ["0", "1"]
    begun = [float(result.params["loader"]["start_at"]) for result in (one, other)]
    assert begun[0] == begun[1]
    # On a machine that is busy elsewhere a loader may be late, and says so; it is never early.
    late = [result for result in (one, other) if abs(result.started - begun[0]) > 1]
    assert said.count("a late start") >= len(late)
    assert all(result.started > begun[0] for result in late)
    parts = [result.totals[Series.PUT] for result in (one, other)]
    total = merged.totals[Series.PUT]
    assert total.count == 2 * PUTS == sum(part.count for part in parts)
    assert total.size == 2 * PUTS * 1024
    histograms = [part.of(Metric.SERVICE) for part in parts]
    summed = total.of(Metric.SERVICE)
    assert np.array_equal(summed.counts, histograms[0].counts + histograms[1].counts)
    assert summed.total_ns == sum(found.total_ns for found in histograms)
    assert summed.max_ns == max(found.max_ns for found in histograms)
    assert seconds_of(merged) == seconds_of(one) + seconds_of(other)


def seconds_of(result: Result) -> int:
    """Operations in the lines of the single seconds."""
    return sum(second.count for second in result.seconds[Series.PUT])


@pytest.fixture
def inventory(tmp_path: Path, environ: dict[str, str]) -> "Iterator[tuple[Path, str]]":
    """Two hosts for ansible, and the address of this machine as one of them sees it."""
    if not can_make_namespaces():
        pytest.skip("needs root, and the right to make network namespaces")
    # Short, because of the limit on the names of sockets.
    environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(tmp_path / "cp")
    environ["ANSIBLE_HOST_KEY_CHECKING"] = "false"
    environ["ANSIBLE_PIPELINING"] = "true"
    with hosts(2, tmp_path) as (made, key):
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=no",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(tmp_path / "remote"),
            "ansible_async_dir": str(tmp_path / "async"),
            "aisloader": LOADER,
        }
        loaders = {host.name: {"ansible_host": host.address} for host in made}
        path = tmp_path / "inventory.yaml"
        path.write_text(yaml.safe_dump({"loaders": {"hosts": loaders, "vars": variables}}))
        yield path, made[0].gateway


@pytest.mark.usefixtures("programs")
def test_ansible_drives_two_hosts(
    tmp_path: Path, environ: dict[str, str], inventory: tuple[Path, str]
) -> None:
    path, address = inventory
    results = tmp_path / "results"
    results.mkdir()
    playbook = [program_of(FLEET, "ansible-playbook"), "-i", str(path)]
    settings = {
        "flags": FLAGS,
        "results": str(results),
        "start_in_s": 2 * START_IN_S,
        "poll_s": 1,
        "merge_with": LOADER,
    }
    (tmp_path / "store").mkdir()
    with ais_serve(tmp_path / "store", "--host", address) as server:
        settings["endpoint"] = server.url
        (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
        command = [*playbook, str(DEPLOY / "ansible" / "fleet.yaml")]
        text = run([*command, "-e", f"@{tmp_path}/settings.yaml"], environ, tmp_path)
        names = sorted(yaml.safe_load(path.read_text())["loaders"]["hosts"])
        parts = [results / f"{name}.jsonl" for name in names]
        check_fleet([*parts, results / "merged.jsonl"], server.url, text)
        assert f"PUT   {2 * PUTS}" in text
        refused = run([*command, "-e", '{"flags": ["-nonsense"]}'], environ, tmp_path, code=2)
        assert "unknown flag" in refused
        assert "Choose the moment" not in refused


def test_the_script_for_slurm(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text(
        "#!/bin/bash\n"
        "while [[ $1 == --* ]]; do shift; done\ncode=0\n"
        'for ((id = 0; id < SLURM_NTASKS; id++)); do SLURM_PROCID=$id "$@" & tasks+=($!); done\n'
        'for task in "${tasks[@]}"; do wait "$task" || code=$?; done\nexit $code\n'
    )
    srun.chmod(0o755)
    store = f"file://{tmp_path}/store"
    environ |= {"AIS_ENDPOINT": store, "SLURM_JOB_ID": "1", "SLURM_NTASKS": "2"}
    environ |= {"START_IN_S": str(START_IN_S)}
    script = ["bash", str(DEPLOY / "slurm" / "fleet.sbatch")]
    refused = run([*script, "-nonsense"], environ, tmp_path, code=2)
    assert 'unknown flag "-nonsense"' in refused
    said = run([*script, *FLAGS], environ, tmp_path)
    results = tmp_path / "aisloader-1"
    check_fleet([results / "0.jsonl", results / "1.jsonl", results / "merged.jsonl"], store, said)


@pytest.mark.usefixtures("programs")
def test_the_job_for_kubernetes(tmp_path: Path, environ: dict[str, str]) -> None:
    manifest = DEPLOY / "kubernetes" / "job.yaml"
    run([program_of(FLEET, "kubernetes-validate"), "--strict", str(manifest)], environ, tmp_path)
    text = manifest.read_text()
    workload = (
        "-bucket=ais://b -pctput=50 -duration=10m -minsize=64KiB -maxsize=1MiB -cleanup=false"
    )
    for old, new in ((workload, " ".join(FLAGS)), ("ions: 4", "ions: 2"), ('"4"', '"2"')):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "job.yaml").write_text(text.replace("parallelism: 4", "parallelism: 2"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "pods").mkdir()
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n'.replace("test_fleets", "kubectl")
    )
    kubectl.chmod(0o755)
    store = f"file://{tmp_path}/store"
    environ |= {"AIS_ENDPOINT": store, "PODS": str(tmp_path / "pods")}
    environ |= {"START_IN_S": str(START_IN_S)}
    shutil.copy(DEPLOY / "kubernetes" / "fleet.sh", tmp_path)
    run(["sh", "fleet.sh", "job.yaml", "results"], environ, tmp_path)
    results = tmp_path / "results"
    said = "".join(path.read_text() for path in tmp_path.glob("pods/*/log"))
    check_fleet([results / "0.jsonl", results / "1.jsonl", results / "merged.jsonl"], store, said)
