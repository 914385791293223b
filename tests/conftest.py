"""What every test of this repository gets: fixed examples, and no way to the store of whoever runs it."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("soak", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile("ci")  # --hypothesis-profile wins: it is read later

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts `./check &` so, and what tests interrupt would never hear of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither settings nor data of the user: `AIS_*` is gone, and the default home is a temporary one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AIS_")]:
            if not name.startswith("AIS_TEST_"):
                patch.delenv(name)
        patch.setenv("AIS_HOME", str(tmp_path_factory.mktemp("default") / "home"))
        patch.setenv("AIS_CLI_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="session")
def quick_ais(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of an `ais` that starts no interpreter: a command costs a tenth (`tests.integration.warm`)."""
    from tests.integration.warm import warm_ais

    with warm_ais(tmp_path_factory.mktemp("warm")) as folder:
        yield str(folder / "ais")


LONG_CASES = (
    "test_syscalls.py::test_death_at_each_call_leaves_the_old_state_or_the_new_one[rechunk",
    "test_syscalls.py::test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state[rechunk",
    "test_syscalls.py::test_death_at_each_call_leaves_the_old_state_or_the_new_one[checkpointed-over",
    "test_syscalls.py::test_death_at_each_call_leaves_the_old_state_or_the_new_one[checkpointed-whole",
    "test_syscalls.py::test_death_at_each_call_leaves_the_old_state_or_the_new_one[upload-durable",
    "test_syscalls.py::test_death_at_each_call_leaves_the_old_state_or_the_new_one[upload-evacuate",
    "test_syscalls.py::test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state[read-short",
    "test_syscalls.py::test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state[upload-durable",
    "test_syscalls.py::test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state[upload-over-short",
    "test_syscalls.py::test_each_failing_call_gives_a_typed_error_and_keeps_the_old_state[upload-short",
    "test_aisloader.py::test_the_five_stages[server of two processes",
    "test_webdataset.py::test_a_reader_that_stops_early_hears_nothing[local-cat",
    "test_webdataset.py::test_a_reader_that_stops_early_hears_nothing[server-cat",
    "test_webdataset.py::test_workers_share_the_shards_and_read_every_byte[local-cat",
    "test_webdataset.py::test_workers_share_the_shards_and_read_every_byte[server-cat",
    "test_sync.py::test_ten_thousand_names_survive_kills",
    "test_limits.py::test_a_million_names_are_listed_in_flat_memory",
    "test_aisloader.py::test_memory_stays_flat",
    "test_aisloader.py::test_shards_are_written_and_their_files_read[embedded",
    "test_aisloader.py::test_ranges_updates_verification_and_streams[embedded",
    "test_aisloader.py::test_missing_objects_fail_the_run_and_max_errors_allows_them[server",
    "test_aisloader.py::test_epochs_read_every_name_exactly[embedded",
    "test_aisloader.py::test_ctrl_c_ends_with_a_summary_and_cleans_up[embedded",
    "test_browse.py::test_a_job_of_another_process_is_seen_waited_for_and_stopped[http",
    "test_clients.py::test_every_release_does_everything[1",
    "test_webdataset.py::test_a_reader_that_stops_early_hears_nothing[local-pipe",
    "test_webdataset.py::test_a_reader_that_stops_early_hears_nothing[server-ais",
    "test_webdataset.py::test_workers_share_the_shards_and_read_every_byte[local-ais",
    "test_webdataset.py::test_workers_share_the_shards_and_read_every_byte[server-pipe",
    "test_webdataset.py::test_writers_write_what_readers_read[local-ais",
    "test_webdataset.py::test_writers_write_what_readers_read[server-pipe",
)
"""Cases that take long for what they add to their neighbours: they run with the soak."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out, unless marks are chosen with `-m`."""
    for item in items:
        if any(part in item.nodeid for part in LONG_CASES):
            item.add_marker(pytest.mark.soak)
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each folder: how many tests ended how, and what they took in sum."""
    counts: dict[str, Counter[str]] = {}
    seconds: dict[str, float] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            folder = report.nodeid.removeprefix("tests/").partition("/")[0]
            counts.setdefault(folder, Counter())[outcome] += 1
            # A failed collection has no duration.
            took: float = getattr(report, "duration", 0.0)
            seconds[folder] = seconds.get(folder, 0.0) + took
    for folder, outcomes in sorted(counts.items()):
        text = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        terminalreporter.write_line(f"{folder}: {text}; {seconds[folder]:.1f} s of work")
