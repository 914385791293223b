"""Rules for names. Everything that becomes part of an index key or a URI passes here once, at the edge."""

import re

from aiscore.errors import InvalidNameError

__all__ = [
    "BUCKET_NAME_MAX",
    "OBJECT_NAME_MAX",
    "check_bucket_name",
    "check_namespace_part",
    "check_object_name",
    "check_prefix",
]

BUCKET_NAME_MAX = 64
"""Characters; upstream's limit, kept because names travel between stores."""
OBJECT_NAME_MAX = 3072
"""UTF-8 bytes; upstream's longest path. S3 stops at 1,024 and checks that itself."""
NAMESPACE_PART_MAX = 64

_BUCKET = re.compile(r"[A-Za-z0-9_.-]+")
_BAD_COMPONENTS = frozenset({".", ".."})


def check_bucket_name(name: str) -> str:
    """Return `name` if it is 1..64 letters, digits, `-`, `_`, `.` without `..`.

    Raises:
        InvalidNameError: it is not.
    """
    if not name or len(name) > BUCKET_NAME_MAX or not _BUCKET.fullmatch(name) or ".." in name:
        raise InvalidNameError(
            f'bucket name "{_shorten(name)}" is invalid: expected 1 to {BUCKET_NAME_MAX} letters, digits, '
            "'-', '_', '.' and no '..'",
            hint="choose another bucket name",
        )
    return name


def check_object_name(name: str) -> str:
    """Return `name` if an object may have it.

    Rules: not empty, no trailing slash, no `.` or `..` path component, no leading `/` or `~/`, no NUL, encodable as
    UTF-8 in at most `OBJECT_NAME_MAX` bytes.

    Raises:
        InvalidNameError: a rule is broken; the message says which.
    """
    # Nearly every name is short ASCII without a dot-slash: decide those with two substring tests.
    if not name or name[-1] == "/":
        raise _invalid(name, "it must not be empty or end with '/'")
    _check_path(name)
    return name


def check_prefix(prefix: str) -> str:
    """Return `prefix` if names could begin with it: the rules of names, but it may be empty or end anywhere."""
    if prefix:
        # Its last component may go on: "a/." begins "a/.b".
        _check_path(f"{prefix}x")
    return prefix


def check_namespace_part(text: str) -> str:
    """Return the uuid or name of a namespace if it is empty or 1..64 letters, digits, `-`, `_`."""
    if text and (len(text) > NAMESPACE_PART_MAX or not re.fullmatch(r"[A-Za-z0-9_-]+", text)):
        raise InvalidNameError(
            f"namespace \"{_shorten(text)}\" is invalid: expected letters, digits, '-' and '_'"
        )
    return text


def _check_path(name: str) -> None:
    if name[0] == "/" or name.startswith("~/"):
        raise _invalid(name, "it must not start with '/' or '~/'")
    if "\0" in name:
        raise _invalid(name, "it must not contain a NUL character")
    if "./" in name or name[-1] == ".":
        parts = name.split("/")
        if not _BAD_COMPONENTS.isdisjoint(parts):
            raise _invalid(name, "it must not have '.' or '..' as a path component")
    if len(name) * 4 > OBJECT_NAME_MAX or not name.isascii():
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            raise _invalid(name, "it is not valid Unicode") from None
        if size > OBJECT_NAME_MAX:
            raise _invalid(name, f"it has {size} bytes, the limit is {OBJECT_NAME_MAX}")


def _invalid(name: str, why: str) -> InvalidNameError:
    shown = (
        _shorten(name).encode("ascii", "backslashreplace").decode()
        if not name.isprintable()
        else _shorten(name)
    )
    return InvalidNameError(
        f'object name "{shown}" is invalid: {why}', hint="choose another object name"
    )


def _shorten(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:60]}...{name[-20:]}"
