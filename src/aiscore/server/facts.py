"""Facts about the machine and the process, in the shapes that AIStore's clients read."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from aiscore.model.storage import MountpathInfo
from aiscore.server.http import ServerContext
from aiscore.wire.cluster import Cdf, DiskStats, FileSystem, Tcdf
from aiscore.wire.nodes import state_flags

__all__ = ["capacity", "disk_stats", "flags_of", "log_lines", "sysinfo", "tracker"]


def sysinfo(context: ServerContext, *, is_target: bool) -> dict[str, object]:
    """Memory, load and, of a target, file systems."""
    memory = psutil.virtual_memory()
    process = psutil.Process()
    used = process.memory_info().rss
    one, five, fifteen = os.getloadavg()
    facts: dict[str, object] = {
        "mem_used": used,
        "mem_avail": memory.available,
        "pct_mem_used": 100.0 * used / memory.total,
        "pct_cpu_used": psutil.cpu_percent(),
        "load_avg": {"One": one, "Five": five, "Fifteen": fifteen},
    }
    if is_target:
        found = context.node.store.mountpaths()
        used, total = _disk_totals(found, {m.path: _space(m) for m in found})
        facts |= {
            "fs_used": str(used),
            "fs_capacity": str(total),
            "pct_fs_used": used * 100 // total if total else 0,
        }
    return facts


def capacity(context: ServerContext) -> Tcdf:
    """Use of each mountpath and of all; a disk that several share is counted once."""
    found = context.node.store.mountpaths()
    # Asked once: sums and parts must agree while others write.
    spaces = {m.path: _space(m) for m in found}
    used, total = _disk_totals(found, spaces)
    by_path = {m.path: _of_mountpath(m, spaces[m.path]) for m in found}
    shares = [one.pct_used for one in by_path.values() if one.avail != "0" or one.used != "0"]
    return Tcdf(
        mountpaths=by_path,
        total_used=str(used),
        total_avail=str(total - used),
        pct_max=max(shares, default=0),
        pct_avg=sum(shares) // len(shares) if shares else 0,
        pct_min=min(shares, default=0),
    )


def disk_stats(context: ServerContext) -> dict[str, DiskStats]:
    """Bytes read and written a second by each disk, since it was last asked; the first answer has zeros."""
    now = time.monotonic()
    counters = psutil.disk_io_counters(perdisk=True) or {}
    disks = {disk for m in context.node.store.mountpaths() for disk in _file_system(m.path).disks}
    result = {}
    for disk in sorted(disks):
        found = counters.get(disk)
        if found is None:
            continue
        previous = _last_disk.get(disk)
        _last_disk[disk] = _Sample(now, found)
        result[disk] = _rates(previous, _last_disk[disk])
    return result


def tracker(context: ServerContext, *, is_target: bool = True) -> dict[str, int]:
    """Counters by AIStore's internal names."""
    values = dict(context.node.store.counters())
    values["up.ns.time"] = time.time_ns() - context.state.started_ns
    values["state.flags"] = flags_of(context, is_target=is_target)
    return dict(sorted(values.items()))


def flags_of(context: ServerContext, *, is_target: bool) -> int:
    """The state flags of a role: it works, and what it is short of."""
    store = context.node.store
    load = store.load()
    if not is_target:
        return state_flags(load)
    return state_flags(load, store.fullest_pct(), store.config().space)


def log_lines(context: ServerContext) -> str:
    """The beginning of a log: when the process started, and what it serves."""
    started = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(context.state.started_ns / 1e9))
    return (
        f"Started up at {started}, pid {os.getpid()}, version {context.settings.version}, "
        f"{context.settings.host}:{context.settings.port}\n"
    )


@dataclass(frozen=True, slots=True)
class _FileSystem:
    device: str
    kind: str
    disks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    counters: Any


_last_disk: dict[str, _Sample] = {}


def _rates(previous: _Sample | None, current: _Sample) -> DiskStats:
    if previous is None or current.at <= previous.at:
        return DiskStats()
    seconds = current.at - previous.at
    old, new = previous.counters, current.counters
    read, written = new.read_bytes - old.read_bytes, new.write_bytes - old.write_bytes
    reads, writes = new.read_count - old.read_count, new.write_count - old.write_count
    busy_ms = getattr(new, "busy_time", 0) - getattr(old, "busy_time", 0)
    return DiskStats(
        read_bps=int(read / seconds),
        read_avg=read // reads if reads else 0,
        write_bps=int(written / seconds),
        write_avg=written // writes if writes else 0,
        util=min(100, int(busy_ms / 10 / seconds)),
    )


def _of_mountpath(mountpath: MountpathInfo, space: tuple[int, int]) -> Cdf:
    file_system = _file_system(mountpath.path)
    used, total = space
    return Cdf(
        used=str(used),
        avail=str(total - used),
        pct_used=used * 100 // total if total else 0,
        fs=FileSystem(file_system.device, file_system.kind),
        disks=list(file_system.disks),
    )


def _disk_totals(
    mountpaths: list[MountpathInfo], spaces: Mapping[str, tuple[int, int]]
) -> tuple[int, int]:
    by_device: dict[object, tuple[int, int]] = {}
    for mountpath in mountpaths:
        try:
            device: object = os.stat(mountpath.path).st_dev
        except OSError:
            continue
        by_device[device] = spaces[mountpath.path]
    return sum(u for u, _ in by_device.values()), sum(t for _, t in by_device.values())


def _space(mountpath: MountpathInfo) -> tuple[int, int]:
    """Bytes that are used, and all; what only the superuser may fill counts as used, because no object gets it."""
    try:
        found = os.statvfs(mountpath.path)
    except OSError:
        return mountpath.disk_used, mountpath.disk_total
    return (found.f_blocks - found.f_bavail) * found.f_frsize, found.f_blocks * found.f_frsize


@lru_cache(maxsize=256)
def _file_system(path: str) -> _FileSystem:
    best = _FileSystem("", "", ())
    longest = -1
    for part in psutil.disk_partitions(all=True):
        point = part.mountpoint.rstrip("/")
        if (path == point or path.startswith(f"{point}/")) and len(point) > longest:
            longest = len(point)
            disk = Path(part.device).name if part.device.startswith("/dev/") else ""
            best = _FileSystem(part.device, part.fstype, (disk,) if disk else ())
    return best
