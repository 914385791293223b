"""Patterns of names, as `--include`, `--exclude` and wildcards behind a bucket have them.

`*` and `?` stop at a slash, `**` does not, `[a-z]` and `[!a-z]` are one character, a backslash takes
the character behind it literally. What the two options add is gitignore's: a pattern without a slash
is looked for at any depth, one with a slash (a leading one, too) counts from the top, and a pattern
that names a directory stands for all that lies in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiscore.errors import InvalidArgumentError

__all__ = ["Glob", "NameFilter", "has_wildcards"]

_WILDCARDS = re.compile(r"[*?\[]")
PATTERN_LENGTH_MAX = 3072
"""Characters: as long as a name can be."""


def has_wildcards(text: str) -> bool:
    """True if `text` could be a pattern rather than a name."""
    return _WILDCARDS.search(text) is not None


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern that a whole name matches.

    Attributes:
        text: as it was written.
        prefix: what every name that matches starts with; bounds a listing.
    """

    text: str
    prefix: str
    _regex: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> "Glob":
        """Read a pattern.

        Raises:
            InvalidArgumentError: too long, or a `[` without its end.
        """
        literal = re.match(r"[^*?\[\\]*", text)
        assert literal is not None
        return cls(text, literal.group(), re.compile(rf"(?s:{_translate(text)})\Z"))

    def matches(self, name: str) -> bool:
        """True if the pattern stands for `name`."""
        return self._regex.match(name) is not None


class NameFilter:
    """Names that some pattern of `includes` matches, or any if there are none, and none of `excludes`.

    Raises:
        InvalidArgumentError: a malformed pattern.
    """

    def __init__(self, includes: Sequence[str] = (), excludes: Sequence[str] = ()) -> None:
        self._includes = [_compile(text) for text in includes]
        self._excludes = [_compile(text) for text in excludes]

    def __bool__(self) -> bool:
        """True if it leaves anything out at all."""
        return bool(self._includes or self._excludes)

    def accepts(self, name: str) -> bool:
        """True if `name` is taken."""
        if self._includes and not any(regex.match(name) for regex in self._includes):
            return False
        return not any(regex.match(name) for regex in self._excludes)


def _compile(text: str) -> re.Pattern[str]:
    is_directory = text.endswith("/")
    body = text.strip("/")
    if not body:
        raise InvalidArgumentError(f'invalid pattern "{text}"', hint="use '**' for everything")
    is_anchored = "/" in text.removesuffix("/")
    head = "" if is_anchored else "(?:.*/)?"
    tail = "/.*" if is_directory else "(?:/.*)?"
    return re.compile(rf"(?s:{head}{_translate(body)}{tail})\Z")


_STAR, _STARS = "[^/]*", ".*"


def _translate(text: str) -> str:
    """A pattern as a regular expression, without the catastrophic backtracking that joined stars invite.

    Where a star, fixed text and another star follow each other, the first place of the text is as
    good as any: what lies up to a later one, the second star takes as well. So the engine need not
    come back (`(?>...)`), if the second star matches at least what the first does.
    """
    parts = _split(text)
    made: list[str] = []
    at = 0
    while at < len(parts):
        part = parts[at]
        following = parts[at + 2] if at + 2 < len(parts) else ""
        if part in {_STAR, _STARS} and following in {part, _STARS}:
            made.append(f"(?>{part}?{parts[at + 1]})")
            at += 2
        else:
            made.append(part)
            at += 1
    return "".join(made)


def _split(text: str) -> list[str]:
    """Regular expressions of a pattern's stars, and of the fixed text between them."""
    if len(text) > PATTERN_LENGTH_MAX:
        raise InvalidArgumentError(f"pattern is longer than {PATTERN_LENGTH_MAX} characters")
    parts: list[str] = []
    fixed = ""

    def add(part: str) -> None:
        nonlocal fixed
        parts.extend(filter(None, (fixed, part)))
        fixed = ""

    at = 0
    while at < len(text):
        if text.startswith("**/", at) and (at == 0 or text[at - 1] == "/"):
            add("(?:.*/)?")  # `a/**/b` is `a/b`, too
            at += 3
            continue
        char = text[at]
        at += 1
        if char == "*":
            stars = 1
            while at < len(text) and text[at] == "*":
                stars, at = stars + 1, at + 1
            add(_STAR if stars == 1 else _STARS)
        elif char == "?":
            fixed += "[^/]"
        elif char == "[":
            part, at = _translate_set(text, at)
            fixed += part
        elif char == "\\" and at < len(text):
            fixed += re.escape(text[at])
            at += 1
        else:
            fixed += re.escape(char)
    add("")
    return parts


def _translate_set(text: str, at: int) -> tuple[str, int]:
    """The set behind a `[`, and where the text goes on."""
    start = at
    is_negated = text[at : at + 1] in {"!", "^"}
    if is_negated:
        at += 1
    end = text.find("]", at + 1)  # a `]` at once is one of the characters
    if end < 0:
        raise InvalidArgumentError(
            f'invalid pattern "{text}": "[" at character {start} has no "]"',
            hint="write \\[ for the character itself",
        )
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", text[at:end])
    made = f"(?!/)[{'^' if is_negated else ''}{body}]"
    try:
        re.compile(made)
    except re.error:
        raise InvalidArgumentError(
            f'invalid pattern "{text}": bad set "[{text[start:end]}]"'
        ) from None
    return made, end + 1
