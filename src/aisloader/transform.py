"""Transformations of a cluster (ETL): found before a run, or started for it and removed after it.

AIStore's own have a name and an image, and need no specification: they are started when they do not run.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from aiscore.errors import AisError, InvalidArgumentError, NotFoundError, UnsupportedError
from aiscore.transport.body import BytesPayload
from aiscore.transport.session import Call, Session
from aiscore.wire.names import JSON_TYPE, H, Path
from aisloader.reach import connection_of

if TYPE_CHECKING:
    from aisloader.params import Params

__all__ = ["PREDEFINED", "init_message", "transforming"]

PREDEFINED = {
    "echo-go": "aistorage/transformer_echo_go:latest",
    "hash-with-args": "aistorage/transformer_hash_with_args:latest",
    "tar2tf": "aistorage/transformer_tar2tf:latest",
    "transformer-echo": "aistorage/transformer_echo:latest",
    "transformer-md5": "aistorage/transformer_md5:latest",
}
"""AIStore's own transformations that need no specification: the image of each."""
_JSON = ((H.CONTENT_TYPE, JSON_TYPE),)
DEFAULT_COMMUNICATION = "hpush://"
_COMMUNICATION = "communication_type"
_TIMEOUT = "wait_timeout"


@contextmanager
def transforming(
    endpoint: str, params: "Params", say: Callable[[str], None], complain: Callable[[str], None]
) -> Iterator[None]:
    """See to it that the transformation of a run is there while it runs.

    Raises:
        UnsupportedError: the cluster has no transformations.
        NotFoundError: it has not got the one that was named, and that is none of AIStore's own.
    """
    connection = connection_of(params)
    assert connection is not None
    name, document = params.etl.applied, params.etl.document
    with Session(endpoint, connection) as session:
        if not document and name in (running := _running(session)):
            yield
            return
        if document:
            what, message = name, init_message(document, name)
        elif name in PREDEFINED:
            image = PREDEFINED[name]
            what, message = f"{name} of image {image}", _predefined_message(name, image)
        else:
            raise NotFoundError(
                f'no transformation "{name}" runs in the cluster',
                hint=f"running: {', '.join(running) or 'none'}; started when they do not run: "
                f"{', '.join(PREDEFINED)}; others with -etl-spec=FILE",
            )
        say(f"Starting transformation {what}")
        _call(session, "PUT", Path.ETL, message)
        try:
            yield
        finally:
            say(f"Stopping transformation {name}")
            for method, target in (
                ("POST", f"{Path.ETL}/{name}/stop"),
                ("DELETE", f"{Path.ETL}/{name}"),
            ):
                try:
                    _call(session, method, target)
                except AisError as error:
                    complain(f"cannot {method} {target}: {error.message}")


def _predefined_message(name: str, image: str) -> bytes:
    spec = {"name": name, "communication": DEFAULT_COMMUNICATION, "runtime": {"image": image}}
    return msgspec.json.encode(spec)


def init_message(document: str, name: str) -> bytes:
    """What starts a transformation: AIStore's own form as it is, a pod within a message about it.

    Raises:
        InvalidArgumentError: the pod is annotated with something else than texts.
    """
    import yaml

    spec: dict[str, Any] = yaml.safe_load(document)
    if "runtime" in spec:
        return msgspec.json.encode({"communication": DEFAULT_COMMUNICATION, **spec})
    annotations = spec["metadata"].get("annotations") or {}
    message = {
        "name": name,
        "communication": _text(annotations, _COMMUNICATION) or DEFAULT_COMMUNICATION,
        "spec": base64.b64encode(document.encode()).decode(),
    }
    if timeout := _text(annotations, _TIMEOUT):
        message["init_timeout"] = timeout
    return msgspec.json.encode(message)


def _text(annotations: object, name: str) -> str:
    value = annotations.get(name, "") if isinstance(annotations, dict) else None
    if not isinstance(value, str):
        raise InvalidArgumentError(f"-etl-spec: the annotation {name} is no text")
    return value.strip('"')


def _running(session: Session) -> list[str]:
    """Names of the transformations that there are."""
    body = _call(session, "GET", Path.ETL)
    try:
        listed = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        listed = None
    found = listed if isinstance(listed, list) else []
    return [str(each.get("id") or each.get("name")) for each in found if isinstance(each, dict)]


def _call(session: Session, method: str, target: str, body: bytes = b"") -> bytes:
    headers = _JSON if body else ()
    call = Call(method, target, headers, BytesPayload(body), is_safe=method == "GET")
    try:
        return session.call(call).body
    except AisError as error:
        if isinstance(error, UnsupportedError) or "kubernetes" in error.message.lower():
            raise UnsupportedError(
                f"the cluster transforms nothing: {error.message}",
                hint="leave -etl and -etl-spec out, or load a cluster on Kubernetes",
            ) from error
        raise
