"""Bucket properties in words."""

from aiscli.actions.browse.compact import compact_props
from aiscore.model.config import ClusterConfig
from aiscore.model.props import BucketProps, change_props, default_props
from aiscore.model.sections import flatten


def shown(**changes: str) -> dict[str, str]:
    props: BucketProps = default_props("ais", ClusterConfig())
    values = {key.replace("__", "."): value for key, value in changes.items()}
    props = change_props(props, values) if values else props
    return compact_props(props, flatten(props))


def test_the_defaults() -> None:
    lines = shown()
    assert list(lines) == [
        "access",
        "checksum",
        "chunks",
        "created",
        "ec",
        "lru",
        "mirror",
        "present",
        "provider",
        "versioning",
    ]
    assert lines["checksum"] == "Type: xxhash2 | Validate: Nothing"
    assert lines["chunks"] == "auto-chunking disabled"
    assert lines["versioning"] == "Enabled | Validate on WarmGET: no"


def test_what_is_switched_on_and_off() -> None:
    assert shown(checksum__type="none")["checksum"] == "Disabled"
    both = shown(checksum__validate_warm_get="true", checksum__validate_cold_get="true")
    assert both["checksum"] == "Type: xxhash2 | Validate: ColdGET,WarmGET"
    assert shown(versioning__enabled="false")["versioning"] == "Disabled"
    assert shown(mirror__enabled="true", mirror__copies="3")["mirror"] == "3 copies"
    chunked = shown(chunks__objsize_limit="64MiB", chunks__chunk_size="16MiB")["chunks"]
    assert chunked == "chunk-size: 16.00MiB; checkpoint: never; objsize-limit: 64.00MiB"
