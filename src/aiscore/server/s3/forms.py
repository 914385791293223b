"""Reads the body of a form that a browser posts: its fields first, then one file, which is passed on as it comes.

    --BOUNDARY CR LF  headers of a part  CR LF CR LF  content  CR LF  --BOUNDARY ... --BOUNDARY--

What stands behind the file is S3's to ignore.
"""

import re
from collections.abc import Callable
from typing import Final

from aiscore.server.http import Request
from aiscore.server.s3.faults import S3Error

__all__ = ["FIELDS_BYTES_MAX", "FormParser", "boundary_of"]

FIELDS_BYTES_MAX: Final = 20 << 10
"""Everything in front of the file; S3's limit."""
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}(?<! )")
_PARAMETER = re.compile(r';\s*([a-zA-Z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))')


def boundary_of(request: Request) -> str | None:
    """The boundary of a form; None when the body is none."""
    kind, _, rest = (request.header("content-type") or "").partition(";")
    if kind.strip().lower() != "multipart/form-data":
        return None
    found = _parameters(f";{rest}").get("boundary", "")
    if not _BOUNDARY.fullmatch(found):
        raise S3Error("MalformedPOSTRequest", "the form has no boundary")
    return found


class FormParser:
    """Takes a form block by block.

    Attributes:
        fields: by name in lower case; complete when the file begins. The file's own name is `filename`, its type
            `content-type` when no field says so.
    """

    def __init__(self, boundary: str, on_file: Callable[[dict[str, str]], None]) -> None:
        """Begin; `on_file` is called once, with the fields, before the first byte of the file."""
        self.fields: dict[str, str] = {}
        self._on_file = on_file
        self._mark = f"\r\n--{boundary}".encode()
        # As if a line had ended in front of the first boundary.
        self._kept = bytearray(b"\r\n")
        self._field_bytes = 0
        self._is_in_file = False
        self.is_complete = False
        """The file has ended."""

    def take(self, data: memoryview) -> bytes:
        """The bytes of the file in what is known now.

        Raises:
            S3Error: it is no form, or what stands in front of the file is too long.
        """
        if self.is_complete:
            return b""
        self._kept += data
        if not self._is_in_file:
            self._take_fields()
        if not self._is_in_file:
            return b""
        end = self._kept.find(self._mark)
        if end >= 0:
            content = bytes(self._kept[:end])
            self._kept.clear()
            self.is_complete = True
            return content
        sure = max(0, len(self._kept) - len(self._mark) + 1)
        content = bytes(self._kept[:sure])
        del self._kept[:sure]
        return content

    def _take_fields(self) -> None:
        """Read whole fields, and the head of the file."""
        position = 0
        kept, mark = self._kept, self._mark
        while True:
            if len(kept) - position >= len(mark) and not kept.startswith(mark, position):
                raise S3Error(
                    "MalformedPOSTRequest",
                    "The body of your POST request is not well-formed multipart/form-data.",
                )
            head = kept.find(b"\r\n\r\n", position + len(mark))
            if kept.startswith(b"--", position + len(mark)):
                raise S3Error(
                    "InvalidArgument", "POST requires exactly one file upload per request."
                )
            if head < 0:
                break
            name, filename, kind = _head_of(bytes(kept[position + len(mark) : head]))
            if name == "file":
                self._check_length(head)
                if filename is not None:
                    self.fields["filename"] = filename
                if kind and "content-type" not in self.fields:
                    self.fields["content-type"] = kind
                del kept[: head + 4]
                self._is_in_file = True
                self._on_file(self.fields)
                return
            end = kept.find(mark, head + 2)
            if end < 0:
                break
            if name in self.fields:
                raise S3Error("InvalidArgument", f"the form has {name[:64]} twice")
            self.fields[name] = _text(bytes(kept[head + 4 : end]))
            position = end
        # What was read is done with; the rest begins with a boundary again.
        del kept[:position]
        self._field_bytes += position
        self._check_length(len(kept))

    def _check_length(self, more: int) -> None:
        if self._field_bytes + more > FIELDS_BYTES_MAX:
            raise S3Error(
                "MaxPostPreDataLengthExceeded",
                "Your POST request fields preceding the upload file were too large.",
            )


def _head_of(lines: bytes) -> tuple[str, str | None, str]:
    """Name, file name and type of a part."""
    name, filename, kind = "", None, ""
    for line in _text(lines).split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            found = _parameters(value)
            name, filename = found.get("name", "").lower(), found.get("filename")
        elif header.strip().lower() == "content-type":
            kind = value.strip()
    if not name:
        raise S3Error("MalformedPOSTRequest", "a part of the form has no name")
    return name, filename, kind


def _parameters(text: str) -> dict[str, str]:
    return {
        match[1].lower(): match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        for match in _PARAMETER.finditer(text)
    }


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise S3Error("MalformedPOSTRequest", "a field of the form is not UTF-8") from None
