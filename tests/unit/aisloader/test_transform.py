"""Specifications of transformations: which are understood, and what is sent to start them."""

import base64
import json
from pathlib import Path

import pytest

from aiscore.errors import InvalidArgumentError
from aisloader.params import parse
from aisloader.params.etl import name_in_spec
from aisloader.transform import init_message

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: echo-pod
  annotations:
    communication_type: '"hpull://"'
    wait_timeout: 5m
spec: {containers: [{name: server, image: x}]}
"""


def test_a_pod_is_sent_as_it_is() -> None:
    assert name_in_spec(POD, "f") == "echo-pod"
    message = json.loads(init_message(POD, "echo-pod"))
    assert base64.b64decode(message.pop("spec")).decode() == POD
    assert message == {"name": "echo-pod", "communication": "hpull://", "init_timeout": "5m"}


def test_the_form_of_aistore_is_sent_as_json() -> None:
    text = "name: e\ncommunication: hpull://\nruntime: {image: x, env: [{name: A, value: '1'}]}\n"
    assert json.loads(init_message(text, "e")) == {
        "name": "e",
        "communication": "hpull://",
        "runtime": {"image": "x", "env": [{"name": "A", "value": "1"}]},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is no YAML in line"),
        ("just text", "specifies no transformation"),
        ("kind: Service\nmetadata: {name: a}", "specifies no transformation"),
        ("runtime: {image: x}", "specifies no transformation"),
        ("name: 7\nruntime: {image: x}", "specifies no transformation"),
        ("name: ../x\nruntime: {image: x}", "invalid name"),
        ("name: Upper\nruntime: {image: x}", "invalid name"),
    ],
)
def test_what_is_no_specification_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "spec"
    path.write_text(text)
    with pytest.raises(InvalidArgumentError, match=message):
        parse(["-bucket=b", f"-etl-spec={path}"], {})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"#" * (1 << 21))
    for name, reason in (
        ("absent", "No such file"),
        ("binary", "not text"),
        ("large", "more than"),
    ):
        with pytest.raises(InvalidArgumentError, match=reason):
            parse(["-bucket=b", f"-etl-spec={tmp_path / name}"], {})
