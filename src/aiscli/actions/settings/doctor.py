"""A look at everything that can keep `ais` from working: installation, settings, store, machine."""

import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import unquote, urlsplit

from aiscli.connection import TWO_TOKENS, expiry, read_connection, read_token, token_source
from aiscli.context import CliContext
from aiscli.exitcodes import ExitCode
from aiscli.output import Column
from aiscore._version import __version__
from aiscore.errors import AisError
from aiscore.model.cluster import ClusterInfo, NodeRole
from aiscore.model.storage import MountpathState
from aiscore.transport import default_home

__all__ = ["AISTORE_VERSION", "Finding", "Verdict", "compare_versions", "find_ais", "run_doctor"]

AISTORE_VERSION = "4.1"
"""Level of AIStore's API that this client speaks."""
_OPEN_FILES_MIN = 1024
_FREE_PERCENT_MIN = 5
_CLOCK_SKEW_MAX_S = 60
_BUILT_AFTER_S = 1_735_689_600
"""2025-01-01: no working clock is before it."""


class Verdict(StrEnum):
    """How a check came out; only `wrong` fails the run."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do about it."""

    check: str
    detail: str
    verdict: Verdict = Verdict.OK
    hint: str = ""


def run_doctor(context: CliContext) -> ExitCode:
    """Check everything, and list what was found; 1 when something is wrong."""
    findings = [finding for check in _CHECKS for finding in check(context)]
    rows = [
        {
            "check": finding.check,
            "status": finding.verdict.value,
            "detail": finding.detail,
            "hint": finding.hint or None,
        }
        for finding in findings
    ]
    output = context.output
    output.table(
        [Column("check"), Column("status"), Column("detail")]
        + ([] if output.is_table else [Column("hint")]),
        rows,
    )
    if output.is_table:
        for finding in findings:
            if finding.hint:
                output.text(f"{finding.check}: {finding.hint}")
    is_wrong = any(finding.verdict is Verdict.WRONG for finding in findings)
    return ExitCode.ERROR if is_wrong else ExitCode.OK


def _versions(context: CliContext) -> Iterator[Finding]:
    yield Finding("aiscore", __version__)
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    try:
        yield Finding("typer", version("typer"))
    except PackageNotFoundError:
        yield Finding("typer", "not found", Verdict.WRONG, "install the package again")


def _command(context: CliContext) -> Iterator[Finding]:
    own = os.path.join(os.path.dirname(sys.executable), "ais")
    if os.path.basename(sys.argv[0]) == "ais":
        own = os.path.abspath(sys.argv[0])
    yield find_ais(os.environ.get("PATH", ""), own)


def find_ais(path: str, own: str) -> Finding:
    """Which `ais` a shell with this PATH runs, compared with `own`."""
    found = [
        candidate
        for directory in path.split(os.pathsep)
        if os.access(candidate := os.path.join(directory or ".", "ais"), os.X_OK)
        and os.path.isfile(candidate)
    ]
    if not found:
        return Finding(
            "command",
            "no ais on PATH",
            Verdict.WARNING,
            f"add {os.path.dirname(own)} to PATH",
        )
    first = found[0]
    if os.path.exists(own) and os.path.samefile(first, own):
        return Finding("command", first)
    if _is_ours(first):
        return Finding(
            "command",
            f"{first} is another installation; this one is {own}",
            Verdict.WARNING,
            f"put {os.path.dirname(own)} first on PATH, if this one is meant",
        )
    return Finding(
        "command",
        f"{first} is another program, perhaps AIStore's ais; this one is {own}",
        Verdict.WRONG,
        f"put {os.path.dirname(own)} before {os.path.dirname(first)} on PATH",
    )


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.startswith(b"#!") and b"aiscli" in head


def _settings(context: CliContext) -> Iterator[Finding]:
    settings = context.settings
    error = settings.file_error
    if error is not None:
        yield Finding("settings", error.message, Verdict.WRONG, error.hint or "")
    else:
        note = "" if os.path.exists(settings.path) else " (none: defaults)"
        yield Finding("settings", f"{settings.path}{note}")
    error = settings.endpoint_error
    if error is not None:
        yield Finding("endpoint", error.message, Verdict.WRONG, error.hint or "")
        return
    endpoint, origin = settings.store, settings.endpoint.origin
    name = f' "{settings.context.value}"' if settings.context.value else ""
    yield Finding("endpoint", f"{endpoint or 'embedded store'} (from {origin}{name})")


def _network(context: CliContext) -> Iterator[Finding]:
    """Does a store on the network answer, and has it the time that is here?"""
    settings = context.settings
    if settings.endpoint_error is not None or not settings.store.startswith(
        ("http://", "https://")
    ):
        return
    from aiscli.actions.settings.probe import probe

    try:
        connection = read_connection(settings)
    except AisError as error:
        yield Finding("connection", error.message, Verdict.WRONG, error.hint or "")
        return
    if not connection.verify:
        yield Finding(
            "connection",
            "the certificate of the store is not checked",
            Verdict.WARNING,
            "only for tests: ais config cli set cluster.skip_verify_crt=false",
        )
    try:
        answer = probe(settings.store, connection)
    except AisError as error:
        yield Finding("reachable", error.message, Verdict.WRONG, error.hint or "")
        return
    yield Finding("reachable", answer.summary)
    if answer.skew_s is not None and abs(answer.skew_s) > _CLOCK_SKEW_MAX_S:
        where = "behind" if answer.skew_s > 0 else "ahead of"
        yield Finding(
            "clock",
            f"the store is {abs(answer.skew_s):.0f} s {where} this machine",
            Verdict.WRONG,
            "set the clocks: tokens and listings depend on them",
        )
    yield from _nodes(context)
    yield from _mountpaths(context)


def _nodes(context: CliContext) -> Iterator[Finding]:
    """What the store is, whether this program fits it, and which of its nodes need attention."""
    try:
        found = context.transport.cluster_info()
    except AisError as error:
        hint = error.hint or "is it AIStore, or: ais serve?"
        yield Finding("server", error.message, Verdict.WRONG, hint)
        return
    versions = sorted({node.version for node in found.nodes if node.version})
    builds = sorted({node.build for node in found.nodes if node.build})
    told = f"AIStore {', '.join(versions) or 'of unknown version'}"
    detail = f"{told} ({', '.join(builds)})" if builds else told
    wrong = [text for version in versions if (text := compare_versions(version))]
    if wrong:
        yield Finding("server", f"{detail}: {wrong[0]}", Verdict.WARNING, "update one of the two")
    else:
        yield Finding("server", f"{detail}: fits this client ({AISTORE_VERSION})")
    ours = f"aiscore-{__version__}"
    if any(build.startswith("aiscore-") and build != ours for build in builds):
        yield Finding(
            "server",
            f"it runs {', '.join(builds)}, this client is {ours}",
            Verdict.WARNING,
            "use the same version on both sides",
        )
    for node in found.nodes:
        if not node.is_online or node.alerts:
            what = ", ".join([node.status, *node.alerts])
            hint = "see: ais show cluster"
            yield Finding("node", f"{node.name}: {what}", Verdict.WARNING, hint)
    yield from _load(found)


def _load(found: ClusterInfo) -> Iterator[Finding]:
    """How loaded the machines are; AIStore's nodes do not tell."""
    for node in found.of(NodeRole.TARGET):
        if node.pressure:
            grades = " ".join(f"{name}={grade}" for name, grade in node.pressure.items())
            is_critical = "critical" in node.pressure.values()
            yield Finding(
                "load",
                f"{node.name}: {grades}",
                Verdict.WARNING if is_critical else Verdict.OK,
                "jobs slow down, and without memory or files GetBatch is refused"
                if is_critical
                else "",
            )


def compare_versions(server: str) -> str:
    """What speaks against a server of this version; "" for nothing.

    Minor versions of AIStore fit their neighbours, mostly.
    """
    numbers = re.match(r"(\d+)\.(\d+)", server)
    if numbers is None:
        return f'the version "{server}" of the server is not known'
    major, minor = map(int, numbers.groups())
    own_major, own_minor = map(int, AISTORE_VERSION.split("."))
    if major != own_major or abs(minor - own_minor) > 1:
        return f"not compatible with this client ({AISTORE_VERSION})"
    if minor != own_minor:
        return f"may not be fully compatible with this client ({AISTORE_VERSION})"
    return ""


def _token(context: CliContext) -> Iterator[Finding]:
    """Where the token comes from and until when it holds; never the token."""
    source = token_source(context.settings)
    if source.origin == "default":
        return
    where = source.value or source.origin
    if context.settings.token.value and context.settings.token_file.value:
        yield Finding("token", TWO_TOKENS, Verdict.WARNING, "unset one of them")
    try:
        expires = expiry(read_token(context.settings))
    except AisError as error:
        yield Finding("token", error.message, Verdict.WRONG, error.hint or "")
        return
    if expires is None:
        yield Finding("token", f"from {where}")
        return
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
    if expires < time.time():
        hint = "log in again: ais auth login"
        yield Finding("token", f"from {where}: expired at {shown}", Verdict.WRONG, hint)
    else:
        yield Finding("token", f"from {where}: until {shown}")


def _store(context: CliContext) -> Iterator[Finding]:
    settings = context.settings
    has_error = settings.file_error is not None or settings.endpoint_error is not None
    if has_error or _is_remote(settings.store):
        return
    home = _home_of(settings.store)
    if home is not None:
        yield from _directory(home)
        if not os.path.exists(home):
            return  # opening would make it
    yield from _mountpaths(context)
    with suppress(AisError):  # told above
        yield from _load(context.transport.cluster_info())


def _is_remote(store: str) -> bool:
    return store.lower().startswith(("http://", "https://"))


def _mountpaths(context: CliContext) -> Iterator[Finding]:
    """Can the store be opened, and have its disks room?"""
    try:
        mountpaths = context.transport.mountpaths()
    except AisError as error:
        yield Finding("store", error.message, Verdict.WRONG, error.hint or "")
        return
    for info in mountpaths:
        free = info.disk_total - info.disk_used
        percent = round(100 * free / info.disk_total) if info.disk_total else 0
        size, total = context.output.size(free), context.output.size(info.disk_total)
        detail = f"{info.path}: {info.state.value}, {size} of {total} free ({percent}%)"
        verdict, hint = Verdict.OK, ""
        if info.state is MountpathState.MISSING:
            verdict, hint = Verdict.WRONG, "mount the disk, or see: ais storage mountpath --help"
        elif info.state is not MountpathState.ENABLED:
            verdict, hint = Verdict.WARNING, "see: ais storage mountpath --help"
        elif info.disk_total and percent < _FREE_PERCENT_MIN:
            verdict, hint = Verdict.WRONG, "delete objects, or attach another mountpath"
        yield Finding("mountpath", detail, verdict, hint)


def _home_of(endpoint: str) -> str | None:
    """Directory of the embedded store; None for any other."""
    if not endpoint:
        return default_home()
    if "://" not in endpoint:
        return endpoint if os.path.isabs(endpoint) else None
    parts = urlsplit(endpoint)
    return unquote(parts.path) if parts.scheme == "file" else None


def _directory(home: str) -> Iterator[Finding]:
    """Is it writable, and does its disk have the time that the clock has?"""
    existing = home
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    note = "" if existing == home else " (made at first use)"
    try:
        # Without a name, so that nobody who lists the directory sees it.
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
            file.flush()
            skew = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield Finding(
            "home",
            f"{home}{note}: {existing} is not writable: {reason}",
            Verdict.WRONG,
            "make it writable, or set AIS_HOME to another directory",
        )
        return
    yield Finding("home", f"{home}{note}: writable")
    if abs(skew) > _CLOCK_SKEW_MAX_S:
        yield Finding(
            "clock",
            f"the disk of {existing} is {skew:.0f} s behind",
            Verdict.WRONG,
            "set the clocks of this machine and of the file server",
        )


def _clock(context: CliContext) -> Iterator[Finding]:
    now = time.time()
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < _BUILT_AFTER_S:
        yield Finding("clock", f"{shown} is in the past", Verdict.WRONG, "set the clock")
    else:
        yield Finding("clock", shown)


def _open_files(context: CliContext) -> Iterator[Finding]:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        yield Finding("open files", "unlimited")
    elif soft < _OPEN_FILES_MIN:
        yield Finding(
            "open files",
            f"{soft}, expected {_OPEN_FILES_MIN} or more",
            Verdict.WRONG,
            f"raise it: ulimit -n {_OPEN_FILES_MIN * 4}",
        )
    else:
        yield Finding("open files", str(soft))


_CHECKS: tuple[Callable[[CliContext], Iterator[Finding]], ...] = (
    _versions,
    _command,
    _settings,
    _network,
    _token,
    _store,
    _clock,
    _open_files,
)
