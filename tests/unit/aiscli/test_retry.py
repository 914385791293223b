"""Requests that are made again."""

import io

import pytest

from aiscli.actions.batches.retry import with_retries
from aiscli.config import Setting, Settings
from aiscli.context import CliContext
from aiscli.output.base import Output
from aiscore.errors import AisError, ObjectNotFoundError, ThrottledError

UNSET = Setting("", "default")
SETTINGS = Settings(endpoint=UNSET, output_format=UNSET, no_input=False, no_color=False)


class Flaky:
    """Fails with the errors given, then succeeds."""

    def __init__(self, *errors: AisError) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.pauses: list[float] = []
        self.stderr = io.StringIO()
        output = Output(stdout=io.StringIO(), stderr=self.stderr)
        self.context = CliContext(SETTINGS, output=output)

    def call(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls

    def run(self, retries: int, *, may_repeat: bool = True) -> int:
        return with_retries(
            self.context,
            retries,
            self.call,
            may_repeat=lambda: may_repeat,
            sleep=self.pauses.append,
        )


def test_a_busy_store_is_asked_again_after_growing_pauses() -> None:
    flaky = Flaky(*(ThrottledError("slow down") for _ in range(8)))
    assert flaky.run(8) == 9
    for number, pause in enumerate(flaky.pauses):
        assert 0.25 * 2**number <= pause <= 30 or pause >= 15
        assert pause <= min(30, 0.5 * 2**number)
    assert flaky.stderr.getvalue().count("slow down; trying again") == 8


def test_the_last_error_counts() -> None:
    flaky = Flaky(ThrottledError("1"), ThrottledError("2"), ThrottledError("3"))
    with pytest.raises(ThrottledError, match="3"):
        flaky.run(2)
    assert flaky.calls == 3


def test_none_means_once() -> None:
    flaky = Flaky(ThrottledError("1"))
    with pytest.raises(ThrottledError):
        flaky.run(0)
    assert flaky.calls == 1


def test_what_cannot_succeed_is_not_repeated() -> None:
    flaky = Flaky(ObjectNotFoundError("o"))
    with pytest.raises(ObjectNotFoundError):
        flaky.run(5)
    assert flaky.calls == 1


def test_nor_what_cannot_be_taken_back() -> None:
    flaky = Flaky(ThrottledError("1"))
    with pytest.raises(ThrottledError):
        flaky.run(5, may_repeat=False)
    assert flaky.calls == 1
