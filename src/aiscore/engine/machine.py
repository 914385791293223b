"""Samples of the machine that this process runs on, or of the control group that it is confined to.

Everything is read from `/proc`, `/sys/block` and the control group file systems (version 2, or 1 where that is what
limits memory); a file that is not there tells nothing, and what nothing is known of counts as idle. One sample takes
some hundred microseconds: `load` takes them at intervals.
"""

import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from aiscore.model.load import Sample, swap_growths_after

__all__ = ["Machine", "Sampler"]

_KIB = 1024
_UNLIMITED = 1 << 62
"""Limits of control groups from here on are none."""
_DISK_WINDOW_MIN_S = 0.1
"""A shorter time tells nothing of a disk; AIStore's `iostat_time_short`."""
_TICKS_FIELD = 9
"""Of a block device's `stat`: milliseconds in which it was busy."""


class Sampler(Protocol):
    """Where samples come from."""

    def sample(self, paths: Iterable[str], smooth_s: float) -> Sample:
        """What is the case now.

        Args:
            paths: directories whose disks count.
            smooth_s: time over which the utilisation of a disk is averaged.
        """
        ...


class _Group(NamedTuple):
    """Files of a control group that limits memory."""

    limit: str
    used: str
    stat: str
    cache_keys: tuple[str, ...]


class _Disk(NamedTuple):
    """What is known of a disk: when it was looked at, its busy time then, and the average utilisation."""

    at: float
    busy_ms: int
    pct: float


class Machine:
    """This machine. Not safe for threads: `load` asks for one sample at a time."""

    def __init__(self, root: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """`root` is what `/proc` and `/sys` are below of; tests give another."""
        self._root = root
        self._clock = clock
        self._groups = _memory_groups(root)
        self._cpu_count = _cpu_count(root)
        self._swap_used: int | None = None
        self._swap_growths = 0
        self._disks: dict[int, _Disk] = {}

    def sample(self, paths: Iterable[str], smooth_s: float) -> Sample:
        """See `Sampler.sample`."""
        total, available, free, swap_used = self._memory()
        if self._swap_used is not None and total:
            self._swap_growths = swap_growths_after(
                self._swap_growths, self._swap_used, swap_used, total
            )
        if total:
            self._swap_used = swap_used
        return Sample(
            memory_total=total,
            memory_available=available,
            memory_free=free,
            swap_growths=self._swap_growths,
            load=self._load(),
            cpu_count=self._cpu_count,
            disk_pct=self._disk_pct(paths, smooth_s),
            file_count=_file_count(f"{self._root}/proc/self/fd"),
            file_limit=_file_limit(),
        )

    def _memory(self) -> tuple[int, int, int, int]:
        """Bytes in all, available, free with caches, and swapped out."""
        found = _numbers(_read(f"{self._root}/proc/meminfo"))
        total = found.get("MemTotal:", 0) * _KIB
        cached = found.get("MemFree:", 0) + found.get("Cached:", 0) + found.get("Buffers:", 0)
        available = found.get("MemAvailable:", cached) * _KIB
        for group in self._groups:
            limit = _integer(_read(group.limit), _UNLIMITED)
            if limit >= _UNLIMITED:
                continue
            # Caches of files belong to the group, and give way.
            stat = _numbers(_read(group.stat))
            used = _integer(_read(group.used), 0) - sum(stat.get(k, 0) for k in group.cache_keys)
            total = min(total or limit, limit)
            available = min(available, max(limit - max(used, 0), 0))
        swap_used = (found.get("SwapTotal:", 0) - found.get("SwapFree:", 0)) * _KIB
        return total, available, min(cached * _KIB, available), swap_used

    def _load(self) -> tuple[float, float, float] | None:
        words = _read(f"{self._root}/proc/loadavg").split()
        try:
            return float(words[0]), float(words[1]), float(words[2])
        except (IndexError, ValueError):
            return None

    def _disk_pct(self, paths: Iterable[str], smooth_s: float) -> int:
        """How busy the busiest disk is, on average."""
        now = self._clock()
        busiest = 0.0
        seen: set[int] = set()
        for path in paths:
            try:
                device = os.stat(path).st_dev
            except OSError:
                continue
            if device not in seen:
                seen.add(device)
                busiest = max(busiest, self._look_at(device, now, smooth_s))
        return round(busiest)

    def _look_at(self, device: int, now: float, smooth_s: float) -> float:
        before = self._disks.get(device)
        if before is not None and now - before.at < _DISK_WINDOW_MIN_S:
            return before.pct
        name = f"{os.major(device)}:{os.minor(device)}"
        fields = _read(f"{self._root}/sys/dev/block/{name}/stat").split()
        if len(fields) <= _TICKS_FIELD:
            return 0.0  # no disk of its own: a network or memory file system
        busy_ms, pct = _integer(fields[_TICKS_FIELD], 0), 0.0
        if before is not None:
            elapsed_s = now - before.at
            current = min(max(busy_ms - before.busy_ms, 0) / (elapsed_s * 10), 100.0)
            weight = min(elapsed_s / smooth_s, 1.0) if smooth_s else 1.0
            pct = before.pct + (current - before.pct) * weight
        self._disks[device] = _Disk(now, busy_ms, pct)
        return pct


def _memory_groups(root: str) -> list[_Group]:
    """The control groups that may limit the memory of this process."""
    groups: list[_Group] = []
    for directory, is_second in _directories(root, "memory"):
        if is_second:
            limit, used = "memory.max", "memory.current"
            keys = ("inactive_file", "active_file")
        else:
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
            keys = ("total_inactive_file", "total_active_file")
        if os.path.exists(f"{directory}/{limit}"):
            group = _Group(
                f"{directory}/{limit}", f"{directory}/{used}", f"{directory}/memory.stat", keys
            )
            groups.append(group)
    return groups


def _cpu_count(root: str) -> int:
    """CPUs that this process may run on at the same time, at least 1."""
    count = len(os.sched_getaffinity(0))
    for directory, is_second in _directories(root, "cpu"):
        if is_second:
            quota_text, _, period_text = _read(f"{directory}/cpu.max").partition(" ")
        else:
            quota_text = _read(f"{directory}/cpu.cfs_quota_us")
            period_text = _read(f"{directory}/cpu.cfs_period_us")
        quota, period = _integer(quota_text, 0), _integer(period_text, 0)
        if quota > 0 and period > 0:
            count = min(count, -(-quota // period))
    return max(count, 1)


def _directories(root: str, controller: str) -> Iterator[tuple[str, bool]]:
    """Directories of the control groups of this process, its own first; and whether they are of version 2.

    A container may be told its path outside, of which only the root is mounted: then that is its group.
    """
    for line in _read(f"{root}/proc/self/cgroup").splitlines():
        words = line.split(":", 2)
        if len(words) < 3 or (words[1] and controller not in words[1].split(",")):
            continue
        base = f"{root}/sys/fs/cgroup" + (f"/{controller}" if words[1] else "")
        parts = [part for part in words[2].split("/") if part]
        for count in range(len(parts), -1, -1):
            yield "/".join([base, *parts[:count]]), not words[1]


def _file_count(directory: str) -> int:
    """Open descriptors of this process."""
    try:
        # Since Linux 6.2 this is the size; counting takes a microsecond for each.
        return os.stat(directory).st_size or len(os.listdir(directory))
    except OSError:
        return 0


def _file_limit() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0 if limit == resource.RLIM_INFINITY else limit


def _read(path: str) -> str:
    """A small file of the kernel; "" when it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 1 << 16).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _numbers(text: str) -> Mapping[str, int]:
    """First words of lines, and the numbers behind them."""
    found = {}
    for line in text.splitlines():
        words = line.split(None, 2)
        if len(words) > 1 and words[1].isdecimal():
            found[words[0]] = int(words[1])
    return found


def _integer(text: str, otherwise: int) -> int:
    """A number, `otherwise` for anything else (`max`)."""
    try:
        return int(text)
    except ValueError:
        return otherwise
