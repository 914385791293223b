"""An embedded, AIStore-compatible object store, and the Python client of any.

from aiscore import Client

client = Client("file:///data/store")
bucket = client.bucket("images").create(exist_ok=True)
bucket.object("a.jpg").get_writer().put_content(b"...")
for info, content in client.batch(["a.jpg"], bucket=bucket):
    print(info.obj_name, len(content))
"""

# The public names are loaded on first use (PEP 562). Every import of `aiscore.anything` runs this
# module first, the `ais` command's included, and the models' pydantic costs it 150 ms that it has
# no use for. Type checkers read the imports below, which are never executed.

from typing import TYPE_CHECKING

from aiscore._version import __version__

if TYPE_CHECKING:
    from aiscore.client import (
        ArchiveConfig,
        Batch,
        Bucket,
        Client,
        MossIn,
        MossOut,
        MossReq,
        MossResp,
        Object,
    )
    from aiscore.errors import AisError
    from aiscore.model.archive import ArchiveMode
    from aiscore.model.bucket import BucketRef
    from aiscore.transport import open_transport

__all__ = [
    "AisError",
    "ArchiveConfig",
    "ArchiveMode",
    "Batch",
    "Bucket",
    "BucketRef",
    "Client",
    "MossIn",
    "MossOut",
    "MossReq",
    "MossResp",
    "Object",
    "__version__",
    "open_transport",
]

_HOMES = {
    "AisError": "aiscore.errors",
    "ArchiveMode": "aiscore.model.archive",
    "BucketRef": "aiscore.model.bucket",
    "open_transport": "aiscore.transport",
}
"""Where a name comes from, other than `aiscore.client`."""


# Not for type checkers: they would take any name for one of the package's then.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES.get(name, "aiscore.client")), name)
        globals()[name] = value  # found directly from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
