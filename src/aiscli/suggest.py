"""What the user may have meant: synonyms of commands, and names that differ by a few letters."""

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

__all__ = ["SYNONYMS", "distance", "nearest", "nearest_name", "suggest_command"]

SYNONYMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(words.split())
        for name, words in {
            "mountpath": "mount unmount umount disk",
            "ls": "list dir contents",
            "set": "update assign modify",
            "show": "view display list",
            "rm": "remove delete del evict destroy cleanup",
            "mv": "move rename ren",
            "cp": "copy replicate backup",
            "get": "fetch read download",
            "prefetch": "load preload warmup cache get",
            "mirror": "protect replicate copy n-way backup redundancy",
            "ec-encode": "protect encode replicate erasure-code backup redundancy",
            "start": "do run execute",
            "stop": "abort terminate",
            "put": "update write promote modify upload",
            "create": "add new",
            "object": "file",
            "storage": "disk mountpath capacity used available",
            "bucket": "dir directory container",
            "job": "batch async",
            "archive": "serialize format reformat compress tar zip gzip",
            "whoami": "identity current logged self",
            "cleanup": "remove delete evict",
            "download": "load populate copy cp",
            "tls": "x509 X509 X.509 certificate https",
            "nbi": "inventory snapshot",
        }.items()
    }
)
"""Command -> words that people try in its place; a command that does not exist (yet) never shows."""

_NAME_DISTANCE_MAX = 3


def suggest_command(
    path: str, word: str, rest: Sequence[str], known: Sequence[str], *, shown: Collection[str]
) -> str:
    """The hint for a word that is no command.

    Args:
        path: the command up to the word, e.g. "ais bucket".
        word: what was typed.
        rest: the words after it; kept in the suggestion.
        known: children of `path`.
        shown: top-level commands, for suggestions that begin anew.
    """
    above = path.split()[1:]
    if rest and rest[-1] == "show" and "show" in shown:
        return f"did you mean: {_quoted(['ais', 'show', *above, word, *rest[:-1]])}?"
    if "://" in word:
        if "ls" in known:
            return f"did you mean: {_quoted([*path.split(), 'ls', word, *rest])}?"
        kind = "object" if "/" in word.partition("://")[2].rstrip("/") else "bucket"
        return f"a command comes first, as in 'ais {kind} show {word}'"
    same = [name for name in known if word.lower() in SYNONYMS.get(name, ())]
    search = f"search: {_quoted(['ais', 'search', word])}"
    meant = same[0] if len(same) == 1 else nearest(word.lower(), known)
    if meant is None:
        return f"try {search}; or see '{path} --help'"
    return f"did you mean: {_quoted([*path.split(), meant, *rest])}? Or {search}"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is nearest to `word`, at a distance below max(3, half of it) and its length."""
    limit = min(max(3, len(word) // 2), len(word)) - 1
    return _nearest(word, names, limit)


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The bucket or object name that is a typing error away from `name`; None when none is near."""
    return _nearest(name, names, min(_NAME_DISTANCE_MAX, max(1, len(name) // 3)))


def distance(left: str, right: str, limit: int) -> int:
    """Damerau-Levenshtein distance (insert, drop, replace, swap neighbours), as far as `limit`.

    Only the cells within `limit` of the diagonal are computed: the cost is linear in the length.

    Returns:
        The distance, or `limit + 1` for anything above.
    """
    over = limit + 1
    if abs(len(left) - len(right)) > limit:
        return over
    before: list[int] = []
    last = [min(column, over) for column in range(len(right) + 1)]
    for row, letter in enumerate(left, 1):
        current = [over] * (len(right) + 1)
        if row <= limit:
            current[0] = row
        for column in range(max(1, row - limit), min(len(right), row + limit) + 1):
            other = right[column - 1]
            best = min(
                last[column] + 1, current[column - 1] + 1, last[column - 1] + (letter != other)
            )
            is_swap = (
                row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other
            )
            if is_swap:
                best = min(best, before[column - 2] + 1)
            current[column] = min(best, over)
        if min(current) > limit and min(last) > limit:
            return over
        before, last = last, current
    return last[-1]


def _nearest(word: str, names: Iterable[str], limit: int) -> str | None:
    best: tuple[int, str] | None = None
    for name in sorted(names):
        found = distance(word, name, limit)
        if found <= limit:
            best, limit = (found, name), found - 1
        if limit < 0:
            break
    return None if best is None else best[1]


def _quoted(words: Sequence[str]) -> str:
    """A command line in quotes that do not clash with those of the shell in it."""
    line = shlex.join(words)
    return f"'{line}'" if "'" not in line else f'"{line}"'
