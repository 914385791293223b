"""Reports whose file cannot be written any more: the load goes on, and the run fails at its end."""

from collections.abc import Callable

from aisloader.stats.sample import Final, RunInfo, Sample, Sink

__all__ = ["GuardedSink"]


class GuardedSink:
    """Passes everything on, until the file of the report refuses: then that is told, and the report is left alone.

    A reader that closed its end of a pipe is another matter: it ends the run.

    Attributes:
        is_lost: the report is not whole.

    Args:
        sink: which writes to a file.
        name: of that file.
        tell: prints a line.
    """

    def __init__(self, sink: Sink, name: str, tell: Callable[[str], None]) -> None:
        self._sink = sink
        self._name = name
        self._tell = tell
        self.is_lost = False

    def start(self, info: RunInfo) -> None:
        """Pass on."""
        self._try(lambda: self._sink.start(info))

    def second(self, sample: Sample) -> None:
        """Pass on."""
        self._try(lambda: self._sink.second(sample))

    def interval(self, sample: Sample) -> None:
        """Pass on."""
        self._try(lambda: self._sink.interval(sample))

    def finish(self, final: Final) -> None:
        """Pass on."""
        self._try(lambda: self._sink.finish(final))

    def close(self) -> None:
        """Close the file; what it could not take is known by now."""
        try:
            self._sink.close()
        except BrokenPipeError:
            raise
        except OSError as exc:
            self._lose(exc)

    def _try(self, action: Callable[[], None]) -> None:
        if self.is_lost:
            return
        try:
            action()
        except BrokenPipeError:
            raise
        except OSError as exc:
            self._lose(exc)

    def _lose(self, error: OSError) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._tell(f"cannot write {self._name}: {error.strerror}; the run goes on without it")
