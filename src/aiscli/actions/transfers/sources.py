"""Local sources: what `FILE`, `DIR`, `DIR/PATTERN`, `--list` and `--template` stand for."""

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aiscli.actions.transfers.filter import Glob
from aiscore.errors import InvalidArgumentError
from aiscore.model.template import parse_template

__all__ = ["LocalFile", "SourceRequest", "find_files", "is_single_file"]

_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to send: where it is, and its name relative to the source's fixed part."""

    path: str
    name: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """Files on this machine.

    Attributes:
        path: file, directory, or directory with a pattern as its last part (quoted, or the shell
            expands it).
        names: files of the directory `path`, comma separated by the user.
        template: files of the directory `path` by template.
        recursive: descend into subdirectories.
        include_source_dir: names start with the last part of the directory.
    """

    path: str
    names: tuple[str, ...] | None = None
    template: str | None = None
    recursive: bool = False
    include_source_dir: bool = False

    def __post_init__(self) -> None:
        if self.names is not None and self.template is not None:
            raise InvalidArgumentError("flags --list and --template are mutually exclusive")


def is_single_file(request: SourceRequest) -> bool:
    """True when the source is one file, by its own name; a pipe or a device is one, too."""
    if request.names is not None or request.template is not None:
        return False
    return _is_file(request.path)


def find_files(request: SourceRequest) -> Iterator[LocalFile]:
    """Files of a source, sorted within each directory.

    Symbolic links to files are followed, to directories not.

    Raises:
        InvalidArgumentError: nothing matches, or the path is neither file nor directory.
        FileNotFoundError: the path does not exist.
    """
    request = _split_template(request)
    path = os.path.expanduser(request.path)
    if request.names is not None or request.template is not None:
        yield from _named(request, path)
        return
    if _is_file(path):
        yield _file(path, os.path.basename(path))
        return
    pattern = None
    root = path
    if not os.path.isdir(path):
        root, pattern = os.path.split(path)
        if _WILDCARDS.isdisjoint(pattern):
            os.stat(path)  # raises for what does not exist
            raise InvalidArgumentError(f'"{path}" is neither a file nor a directory')
        root = root or "."
        if not _WILDCARDS.isdisjoint(root) and not os.path.isdir(root):
            yield from _matching(path, request)
            return
        if not os.path.isdir(root):
            raise InvalidArgumentError(f'"{root}" is not a directory')
    prefix = f"{os.path.basename(os.path.abspath(root))}/" if request.include_source_dir else ""
    for relative in _walk(root, "", recursive=request.recursive):
        if pattern is None or fnmatch.fnmatchcase(os.path.basename(relative), pattern):
            yield _file(os.path.join(root, relative), prefix + relative)


def _is_file(path: str) -> bool:
    return os.path.exists(path) and not os.path.isdir(path)


def _split_template(request: SourceRequest) -> SourceRequest:
    """`dir/part-{0..9}/x` as the template `part-{0..9}/x` in `dir`; a file of such a name wins."""
    head, brace, tail = request.path.partition("{")
    if not brace or request.names is not None or request.template is not None:
        return request
    if os.path.lexists(os.path.expanduser(request.path)):
        return request
    root, _, first = head.rpartition("/")
    if not root and head.startswith("/"):
        root = "/"
    return replace(request, path=root, template=f"{first}{brace}{tail}")


def _matching(path: str, request: SourceRequest) -> Iterator[LocalFile]:
    """Files of a pattern with wildcards in several parts: names are relative to the part without."""
    parts = path.split("/")
    first = next(i for i, part in enumerate(parts) if not _WILDCARDS.isdisjoint(part))
    root = "/".join(parts[:first]) or ("/" if path.startswith("/") else ".")
    if not os.path.isdir(root):
        raise InvalidArgumentError(f'"{root}" is not a directory')
    glob = Glob.parse("/".join(parts[first:]))
    prefix = f"{os.path.basename(os.path.abspath(root))}/" if request.include_source_dir else ""
    for relative in _walk(root, "", recursive=True):
        if glob.matches(relative):
            yield _file(os.path.join(root, relative), prefix + relative)


def _named(request: SourceRequest, root: str) -> Iterator[LocalFile]:
    names: Iterator[str] | tuple[str, ...]
    if request.names is not None:
        names = request.names
    else:
        assert request.template is not None
        template = parse_template(request.template)
        if template.count is None:
            raise InvalidArgumentError(f'template "{request.template}" has no end and no range')
        names = iter(template)
    prefix = (
        f"{os.path.basename(os.path.abspath(root))}/" if request.include_source_dir and root else ""
    )
    for name in names:
        yield _file(os.path.join(root, name) if root else name, prefix + name.lstrip("/"))


def _walk(root: str, below: str, *, recursive: bool) -> Iterator[str]:
    directories: list[str] = []
    with os.scandir(os.path.join(root, below)) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        relative = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            directories.append(relative)
        elif entry.is_file():
            yield relative
    if recursive:
        for directory in directories:
            yield from _walk(root, f"{directory}/", recursive=True)


def _file(path: str, name: str) -> LocalFile:
    return LocalFile(path, name, os.stat(path).st_size)
