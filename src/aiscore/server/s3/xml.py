"""XML bodies of S3's API: read within limits, without DTDs and entities; written straight as text.

What clients send are a few elements without attributes that matter. A document with a DTD is refused as a whole, before
any entity of it could be expanded; depth, elements and text are bounded.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn
from xml.parsers import expat

from aiscore.server.s3.faults import S3Error

__all__ = ["NAMESPACE", "Element", "XmlWriter", "escape", "read_xml"]

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
DEPTH_MAX = 8
ELEMENTS_MAX = 100_000
"""10,000 parts, or 1,000 keys, with every child that S3 knows."""
_HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
# As S3 does: a parser may refuse the reference, but a bare one it must refuse. Clients ask for encoding-type=url.
_ESCAPES |= {code: f"&#x{code:x};" for code in (*range(1, 9), *range(11, 32), 13, 127, 9, 10)}

_NEEDS_ESCAPE = re.compile("[" + "".join(map(re.escape, map(chr, _ESCAPES))) + "]")
_REPLACEMENTS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF), "\ufffd")


class Element:
    """One element: name without namespace, text, children in order."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[Element] = []

    def all(self, name: str) -> Iterator["Element"]:
        """Children of this name."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str | None:
        """Text of the first child of this name; None without one."""
        return next((child.text for child in self.all(name)), None)


def read_xml(data: bytes, roots: Sequence[str]) -> Element:
    """Parse a document whose root is one of `roots`.

    Raises:
        S3Error: `MalformedXML`; or `MissingRequestBodyError` without any bytes.
    """
    if not data:
        raise S3Error("MissingRequestBodyError", "request body is empty: expected XML")
    reader = _Reader()
    root = reader.read(data)
    if root.name not in roots:
        raise S3Error(
            "MalformedXML",
            f"unexpected root element {root.name[:64]!a}: expected {' or '.join(roots)}",
        )
    return root


class _Reader:
    def __init__(self) -> None:
        self._count = 0
        self._top = Element("")
        self._stack = [self._top]
        self._texts: list[list[str]] = [[]]
        parser = expat.ParserCreate(namespace_separator="\n")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        self._parser = parser

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as exc:
            raise S3Error("MalformedXML", f"malformed XML: {exc}") from None
        except (ValueError, LookupError):
            raise S3Error("MalformedXML", "malformed XML: unknown encoding") from None
        return self._top.children[0]

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise S3Error("MalformedXML", "malformed XML: a document type declaration is not allowed")

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX or len(self._stack) > DEPTH_MAX:
            raise S3Error("MalformedXML", "malformed XML: too many elements, or too deep")
        element = Element(name.rpartition("\n")[2])
        self._stack[-1].children.append(element)
        self._stack.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        self._stack.pop().text = "".join(self._texts.pop())

    def _data(self, text: str) -> None:
        self._texts[-1].append(text)


def escape(text: str) -> str:
    """Text between tags."""
    # A thousand keys of a page need nothing, and to find that out costs a tenth of a translation.
    return text if _NEEDS_ESCAPE.search(text) is None else text.translate(_ESCAPES)


class XmlWriter:
    """Builds one document. Elements are written in the order of the calls."""

    __slots__ = ("_open", "_parts")

    def __init__(self, root: str, namespace: str = NAMESPACE) -> None:
        declared = f' xmlns="{namespace}"' if namespace else ""
        self._parts = [f"{_HEADER}<{root}{declared}>"]
        self._open = [root]

    def text(self, name: str, value: object) -> None:
        """An element that has text only."""
        self._parts.append(f"<{name}>{escape(str(value))}</{name}>")

    def prose(self, name: str, value: str) -> None:
        """The same for a text that every parser must be able to read: without characters that XML cannot have."""
        self.text(name, value.translate(_REPLACEMENTS))

    def raw(self, fragment: str) -> None:
        """Text that is XML already."""
        self._parts.append(fragment)

    def start(self, name: str) -> None:
        """Open an element; what follows is inside."""
        self._parts.append(f"<{name}>")
        self._open.append(name)

    def end(self) -> None:
        """Close the innermost element."""
        self._parts.append(f"</{self._open.pop()}>")

    def finish(self) -> bytes:
        """Close what is open; the document."""
        while self._open:
            self.end()
        return "".join(self._parts).encode("utf-8", "replace")
