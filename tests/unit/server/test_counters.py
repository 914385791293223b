"""Counters that processes share."""

import os

from aiscore.server.counters import NAMES, SharedCounters


def test_rows_add_up_over_a_fork() -> None:
    shared = SharedCounters(3)
    here, there = shared.row(0), shared.row(2)
    here.add({"get.n": 2, "get.size": 5})
    pid = os.fork()
    if not pid:
        there.add({"get.n": 1, "put.n": 7})
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    expected = {"get.n": 3, "get.size": 5, "put.n": 7}
    assert here.totals() == there.totals() == shared.row(1).totals() == expected
    shared.row(2).add({"get.n": 1})
    assert here.totals()["get.n"] == 4, "a worker that is started again goes on"


def test_reset() -> None:
    shared = SharedCounters(2)
    one, two = shared.row(0), shared.row(1)
    one.add({"get.n": 2, "err.get.n": 1, "own": 1})
    two.add({"get.n": 3, "err.get.n": 1})
    two.reset("err.")
    assert one.totals() == {"get.n": 5, "own": 1}
    one.reset()
    assert one.totals() == {}
    two.add({"get.n": 1})
    assert one.totals() == {"get.n": 1}


def test_other_names_stay_with_who_counts_them() -> None:
    shared = SharedCounters(2)
    shared_row, other = shared.row(0), shared.row(1)
    shared_row.add({"something.new": 1})
    assert (shared_row.totals(), other.totals()) == ({"something.new": 1}, {})


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
