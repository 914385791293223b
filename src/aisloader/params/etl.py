"""Transformation of what is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiscore.errors import InvalidArgumentError
from aisloader.params.option import Kind, check_section, option

__all__ = ["ETL_ALIASES", "EtlParams", "name_in_spec", "resolve"]

ETL_ALIASES = {"md5": "transformer-md5", "echo": "transformer-echo"}
"""Names in upstream's documents -> what its predefined transformations are called."""
SPEC_MAX = 1 << 20
"""Bytes of a specification."""
NAME_MAX = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class EtlParams:
    """Transformation of what is read: one that runs, or one from a specification file, started for the run.

    Attributes:
        name: of one that runs.
        spec: path of the file.
        applied: the name that reads ask for; set by `parse`.
        document: the specification's text; set by `parse`.
    """

    name: str = option(
        "",
        "etl",
        Kind.TEXT,
        "name of a transformation for every GET: one that runs in the cluster, or one of AIStore's own, started "
        "for the run: md5, echo, echo-go, hash-with-args, tar2tf",
    )
    spec: str = option(
        "", "etl-spec", Kind.TEXT, "file that specifies a transformation to start for the run"
    )
    applied: str = ""
    document: str = ""

    @property
    def is_enabled(self) -> bool:
        """True when reads are transformed."""
        return bool(self.name or self.spec)

    def validate(self) -> None:
        """Check the values; raises `InvalidArgumentError`."""
        check_section(self)
        if self.name and self.spec:
            raise InvalidArgumentError("-etl and -etl-spec exclude each other")
        if self.is_enabled:
            _check_name(self.applied)


def resolve(
    values: dict[str, Any], given: frozenset[str], environ: Mapping[str, str], notes: list[str]
) -> None:
    """Aliases of names, and the name in a specification."""
    del given, environ, notes
    values["name"] = ETL_ALIASES.get(values["name"], values["name"])
    values["applied"] = values["name"]
    if values["spec"] and not values["name"]:
        values["document"] = _read(values["spec"])
        values["applied"] = name_in_spec(values["document"], values["spec"])


def name_in_spec(document: str, path: str) -> str:
    """The name of a transformation: `name` of AIStore's form, `metadata.name` of a Kubernetes pod.

    Raises:
        InvalidArgumentError: it is no specification.
    """
    import yaml

    try:
        spec = yaml.safe_load(document)
    except yaml.YAMLError as exc:
        line = getattr(getattr(exc, "problem_mark", None), "line", None)
        where = "" if line is None else f" in line {line + 1}"
        raise InvalidArgumentError(f'-etl-spec "{path}" is no YAML{where}') from None
    name: object = None
    if isinstance(spec, dict) and isinstance(spec.get("runtime"), dict):
        name = spec.get("name")
    elif isinstance(spec, dict) and isinstance(metadata := spec.get("metadata"), dict):
        name = metadata.get("name") if spec.get("kind") == "Pod" else None
    if not isinstance(name, str):
        raise InvalidArgumentError(
            f'-etl-spec "{path}" specifies no transformation',
            hint="it has a name and a runtime with an image, or is a Kubernetes Pod with a name",
        )
    return name


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(SPEC_MAX + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not text"
        raise InvalidArgumentError(f'cannot read -etl-spec "{path}": {reason}') from None
    if len(data) > SPEC_MAX:
        raise InvalidArgumentError(f'-etl-spec "{path}" has more than {SPEC_MAX} bytes')
    return text


def _check_name(name: str) -> None:
    """What Kubernetes allows as a name."""
    is_plain = name.isascii() and name == name.lower() and name.replace("-", "a").isalnum()
    if not is_plain or len(name) > NAME_MAX or name.startswith("-") or name.endswith("-"):
        raise InvalidArgumentError(
            f'invalid name of a transformation "{name[:80]}"',
            hint="small letters, digits and dashes: see the list of `ais etl show`",
        )
