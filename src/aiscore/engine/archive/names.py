"""Member names: what is stored, what is shown, and what is refused.

Inside of an archive a name is bytes. It is shown as text by decoding UTF-8 with `surrogateescape`,
so a name that is no UTF-8 still has one text form, compares, and encodes back to the same bytes.
Layers that cannot carry a lone surrogate must replace it for display only.

A name is cleaned before anything else sees it: leading `/` and `./` go, and a name with a `..`
component, an empty one, one with a NUL, or one longer than `NAME_BYTES_MAX` is hostile or useless
and has no clean form.
"""

from aiscore.errors import InvalidNameError

__all__ = [
    "NAME_BYTES_MAX",
    "check_member_name",
    "clean_name",
    "decode_name",
    "encode_name",
    "show_name",
]

NAME_BYTES_MAX = 4096
"""Longest member name in bytes: what Linux accepts as a path, so every member can be extracted."""

_SHOWN_MAX = 128


def clean_name(raw: bytes) -> bytes | None:
    """Return the name under which a member is reachable, or None when it is refused."""
    while raw[:1] == b"/" or raw[:2] == b"./":
        raw = raw.lstrip(b"/") if raw[:1] == b"/" else raw[2:]
    if not raw or raw == b"." or len(raw) > NAME_BYTES_MAX or b"\0" in raw:
        return None
    if b".." in raw and b".." in raw.split(b"/"):
        return None
    return raw


def decode_name(raw: bytes) -> str:
    """Return the text form of a stored name; any bytes have one."""
    return raw.decode("utf-8", "surrogateescape")


def encode_name(name: str) -> bytes | None:
    """Return the stored form of a name, or None for text that no stored name decodes to."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


def show_name(raw: bytes) -> str:
    """Return a name for an error message: printable, and of bounded length."""
    shown = raw[:_SHOWN_MAX].decode("utf-8", "backslashreplace")
    return shown + "..." if len(raw) > _SHOWN_MAX else shown


def check_member_name(name: str) -> bytes:
    """Return the bytes to store for a name that is about to be written.

    Raises:
        InvalidNameError: empty, absolute, with a NUL or a `..` component, ends in `/`, or is longer
            than `NAME_BYTES_MAX`.
    """
    raw = encode_name(name)
    if raw is None or raw[:1] == b"/" or raw.endswith(b"/") or clean_name(raw) is None:
        raise InvalidNameError(
            f'invalid archived name "{show_name(name.encode("utf-8", "backslashreplace"))}": '
            f"expected 1 to {NAME_BYTES_MAX} bytes, relative, no NUL, no '..' component"
        )
    return raw
