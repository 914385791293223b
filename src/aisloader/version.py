"""The version, as `aisloader version` prints it."""

from aiscore._version import __version__

__all__ = ["LOADER_VERSION", "version_line"]

LOADER_VERSION = "2.1"
"""Of AIStore's load generator: the one whose flags, output and semantics this one has."""


def version_line() -> str:
    """`version 2.1 (aiscore X)`."""
    return f"version {LOADER_VERSION} (aiscore {__version__})"
