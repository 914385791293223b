"""The table of operations, and the page that is made from it."""

import subprocess
import sys
from pathlib import Path

from aiscore.server.s3.route import BUCKET, OBJECT, OPERATIONS, REFUSED, SERVICE

REPOSITORY = Path(__file__).parents[4]


def test_the_page_is_current() -> None:
    command = [sys.executable, str(REPOSITORY / ".ci/generate_s3.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_operation_is_there_twice() -> None:
    requests = {(o.level, o.method, o.query, o.header) for o in OPERATIONS}
    assert len(requests) == len(OPERATIONS)
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_nothing_is_refused_that_is_supported() -> None:
    for operation in OPERATIONS:
        assert operation.level in {SERVICE, BUCKET, OBJECT}
        if operation.handler != "unconfigured.get":
            refused = set(REFUSED.get(operation.level, ()))
            assert not set(operation.query) & refused, operation.name
