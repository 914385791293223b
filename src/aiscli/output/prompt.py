"""Questions. Answers come from stdin, so they can be piped; the end of stdin means no."""

from typing import TextIO

from aiscli.output.base import Output
from aiscore.errors import InvalidArgumentError

__all__ = ["CANCELED", "Prompter"]

CANCELED = "Operation canceled."

_YES = frozenset({"y", "yes", "on", "true", "1"})
_NO = frozenset({"n", "no", "off", "false", "0", ""})
_RETRIES_MAX = 10
"""Unusable answers before the question counts as refused: a pipe of garbage must end."""


class Prompter:
    """Asks, unless the run must not.

    Args:
        output: where the question is written.
        stdin: where the answer comes from.
        no_input: raise instead of asking.
    """

    def __init__(self, output: Output, stdin: TextIO, *, no_input: bool = False) -> None:
        self._output = output
        self._stdin = stdin
        self.no_input = no_input

    @property
    def is_interactive(self) -> bool:
        """True when a person is there to answer."""
        return not self.no_input and self._stdin.isatty()

    def confirm(self, question: str, *, flag: str = "--yes") -> bool:
        """Ask `QUESTION [Y/N]: `; a refusal prints that the operation is cancelled.

        Raises:
            InvalidArgumentError: asking is switched off; the hint names `flag`.
        """
        self._check(question, flag)
        for _ in range(_RETRIES_MAX):
            self._output.prompt(f"{question} [Y/N]: ")
            answer = self._stdin.readline()
            word = answer.strip().lower()
            if word in _YES:
                return True
            if not answer and self._stdin.isatty():
                self._output.prompt("\n")
            if word in _NO:
                break
        self._output.text(CANCELED)
        return False

    def phrase(self, word: str) -> bool:
        """Ask to type `word`: for what cannot be undone and touches everything.

        Raises:
            InvalidArgumentError: asking is switched off.
        """
        self._check(f"type '{word}' to confirm", None)
        for _ in range(_RETRIES_MAX):
            self._output.prompt(f"Type '{word}' to confirm (or 'N' to cancel): ")
            answer = self._stdin.readline()
            if answer.strip() == word:
                return True
            if not answer and self._stdin.isatty():
                self._output.prompt("\n")
            if answer.strip().lower() in {"", "n", "no"}:
                break
            self._output.trace(f"expected '{word}'")
        self._output.text(CANCELED)
        return False

    def _check(self, question: str, flag: str | None) -> None:
        if self.no_input:
            raise InvalidArgumentError(
                f'cannot ask "{question}" with --no-input',
                hint=f"pass {flag}" if flag else "run it without --no-input and pipe the answer",
            )
