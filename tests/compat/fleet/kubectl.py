"""As much of `kubectl` as `fleet.sh` uses, over processes of this machine instead of pods.

A pod is a directory in $PODS. Its containers run with their commands and variables, one after the other, as the kubelet
would run them; what they have at /results is the directory.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import yaml

PODS = Path(os.environ["PODS"])


def main(words: list[str]) -> int:
    match words:
        case ["create", "-f", "-"]:
            job = yaml.safe_load(sys.stdin)["spec"]
            (PODS / "completions").write_text(str(job["completions"]))
            for index in range(job["completions"]):
                start(index, job["template"]["spec"])
        case ["get", "job", "aisloader", "-o", "jsonpath={.spec.completions}"]:
            sys.stdout.write((PODS / "completions").read_text())
        case ["get", "job", "aisloader", "-o", "jsonpath={.status.failed}"]:
            pass
        case ["get", "pod", "-l", selector, "-o", "jsonpath={.items[0].metadata.name}"]:
            sys.stdout.write(f"pod-{selector.rpartition('=')[2]}")
        case ["wait", "pod", "-l", selector, "--for=condition=Ready", "--timeout=60s"]:
            ready = PODS / f"pod-{selector.rpartition('=')[2]}" / "ready"
            deadline = time.monotonic() + 60
            while not ready.exists():
                if time.monotonic() > deadline:
                    return 1
                time.sleep(0.1)
        case ["exec", pod, "-c", "result", "--", program, path]:
            path = path.replace("/results", str(PODS / pod), 1)
            return subprocess.run([program, path], check=False).returncode
        case _:
            sys.exit(f"not a call of fleet.sh: {words}")
    return 0


def start(index: int, pod: dict[str, list[dict[str, object]]]) -> None:
    folder = PODS / f"pod-{index}"
    folder.mkdir()
    steps = [f"cd {folder}"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        if container in pod["containers"]:
            steps.append("touch ready")
        variables = {
            variable["name"]: variable["value"]
            for variable in container["env"]  # type: ignore[attr-defined]
            if "value" in variable
        }
        variables |= {"RESULTS": str(folder), "JOB_COMPLETION_INDEX": str(index)}
        if "KEEP_S" in variables:
            variables["KEEP_S"] = "60"  # nothing outlives a test that failed
        if store := os.environ.get("AIS_ENDPOINT"):
            variables["AIS_ENDPOINT"] = store
        assigned = [f"{name}={value}" for name, value in variables.items()]
        command = [str(word) for word in container["command"]]  # type: ignore[attr-defined]
        steps.append(f"{shlex.join(['env', *assigned, *command])} >>log 2>&1")
    steps.append("echo $? >exit")
    subprocess.Popen(["sh", "-c", "; ".join(steps)], start_new_session=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
