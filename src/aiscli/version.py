"""The version, as `ais version` prints it."""

from aiscore._version import __version__

__all__ = ["version_line"]


def version_line() -> str:
    """`version X`."""
    return f"version {__version__}"
